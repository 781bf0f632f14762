//! Boxes from a file: proposals, and boxes whose masks are wanted.

use std::fs;

use maskrcnn::engine::vision::coco::CocoResult;

use crate::{results, run, scene};

const SMALL: [&str; 4] = ["--min-size", "256", "--max-size", "256"];

#[test]
fn proposals_and_boxes_come_from_files() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    scene(dir, "cells.png", (200, 150), 8);
    let detect = |more: &[&str]| run(dir, &[&["detect", "cells.png"], &SMALL[..], more].concat());
    let made = |out: &str| results(&dir.join(out).join("cells.json"));
    detect(&["--out", "all"]).good();
    let all = made("all");
    assert!(all.len() >= 5, "{} found", all.len());
    let near = |a: &CocoResult, b: &CocoResult| a.bbox.iter().zip(b.bbox).all(|(a, b)| (a - b).abs() < 4.0);

    // What was found, as proposals: it is found again, and made anew.
    let ran = detect(&["--proposals", "all/cells.json", "--out", "again"]).good();
    assert!(made("again").iter().all(|b| all.iter().any(|a| near(a, b))) && ran.err.is_empty(), "{}", ran.err);
    assert!(made("again").len().abs_diff(all.len()) <= 1, "{} and {}", made("again").len(), all.len());

    // As boxes: the same boxes, scores and labels, in that order, with masks, whatever they score.
    let mut low = all.clone();
    low.iter_mut().for_each(|r| r.score /= 10.0);
    fs::write(dir.join("low.json"), serde_json::to_string(&low).unwrap()).unwrap();
    detect(&["--boxes", "low.json", "--out", "masks"]).good();
    let masks = made("masks");
    assert_eq!(masks.len(), low.len());
    for (got, given) in masks.iter().zip(&low) {
        assert!(got.score == given.score && got.bbox.iter().zip(given.bbox).all(|(a, b)| (a - b).abs() < 1e-3));
        assert!(got.segmentation.is_some());
    }

    // Bare boxes: by name, or of the one image. The model has one class, so labels need not be told.
    let [x, y, w, h] = all[0].bbox;
    let corners = format!("[[{x}, {y}, {}, {}]]", x + w, y + h);
    for (name, text) in [("one.json", corners.clone()), ("named.json", format!("{{\"cells\": {corners}}}"))] {
        fs::write(dir.join(name), text).unwrap();
        detect(&["--boxes", name, "--out", "one"]).good();
        assert_eq!(made("one").len(), 1);
        assert!((made("one")[0].score - 1.0).abs() < 1e-6);
    }
    // What was made by one file is not taken for what another would make.
    let ran = detect(&["--boxes", "low.json", "--out", "masks", "--resume"]).good();
    assert!(ran.out.contains("finished before"), "{}", ran.out);
    let ran = detect(&["--boxes", "one.json", "--out", "masks", "--resume"]).good();
    assert!(!ran.out.contains("finished before") && made("masks").len() == 1, "{}", ran.out);
}

#[test]
fn what_is_wrong_with_given_boxes_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    scene(dir, "cells.png", (200, 150), 8);
    let detect = |more: &[&str]| run(dir, &[&["detect", "cells.png"], &SMALL[..], more].concat());
    for (text, parts) in [
        ("{", &["given.json", "JSON"][..]),
        ("[[1, 2, 3]]", &["given.json", "x1, y1, x2, y2"]),
        ("[[1, 2, 30, 40], [5, 5, 5, 9]]", &["cells.png", "box 1", "given.json", "empty"]),
        ("[[300, 5, 320, 9]]", &["cells.png", "box 0", "outside"]),
    ] {
        fs::write(dir.join("given.json"), text).unwrap();
        for option in ["--proposals", "--boxes"] {
            let ran = detect(&[option, "given.json"]);
            assert!(ran.code == 1 && parts.iter().all(|p| ran.error().contains(p)), "{text}: {}", ran.err);
        }
    }
    assert!(detect(&["--boxes", "no.json"]).error().contains("no.json"));
    assert_eq!(detect(&["--boxes", "given.json", "--proposals", "given.json"]).code, 2);
    // An image of which the file says nothing.
    fs::write(dir.join("given.json"), r#"{"other.png": [[1, 2, 30, 40]]}"#).unwrap();
    let ran = detect(&["--proposals", "given.json"]).good();
    assert!(ran.err.contains("given.json has no boxes for cells.png"), "{}", ran.err);
    assert!(results(&dir.join("maskrcnn-out/cells.json")).is_empty());
}
