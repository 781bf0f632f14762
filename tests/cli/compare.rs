//! `compare`: two results files against each other.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::run;

/// Three images with a few results, squares of ten pixels.
fn results() -> Value {
    let square = |x: u32, y: u32| {
        // Ten columns of ten pixels in an image of 60 by 80.
        let mut counts = vec![x * 60 + y, 10];
        (0..9).for_each(|_| counts.extend([50, 10]));
        counts.push(60 * 80 - counts.iter().sum::<u32>());
        json!({"size": [60, 80], "counts": counts})
    };
    let one = |image: Value, x: u32, y: u32, score: f64| json!({"image_id": image, "category_id": 1, "bbox": [x, y, 10, 10], "score": score, "segmentation": square(x, y)});
    json!([
        one(json!(7), 5, 5, 0.9),
        one(json!(7), 30, 20, 0.8),
        one(json!("slide"), 12, 8, 0.95),
        one(json!("slide"), 50, 30, 0.3),
        one(json!(3), 1, 1, 0.12),
        one(json!(3), 40, 40, 0.05),
    ])
}

fn compared(dir: &Path, a: &Value, b: &Value, more: &[&str]) -> Value {
    fs::write(dir.join("a.json"), a.to_string()).unwrap();
    fs::write(dir.join("b.json"), b.to_string()).unwrap();
    let ran = run(dir, &[&["compare", "a.json", "b.json", "--json"], more].concat()).good();
    serde_json::from_str(&ran.out).unwrap()
}

#[test]
fn a_file_agrees_with_itself_in_any_order() {
    let dir = tempfile::tempdir().unwrap();
    let a = results();
    let mut b = a.clone();
    b.as_array_mut().unwrap().reverse();
    let got = compared(dir.path(), &a, &b, &["--fail-under", "1"]);
    assert_eq!((&got["share"], &got["pairs"], &got["counts"]), (&json!(1.0), &json!(5), &json!([5, 5])), "{got}");
    for measure in ["corner, px", "score", "1 - mask IoU"] {
        assert_eq!(got["differences"][measure]["worst"], 0.0, "{got}");
    }
    assert!(got["unmatched"].as_array().unwrap().is_empty() && got["images"] == 3);
    let got = compared(dir.path(), &a, &b, &["--score", "0.01"]);
    assert_eq!(got["pairs"], 6);
}

/// What is done to a result.
type Change<'a> = &'a dyn Fn(&mut Value);

#[test]
fn what_differs_too_much_has_no_partner() {
    let dir = tempfile::tempdir().unwrap();
    let a = results();
    let changed = |change: Change| {
        let mut b = a.clone();
        change(&mut b[1]);
        compared(dir.path(), &a, &b, &[])
    };
    let lost: [(Change, &str); 5] = [
        (&|r| r["bbox"][0] = json!(30.6), "box differs"),
        (&|r| r["score"] = json!(0.81), "score differs 0.0100"),
        (&|r| r["category_id"] = json!(2), "class 2, not 1"),
        (&|r| r["segmentation"] = results()[3]["segmentation"].clone(), "mask IoU 0.0000"),
        (&|r| drop(r.as_object_mut().unwrap().remove("segmentation")), "a mask on one side only"),
    ];
    for (change, because) in lost {
        let got = changed(change);
        assert_eq!((&got["pairs"], &got["share"]), (&json!(4), &json!(0.8)), "{because}: {got}");
        assert_eq!(got["unmatched"].as_array().unwrap().len(), 2, "{because}: {got}");
        assert!(got["unmatched"][0]["because"].as_str().unwrap().contains(because), "{because}: {got}");
        assert_eq!(got["images_to_look_at"], json!([{"image_id": 7, "unmatched": [1, 1]}]), "{because}: {got}");
    }
    // Within the limits, and told.
    let got = changed(&|r| (r["bbox"][3], r["score"]) = (json!(10.4), json!(0.804)));
    assert_eq!(got["pairs"], 5);
    let worst = |measure: &str| got["differences"][measure]["worst"].as_f64().unwrap();
    assert!((worst("corner, px") - 0.4).abs() < 1e-9 && (worst("score") - 0.004).abs() < 1e-9, "{got}");

    // On either side of the limit: nobody's fault but the limit's.
    let mut b = a.clone();
    b[4]["score"] = json!(0.099);
    let mut a_too = a.clone();
    a_too[4]["score"] = json!(0.101);
    let got = compared(dir.path(), &a_too, &b, &[]);
    assert_eq!((&got["counts"], &got["pairs"], &got["straddling"]), (&json!([5, 4]), &json!(4), &json!(1)), "{got}");
}

/// One result is nobody's partner twice.
#[test]
fn partners_are_one_to_one() {
    let dir = tempfile::tempdir().unwrap();
    let a = results();
    let mut b = a.clone();
    b.as_array_mut().unwrap().push(a[2].clone());
    let got = compared(dir.path(), &a, &b, &[]);
    assert_eq!((&got["pairs"], &got["counts"]), (&json!(5), &json!([5, 6])), "{got}");
    assert!(got["unmatched"][0]["because"].as_str().unwrap().ends_with("taken by another"), "{got}");
}

#[test]
fn the_exit_code_is_for_scripts() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let (a, mut b) = (results(), results());
    b[0]["bbox"][0] = json!(7);
    fs::write(dir.join("a.json"), a.to_string()).unwrap();
    fs::write(dir.join("b.json"), b.to_string()).unwrap();
    let with = |more: &[&str]| run(dir, &[&["compare", "a.json", "b.json"], more].concat());
    let ran = with(&[]).good();
    for want in
        ["5 in a.json (A), 5 in b.json (B)", "matched share 0.8000", "4 pairs", "images to look at\n7 ", "box differs"]
    {
        assert!(ran.out.contains(want), "no `{want}` in {}", ran.out);
    }
    with(&["--fail-under", "0.8"]).good();
    let ran = with(&["--fail-under", "0.81"]);
    assert_eq!(ran.error(), "error: the matched share, 0.8000, is under 0.81");
    assert!(ran.out.contains("matched share 0.8000"), "{}", ran.out);
    assert!(with(&["--boxes", "--max-corner", "2"]).good().out.contains("matched share 1.0000"));

    // Nothing to compare, and what is no results file.
    b.as_array_mut().unwrap().iter_mut().for_each(|r| r["image_id"] = json!(1000));
    fs::write(dir.join("b.json"), b.to_string()).unwrap();
    assert!(with(&[]).error().contains("b.json: has no image of a.json: image ids are 1000, and there 7"));
    fs::write(dir.join("b.json"), "{}").unwrap();
    assert!(with(&[]).error().starts_with("error: b.json: is no file of COCO results"));
}
