//! `loss`: what is printed, samples from file to file, and what is refused.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::program::Ran;
use crate::{files, names, run, scene};

/// A folder with two pictures of nuclei and annotations that have a nucleus of each, a crowd, and a box of no size.
fn set() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("images")).unwrap();
    for (name, nuclei) in [("a.png", 7), ("b.png", 9)] {
        scene(&dir.path().join("images"), name, (96, 80), nuclei);
    }
    write(dir.path(), "a.json", &annotations());
    dir
}

fn annotations() -> Value {
    let square = |id: usize, image: usize, [x, y, side]: [f64; 3]| {
        json!({ "id": id, "image_id": image, "category_id": 4, "bbox": [x, y, side, side], "area": side * side, "iscrowd": 0,
            "segmentation": [[x, y, x + side, y, x + side, y + side, x, y + side]] })
    };
    let mut crowd = square(3, 1, [0.0, 0.0, 40.0]);
    crowd["iscrowd"] = json!(1);
    json!({
        "images": [{ "id": 1, "file_name": "a.png", "width": 96, "height": 80 }, { "id": 2, "file_name": "b.png", "width": 96, "height": 80 }],
        "categories": [{ "id": 4, "name": "nucleus" }],
        "annotations": [square(1, 1, [20.0, 20.0, 25.0]), square(2, 2, [50.0, 30.0, 30.0]), crowd, square(4, 2, [96.0, 5.0, 9.0])],
    })
}

fn write(dir: &Path, name: &str, value: &Value) {
    fs::write(dir.join(name), value.to_string()).unwrap();
}

fn loss(dir: &Path, more: &[&str]) -> Ran {
    let small = ["--min-size", "96", "--max-size", "128", "--precision", "f32"];
    run(dir, &[&["loss", "--annotations", "a.json", "--images", "images"], &small[..], more].concat())
}

fn figures(dir: &Path, more: &[&str]) -> Value {
    serde_json::from_str(&loss(dir, &[more, &["--json"]].concat()).good().out).unwrap()
}

#[test]
fn an_image_is_a_row_and_the_mean_is_the_last() {
    let dir = set();
    let ran = loss(dir.path(), &[]).good();
    let lines: Vec<&str> = ran.out.lines().collect();
    assert!(lines.len() == 4 && lines[1].starts_with("a.png") && lines[2].starts_with("b.png"), "{}", ran.out);
    assert!(lines[0].contains("classifier") && lines[0].contains("rpn_box_reg"), "{}", ran.out);
    assert!(lines[3].starts_with("mean of 2 images"), "{}", ran.out);
    for told in ["1 annotation left out: crowds", "1 annotation left out: boxes with nothing inside"] {
        assert_eq!(ran.err.matches(told).count(), 1, "{}", ran.err);
    }
    assert_eq!(files(dir.path()), names(&["a.json", "images/a.png", "images/b.png"]));

    let figures = figures(dir.path(), &[]);
    let images = figures["images"].as_array().unwrap();
    assert_eq!((images.len(), &images[0]["truths"], &images[1]["truths"]), (2, &json!(1), &json!(1)));
    for of in images.iter().chain([&figures["mean"]]) {
        let number = |name: &str| of[name].as_f64().unwrap_or_else(|| panic!("{name}: {of}"));
        let terms =
            ["classifier", "box_reg", "mask", "objectness", "rpn_box_reg"].map(|t| number(&format!("loss_{t}")));
        assert!(terms.iter().all(|t| *t > 0.0 && t.is_finite()), "{of}");
        assert!((terms.iter().sum::<f64>() - number("loss")).abs() < 1e-5, "{of}");
    }
    let mean = |name: &str| (images[0][name].as_f64().unwrap() + images[1][name].as_f64().unwrap()) / 2.0;
    assert!((mean("loss_mask") - figures["mean"]["loss_mask"].as_f64().unwrap()).abs() < 1e-9);
    assert!(images[0]["rois"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).sum::<u64>() > 100);
}

#[test]
fn samples_go_from_run_to_run() {
    let dir = set();
    let drawn = figures(dir.path(), &["--seed", "5", "--save-sampled", "s.json"]);
    let taken = figures(dir.path(), &["--sampled", "s.json"]);
    assert_eq!(drawn["images"], taken["images"]);
    assert_eq!((&drawn["seed"], &taken["seed"], &taken["sampled"]), (&json!(5), &Value::Null, &json!("s.json")));
    let other = figures(dir.path(), &["--seed", "6"]);
    assert_ne!(drawn["images"][0]["loss_objectness"], other["images"][0]["loss_objectness"]);
    // Without masks four terms are left, the same ones.
    let boxes = figures(dir.path(), &["--seed", "5", "--boxes-only"]);
    assert!(boxes["images"][1]["loss_mask"].is_null());
    assert_eq!(boxes["images"][1]["loss_box_reg"], drawn["images"][1]["loss_box_reg"]);

    // A file of ours is replaced, one of others is not.
    loss(dir.path(), &["--save-sampled", "s.json"]).good();
    let theirs: Value = serde_json::from_slice(&fs::read(dir.path().join("s.json")).unwrap()).unwrap();
    write(dir.path(), "s.json", &theirs);
    let before = fs::read(dir.path().join("s.json")).unwrap();
    let told = loss(dir.path(), &["--save-sampled", "s.json"]).error().to_string();
    assert!(told.contains("s.json") && told.contains("--overwrite"), "{told}");
    assert_eq!(fs::read(dir.path().join("s.json")).unwrap(), before);
    loss(dir.path(), &["--save-sampled", "s.json", "--overwrite"]).good();
}

#[test]
fn what_does_not_fit_names_the_culprit() {
    let dir = set();
    let good = figures(dir.path(), &["--save-sampled", "s.json"]);
    assert!(good["mean"]["loss"].is_number());
    let samples: Value = serde_json::from_slice(&fs::read(dir.path().join("s.json")).unwrap()).unwrap();
    let refused = |change: &dyn Fn(&mut Value), told: &[&str]| {
        let mut other = samples.clone();
        change(&mut other);
        write(dir.path(), "t.json", &other);
        let error = loss(dir.path(), &["--sampled", "t.json"]).error().to_string();
        assert!(told.iter().chain(&["t.json"]).all(|t| error.contains(t)), "{error}");
    };
    refused(&|s| drop(s["images"].as_array_mut().unwrap().pop()), &["no samples of the image"]);
    refused(&|s| s["images"][1]["image_id"] = json!(1), &["twice"]);
    refused(&|s| s["images"][0]["positive_anchors"] = json!([1 << 30]), &["a.png", "no anchor"]);
    refused(&|s| s["images"][0]["negative_rois"] = s["images"][0]["positive_rois"].clone(), &["a.png", "background"]);
    refused(&|s| *s = json!([1]), &["--save-sampled"]);
    let clash = loss(dir.path(), &["--sampled", "s.json", "--seed", "3"]);
    assert!(clash.code == 2 && clash.err.contains("cannot be used with"), "{}", clash.err);

    let bad = |change: &dyn Fn(&mut Value), told: &[&str]| {
        let mut other = annotations();
        change(&mut other);
        write(dir.path(), "a.json", &other);
        let error = loss(dir.path(), &[]).error().to_string();
        assert!(told.iter().chain(&["a.json"]).all(|t| error.contains(t)), "{error}");
    };
    bad(
        &|a| drop(a["annotations"][0].as_object_mut().unwrap().remove("segmentation")),
        &["annotation 1 ", "--boxes-only"],
    );
    bad(&|a| a["images"][0]["file_name"] = json!("none.png"), &["none.png"]);
    bad(&|a| a["images"] = json!([]), &["no images"]);
}
