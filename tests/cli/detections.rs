//! What is found.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Cursor;

use image::{DynamicImage, GrayImage, ImageBuffer, ImageFormat, Luma, Rgb, RgbImage, Rgba, RgbaImage};
use maskrcnn::engine::vision::coco::{CocoResult, ImageId};

use crate::{check, files, names, results, run, save, scene};

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

    let stems = ["colour", "grey", "deep", "clear", "plain", "dot", "turned", "one-same", "two-same"];
    let want = stems.iter().flat_map(|s| [format!("{s}.json"), format!("{s}.png")]);
    let want: BTreeSet<String> = want.chain(["summary.json".into()]).collect();
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
    for stem in ["grey", "deep", "clear", "plain", "one-same", "two-same"] {
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

/// Deep samples and their upper bytes, and a JPEG that lies on its side and its pixels upright, are found the same in, to
/// the bit.
#[test]
fn one_picture_is_one_whatever_file_it_is_in() {
    let dir = tempfile::tempdir().unwrap();
    let (dir, size) = (dir.path(), (192, 24));
    let colour = scene(dir, "colour.png", size, 8);
    let deep = ImageBuffer::<Rgb<u16>, _>::from_fn(size.0, size.1, |x, y| {
        Rgb(colour.get_pixel(x, y).0.map(|v| u16::from(v) * 257))
    });
    save(dir, "deep.tif", DynamicImage::from(deep));
    save(dir, "flat.tif", colour.clone());
    let lying = jpeg_with_orientation(&image::imageops::rotate270(&colour), 6);
    let pixels = image::load_from_memory_with_format(&lying, ImageFormat::Jpeg).unwrap().into_rgb8();
    fs::write(dir.join("lying.jpg"), lying).unwrap();
    save(dir, "upright.png", image::imageops::rotate90(&pixels));
    run(dir, &["detect", "deep.tif", "flat.tif", "lying.jpg", "upright.png", "--out", "out", "--score", "0.3"]).good();
    let told = |stem: &str| -> Vec<_> {
        let found = results(&dir.join(format!("out/{stem}.json")));
        found.into_iter().map(|r| (r.bbox, r.score, r.segmentation)).collect()
    };
    for (a, b) in [("deep", "flat"), ("lying", "upright")] {
        assert!(told(a).len() >= 4 && told(a) == told(b), "{a} differs from {b}");
    }
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
    assert_eq!(files(&dir.join("list")).len(), 11);
    for file in files(&dir.join("list")).into_iter().filter(|f| f != "summary.json") {
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
