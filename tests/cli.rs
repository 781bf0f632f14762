//! The program as a user meets it: what it writes, what it says, and how it ends. Pictures are small and narrow, so
//! that a run takes a second.
#![cfg(all(feature = "cli", feature = "embedded-model"))]

#[path = "common/program.rs"]
mod program;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::io::{BufRead, BufReader, Cursor};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use image::{DynamicImage, GrayImage, ImageBuffer, ImageFormat, Luma, Rgb, RgbImage, Rgba, RgbaImage};
use maskrcnn::vision::coco::{CocoResult, ImageId};
use program::{Ran, program};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

fn run(dir: &Path, args: &[&str]) -> Ran {
    Ran::new(program().current_dir(dir).args(args).output().unwrap())
}

/// `maskrcnn scene`, and the picture that it wrote.
fn scene(dir: &Path, name: &str, size: (u32, u32), count: u32) -> RgbImage {
    let (w, h, count) = (size.0.to_string(), size.1.to_string(), count.to_string());
    let ran = run(dir, &["scene", name, "--width", &w, "--height", &h, "--count", &count]).good();
    assert!(ran.out.starts_with(&format!("{name}: {w}×{h}, ")), "{}", ran.out);
    image::open(dir.join(name)).unwrap().into_rgb8()
}

fn results(path: &Path) -> Vec<CocoResult> {
    serde_json::from_slice(&fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))).unwrap()
}

/// Every file under a folder, hidden ones too; none where there is no folder.
fn files(dir: &Path) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    let mut left = vec![dir.to_path_buf()];
    while let Some(folder) = left.pop() {
        for file in fs::read_dir(folder).into_iter().flatten() {
            let path = file.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else {
                out.insert(path.strip_prefix(dir).unwrap().display().to_string());
            }
        }
    }
    out
}

fn names(list: &[&str]) -> BTreeSet<String> {
    list.iter().map(|n| n.to_string()).collect()
}

/// What must hold of the results for an image of that size.
fn check(found: &[CocoResult], (width, height): (u32, u32), threshold: f32) {
    assert!(found.is_sorted_by(|a, b| a.score >= b.score));
    for r in found {
        assert_eq!((r.category_id, r.category_name.as_str()), (1, "nucleus"));
        assert!(r.score >= threshold && r.score <= 1.0, "{r:?}");
        let [x, y, w, h] = r.bbox;
        assert!(x >= 0.0 && y >= 0.0 && w > 0.0 && h > 0.0, "{r:?}");
        assert!(x + w <= width as f32 + 1e-3 && y + h <= height as f32 + 1e-3, "{r:?}");
        let code = r.segmentation.as_ref().expect("a mask");
        assert_eq!((code.height, code.width), (height, width));
        let mask = code.to_mask().unwrap();
        assert_eq!(u64::from(mask.area() as u32), code.area());
        // Pasting rounds a box outwards, by up to a pixel a side.
        assert!(code.area() as f32 <= (w + 2.0) * (h + 2.0), "a mask of {} pixels in {:?}", code.area(), r.bbox);
        if r.score > 0.9 {
            let share = code.area() as f32 / (w * h);
            assert!(share > 0.4, "a mask of {} pixels in {:?}", code.area(), r.bbox);
        }
        let inside = mask.x as f32 >= x - 2.0 && (mask.x + mask.w) as f32 <= x + w + 2.0;
        assert!(inside && mask.y as f32 >= y - 2.0 && (mask.y + mask.h) as f32 <= y + h + 2.0, "{r:?}");
    }
}

#[test]
fn a_scene_is_detected_and_scores_filter() {
    let dir = tempfile::tempdir().unwrap();
    let size = (256, 64);
    scene(dir.path(), "cells.png", size, 8);
    let ran = run(dir.path(), &["detect", "cells.png", "--out", "made/for/this", "--score", "0.05"]).good();
    let made = dir.path().join("made/for/this");
    assert_eq!(files(&made), names(&["cells.json", "cells.png"]), "nothing but the results");
    let all = results(&made.join("cells.json"));
    check(&all, size, 0.05);
    let sure = all.iter().filter(|r| r.score > 0.9).count();
    assert!((6..=10).contains(&sure) && all.len() < 60, "{sure} of {} found for 8 nuclei", all.len());
    assert!(all.iter().all(|r| r.image_id == ImageId::Name("cells".into())));
    assert!(ran.out.contains("nuclei") && ran.out.contains(" on "), "the model and the device: {}", ran.out);
    assert!(ran.out.contains(&format!("cells.png: {} × nucleus, ", all.len())), "{}", ran.out);
    assert!(ran.out.contains("cells.json") && ran.err.is_empty(), "{} {}", ran.out, ran.err);
    let picture = image::open(made.join("cells.png")).unwrap();
    assert!(picture.width().is_multiple_of(256) && picture.height().is_multiple_of(64), "enlarged, whole");
    // The keys that COCO's tools read.
    let raw: serde_json::Value = serde_json::from_slice(&fs::read(made.join("cells.json")).unwrap()).unwrap();
    for key in ["image_id", "category_id", "bbox", "score", "segmentation"] {
        assert!(raw[0].get(key).is_some(), "{key}");
    }
    assert!(raw[0]["segmentation"]["counts"].is_string() && raw[0]["segmentation"]["size"][0] == 64);

    // A threshold between two scores keeps those above it, to the bit.
    let middle = all[all.len() / 2].score.next_up();
    let text = middle.to_string();
    run(dir.path(), &["detect", "cells.png", "--out", "some", "--score", &text]).good();
    let some = results(&dir.path().join("some/cells.json"));
    let want: Vec<_> = all.iter().filter(|r| r.score >= middle).cloned().collect();
    assert!(some == want && some.len() < all.len(), "{} of {} above {middle}", some.len(), all.len());
}

fn save(dir: &Path, name: &str, image: impl Into<DynamicImage>) {
    image.into().save(dir.join(name)).unwrap();
}

/// A JPEG with an EXIF block that holds nothing but an orientation.
fn jpeg_with_orientation(image: &RgbImage, value: u8) -> Vec<u8> {
    let mut jpeg = Cursor::new(Vec::new());
    image.write_to(&mut jpeg, ImageFormat::Jpeg).unwrap();
    let jpeg = jpeg.into_inner();
    let mut exif = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\0\0\0\0\0\0\0".to_vec();
    exif[25] = value;
    let mut out = jpeg[..2].to_vec();
    out.extend([0xFF, 0xE1, 0, exif.len() as u8 + 2]);
    out.extend(exif);
    out.extend(&jpeg[2..]);
    out
}

/// Good and bad images of every kind in one run: each gets its own result or its own message.
#[test]
fn many_images_with_bad_ones_among_them() {
    let dir = tempfile::tempdir().unwrap();
    let (dir, size) = (dir.path(), (192, 24));
    let colour = scene(dir, "colour.png", size, 8);
    let grey = GrayImage::from_fn(size.0, size.1, |x, y| Luma([colour.get_pixel(x, y)[0]]));
    let deep =
        ImageBuffer::<Luma<u16>, _>::from_fn(size.0, size.1, |x, y| Luma([grey.get_pixel(x, y)[0] as u16 * 257]));
    let clear = RgbaImage::from_fn(size.0, size.1, |x, y| {
        let [r, g, b] = colour.get_pixel(x, y).0;
        Rgba([r, g, b, (x % 256) as u8])
    });
    save(dir, "grey.png", grey);
    save(dir, "deep.png", DynamicImage::from(deep));
    save(dir, "clear.png", clear);
    save(dir, "plain.bmp", colour.clone());
    save(dir, "dot.png", RgbImage::from_pixel(1, 1, Rgb([9, 9, 9])));
    // Lying on its side, with a note to turn it: what is found lies as a viewer shows it.
    let lying = image::imageops::rotate270(&colour);
    fs::write(dir.join("turned.jpg"), jpeg_with_orientation(&lying, 6)).unwrap();
    // The same name in other folders.
    for folder in ["one", "two"] {
        fs::create_dir(dir.join(folder)).unwrap();
        fs::copy(dir.join("colour.png"), dir.join(folder).join("same.png")).unwrap();
    }
    fs::write(dir.join("empty.png"), b"").unwrap();
    let whole = fs::read(dir.join("colour.png")).unwrap();
    fs::write(dir.join("cut.png"), &whole[..whole.len() / 2]).unwrap();
    fs::write(dir.join("notes.txt"), b"no picture at all").unwrap();
    fs::create_dir(dir.join("folder")).unwrap();
    save(dir, "strip.png", RgbImage::new(3000, 1));

    let good =
        ["grey.png", "deep.png", "clear.png", "plain.bmp", "dot.png", "turned.jpg", "one/same.png", "two/same.png"];
    let bad = ["missing.png", "empty.png", "cut.png", "notes.txt", "folder", "strip.png"];
    // Mixed, so that a bad one stands before good ones.
    let mut args = vec!["detect", "colour.png", "--out", "out", "--score", "0.3"];
    args.extend(bad);
    args.extend(good);
    let ran = run(dir, &args);
    let errors = ran.errors();
    assert_eq!(errors.len(), bad.len(), "{}", ran.err);
    for (line, name) in errors.iter().zip(bad) {
        assert!(line.contains(name), "`{line}` does not name {name}");
    }
    for (i, why) in
        [(0, "No such file"), (1, "empty"), (2, "ends too early"), (3, "not an image"), (4, "directory"), (5, "narrow")]
    {
        // A missing file's message is the system's own.
        assert!(errors[i].contains(why) || (i == 0 && cfg!(windows)), "{}", errors[i]);
    }
    assert!(ran.err.contains("6 of 15 images failed"), "{}", ran.err);
    assert!(!ran.out.contains("strip.png"), "{}", ran.out);

    let stems = ["colour", "grey", "deep", "clear", "plain", "dot", "turned", "same.png", "same.png-2"];
    let want: BTreeSet<String> = stems.iter().flat_map(|s| [format!("{s}.json"), format!("{s}.png")]).collect();
    let out = dir.join("out");
    assert_eq!(files(&out), want);
    let found: BTreeMap<&str, Vec<CocoResult>> =
        stems.iter().map(|&s| (s, results(&out.join(format!("{s}.json"))))).collect();
    for (stem, found) in &found {
        let size = if *stem == "dot" { (1, 1) } else { size };
        check(found, size, 0.3);
        assert!(found.iter().all(|r| r.image_id == ImageId::Name(stem.to_string())), "{stem}");
        image::open(out.join(format!("{stem}.png"))).unwrap();
    }
    // The scene is grey, so all these are one picture, and what is found is the same to the bit.
    let told = |stem: &str| found[stem].iter().map(|r| (r.bbox, r.score, r.segmentation.clone())).collect::<Vec<_>>();
    assert!(found["colour"].len() >= 4, "{}", found["colour"].len());
    for stem in ["grey", "deep", "clear", "plain", "same.png", "same.png-2"] {
        assert!(told(stem) == told("colour"), "{stem} differs from colour");
    }
    // A JPEG's pixels differ a little; the nuclei are in the same places.
    for r in found["turned"].iter().filter(|r| r.score > 0.9) {
        let centre = |b: [f32; 4]| (b[0] + b[2] / 2.0, b[1] + b[3] / 2.0);
        let (x, y) = centre(r.bbox);
        let near = found["colour"].iter().map(|o| centre(o.bbox)).any(|(a, b)| (a - x).hypot(b - y) < 3.0);
        assert!(near, "a nucleus at {x}, {y}");
    }
    let line = ran.out.lines().find(|l| l.contains("dot.png")).expect("a line for the dot");
    assert!(line.contains("nothing found above 0.3 (this model knows: nucleus)"), "{line}");
}

/// Images of a list overlap: while one is on the GPU, others are read and written. Nothing of that shows in the files,
/// nor in the order of what is said.
#[test]
fn a_list_gives_what_each_image_gives_alone() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let good = ["a.png", "b.png", "c.png", "d.png", "e.png"];
    for (i, name) in good.iter().enumerate() {
        scene(dir, name, (192 - 8 * (i as u32 / 2), 24), 5 + i as u32);
    }
    fs::write(dir.join("bad.png"), b"no picture").unwrap();
    for name in good {
        run(dir, &["detect", name, "--out", "alone", "--score", "0.3"]).good();
    }
    let list = ["a.png", "b.png", "bad.png", "c.png", "d.png", "e.png"];
    let all = |more: &[&str]| {
        let ran = run(dir, &[&["detect"][..], &list, &["--score", "0.3"], more].concat());
        assert!(ran.error().contains("bad.png") && ran.err.contains("1 of 6 images failed"), "{}", ran.err);
        let said: Vec<&str> = ran.out.lines().skip(1).filter_map(|l| l.split_once(": ")).map(|l| l.0).collect();
        assert_eq!(said, good, "{}", ran.out);
    };
    all(&["--out", "list"]);
    assert_eq!(files(&dir.join("list")).len(), 10);
    for file in files(&dir.join("list")) {
        let read = |folder: &str| fs::read(dir.join(folder).join(&file)).unwrap();
        assert!(read("list") == read("alone"), "{file} differs");
    }

    all(&["--out", "batch", "--batch", "4"]);
    assert_eq!(files(&dir.join("batch")), files(&dir.join("list")));
    for name in ["a", "b", "c", "d", "e"] {
        let [got, want] = ["batch", "list"].map(|folder| results(&dir.join(folder).join(format!("{name}.json"))));
        assert_eq!(got.len(), want.len(), "{name}");
        assert!(got.len() >= 3, "{name} shows nothing");
        for (got, want) in got.iter().zip(&want) {
            assert!((got.score - want.score).abs() < 1e-5, "{name}: {got:?}, not {want:?}");
            let far = got.bbox.iter().zip(&want.bbox).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(far < 1e-3, "{name}: {got:?}, not {want:?}");
        }
    }
}

#[test]
fn devices_are_listed_and_chosen() {
    let dir = tempfile::tempdir().unwrap();
    let list = run(dir.path(), &["devices"]).good().out;
    let first = list.lines().next().unwrap();
    let name = first.strip_prefix("0: ").and_then(|l| l.strip_suffix("  (the default)")).expect(first);
    for part in ["subgroups", "MiB a binding", "driver", "invocations"] {
        assert!(list.contains(part), "no `{part}` in {list}");
    }
    save(dir.path(), "blank.png", RgbImage::from_pixel(128, 8, Rgb([3; 3])));
    let letters: String = name.chars().take_while(|c| c.is_alphanumeric()).collect();
    for choice in ["0", &letters.to_uppercase()] {
        let ran = run(dir.path(), &["detect", "blank.png", "--out", "out", "--device", choice]).good();
        assert!(ran.out.contains(name), "--device {choice}: {}", ran.out);
        assert!(ran.out.contains("nothing found above 0.5 (this model knows: nucleus)"), "{}", ran.out);
        assert_eq!(fs::read_to_string(dir.path().join("out/blank.json")).unwrap(), "[\n]\n");
        image::open(dir.path().join("out/blank.png")).unwrap();
    }
    for choice in ["no such GPU", "99", "-1"] {
        let ran = run(dir.path(), &["detect", "blank.png", "--out", "none", &format!("--device={choice}")]);
        assert!(ran.error().contains(name) && ran.error().contains("0: "), "{choice}: {}", ran.err);
        assert_eq!(files(&dir.path().join("none")), BTreeSet::new());
    }
}

/// An unset variable of a shell looks like this; it must not pick a device silently.
#[test]
fn an_empty_device_name_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    save(dir.path(), "blank.png", RgbImage::from_pixel(128, 8, Rgb([3; 3])));
    let ran = run(dir.path(), &["detect", "blank.png", "--out", "out", "--device="]);
    assert!(ran.code == 1 || ran.code == 2, "{}", ran.out);
    assert!(ran.err.contains("error:"), "{}", ran.err);
}

/// What a tensor of a file is: type, shape and bytes.
type Raw = (Dtype, Vec<usize>, Vec<u8>);

/// The embedded weights with some tensors changed: `change` gives the new one, or none to leave it out.
fn altered(change: impl Fn(&str, &TensorView) -> Option<Raw>) -> Vec<u8> {
    let bytes = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/nuclei.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let changed: Vec<(String, Raw)> =
        file.iter().filter_map(|(name, view)| Some((name.to_string(), change(name, &view)?))).collect();
    let views: HashMap<&String, TensorView> =
        changed.iter().map(|(n, (t, s, d))| (n, TensorView::new(*t, s.clone(), d).unwrap())).collect();
    safetensors::serialize(views, header.metadata().clone()).unwrap()
}

fn same(view: &TensorView) -> Option<Raw> {
    Some((view.dtype(), view.shape().to_vec(), view.data().to_vec()))
}

#[test]
fn bad_weights_are_named_and_leave_nothing() {
    const TENSOR: &str = "backbone.fpn.inner_blocks.2.0.bias";
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    save(dir, "blank.png", RgbImage::new(64, 8));
    let whole = altered(|_, v| same(v));
    let missing = altered(|name, v| if name == TENSOR { None } else { same(v) });
    let nan = altered(|name, v| {
        let (dtype, shape, mut data) = same(v)?;
        if name == TENSOR {
            // NaN in half precision, at element 3.
            data[6..8].copy_from_slice(&0x7E00_u16.to_le_bytes());
        }
        Some((dtype, shape, data))
    });
    let wrong = altered(|name, v| {
        let (dtype, shape, data) = same(v)?;
        if name == TENSOR { Some((dtype, vec![shape[0] / 2, 2], data)) } else { Some((dtype, shape, data)) }
    });
    let integers = altered(|name, v| {
        let (dtype, shape, data) = same(v)?;
        Some((if name == TENSOR { Dtype::I16 } else { dtype }, shape, data))
    });
    let more = {
        let mut bytes = whole.clone();
        bytes.extend([0; 64]);
        bytes
    };
    let random: Vec<u8> = (0..5000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let cases: Vec<(&str, Vec<u8>, &[&str])> = vec![
        ("truncated.safetensors", whole[..whole.len() / 2].to_vec(), &["truncated"]),
        ("header.safetensors", whole[..1000].to_vec(), &["truncated"]),
        ("longer.safetensors", more, &["corrupt"]),
        ("random.safetensors", random, &["no weights file"]),
        ("empty.safetensors", Vec::new(), &["empty"]),
        ("model.pth", b"PK\x03\x04\x00\x00\x08\x08\x00\x00archive/data.pkl".to_vec(), &["truncated", "download"]),
        ("missing.safetensors", missing, &[TENSOR, "missing"]),
        ("nan.safetensors", nan, &[TENSOR, "NaN", "index 3"]),
        ("wrong.safetensors", wrong, &[TENSOR, "shape", "[64, 2]", "[128]"]),
        ("integers.safetensors", integers, &[TENSOR, "I16"]),
    ];
    let mut tries: Vec<(&str, &[&str])> = vec![("absent.safetensors", &["no such file"]), (".", &["directory"])];
    for (name, bytes, parts) in &cases {
        fs::write(dir.join(name), bytes).unwrap();
        tries.push((name, parts));
    }
    for (name, parts) in tries {
        let ran = run(dir, &["detect", "blank.png", "--out", "out", "--weights", name]);
        let line = ran.error();
        assert_eq!(ran.err.trim_end().lines().count(), 1, "{}", ran.err);
        for part in parts.iter().chain([&name]) {
            assert!(line.contains(part), "{name}: no `{part}` in {line}");
        }
        assert!(!dir.join("out").exists(), "{name}: left a folder");
    }

    // The file that they were made of is sound.
    fs::write(dir.join("whole.safetensors"), &whole).unwrap();
    run(dir, &["detect", "blank.png", "--out", "out", "--weights", "whole.safetensors"]).good();
    assert_eq!(files(&dir.join("out")), names(&["blank.json", "blank.png"]));
}

#[test]
fn places_that_cannot_be_written_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    save(dir, "x.png", RgbImage::from_pixel(64, 8, Rgb([7; 3])));

    // A file where the folder is to be.
    fs::write(dir.join("taken"), b"mine").unwrap();
    for out in ["taken", "taken/below"] {
        let ran = run(dir, &["detect", "x.png", "--out", out]);
        assert!(ran.error().contains("taken"), "{}", ran.err);
        assert_eq!(fs::read(dir.join("taken")).unwrap(), b"mine");
    }
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
        let ran = run(&dir.join(folder), &["detect", image, "--out", out]);
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

/// A picture that is not there yet, but would be once the results of another are written: neither is done, whichever
/// thread comes first.
#[test]
fn a_result_is_not_read_as_a_picture_of_the_same_run() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    fs::create_dir(dir.join("in")).unwrap();
    save(dir, "in/y.jpg", RgbImage::from_pixel(64, 8, Rgb([7; 3])));
    save(dir, "in/y.bmp", RgbImage::from_pixel(64, 8, Rgb([8; 3])));
    let ran = run(dir, &["detect", "in/y.jpg", "in/y.bmp", "out/y.jpg.png", "--out", "out"]);
    let errors = ran.errors();
    assert!(errors.len() == 2 && errors[0].contains("would replace out/y.jpg.png"), "{}", ran.err);
    assert_eq!(files(&dir.join("out")), names(&["y.bmp.json", "y.bmp.png"]));
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

/// Ended at any time, the program leaves results that are whole.
#[test]
fn a_run_that_is_killed_leaves_no_half_files() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let stems: Vec<String> = (0..40).map(|i| format!("i{i}")).collect();
    scene(dir, "first.png", (192, 12), 6);
    for stem in &stems {
        fs::copy(dir.join("first.png"), dir.join(format!("{stem}.png"))).unwrap();
    }
    let images = stems.iter().map(|s| format!("{s}.png"));
    let mut child = program()
        .current_dir(dir)
        .args(["detect", "--out", "out"])
        .args(images)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The model's line, and those of two images.
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for _ in 0..3 {
        lines.next().expect("a line").unwrap();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let done: Vec<PathBuf> = files(&dir.join("out")).iter().map(|f| dir.join("out").join(f)).collect();
    assert!((4..80).contains(&done.len()), "{} files", done.len());
    for path in done {
        match path.extension().and_then(|e| e.to_str()) {
            Some("json") => assert!(!results(&path).is_empty()),
            Some("png") => drop(image::open(&path).unwrap()),
            // What was being written keeps a name that nobody takes for a result.
            other => assert_eq!(other, Some("part"), "{}", path.display()),
        }
    }
}

/// Without any graphics driver, the message says what to install.
#[test]
fn a_machine_without_a_driver_is_told_what_to_install() {
    if cfg!(not(target_os = "linux")) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    save(dir.path(), "x.png", RgbImage::new(64, 8));
    for args in [&["detect", "x.png", "--out", "out"][..], &["devices"]] {
        let mut command = program();
        for variable in ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"] {
            command.env(variable, "/nonexistent");
        }
        let ran = Ran::new(command.current_dir(dir.path()).args(args).output().unwrap());
        let line = ran.error();
        assert!(line.contains("no usable GPU") && line.contains("install") && line.contains("Vulkan"), "{line}");
        assert_eq!(files(dir.path()), names(&["x.png"]), "{args:?}");
    }
    // What needs no GPU still works, and what is wrong with the weights is told first.
    let bad = |args: &[&str]| {
        let output = program().current_dir(dir.path()).env("VK_ICD_FILENAMES", "/nonexistent").args(args).output();
        Ran::new(output.unwrap())
    };
    bad(&["scene", "s.png", "--width", "32", "--height", "32"]).good();
    let ran = bad(&["detect", "x.png", "--weights", "none.safetensors"]);
    assert!(ran.error().contains("none.safetensors"), "{}", ran.err);
}

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
    assert_eq!(files(dir), BTreeSet::new());
    for command in [&["--help"][..], &["detect", "--help"], &["--version"]] {
        run(dir, command).good();
    }
}
