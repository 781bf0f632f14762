//! What the program says of pictures that it cannot take as they are, and the options that decide how they are read.

use std::fs;
use std::path::Path;

use crate::program::{Ran, program};
use image::{Frame, ImageBuffer, Luma, RgbImage, Rgba, RgbaImage};
use maskrcnn::engine::vision::coco::CocoResult;

fn run(dir: &Path, args: &[&str]) -> Ran {
    Ran::new(program().current_dir(dir).args(args).output().unwrap())
}

fn scene(dir: &Path) -> RgbImage {
    run(dir, &["scene", "scene.png", "--width", "192", "--height", "24", "--count", "8"]).good();
    image::open(dir.join("scene.png")).unwrap().into_rgb8()
}

fn found(path: &Path) -> Vec<CocoResult> {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn camera_data_in_deep_files_are_found_and_said_once() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let picture = scene(dir);
    for bits in [10, 12, 14] {
        let value = |x, y| Luma([(u32::from(picture.get_pixel(x, y)[1]) * ((1 << bits) - 1) / 255) as u16]);
        let deep = ImageBuffer::<Luma<u16>, Vec<u16>>::from_fn(192, 24, value);
        deep.save(dir.join(format!("deep{bits}.png"))).unwrap();
    }
    let grey = ImageBuffer::<Luma<u8>, Vec<u8>>::from_fn(192, 24, |x, y| Luma([picture.get_pixel(x, y)[1]]));
    grey.save(dir.join("grey.png")).unwrap();
    let args = ["detect", "grey.png", "deep10.png", "deep12.png", "deep14.png", "--out", "out"];
    let ran = run(dir, &args).good();
    let notes: Vec<&str> =
        ran.err.lines().filter(|l| l.starts_with("note: ") && l.contains("brightness") | l.contains("bits")).collect();
    assert_eq!(notes.len(), 2, "{}", ran.err);
    assert!(notes[0].contains(".png: ") && notes[0].contains("of 16 bits are in use: 0 is black"), "{}", notes[0]);
    assert!(notes[0].ends_with("(--normalize changes this)"), "{}", notes[0]);
    assert!(notes[1].contains("brightness holds for 2 more"), "{}", notes[1]);
    let want = found(&dir.join("out/grey.json"));
    assert!(want.len() > 3);
    for bits in [10, 12, 14] {
        assert_eq!(found(&dir.join(format!("out/deep{bits}.json"))).len(), want.len(), "{bits} bits");
    }
    // Taken as they are, they are too dark, as was asked for.
    let ran = run(dir, &["detect", "deep10.png", "--out", "dark", "--normalize", "full"]).good();
    assert!(!ran.err.contains("note: deep10"), "{}", ran.err);
    assert!(found(&dir.join("dark/deep10.json")).len() < want.len());
}

#[test]
fn a_frame_can_be_asked_for_and_the_others_are_not_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let picture = scene(dir);
    let mut bytes = Vec::new();
    let mut encoder = image::codecs::gif::GifEncoder::new(&mut bytes);
    encoder.encode_frame(Frame::new(RgbaImage::from_pixel(192, 24, Rgba([0, 0, 0, 255])))).unwrap();
    encoder.encode_frame(Frame::new(image::DynamicImage::from(picture).into_rgba8())).unwrap();
    drop(encoder);
    fs::write(dir.join("film.gif"), bytes).unwrap();
    let ran = run(dir, &["detect", "film.gif", "--out", "first"]).good();
    let note = "note: film.gif: is frame 1 of 2; the others were not looked at (--pages takes others)";
    assert!(ran.err.contains(note), "{}", ran.err);
    assert!(found(&dir.join("first/film.json")).is_empty());
    let ran = run(dir, &["detect", "film.gif", "--out", "second", "--pages", "2"]).good();
    assert!(!ran.err.contains("film.gif: is frame"), "{}", ran.err);
    assert!(found(&dir.join("second/film-p2.json")).len() > 3);
    let ran = run(dir, &["detect", "film.gif", "--out", "third", "--pages", "3"]);
    assert!(ran.error().contains("film.gif: has no page 3: it has 2"), "{}", ran.err);
    for wrong in [["--pages", "0"], ["--normalize", "5,1"], ["--normalize", "bright"], ["--channels", "x"]] {
        let ran = run(dir, &[&["detect", "film.gif", "--out", "none"], &wrong[..]].concat());
        assert!(ran.code == 2 && ran.err.contains(wrong[0]), "{}", ran.err);
    }
}
