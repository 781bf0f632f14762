//! Configurations as files have them, and changes to them.
#![no_main]

use maskrcnn::Config;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let _ = Config::from_json(text, "file");
    if let Ok(changes) = serde_json::from_str(text) {
        let _ = Config::default().overridden(&changes);
    }
});
