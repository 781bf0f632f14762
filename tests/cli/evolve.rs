//! The family: R-CNN and views through `detect`, and all four on a page.

use std::fs;

use maskrcnn::engine::vision::results::is_ours;

use crate::{results, run, scene};

const SMALL: [&str; 4] = ["--min-size", "128", "--max-size", "160"];

#[test]
fn the_four_are_on_a_page_and_a_sheet() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    scene(dir, "a <b>.png", (160, 120), 8);
    let evolve = |more: &[&str]| run(dir, &[&["evolve", "a <b>.png", "--proposals", "20"], &SMALL[..], more].concat());
    let ran = evolve(&["--out", "e", "--score", "0.3"]).good();
    for line in ["selective search: 20 proposals", "R-CNN: ", " in 20 passes, ", "Mask R-CNN: "] {
        assert!(ran.out.contains(line), "{}", ran.out);
    }
    let [page, sheet] = ["e/evolve.html", "e/evolve.png"].map(|f| dir.join(f));
    assert!(is_ours(&page) && is_ours(&sheet));
    let text = fs::read_to_string(&page).unwrap();
    for part in [
        "R-CNN: ",
        "Fast R-CNN: ",
        "Faster R-CNN: ",
        "Mask R-CNN: ",
        "Passes through the body: 20.",
        "Passes through the body: 1.",
        "Classification",
        "Semantic segmentation",
        "The 3 anchors of one cell",
        "P6: ",
        "RoIAlign",
        "have an IoU of ",
        "K masks, and one label",
        "2·28² numbers",
        "a &lt;b&gt;.png, 160×120 pixels",
    ] {
        assert!(text.contains(part), "{part}");
    }
    // Every share of a row's parts: together, the whole.
    let row = text.lines().find(|l| l.contains("<td>R-CNN</td>")).unwrap();
    let shares = row.split("<td>").filter_map(|cell| cell.strip_suffix(" %</td>")?.parse::<f64>().ok());
    let sum: f64 = shares.sum();
    assert!((sum - 100.0).abs() < 1.0, "{sum} of {row}");
    let picture = image::open(&sheet).unwrap();
    assert!(picture.width() == 1600 && picture.height() > 1600);
    // Its own are replaced, others' not.
    evolve(&["--out", "e"]).good();
    fs::write(&sheet, b"mine").unwrap();
    let ran = evolve(&["--out", "e"]);
    assert!(ran.code == 1 && ran.error().contains("evolve.png") && ran.error().contains("--overwrite"), "{}", ran.err);
    assert_eq!(fs::read(&sheet).unwrap(), b"mine");
    evolve(&["--out", "e", "--overwrite"]).good();
    assert!(is_ours(&sheet));
    for bad in ["0", "2001", "many"] {
        assert_eq!(run(dir, &["evolve", "a <b>.png", "--proposals", bad]).code, 2);
    }
    assert_eq!(run(dir, &["evolve", "none.png", "--out", "f"]).code, 1);
    assert!(!dir.join("f").exists());
}

/// Nothing is found, or there is nothing to find: said, and all the same a page.
#[test]
fn a_picture_of_nothing_has_a_page() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    image::RgbImage::from_pixel(90, 70, image::Rgb([9, 9, 9])).save(dir.join("blank.png")).unwrap();
    let ran = run(dir, &[&["evolve", "blank.png", "--out", "e"], &SMALL[..]].concat()).good();
    assert!(ran.out.contains("Mask R-CNN: 0 objects"), "{}", ran.out);
    let text = fs::read_to_string(dir.join("e/evolve.html")).unwrap();
    assert!(text.contains("nothing was found above the score"), "{text}");
}

#[test]
fn each_proposal_is_a_pass_through_the_body() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    scene(dir, "cells.png", (160, 120), 6);
    fs::write(dir.join("p.json"), "[[20, 20, 60, 60], [0, 0, 160, 120], [100, 50, 130, 90]]").unwrap();
    let detect = |more: &[&str]| run(dir, &[&["detect", "cells.png"], &SMALL[..], more].concat());
    let ran = detect(&["--mode", "rcnn", "--proposals", "p.json", "--out", "r", "--score", "0"]).good();
    assert!(ran.out.contains("in 3 passes through the body"), "{}", ran.out);
    let made = results(&dir.join("r/cells.json"));
    assert!(!made.is_empty() && made.len() <= 3 && made.iter().all(|r| r.segmentation.is_none()), "{made:?}");
    let ran = detect(&["--mode", "rcnn", "--proposals", "p.json", "--out", "r", "--score", "0", "--resume"]).good();
    assert!(ran.out.contains("finished before"), "{}", ran.out);
    fs::write(dir.join("bad.json"), "[[20, 20, 60, 60], [9, 9, 9, 12]]").unwrap();
    let ran = detect(&["--mode", "rcnn", "--proposals", "bad.json", "--out", "b"]);
    assert!(ran.code == 1 && ran.error().contains("box 1") && ran.error().contains("bad.json"), "{}", ran.err);
    for (more, parts) in [
        (&["--mode", "rcnn", "--boxes", "p.json"][..], ["rcnn", "--boxes"]),
        (&["--mode", "rcnn", "--tile", "64"], ["--mode rcnn", "--tile"]),
        (&["--tta", "--tile", "64"], ["--tta", "--tile"]),
        (&["--mode", "fast", "--tta"], ["fast", "--tta"]),
    ] {
        let ran = detect(&[more, &["--out", "x"]].concat());
        assert!(ran.code == 1 && parts.iter().all(|p| ran.error().contains(p)), "{}", ran.err);
    }
}

#[test]
fn views_are_looked_at_and_told() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    scene(dir, "cells.png", (160, 120), 6);
    let detect = |more: &[&str]| run(dir, &[&["detect", "cells.png"], &SMALL[..], more].concat());
    let ran = detect(&["--tta", "--out", "flip"]).good();
    assert!(ran.out.contains("in 2 views"), "{}", ran.out);
    let ran = detect(&["--tta=flip,0.8,1.25", "--out", "more"]).good();
    assert!(ran.out.contains("in 6 views"), "{}", ran.out);
    detect(&["--out", "one"]).good();
    let made = |out: &str| results(&dir.join(out).join("cells.json"));
    let (one, flip) = (made("one"), made("flip"));
    assert!(!one.is_empty() && one.iter().map(|r| r.bbox).ne(flip.iter().map(|r| r.bbox)));
    assert!(flip.iter().all(|r| r.segmentation.is_some()));
    // Results of other views are not finished.
    let ran = detect(&["--tta=1.25", "--out", "flip", "--resume"]).good();
    assert!(!ran.out.contains("finished before"), "{}", ran.out);
    for bad in ["--tta=flop", "--tta=0", "--tta=99"] {
        assert_eq!(detect(&[bad, "--out", "x"]).code, 2);
    }
}
