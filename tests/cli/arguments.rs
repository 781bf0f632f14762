//! What is wrong with a command line is explained.

use std::collections::BTreeSet;

use image::RgbImage;

use crate::{files, run, save};

#[test]
fn wrong_arguments_are_explained() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    for (args, part) in [
        (&["detect"][..], "IMAGES"),
        (&[], "Usage"),
        (&["detect", "x.png", "--score", "1.5"], "between 0 and 1"),
        (&["detect", "x.png", "--score", "NaN"], "between 0 and 1"),
        (&["detect", "x.png", "--score", "high"], "not a number"),
        (&["detect", "x.png", "--nms", "nan"], "between 0 and 1"),
        (&["detect", "x.png", "--nms", "2"], "between 0 and 1"),
        (&["recognise", "x.png"], "recognise"),
        (&["scene", "x.png", "--width", "-3"], "-3"),
    ] {
        let ran = run(dir, args);
        assert_eq!(ran.code, 2, "{args:?}: {}", ran.err);
        assert!(ran.err.contains(part), "{args:?}: {}", ran.err);
    }
    for (args, part) in [
        (["scene", "x.png", "--width", "0"], "no pixels"),
        (["scene", "x.png", "--width", "70000"], "65535"),
        (["scene", "none/x.png", "--width", "20"], "none/x.png"),
        (["scene", ".", "--width", "20"], "directory"),
    ] {
        let ran = run(dir, &args);
        assert!(ran.error().contains(part), "{args:?}: {}", ran.err);
    }
    // One that names an image is told what to do instead.
    for (image, part) in [
        ("https://example.org/cell.png", "download it"),
        ("data/*.png", "as a pattern it matches none"),
        ("@list.txt", "the list cannot be read"),
        (".", "a directory without images"),
    ] {
        let ran = run(dir, &["detect", image]);
        assert!(ran.error().starts_with(&format!("error: {image}: ")) && ran.error().contains(part), "{}", ran.err);
    }
    assert_eq!(files(dir), BTreeSet::new());
    for command in [&["--help"][..], &["detect", "--help"], &["--version"]] {
        run(dir, command).good();
    }
}

/// Sides are told with what stands in their way: a setting of the model's that nobody named.
#[test]
fn a_size_that_does_not_go_with_the_models_says_how_it_would() {
    let dir = tempfile::tempdir().unwrap();
    save(dir.path(), "x.png", RgbImage::new(64, 8));
    let detect = |more: &[&str]| run(dir.path(), &[&["detect", "x.png"], more].concat());
    for (args, part) in [
        (&["--max-size", "10"][..], "`--max-size`: 10 is less than the short side is to have, 640; add --min-size 10"),
        (&["--min-size", "9000"], "`--min-size`: 9000 is more than the long side may have, 1280; add --max-size 9000"),
        (&["--min-size", "20", "--max-size", "10"], "the short side cannot have 20 where the long one has 10"),
        (&["--bn-eps", "nan"], "--bn-eps"),
    ] {
        let ran = detect(args);
        assert!(ran.error().contains(part), "{}", ran.err);
    }
    detect(&["--max-size", "64", "--min-size", "64"]).good();
}

/// Every option that has a default says it.
#[test]
fn help_names_the_defaults() {
    let dir = tempfile::tempdir().unwrap();
    for (command, options) in [
        ("detect", &["--out", "--score", "--batch", "--precision", "--mode"][..]),
        ("graph", &["--image-size", "--precision"]),
        ("bench", &["--image-size", "--seconds"]),
        ("tune", &["--image-size", "--seconds"]),
        ("profile", &["--runs"]),
        ("scene", &["--width", "--height", "--count", "--seed"]),
        ("propose", &["--max-boxes", "--max-side"]),
    ] {
        let help = run(dir.path(), &[command, "--help"]).good().out;
        for option in options {
            let at = help.find(&format!("      {option} ")).unwrap_or_else(|| panic!("{command} has no {option}"));
            let rest = &help[at + 6..];
            let own: Vec<&str> = rest[..rest.find("\n      -").unwrap_or(rest.len())].split_whitespace().collect();
            assert!(own.contains(&"[default:"), "{command} {option}: {own:?}");
        }
    }
}
