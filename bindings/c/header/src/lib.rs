//! Makes `include/maskrcnn.h` of the source of maskrcnn's C interface. No build needs it: the header is in the repository, and a test
//! here tells where it is not that of the source.

use std::path::{Path, PathBuf};

/// The folder of the C interface.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The header, made anew.
///
/// # Errors
/// What cbindgen cannot read, in words.
pub fn make() -> Result<String, String> {
    let config = cbindgen::Config::from_file(folder().join("header/cbindgen.toml"))?;
    let made = cbindgen::Builder::new().with_src(folder().join("src/lib.rs")).with_config(config).generate();
    let mut text = Vec::new();
    made.map_err(|e| e.to_string())?.write(&mut text);
    String::from_utf8(text).map_err(|e| e.to_string())
}
