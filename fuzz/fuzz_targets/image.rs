//! Images of every format that is read.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = maskrcnn::Image::decode(data, "file");
});
