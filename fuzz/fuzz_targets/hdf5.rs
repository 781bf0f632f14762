//! HDF5 files of Keras's.
#![no_main]

#[path = "../weights.rs"]
mod weights;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if data.starts_with(b"\x89HDF") {
        weights::read(data);
    }
});
