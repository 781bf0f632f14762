//! The header is that of the source; `MASKRCNN_BLESS=1` writes it.

use maskrcnn_c_header::{folder, make};

#[test]
fn the_header_is_that_of_the_source() {
    let path = folder().join("include/maskrcnn.h");
    let made = make().unwrap();
    if std::env::var_os("MASKRCNN_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &made).unwrap();
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    let line = there.lines().zip(made.lines()).position(|(a, b)| a != b);
    let cure = "MASKRCNN_BLESS=1 cargo test -p maskrcnn-c-header";
    assert!(there == made, "{} differs from line {:?} on; `{cure}` writes it", path.display(), line.map(|l| l + 1));
}
