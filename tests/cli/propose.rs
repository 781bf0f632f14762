//! Selective search: `propose`, and what `detect --mode` makes of it.

use std::fs;

use maskrcnn::engine::vision::coco::ImageId;
use maskrcnn::engine::vision::results::is_ours;

use crate::{results, run, scene};

const SMALL: [&str; 4] = ["--min-size", "256", "--max-size", "256"];

#[test]
fn what_is_proposed_is_detected() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    scene(dir, "cells.png", (200, 150), 8);
    scene(dir, "7.png", (90, 120), 4);
    let ran = run(dir, &["propose", "cells.png", "7.png", "--out", "p.json"]).good();
    let all = results(&dir.join("p.json"));
    assert!(
        ran.out.contains("cells.png: ") && ran.out.contains(&format!("{} boxes -> p.json", all.len())),
        "{}",
        ran.out
    );
    assert!(is_ours(&dir.join("p.json")) && ran.err.is_empty(), "{}", ran.err);
    for (id, size) in [(ImageId::Name("cells".into()), (200.0, 150.0)), (ImageId::Number(7), (90.0, 120.0))] {
        let of: Vec<_> = all.iter().filter(|r| r.image_id == id).collect();
        assert!(of.len() > 20 && of[0].score == 1.0 && of.windows(2).all(|w| w[0].score > w[1].score));
        let inside =
            |[x, y, w, h]: [f32; 4]| x >= 0.0 && y >= 0.0 && w > 0.0 && h > 0.0 && x + w <= size.0 && y + h <= size.1;
        assert!(of.iter().all(|r| inside(r.bbox)));
    }

    let detect = |more: &[&str]| run(dir, &[&["detect", "cells.png"], &SMALL[..], more].concat());
    detect(&["--out", "mask"]).good();
    detect(&["--proposals", "p.json", "--out", "given"]).good();
    detect(&["--mode", "fast", "--out", "fast"]).good();
    detect(&["--mode", "fast", "--proposals", "p.json", "--out", "both"]).good();
    detect(&["--mode", "faster", "--out", "faster"]).good();
    let made = |out: &str| {
        let found = results(&dir.join(out).join("cells.json"));
        found.into_iter().map(|r| (r.bbox, r.score, r.segmentation)).collect::<Vec<_>>()
    };
    let (mask, fast, faster) = (made("mask"), made("fast"), made("faster"));
    // Searched for on the way, they are those of the file.
    assert!(fast == made("given") && fast == made("both") && fast != mask && fast.len() >= 3, "{fast:?}");
    // What is found by them is what the RPN's proposals find, nearly.
    let near = |a: [f32; 4], b: [f32; 4]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 6.0);
    let same = fast.iter().filter(|a| mask.iter().any(|b| near(a.0, b.0))).count();
    assert!(2 * same >= fast.len() && fast.iter().all(|f| f.2.is_some()), "{same} of {}", fast.len());
    // The same boxes without their masks.
    assert_eq!(faster.len(), mask.len());
    assert!(faster.iter().zip(&mask).all(|(a, b)| near(a.0, b.0) && a.2.is_none() && b.2.is_some()));
    let ran = detect(&["--mode", "fast", "--out", "fast", "--resume"]).good();
    assert!(ran.out.contains("finished before"), "{}", ran.out);
    let ran = detect(&["--out", "fast", "--resume"]).good();
    assert!(!ran.out.contains("finished before"), "{}", ran.out);
}

#[test]
fn boxes_are_as_many_as_asked_for_and_large_pictures_are_told_of() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    scene(dir, "cells.png", (300, 150), 20);
    run(dir, &["propose", "cells.png", "--out", "p.json", "--max-boxes", "9"]).good();
    assert_eq!(results(&dir.join("p.json")).len(), 9);
    let ran = run(dir, &["propose", "cells.png", "--out", "p.json", "--max-side", "100"]).good();
    assert!(ran.err.contains("long side of 100") && ran.err.contains("--max-side"), "{}", ran.err);
    // In pixels of the picture all the same: it holds all of it.
    let far = results(&dir.join("p.json")).iter().map(|r| r.bbox[0] + r.bbox[2]).fold(0.0, f32::max);
    assert_eq!(far, 300.0);
    for bad in [["--max-boxes", "0"], ["--max-boxes", "20000"], ["--max-side", "5"]] {
        assert_eq!(run(dir, &[&["propose", "cells.png", "--out", "p.json"], &bad[..]].concat()).code, 2);
    }
}

#[test]
fn what_cannot_be_proposed_or_combined_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    scene(dir, "cells.png", (60, 50), 3);
    fs::write(dir.join("bad.png"), b"no picture").unwrap();
    // One that is none does not stop the other.
    let ran = run(dir, &["propose", "bad.png", "cells.png", "no.png", "--out", "p.json"]);
    assert!(ran.code == 1 && ran.err.contains("bad.png") && ran.err.contains("no.png"), "{}", ran.err);
    assert!(results(&dir.join("p.json")).iter().all(|r| r.image_id == ImageId::Name("cells".into())));
    // Somebody else's file stays, and so does one of ours that he changed.
    fs::write(dir.join("mine.json"), "[]").unwrap();
    let ran = run(dir, &["propose", "cells.png", "--out", "mine.json"]);
    assert!(ran.code == 1 && ran.error().contains("mine.json") && ran.error().contains("--overwrite"), "{}", ran.err);
    assert_eq!(fs::read_to_string(dir.join("mine.json")).unwrap(), "[]");
    run(dir, &["propose", "cells.png", "--out", "mine.json", "--overwrite"]).good();
    let before = fs::read(dir.join("cells.png")).unwrap();
    let ran = run(dir, &["propose", "cells.png", "--out", "cells.png", "--overwrite"]);
    assert!(ran.code == 1 && fs::read(dir.join("cells.png")).unwrap() == before, "{}", ran.err);
    for (out, part) in [("none/p.json", "none"), (".", "folder")] {
        let ran = run(dir, &["propose", "cells.png", "--out", out]);
        assert!(ran.code == 1 && ran.error().contains(part), "{out}: {}", ran.err);
    }
    for (mode, option) in [("faster", "--proposals"), ("faster", "--boxes"), ("fast", "--boxes")] {
        let ran = run(dir, &["detect", "cells.png", "--mode", mode, option, "p.json"]);
        assert!(ran.code == 1 && ran.error().contains(option) && ran.error().contains(mode), "{}", ran.err);
    }
}
