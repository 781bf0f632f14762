//! Pictures that are looked at in tiles.

use std::fs;
use std::path::Path;

use maskrcnn::Mask;
use maskrcnn::engine::vision::coco::CocoResult;
use maskrcnn::engine::vision::scene::nuclei;

use crate::program::Ran;
use crate::{check, files, names, results, run, scene};

/// A network input of 256 pixels, so that a tile takes a moment.
const SMALL: [&str; 4] = ["--min-size", "256", "--max-size", "256"];

fn detect(dir: &Path, image: &str, more: &[&str]) -> Ran {
    run(dir, &[&["detect", image], &SMALL[..], more].concat())
}

fn masks(found: &[CocoResult]) -> Vec<Mask> {
    found.iter().map(|r| r.segmentation.as_ref().expect("a mask").to_mask().unwrap()).collect()
}

/// How many of these masks something was found for, at IoU 0.5.
fn recalled(truth: &[Mask], found: &[Mask]) -> usize {
    truth.iter().filter(|t| found.iter().any(|f| f.iou(t) >= 0.5)).count()
}

/// Pixels in both, by what IoU and areas say.
fn shared(a: &Mask, b: &Mask) -> f64 {
    let iou = a.iou(b);
    iou * (a.area() + b.area()) as f64 / (1.0 + iou)
}

#[test]
fn tiles_find_each_object_once() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let size = (400, 280);
    scene(dir, "cells.png", size, 50);
    let truth = nuclei(size.0, size.1, 1, 50).unwrap().nuclei;
    let ran = detect(dir, "cells.png", &["--tile", "160", "--overlap", "60", "--out", "tiles"]).good();
    assert!(ran.out.contains("in 12 tiles of 160×160 and the whole at 256×179, "), "{}", ran.out);
    let merged = ran.out.split(" merged").next().and_then(|t| t.rsplit(' ').next()).unwrap();
    assert!(merged.parse::<usize>().is_ok_and(|n| n > 10), "{}", ran.out);
    assert!(ran.err.is_empty(), "{}", ran.err);
    assert_eq!(files(&dir.join("tiles")), names(&["cells.json", "cells.png"]), "one result for the picture");
    let found = results(&dir.join("tiles/cells.json"));
    check(&found, size, 0.5);
    let found = masks(&found);
    for (i, a) in found.iter().enumerate() {
        for b in &found[..i] {
            let most = 0.5 * a.area().min(b.area()) as f64;
            assert!(shared(a, b) < most, "a double at {},{}", a.x, a.y);
        }
    }
    detect(dir, "cells.png", &["--out", "one"]).good();
    let one = masks(&results(&dir.join("one/cells.json")));
    let (in_tiles, as_one) = (recalled(&truth, &found), recalled(&truth, &one));
    assert!(in_tiles >= 45 && in_tiles + 1 >= as_one, "{in_tiles} in tiles, {as_one} as one");
    // The same by fours, without the whole.
    let more = ["--tile", "160", "--overlap", "60", "--out", "fours", "--batch", "4", "--no-whole"];
    let ran = detect(dir, "cells.png", &more).good();
    assert!(ran.out.contains("in 12 tiles of 160×160, "), "{}", ran.out);
    let fours = masks(&results(&dir.join("fours/cells.json")));
    assert!(fours.len() == found.len() && recalled(&found, &fours) == found.len(), "{}, {}", fours.len(), found.len());
}

#[test]
fn results_of_tiles_are_resumed_and_small_pictures_are_no_tiles() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    scene(dir, "a.png", (150, 100), 6);
    let skipped = |more: &[&str]| detect(dir, "a.png", &[&["--resume"], more].concat()).good().out.contains("skipped");
    assert!(!skipped(&["--tile", "100"]) && skipped(&["--tile", "100"]));
    assert!(!skipped(&["--tile", "101"]) && skipped(&["--tile", "101"]));
    assert!(!skipped(&["--tile", "101", "--overlap", "9"]) && !skipped(&["--tile", "101", "--no-whole"]));
    let ran = detect(dir, "a.png", &["--tile", "100", "--detections", "1", "--out", "few"]).good();
    assert!(
        ran.out.contains("have more than the 1 that a tile may have, and ") && ran.out.contains("--tile 64"),
        "{}",
        ran.out
    );
    for (tile, out) in [("150", "tile"), ("auto", "auto"), ("off", "off")] {
        let ran = detect(dir, "a.png", &["--tile", tile, "--out", out]).good();
        assert!(!ran.out.contains("tiles"), "{}", ran.out);
    }
    let off = results(&dir.join("off/a.json"));
    assert!(!off.is_empty() && results(&dir.join("tile/a.json")) == off && results(&dir.join("auto/a.json")) == off);
}

#[test]
fn by_the_diameter_tiles_are_taken_where_the_whole_would_be_shrunk() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    scene(dir, "wide.png", (1500, 40), 20);
    // Three times as large: 4,500 pixels, and 4,096 are the most.
    let ran = run(dir, &["detect", "wide.png", "--diameter", "11", "--no-whole"]).good();
    assert!(ran.err.contains("wide.png: by --diameter") && ran.err.contains("in tiles (--tile"), "{}", ran.err);
    assert!(ran.out.contains("in 2 tiles of 1024×40, "), "{}", ran.out);
    let ran = run(dir, &["detect", "wide.png", "--diameter", "11", "--tile", "off"]).good();
    assert!(ran.err.contains("along the long side at most") && !ran.out.contains("tiles"), "{} {}", ran.out, ran.err);
}

/// A TIFF of 8-bit grey in tiles of 4,096 pixels a side, of which the file has but the first one.
fn sparse_tiff(side: u32) -> Vec<u8> {
    let tiles = side.div_ceil(4096).pow(2);
    let first = b"PackBits: ";
    let data: Vec<u8> = [129, 40].repeat(4096 * 4096 / 128);
    let lists = 8 + (first.len() + data.len()) as u32;
    let mut out = b"II*\0".to_vec();
    out.extend((lists + 8 * tiles).to_le_bytes());
    out.extend(first);
    out.extend(&data);
    let one = |v: u32| (0..tiles).flat_map(move |i| if i == 0 { v } else { 0 }.to_le_bytes());
    out.extend(one(8 + first.len() as u32));
    out.extend(one(data.len() as u32));
    let tags = [
        (256, 4, 1, side),
        (257, 4, 1, side),
        (258, 3, 1, 8),
        (259, 3, 1, 32_773),
        (262, 3, 1, 1),
        (277, 3, 1, 1),
        (322, 4, 1, 4096),
        (323, 4, 1, 4096),
        (324, 4, tiles, lists),
        (325, 4, tiles, lists + 4 * tiles),
    ];
    out.extend((tags.len() as u16).to_le_bytes());
    for (tag, kind, count, value) in tags {
        out.extend([(tag as u16).to_le_bytes(), (kind as u16).to_le_bytes()].concat());
        out.extend([count.to_le_bytes(), value.to_le_bytes()].concat());
    }
    out.extend([0; 4]);
    out
}

/// 144 million pixels, of which 128 Mi would fit.
#[test]
fn what_is_too_large_for_memory_is_read_in_pieces() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    fs::write(dir.join("slide.tif"), sparse_tiff(12_000)).unwrap();
    let ran = detect(dir, "slide.tif", &["--tile", "off"]);
    assert!(ran.code == 1 && ran.error().contains("slide.tif") && ran.error().contains("128 Mi"), "{}", ran.err);
    let ran = detect(dir, "slide.tif", &["--tile", "8000", "--overlap", "100"]).good();
    assert!(ran.out.contains("in 4 tiles of 8000×8000 and the whole at 256×256, "), "{}", ran.out);
    assert!(ran.out.contains("the overlay is of 2048×2048 pixels"), "{}", ran.out);
    assert!(ran.err.contains("slide.tif") && ran.err.contains("no data in 8 of its tiles"), "{}", ran.err);
    let found = results(&dir.join("maskrcnn-out/slide.json"));
    assert!(found.iter().all(|r| r.segmentation.as_ref().is_some_and(|s| (s.height, s.width) == (12_000, 12_000))));
    let drawn = image::open(dir.join("maskrcnn-out/slide.png")).unwrap().into_rgb8();
    // The file's one tile is a third of each side.
    assert_eq!((drawn.dimensions(), drawn.get_pixel(2047, 2047).0), ((2048, 2048), [0; 3]));
    let more = ["--tile", "8000", "--overlap", "100", "--resume"];
    assert!(detect(dir, "slide.tif", &more).good().out.contains("skipped"));
}

#[test]
fn what_cannot_be_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    scene(dir, "a.png", (150, 100), 6);
    for (args, parts) in [
        (&["--tile", "9"][..], &["`--tile`", "64 or more"][..]),
        (&["--tile", "128", "--overlap", "64"], &["`--overlap`", "half of a tile", "63"]),
        (&["--overlap", "600"], &["`--overlap`", "half of a tile of 1024"]),
    ] {
        let ran = detect(dir, "a.png", args);
        assert!(ran.code == 1 && parts.iter().all(|p| ran.error().contains(p)), "{args:?}: {}", ran.err);
    }
    for args in [
        &["--tile", "big"][..],
        &["--tile", "-3"],
        &["--tile", "128", "--boxes", "b.json"],
        &["--no-whole", "--proposals", "b.json"],
        &["--overlap", "9", "--boxes", "b.json"],
    ] {
        assert_eq!(detect(dir, "a.png", args).code, 2, "{args:?}");
    }
}
