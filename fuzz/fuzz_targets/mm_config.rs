//! The text of a training's configuration that MMDetection keeps beside weights, in a checkpoint that is sound otherwise.
#![no_main]

use std::sync::OnceLock;

use maskrcnn::WeightsFile;

/// Every tensor of an FPN's network, a name and extents a line.
const NAMES: &str = include_str!("../../tests/fixtures/state_dicts/mmdet_r50_fpn.txt");

/// Those of a body with a block a stage: more are slow, and tell no more.
fn names() -> impl Iterator<Item = (&'static str, &'static str)> {
    let first = |name: &str| !name.contains(".layer") || name.split('.').nth(2) == Some("0");
    NAMES.lines().filter_map(|line| line.split_once(' ')).filter(move |(name, _)| first(name))
}

/// The extents of a network a sixteenth as wide with two classes: all of the real one's are views of one element, and such are
/// refused as lies.
fn narrow(axis: u32) -> u32 {
    match axis {
        80 | 81 => axis - 78,
        320 => 8,
        64.. => axis / 16,
        _ => axis,
    }
}

/// What stands before the text, and what after its length and itself: a pickle of a dict with `meta` and `state_dict`, in which
/// all tensors are views of one element.
fn around() -> &'static [Vec<u8>; 2] {
    static AROUND: OnceLock<[Vec<u8>; 2]> = OnceLock::new();
    AROUND.get_or_init(|| {
        let text = |of: &str| [b"X".as_slice(), &(of.len() as u32).to_le_bytes(), of.as_bytes()].concat();
        let ints = |of: &mut dyn Iterator<Item = u32>| {
            let each = of.map(|v| [b"J".as_slice(), &v.to_le_bytes()].concat());
            [b"(".as_slice(), &each.collect::<Vec<_>>().concat(), b"t"].concat()
        };
        let head = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.\x80\x02}X\x0d\0\0\0little_endian\x88s.";
        let mut after = [text("CLASSES"), b"]".to_vec(), b"u".to_vec(), text("state_dict"), b"}(".to_vec()].concat();
        for (name, shape) in names() {
            let shape: Vec<u32> = shape.split('x').filter_map(|axis| axis.parse().ok().map(narrow)).collect();
            after.extend(text(name));
            after.extend(b"ctorch._utils\n_rebuild_tensor\n((U\x07storagectorch\nFloatStorage\nU\x010U\x03cpuK\x01tQK\0");
            after.extend(ints(&mut shape.iter().copied()));
            after.extend(ints(&mut shape.iter().map(|_| 0)));
            after.extend(b"tR");
        }
        after.extend(b"uu.\x80\x02](U\x010e.\x01\0\0\0\0\0\0\0\0\0\x80\x3f");
        let before = [head.as_slice(), b"\x80\x02}(", &text("meta"), b"}(", &text("cfg"), b"X"].concat();
        [before, after]
    })
}

libfuzzer_sys::fuzz_target!(|program: &str| {
    let [before, after] = around();
    let file = [before, (program.len() as u32).to_le_bytes().as_slice(), program.as_bytes(), after].concat();
    let file = WeightsFile::from_bytes(file, "file").expect("the checkpoint is sound");
    assert!(file.names().count() == names().count());
    // What a text says that no network can have is refused in a line.
    if let Err(told) = file.settings() {
        assert!(!told.to_string().contains('\n'), "{told}");
    }
});
