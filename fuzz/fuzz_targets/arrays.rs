//! Pickles of NumPy's arrays, of any protocol: what detectron2 and Detectron publish.
#![no_main]

#[path = "../weights.rs"]
mod weights;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if matches!(data, [0x80, 2..=5, ..] | [b'(' | b'}', ..]) {
        weights::read(data);
    }
});
