//! Files that other programs open: `--save`, and what goes with it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use image::{Rgb, RgbImage};
use serde_json::Value;

use crate::{files, names, results, run, save, scene};

const ALL: &str = "dataset,labelme,yolo,geojson,imagej,labels16,labels32,csv,cutouts,html";

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))).unwrap()
}

/// Every file with its bytes.
fn contents(dir: &Path) -> Vec<(String, Vec<u8>)> {
    files(dir).into_iter().map(|name| (name.clone(), fs::read(dir.join(&name)).unwrap())).collect()
}

/// Of two pictures, one with nothing in it: each kind of file, read back in the pure Rust that is at hand.
#[test]
fn every_kind_of_file_holds_what_was_found() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    scene(dir, "a.png", (256, 64), 6);
    save(dir, "b.png", RgbImage::from_pixel(64, 8, Rgb([7; 3])));
    let every = format!("coco,png,{ALL}");
    let ran = run(dir, &["a.png", "b.png", "--out", "out", "--save", &every, "--pixel-size", "0.5um"]).good();
    let out = dir.join("out");
    let found = results(&out.join("a.json"));
    assert!(!found.is_empty(), "{}", ran.out);
    assert_eq!(results(&out.join("b.json")), []);

    let all: BTreeSet<String> = files(&out).into_iter().filter(|f| !f.starts_with("cutouts")).collect();
    let of_each = ["a", "b"].iter().flat_map(|stem| {
        let ends = [
            "{}.json",
            "{}.png",
            "labelme/{}.json",
            "yolo/labels/{}.txt",
            "geojson/{}.geojson",
            "imagej/{}.zip",
            "labels16/{}.tif",
            "labels32/{}.tif",
            ".maskrcnn/images/{}.json",
        ];
        ends.map(|end| end.replace("{}", stem))
    });
    let of_run = ["annotations/instances.json", "yolo/data.yaml", "measurements.csv", "index.html", "summary.json"];
    let want: Vec<String> = of_each.chain(of_run.map(String::from)).chain([".maskrcnn/run.json".into()]).collect();
    assert_eq!(all, names(&want.iter().map(String::as_str).collect::<Vec<_>>()));

    let masks: Vec<maskrcnn::Mask> =
        found.iter().map(|r| r.segmentation.as_ref().unwrap().to_mask().unwrap()).collect();
    let features = &json(&out.join("geojson/a.geojson"))["features"];
    for (mask, feature) in masks.iter().zip(features.as_array().unwrap()) {
        assert_eq!(feature["properties"]["measurements"]["Area px^2"], mask.area());
    }
    assert_eq!(features.as_array().unwrap().len(), found.len());
    let map = image::open(out.join("labels16/a.tif")).unwrap().into_luma16();
    for (x, y, pixel) in map.enumerate_pixels() {
        let first = masks.iter().position(|m| m.get(x, y)).map_or(0, |i| i as u16 + 1);
        assert_eq!(pixel.0[0], first, "({x}, {y})");
    }
    let dataset = json(&out.join("annotations/instances.json"));
    assert_eq!(
        (dataset["images"].as_array().unwrap().len(), dataset["images"][1]["file_name"].as_str()),
        (2, Some("b.png"))
    );
    let areas: Vec<u64> =
        dataset["annotations"].as_array().unwrap().iter().map(|a| a["area"].as_u64().unwrap()).collect();
    assert_eq!(areas, masks.iter().map(maskrcnn::Mask::area).collect::<Vec<_>>());
    let shapes = json(&out.join("labelme/a.json"));
    assert_eq!(shapes["imagePath"], "../../a.png");
    let labels = fs::read_to_string(out.join("yolo/labels/a.txt")).unwrap();
    assert_eq!(labels.lines().count(), found.len());
    assert_eq!(fs::read(out.join("yolo/labels/b.txt")).unwrap(), b"");
    let table = fs::read_to_string(out.join("measurements.csv")).unwrap();
    assert_eq!(table.lines().count(), 1 + found.len());
    assert!(table.starts_with("image,number,class,score,area_px2,area_um2,"));
    let cut = image::open(out.join("cutouts/a/0001.png")).unwrap().into_rgba8();
    assert_eq!(cut.pixels().filter(|p| p.0[3] == 255).count() as u64, masks[0].area());
    let page = fs::read_to_string(out.join("index.html")).unwrap();
    assert_eq!(page.matches("<article ").count(), 2);
    // The judge takes one for what there is and the other for what was found.
    let judged =
        run(dir, &["eval", "--annotations", "out/annotations/instances.json", "--results", "out/a.json"]).good();
    assert!(judged.out.contains("(AP) @[ IoU=0.50:0.95 | area=   all | maxDets=100 ] = 1.000"), "{}", judged.out);
    // Results are none of the pictures.
    let again = run(dir, &[".", "--recursive", "--out", "other", "--save", "coco"]).good();
    assert!(again.out.contains("2 of 2 images done"), "{} {}", again.out, again.err);
    assert_eq!(files(&dir.join("other")), names(&["a.json", "b.json", "summary.json"]));
}

/// A second run writes the same bytes over its own, and `--resume` knows what is whole.
#[test]
fn later_runs_know_their_own_files() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    scene(dir, "a.png", (128, 64), 4);
    save(dir, "b.png", RgbImage::from_pixel(64, 8, Rgb([7; 3])));
    let out = dir.join("out");
    let go = |more: &[&str]| run(dir, &[&["a.png", "b.png", "--out", "out", "--save", ALL], more].concat());
    go(&[]).good();
    let first = contents(&out);
    assert!(!first.iter().any(|(name, _)| name == "a.json" || name == "a.png"), "a pair that nobody chose");
    go(&[]).good();
    let same = |what: &str| {
        for ((name, a), (other, b)) in first.iter().zip(contents(&out)) {
            assert!(*name == other && *a == b, "{what}: {name}, {other}");
        }
    };
    same("a second run");
    let skipped = |ran: &crate::program::Ran| ran.out.contains("2 of 2 images were finished before");
    assert!(skipped(&go(&["--resume"]).good()));
    same("a resumed run");
    // Of the whole run's files, what is gone is made again without the detector's work; an image's is not.
    fs::remove_file(out.join("measurements.csv")).unwrap();
    assert!(skipped(&go(&["--resume"]).good()));
    same("a table made again");
    for (i, gone) in
        ["labels16/a.tif", "yolo/labels/a.txt", "cutouts/a/0001.png", ".maskrcnn/images/a.json"].iter().enumerate()
    {
        fs::remove_file(out.join(gone)).unwrap();
        // Without its record, a file that has no mark is taken for somebody else's.
        let ran = go(if i == 3 { &["--resume", "--overwrite"] } else { &["--resume"] }).good();
        assert!(ran.out.contains("1 of 2 images were finished before"), "{gone}: {}", ran.out);
        same(gone);
    }
    // Other settings are another run.
    let ran = go(&["--resume", "--pixel-size", "2nm"]).good();
    assert!(!ran.out.contains("finished before"), "{}", ran.out);
    // A picture that holds less leaves no cut-outs of what is not there any more.
    go(&["--min-area", "1000000"]).good();
    assert!(!files(&out).iter().any(|f| f.starts_with("cutouts")), "old cut-outs are left");
}

/// What somebody else wrote, or corrected, stays; so do the pictures themselves.
#[test]
fn files_of_the_user_stay_beside_those_of_programs() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    save(dir, "b.png", RgbImage::from_pixel(64, 8, Rgb([7; 3])));
    let out = dir.join("out");
    let go = |more: &[&str]| run(dir, &[&["b.png", "--out", "out", "--save", ALL], more].concat());
    go(&[]).good();
    for name in files(&out).into_iter().filter(|f| !f.starts_with(".maskrcnn")) {
        let path = out.join(&name);
        let own = fs::read(&path).unwrap();
        let corrected = [&own[..], b" "].concat();
        fs::write(&path, &corrected).unwrap();
        let ran = go(&[]);
        assert!(ran.error().contains("changed by somebody else") && ran.error().contains("--overwrite"), "{}", ran.err);
        assert_eq!(fs::read(&path).unwrap(), corrected, "{name}");
        go(&["--overwrite"]).good();
        assert_eq!(fs::read(&path).unwrap(), own, "{name}");
    }
    fs::create_dir_all(dir.join("in/labels16")).unwrap();
    save(&dir.join("in/labels16"), "c.tif", RgbImage::from_pixel(64, 8, Rgb([7; 3])));
    let kept = fs::read(dir.join("in/labels16/c.tif")).unwrap();
    let ran = run(dir, &["in/labels16/c.tif", "--out", "in", "--save", "labels16", "--overwrite"]);
    assert!(ran.error().contains("would replace"), "{}", ran.err);
    assert_eq!(fs::read(dir.join("in/labels16/c.tif")).unwrap(), kept);
}

#[test]
fn instances_are_chosen_before_anything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    scene(dir, "a.png", (256, 64), 8);
    let count = |more: &[&str]| {
        let ran = run(dir, &[&["a.png", "--out", "out", "--save", "coco,csv"], more].concat()).good();
        let all = results(&dir.join("out/a.json"));
        let rows = fs::read_to_string(dir.join("out/measurements.csv")).unwrap().lines().count() - 1;
        assert_eq!(rows, all.len());
        (all, ran.out)
    };
    let (all, told) = count(&[]);
    assert!(!told.contains("left out") && !told.contains(".png ->"), "{told}");
    let area = |r: &maskrcnn::engine::vision::coco::CocoResult| r.segmentation.as_ref().unwrap().area();
    let most = all.iter().map(area).max().unwrap();
    let (some, told) = count(&["--min-area", &most.to_string()]);
    assert!(some.iter().all(|r| area(r) == most) && some.len() < all.len());
    assert!(told.contains(&format!(", left out {} below {most} pixels", all.len() - some.len())), "{told}");
    let (inside, _) = count(&["--exclude-on-edges"]);
    for r in &all {
        let m = r.segmentation.as_ref().unwrap().to_mask().unwrap();
        let edge = m.x == 0 || m.y == 0 || m.x + m.w == 256 || m.y + m.h == 64;
        assert_eq!(inside.contains(r), !edge, "{:?}", r.bbox);
    }
    assert_eq!(count(&["--classes", "Nucleus"]).0, all);
    let ran = run(dir, &["a.png", "--classes", "nucleus,cat"]);
    assert!(ran.error().contains("`cat`") && ran.error().contains("it knows: nucleus"), "{}", ran.err);
}

#[test]
fn an_overlay_is_drawn_as_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let plain = scene(dir, "a.png", (256, 64), 5);
    let drawn = |more: &[&str]| {
        run(dir, &[&["a.png", "--out", "out", "--save", "png"], more].concat()).good();
        assert_eq!(files(&dir.join("out")), names(&["a.png", ".maskrcnn/images/a.json"]));
        image::open(dir.join("out/a.png")).unwrap().into_rgb8()
    };
    let usual = drawn(&[]);
    let red = |picture: &RgbImage| picture.pixels().filter(|p| p.0 == [255, 0, 0]).count();
    let boxes = drawn(&["--style", "box", "--palette", "#ff0000", "--line-width", "2"]);
    let wide = drawn(&["--style", "box", "--palette", "#ff0000", "--line-width", "6"]);
    assert!(usual != boxes && red(&usual) == 0 && boxes.dimensions() == usual.dimensions());
    assert!(boxes.width() > plain.width() && wide.pixels().filter(|p| p.0[0] > 240 && p.0[1] < 30).count() > 100);
    let font = |size| drawn(&["--style", "label", "--palette", "class", "--font-size", size]);
    assert_ne!(font("12"), font("30"));
    for (option, value) in [("--style", "boxes"), ("--palette", "red"), ("--line-width", "0"), ("--pixel-size", "3")] {
        let ran = run(dir, &["a.png", option, value]);
        assert!(ran.code == 2 && ran.err.contains(option), "{}", ran.err);
    }
}

/// What LabelMe could not open by its path is in the annotations themselves.
#[test]
fn a_picture_without_a_file_of_its_own_is_carried_by_its_annotations() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    save(dir, "b.png", RgbImage::from_pixel(64, 8, Rgb([7; 3])));
    let picture = fs::File::open(dir.join("b.png")).unwrap();
    let mut command = crate::program::program();
    command.current_dir(dir).args(["detect", "-", "--out", "out", "--save", "labelme"]).stdin(picture);
    crate::program::Ran::new(command.output().unwrap()).good();
    let made = json(&dir.join("out/labelme/stdin.json"));
    // A PNG's signature in base64.
    assert!(made["imageData"].as_str().unwrap().starts_with("iVBORw0KGgo"));
    assert_eq!((&made["imagePath"], &made["shapes"]), (&"stdin.png".into(), &serde_json::json!([])));
}
