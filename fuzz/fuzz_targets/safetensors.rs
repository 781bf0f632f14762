//! safetensors.
#![no_main]

#[path = "../weights.rs"]
mod weights;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if data.len() > 8 {
        weights::read(data);
    }
});
