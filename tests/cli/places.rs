//! Where results go, and what they must not replace.

use std::collections::BTreeSet;
use std::fs;

use image::{Rgb, RgbImage};

use crate::{files, names, run, save};

/// What no results may be written over. The pictures are one that is read and one that a mask would be.
const MINE: [(&str, &[u8]); 2] = [("cell.json", br#"{"version": "5.2.1", "shapes": []}"#), ("cell.png", b"a mask")];

/// A picture among the user's other files of the same stem: an annotation and a mask.
#[test]
fn files_of_the_user_are_not_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    save(dir, "cell.jpg", RgbImage::from_pixel(64, 8, Rgb([7; 3])));
    let put = || MINE.iter().for_each(|(name, bytes)| fs::write(dir.join(name), bytes).unwrap());
    let kept = || MINE.iter().all(|(name, bytes)| fs::read(dir.join(name)).unwrap() == *bytes);
    put();
    // Unless told otherwise, results have a folder of their own; there they are replaced.
    let made = ["maskrcnn-out/cell.json", "maskrcnn-out/cell.png"];
    for _ in 0..2 {
        let ran = run(dir, &["detect", "cell.jpg"]).good();
        assert!(made.iter().all(|m| ran.out.contains(&m.replace('/', std::path::MAIN_SEPARATOR_STR))), "{}", ran.out);
        assert!(kept(), "a file of the user's was replaced");
    }
    assert_eq!(files(dir), names(&["cell.jpg", "cell.json", "cell.png", made[0], made[1]]));
    let own = made.map(|m| fs::read(dir.join(m)).unwrap());

    let ran = run(dir, &["detect", "cell.jpg", "--out", "."]);
    for part in ["cell.jpg", "cell.json is there", "--out", "--overwrite"] {
        assert!(ran.error().contains(part), "no `{part}` in {}", ran.err);
    }
    fs::remove_file(dir.join("cell.json")).unwrap();
    let ran = run(dir, &["detect", "cell.jpg", "--out", "."]);
    assert!(ran.error().contains("cell.png is there"), "{}", ran.err);
    assert!(!dir.join("cell.json").exists(), "half of the results");
    put();
    run(dir, &["detect", "cell.jpg", "--out", ".", "--overwrite"]).good();
    assert_eq!(["cell.json", "cell.png"].map(|m| fs::read(dir.join(m)).unwrap()), own);

    // Results that somebody corrected are his.
    for result in made {
        let bytes = fs::read(dir.join(result)).unwrap();
        let corrected = [&bytes[..], b" "].concat();
        fs::write(dir.join(result), &corrected).unwrap();
        let ran = run(dir, &["detect", "cell.jpg"]);
        assert!(ran.error().contains("changed by somebody else"), "{}", ran.err);
        assert_eq!(fs::read(dir.join(result)).unwrap(), corrected);
        fs::write(dir.join(result), bytes).unwrap();
    }
    // Half of a pair is no obstacle.
    fs::remove_file(dir.join(made[0])).unwrap();
    run(dir, &["detect", "cell.jpg"]).good();
    assert_eq!(made.map(|m| fs::read(dir.join(m)).unwrap()), own);
}

/// What a newcomer types first, in the pictures' own folder.
#[test]
fn the_first_thing_that_is_tried_works() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    save(dir, "cell.png", RgbImage::from_pixel(64, 8, Rgb([7; 3])));
    run(dir, &["detect", "cell.png"]).good();
    assert_eq!(files(dir), names(&["cell.png", "maskrcnn-out/cell.json", "maskrcnn-out/cell.png"]));

    fs::remove_dir_all(dir.join("maskrcnn-out")).unwrap();
    for out in [&[][..], &["--out", "."]] {
        let ran = run(dir, &[&["detect", "nope.png"], out].concat());
        assert!(ran.error().starts_with("error: nope.png: "), "{}", ran.err);
        assert!(ran.error().contains("No such file") || cfg!(windows), "{}", ran.err);
        assert!(!ran.err.contains("replace") && ran.out.is_empty(), "{} {}", ran.err, ran.out);
    }
    assert!(!dir.join("maskrcnn-out").exists(), "a folder for nothing");
}

/// Said once, before anything is computed.
#[test]
fn places_that_cannot_be_written_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    for name in ["x.png", "y.png"] {
        save(dir, name, RgbImage::from_pixel(64, 8, Rgb([7; 3])));
    }
    // A file where the folder is to be.
    fs::write(dir.join("taken"), b"mine").unwrap();
    let mut places = vec![("taken", "taken"), ("taken/below", "taken")];
    if cfg!(target_os = "linux") {
        // Not even the superuser may write there.
        places.push(("/proc/maskrcnn/out", "/proc"));
    }
    for (out, part) in places {
        let ran = run(dir, &["detect", "x.png", "y.png", "--out", out]);
        assert!(ran.error().contains(part), "{}", ran.err);
        assert!(ran.out.is_empty(), "{}", ran.out);
    }
    assert_eq!(fs::read(dir.join("taken")).unwrap(), b"mine");
    assert_eq!(files(dir), names(&["taken", "x.png", "y.png"]));
}

#[test]
fn a_scene_is_a_png_and_replaces_nothing_of_the_users() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let small = |name: &str, more: &[&str]| {
        run(dir, &[&["scene", name, "--width", "32", "--height", "32", "--count", "1"], more].concat())
    };
    for name in ["s.jpg", "s", "s.png.tif"] {
        assert!(small(name, &[]).error().contains(".png"), "{name}");
    }
    assert_eq!(files(dir), BTreeSet::new());
    small("s.PNG", &[]).good();
    small("s.PNG", &["--seed", "2"]).good();
    fs::write(dir.join("mine.png"), b"mine").unwrap();
    assert!(small("mine.png", &[]).error().contains("--overwrite"));
    assert_eq!(fs::read(dir.join("mine.png")).unwrap(), b"mine");
    small("mine.png", &["--overwrite"]).good();
    image::open(dir.join("mine.png")).unwrap();
}

/// Results that would replace their own image are refused, by whatever path it is reached.
#[test]
fn an_image_is_not_replaced_by_its_own_results() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    save(dir, "x.png", RgbImage::from_pixel(64, 8, Rgb([7; 3])));
    fs::create_dir(dir.join("sub")).unwrap();
    let picture = fs::read(dir.join("x.png")).unwrap();
    for (folder, image, out) in [(".", "x.png", "."), ("sub", "../x.png", "..")] {
        // Not even where that is allowed for other files.
        let ran = run(&dir.join(folder), &["detect", image, "--out", out, "--overwrite"]);
        assert!(ran.error().contains("x.png") && ran.error().contains("--out"), "{}", ran.err);
        assert_eq!(fs::read(dir.join("x.png")).unwrap(), picture, "the picture was changed");
        assert_eq!(files(dir), names(&["x.png"]), "half of the results");
    }
    // Elsewhere, results replace those of an earlier run.
    for _ in 0..2 {
        run(dir, &["detect", "x.png", "--out", "out"]).good();
    }
}

/// Two images share a stem, so the first one's results take its whole name: that of a third image.
#[test]
fn an_image_is_not_replaced_by_the_results_of_another() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    for folder in ["in", "out"] {
        fs::create_dir(dir.join(folder)).unwrap();
    }
    save(dir, "in/y.jpg", RgbImage::from_pixel(64, 8, Rgb([7; 3])));
    save(dir, "in/y.bmp", RgbImage::from_pixel(64, 8, Rgb([8; 3])));
    save(dir, "out/y.jpg.png", RgbImage::from_pixel(64, 8, Rgb([200; 3])));
    let other = fs::read(dir.join("out/y.jpg.png")).unwrap();
    let ran = run(dir, &["detect", "in/y.jpg", "in/y.bmp", "out/y.jpg.png", "--out", "out"]);
    assert!(fs::read(dir.join("out/y.jpg.png")).unwrap() == other, "an input was replaced: {} {}", ran.out, ran.err);
}

/// A picture that is not there yet, but would be once the results of another are written, is missing: whichever thread
/// comes first.
#[test]
fn a_result_is_not_read_as_a_picture_of_the_same_run() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    fs::create_dir(dir.join("in")).unwrap();
    save(dir, "in/y.jpg", RgbImage::from_pixel(64, 8, Rgb([7; 3])));
    save(dir, "in/y.bmp", RgbImage::from_pixel(64, 8, Rgb([8; 3])));
    let ran = run(dir, &["detect", "in/y.jpg", "in/y.bmp", "out/y.jpg.png", "--out", "out"]);
    assert!(ran.error().contains("out/y.jpg.png: "), "{}", ran.err);
    assert_eq!(files(&dir.join("out")), names(&["summary.json", "y.bmp.json", "y.bmp.png", "y.jpg.json", "y.jpg.png"]));
}

/// Where one of an image's two results cannot be written, the other is not left either.
#[test]
fn results_come_in_pairs() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    save(dir, "x.png", RgbImage::from_pixel(64, 8, Rgb([7; 3])));
    for (out, result) in [("a", "x.png"), ("b", "x.json")] {
        fs::create_dir_all(dir.join(out).join(result)).unwrap();
        let ran = run(dir, &["detect", "x.png", "--out", out]);
        assert!(ran.error().contains(result), "{}", ran.err);
        assert_eq!(files(&dir.join(out)), BTreeSet::new(), "half of the results was left");
    }
}
