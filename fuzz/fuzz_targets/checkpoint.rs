//! PyTorch's checkpoints of either container, and pickles of NumPy's arrays.
#![no_main]

#[path = "../weights.rs"]
mod weights;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if matches!(data, [b'P', b'K', ..] | [0x80, 2..=5, ..] | [b'(' | b'}', ..]) {
        weights::read(data);
    }
});
