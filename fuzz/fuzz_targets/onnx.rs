//! ONNX models.
#![no_main]

#[path = "../weights.rs"]
mod weights;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if matches!(data, [0x08, ..]) {
        weights::read(data);
    }
});
