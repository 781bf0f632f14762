//! `eval`: the numbers that pycocotools computed for the golden set, and what is refused.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::program::Ran;
use crate::{files, names, run, scene};

/// What `tests/oracle/make_eval_golden.py` wrote.
fn golden() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/eval.json");
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn write(dir: &Path, name: &str, value: &Value) {
    fs::write(dir.join(name), value.to_string()).unwrap();
}

/// The golden's results without one of their keys.
fn without(golden: &Value, key: &str) -> Value {
    let mut results = golden["results"].clone();
    results.as_array_mut().unwrap().iter_mut().for_each(|r| drop(r.as_object_mut().unwrap().remove(key)));
    results
}

/// A folder with the golden's annotations as `a.json`, and its results as `both.json`, `boxes.json` and `masks.json`.
fn set() -> (tempfile::TempDir, Value) {
    let (dir, golden) = (tempfile::tempdir().unwrap(), golden());
    write(dir.path(), "a.json", &golden["annotations"]);
    write(dir.path(), "both.json", &golden["results"]);
    write(dir.path(), "boxes.json", &without(&golden, "segmentation"));
    write(dir.path(), "masks.json", &without(&golden, "bbox"));
    (dir, golden)
}

fn eval(dir: &Path, more: &[&str]) -> Ran {
    run(dir, &[&["eval", "--annotations", "a.json"], more].concat())
}

fn judged(dir: &Path, more: &[&str]) -> Value {
    serde_json::from_str(&eval(dir, &[more, &["--json"]].concat()).good().out).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap_or_else(|| panic!("{value}")).iter().map(|v| v.as_f64().unwrap()).collect()
}

fn close(got: &Value, want: &Value, what: &str) {
    let (got, want) = (numbers(got), numbers(want));
    let far = got.iter().zip(&want).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(got.len() == want.len() && far < 1e-9, "{what}:\n{got:?}, not\n{want:?}");
}

#[test]
fn numbers_are_those_of_pycocotools() {
    let (dir, golden) = set();
    let cases = golden["expected"].as_array().unwrap();
    assert_eq!(cases.len(), 10);
    for case in cases {
        let (file, kind) = (case["results"].as_str().unwrap(), case["kind"].as_str().unwrap());
        let dets: Vec<String> = numbers(&case["max_dets"]).iter().map(f64::to_string).collect();
        let what = format!("{kind} of {file}, {dets:?}");
        let got = judged(dir.path(), &["--results", &format!("{file}.json"), "--max-dets", &dets.join(",")]);
        let of = if kind == "bbox" { "boxes" } else { "masks" };
        close(&got[of]["stats"], &case["stats"], &what);
        assert_eq!(got[of]["AP50"], got[of]["stats"][1], "{what}");
        for (class, want) in case["classes"].as_object().unwrap() {
            let mut classes = got["classes"].as_array().unwrap().iter();
            match classes.find(|c| c["id"].as_u64() == class.parse().ok()) {
                Some(found) => close(&found[of]["stats"], want, &format!("{what}, class {class}")),
                None => assert!(numbers(want).iter().all(|&v| v == -1.0), "{what}: class {class} is not told"),
            }
        }
        assert_eq!(got["masks"].is_null(), file == "boxes", "{what}");
    }
}

#[test]
fn matching_is_that_of_stardist() {
    let (dir, golden) = set();
    let score = golden["matching"]["score"].to_string();
    let got = judged(dir.path(), &["--results", "both.json", "--score", &score]);
    assert_eq!(got["matching"]["of"], "masks");
    let (got, want) = (&got["matching"]["by_iou"], golden["matching"]["by_iou"].as_array().unwrap());
    assert_eq!((got.as_array().unwrap().len(), want.len()), (9, 9));
    for (i, want) in want.iter().enumerate() {
        for (key, value) in want.as_object().unwrap() {
            let far = (got[i][key].as_f64().unwrap() - value.as_f64().unwrap()).abs();
            assert!(far < 1e-9, "{key} at {}: {}, not {value}", want["iou"], got[i][key]);
        }
    }
}

/// The lines are pycocotools' own, and so is what stands before the numbers.
#[test]
fn text_is_what_coco_prints() {
    let (dir, golden) = set();
    let ran = eval(dir.path(), &["--results", "both.json", "--per-class"]).good();
    let first = &golden["expected"][0];
    assert_eq!((&first["kind"], &first["results"]), (&json!("bbox"), &json!("both")));
    for (at, line) in [
        (0, "\nboxes\n Average Precision  (AP) @[ IoU=0.50:0.95 | area=   all | maxDets=100 ] = "),
        (1, " Average Precision  (AP) @[ IoU=0.50      | area=   all | maxDets=100 ] = "),
        (3, " Average Precision  (AP) @[ IoU=0.50:0.95 | area= small | maxDets=100 ] = "),
        (6, " Average Recall     (AR) @[ IoU=0.50:0.95 | area=   all | maxDets=  1 ] = "),
        (11, " Average Recall     (AR) @[ IoU=0.50:0.95 | area= large | maxDets=100 ] = "),
    ] {
        let want = format!("{line}{:.3}\n", first["stats"][at].as_f64().unwrap());
        assert!(ran.out.contains(&want), "no `{want}` in {}", ran.out);
    }
    assert_eq!(ran.out.matches("Average ").count(), 24, "{}", ran.out);
    assert!(ran.out.contains("11 images, 114 annotations, 6 categories"), "{}", ran.out);
    for class in ["disc", "grain", "ring", "missed"] {
        assert!(ran.out.lines().any(|l| l.starts_with(class)), "{class} is not in {}", ran.out);
    }
    assert!(
        ran.err.contains("being beyond the 100 of an image and class") && ran.err.contains("--max-dets"),
        "{}",
        ran.err
    );
}

/// `detect` names images by their stems and writes a file an image.
#[test]
fn results_may_be_a_folder_that_names_files() {
    let (dir, golden) = set();
    fs::create_dir(dir.path().join("found")).unwrap();
    for image in golden["annotations"]["images"].as_array().unwrap() {
        let mut some: Vec<Value> = golden["results"].as_array().unwrap().clone();
        some.retain(|r| r["image_id"] == image["id"]);
        some.iter_mut().for_each(|r| r["image_id"] = json!(format!("img_{}", image["id"])));
        write(dir.path(), &format!("found/img_{}.json", image["id"]), &json!(some));
    }
    let got = judged(dir.path(), &["--results", "found"]);
    close(&got["masks"]["stats"], &judged(dir.path(), &["--results", "both.json"])["masks"]["stats"], "by stems");
}

#[test]
fn sizes_are_those_of_masks_where_that_is_asked() {
    let (dir, golden) = set();
    let got = judged(dir.path(), &["--results", "both.json", "--mask-areas"]);
    let masks = golden["expected"].as_array().unwrap().iter().find(|c| c["results"] == "masks" && c["kind"] == "segm");
    close(&got["masks"]["stats"], &masks.unwrap()["stats"], "by pixels");
}

#[test]
fn what_is_wrong_is_named() {
    let (dir, golden) = set();
    let dir = dir.path();
    let refused = |change: &dyn Fn(&mut Value), want: &[&str]| {
        let mut results = golden["results"].clone();
        change(&mut results[4]);
        write(dir, "bad.json", &results);
        let ran = eval(dir, &["--results", "bad.json"]);
        let said = ran.error();
        assert!(ran.out.is_empty(), "{}", ran.out);
        for want in ["bad.json", "result 5 "].iter().chain(want) {
            assert!(said.contains(want), "no `{want}` in {said}");
        }
    };
    refused(&|r| r["image_id"] = json!(777), &["image_id 777 is none of the images of a.json"]);
    refused(&|r| r["category_id"] = json!(99), &["category_id 99", "1 disc"]);
    refused(&|r| r["score"] = Value::Null, &["score is no number"]);
    refused(&|r| drop(r.as_object_mut().unwrap().remove("score")), &["has no score"]);
    refused(&|r| r["bbox"] = json!([1, 2, -3, 4]), &["negative"]);
    refused(&|r| r["segmentation"] = json!({"size": [5, 7], "counts": "01R1"}), &["mask is 5×7", "image"]);
    refused(&|r| r["segmentation"]["counts"] = json!("~"), &["run-length code"]);
    refused(&|r| r["segmentation"] = json!([[1.0, 2.0, 3.0, 4.0]]), &["polygon of 4 numbers"]);

    // As Python writes it.
    let text = golden["results"].to_string().replacen("\"score\":", "\"score\":NaN,\"was\":", 3);
    fs::write(dir.join("bad.json"), text).unwrap();
    let ran = eval(dir, &["--results", "bad.json"]);
    assert!(ran.error().contains("result 1 (image ") && ran.error().contains("score is no number"), "{}", ran.err);

    fs::write(dir.join("empty.json"), " \n").unwrap();
    fs::write(dir.join("other.json"), "{\"images\":[],\"categories\":[]}").unwrap();
    fs::write(dir.join("cut.json"), &golden["annotations"].to_string()[..2000]).unwrap();
    let mut changed = golden["annotations"].clone();
    changed["annotations"][1]["id"] = json!(100);
    write(dir, "twice.json", &changed);
    let mut changed = golden["annotations"].clone();
    changed["annotations"][1]["segmentation"] = json!({"size": [9, 9], "counts": [81]});
    write(dir, "large.json", &changed);
    for (annotations, results, want) in [
        ("both.json", "both.json", "both.json: is no file of COCO annotations: it is a list of results"),
        ("a.json", "a.json", "a.json: is no file of COCO results: it is an object, as annotations are"),
        ("none.json", "both.json", "none.json: "),
        ("empty.json", "both.json", "empty.json: is no file of COCO annotations: it is empty"),
        ("other.json", "both.json", "other.json: is no file of COCO annotations: it has no `annotations`"),
        ("cut.json", "both.json", "cut.json: is no file of COCO annotations: EOF"),
        ("twice.json", "both.json", "twice.json: two annotations have the id 100"),
        ("large.json", "both.json", "large.json: annotation 103: its mask is 9×9"),
    ] {
        let ran = run(dir, &["eval", "--annotations", annotations, "--results", results]);
        assert!(ran.error().starts_with(&format!("error: {want}")), "`{}`, not `{want}`", ran.error());
    }
    let ran = run(dir, &["eval", "--annotations", "a.json"]);
    assert!(ran.code == 2 && ran.err.contains("--results"), "{}", ran.err);
}

/// What is left out or assumed of annotations is said, and the numbers are there.
#[test]
fn what_annotations_lack_is_told() {
    let (dir, golden) = set();
    let mut changed = golden["annotations"].clone();
    for key in ["area", "bbox", "iscrowd"] {
        changed["annotations"][0].as_object_mut().unwrap().remove(key);
    }
    changed["annotations"][1]["image_id"] = json!(1000);
    changed["annotations"][2]["id"] = json!(0);
    write(dir.path(), "a.json", &changed);
    let ran = eval(dir.path(), &["--results", "both.json"]).good();
    for want in
        ["1 annotation without an area", "1 annotation without a bbox", "1 annotation left out, of images", "id 0"]
    {
        assert!(ran.err.contains(want), "no `{want}` in {}", ran.err);
    }
    // Nothing found is no error.
    fs::write(dir.path().join("nothing.json"), "[]").unwrap();
    let got = judged(dir.path(), &["--results", "nothing.json"]);
    assert_eq!(got["masks"]["AP"], 0.0);
    assert_eq!(got["matching"]["by_iou"][0]["tp"], 0);
}

/// The detector's own results, called annotations, are found again.
#[test]
fn the_detector_is_run_on_images() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    for (name, count) in [("one.png", 6), ("two.png", 4)] {
        scene(dir, name, (192, 48), count);
    }
    // At the model's own size, at which it is judged.
    run(dir, &["detect", "one.png", "two.png", "--min-size", "640"]).good();
    let mut annotations = Vec::new();
    for (image, stem) in [(4, "one"), (2, "two")] {
        let found: Value =
            serde_json::from_slice(&fs::read(dir.join(format!("maskrcnn-out/{stem}.json"))).unwrap()).unwrap();
        for r in found.as_array().unwrap() {
            let area = r["bbox"][2].as_f64().unwrap() * r["bbox"][3].as_f64().unwrap();
            annotations.push(json!({
                "id": annotations.len() + 1, "image_id": image, "category_id": 3, "iscrowd": 0, "area": area,
                "bbox": r["bbox"], "segmentation": r["segmentation"],
            }));
        }
    }
    let count = annotations.len();
    let image = |id: u32, name: &str| json!({"id": id, "file_name": name, "width": 192, "height": 48});
    let categories = json!([{"id": 3, "name": "Nucleus"}]);
    let images = json!([image(4, "one.png"), image(2, "two.png")]);
    let all = json!({"images": images, "categories": categories, "annotations": annotations});
    write(dir, "a.json", &all);
    let got = judged(dir, &["--images", "."]);
    assert!(count > 5 && got["objects"] == json!(count), "{got}");
    assert!(got["masks"]["AP"].as_f64().unwrap() > 0.999 && got["boxes"]["AR100"].as_f64().unwrap() > 0.999, "{got}");
    assert_eq!((&got["matching"]["by_iou"][8]["tp"], &got["matching"]["by_iou"][8]["fp"]), (&json!(count), &json!(0)));

    fs::remove_file(dir.join("two.png")).unwrap();
    let ran = eval(dir, &["--images", "."]);
    assert!(ran.error().contains("a.json: its image two.png is not in ."), "{}", ran.err);
}

/// The page and the plots, without a device; files of others stay.
#[test]
fn a_page_shows_mistakes() {
    let (dir, golden) = set();
    let dir = dir.path();
    fs::create_dir(dir.join("pictures")).unwrap();
    for image in golden["annotations"]["images"].as_array().unwrap() {
        let side = |key: &str| image[key].as_u64().unwrap() as u32;
        let picture = image::RgbImage::from_pixel(side("width"), side("height"), image::Rgb([9, 9, 9]));
        crate::save(dir, &format!("pictures/{}", image["file_name"].as_str().unwrap()), picture);
    }
    let args = ["--results", "both.json", "--images", "pictures", "--out", "out/page", "--worst", "3"];
    let ran = eval(dir, &args).good();
    let made = dir.join("out/page");
    let plots = ["boxes-precision-recall.svg", "boxes-scores.svg", "masks-precision-recall.svg", "masks-scores.svg"];
    assert_eq!(files(&made), names(&[&plots[..], &["index.html"]].concat()));
    assert!(ran.err.contains("index.html"), "{}", ran.err);
    let page = fs::read_to_string(made.join("index.html")).unwrap();
    assert_eq!((page.matches("<h3>").count(), page.matches("data:image/png;base64,").count()), (3, 6));
    assert!(
        !page.contains("http://") || page.matches("http").count() == page.matches("www.w3.org").count(),
        "it loads"
    );
    assert!(page.contains("img_40.png") && page.contains("Average Precision") && page.contains("<svg"), "{page}");
    for plot in plots {
        let text = fs::read_to_string(made.join(plot)).unwrap();
        assert!(text.starts_with("<svg") && text.contains("</svg>") && !text.contains("NaN"), "{plot}: {text}");
        assert_eq!(text.matches("<polyline").count(), if plot.contains("recall") { 10 } else { 0 }, "{plot}");
    }
    // Colours of what is found, missed and wrong are in the pictures.
    let png = page.split("base64,").nth(1).unwrap().split('"').next().unwrap();
    assert!(png.starts_with("iVBORw0KGgo"), "{}", &png[..20]);

    // Its own are replaced, others' are not.
    eval(dir, &args).good();
    fs::write(made.join("boxes-scores.svg"), "<svg>mine</svg>").unwrap();
    let ran = eval(dir, &args);
    assert!(ran.error().contains("boxes-scores.svg") && ran.error().contains("--overwrite"), "{}", ran.err);
    assert!(ran.out.is_empty(), "found out too late: {}", ran.out);
    eval(dir, &[&args[..], &["--overwrite"]].concat()).good();
    assert_ne!(fs::read_to_string(made.join("boxes-scores.svg")).unwrap(), "<svg>mine</svg>");
}
