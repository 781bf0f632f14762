//! Where pictures come from: folders, patterns, lists, standard input, pages, channels.

use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;

use image::{Frame, RgbImage, Rgba, RgbaImage};
use maskrcnn::engine::vision::coco::{CocoResult, ImageId};

use crate::program::{Ran, program, quick};
use crate::{files, names, results, run, save, scene};

const SIZE: (u32, u32) = (96, 12);

/// The pictures whose lines were printed, in their order.
fn done(ran: &Ran) -> Vec<&str> {
    ran.out.lines().filter_map(|l| l.split_once(" -> ")?.0.split_once(": ")).map(|l| l.0).collect()
}

/// What was found, but for the picture's name.
fn told(path: &Path) -> Vec<CocoResult> {
    let same = |r| CocoResult { image_id: ImageId::Number(0), ..r };
    results(path).into_iter().map(same).collect()
}

/// Results in the pictures' own folder are not taken for pictures, however often it is done.
#[test]
fn a_folder_is_done_and_its_results_are_no_pictures() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    fs::create_dir_all(dir.join("in/below")).unwrap();
    scene(dir, "in/img2.png", SIZE, 3);
    for copy in ["img10.png", "below/img2.png"] {
        fs::copy(dir.join("in/img2.png"), dir.join("in").join(copy)).unwrap();
    }
    for bad in ["empty.png", "broken.jpg"] {
        fs::write(dir.join("in").join(bad), b"").unwrap();
    }
    fs::write(dir.join("in/notes.txt"), b"no picture").unwrap();
    let ran = run(dir, &["detect", "in", "--out", "out"]);
    assert_eq!(done(&ran), ["in/img2.png", "in/img10.png"], "{}", ran.out);
    assert_eq!(ran.errors().len(), 2, "{}", ran.err);
    let note = "note: in: 1 file that is no image, 1 folder (--recursive looks into it) left out";
    assert!(ran.err.contains(note), "{}", ran.err);
    assert!(
        ran.err.contains("2 of 4 images failed") && ran.out.contains("2 of 4 images done, "),
        "{} {}",
        ran.out,
        ran.err
    );

    ["empty.png", "broken.jpg"].iter().for_each(|bad| fs::remove_file(dir.join("in").join(bad)).unwrap());
    // The same stem twice, and the folder's own results: the short form.
    let first = run(dir, &["in", "--recursive", "--out", "in/out"]).good();
    assert_eq!(done(&first), ["in/below/img2.png", "in/img2.png", "in/img10.png"], "{}", first.out);
    let second = run(dir, &["in", "--recursive", "--out", "in/out"]).good();
    assert_eq!(done(&second), done(&first));
    assert!(second.err.contains("2 files that are no images") || second.err.contains("results of this program"));
    let made = files(&dir.join("in/out"));
    let want = ["below-img2", "in-img2", "img10"].into_iter().flat_map(|s| [format!("{s}.json"), format!("{s}.png")]);
    assert_eq!(made, want.chain(["summary.json".into()]).collect());
}

#[test]
fn patterns_and_lists_name_pictures() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    fs::create_dir(dir.join("in")).unwrap();
    scene(dir, "in/img2.png", SIZE, 3);
    fs::copy(dir.join("in/img2.png"), dir.join("in/img10.png")).unwrap();
    fs::write(dir.join("in/list.txt"), "img10.png\n# none\nimg2.png\n").unwrap();
    let ran = run(dir, &["in/*.png"]).good();
    assert_eq!(done(&ran), ["in/img2.png", "in/img10.png"]);
    let ran = run(dir, &["@in/list.txt", "--out", "list"]).good();
    assert_eq!(done(&ran), ["in/img10.png", "in/img2.png"]);
    let ran = run(dir, &["in", "in/*.png", "--out", "once"]).good();
    assert_eq!(done(&ran).len(), 2);
    assert!(ran.err.contains("in/img2.png and 1 more are named more than once"), "{}", ran.err);
    // A mistyped command is still one.
    let ran = run(dir, &["detcet", "in"]);
    assert!(ran.code == 2 && ran.err.contains("'detect'"), "{}", ran.err);
}

#[test]
fn a_picture_comes_by_standard_input() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    scene(dir, "a.png", SIZE, 3);
    let piped =
        |stdin: Stdio, args| Ran::new(program().current_dir(dir).args(quick(args)).stdin(stdin).output().unwrap());
    let file = || Stdio::from(File::open(dir.join("a.png")).unwrap());
    let ran = piped(file(), &["-", "--out", "out"]).good();
    assert!(ran.out.contains("stdin: "), "{}", ran.out);
    run(dir, &["a.png", "--out", "out"]).good();
    assert_eq!(files(&dir.join("out")), names(&["a.json", "a.png", "stdin.json", "stdin.png"]));
    assert_eq!(told(&dir.join("out/stdin.json")), told(&dir.join("out/a.json")));
    let ran = piped(Stdio::null(), &["detect", "-"]);
    assert!(ran.error().contains("stdin: the file is empty"), "{}", ran.err);
}

/// A film: black, the picture, black, the picture.
fn film(picture: RgbImage) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = image::codecs::gif::GifEncoder::new(&mut bytes);
    let size = picture.dimensions();
    let picture = image::DynamicImage::from(picture).into_rgba8();
    for i in 0..4 {
        let black = RgbaImage::from_pixel(size.0, size.1, Rgba([0, 0, 0, 255]));
        encoder.encode_frame(Frame::new(if i % 2 == 0 { black } else { picture.clone() })).unwrap();
    }
    drop(encoder);
    bytes
}

#[test]
fn pages_are_pictures_with_ids_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let picture = scene(dir, "one.png", SIZE, 3);
    fs::write(dir.join("film.gif"), film(picture)).unwrap();
    let pages = |pages: &str, out: &str| run(dir, &["film.gif", "one.png", "--pages", pages, "--out", out]);
    let ran = pages("all", "all").good();
    let page = |n: usize| format!("film.gif, page {n}");
    assert_eq!(done(&ran), [&page(1), &page(2), &page(3), &page(4), "one.png"]);
    let all = dir.join("all");
    for n in 1..=4 {
        let found = results(&all.join(format!("film-p{n}.json")));
        assert_eq!(found.is_empty(), n % 2 == 1, "page {n}");
        assert!(found.iter().all(|r| r.image_id == ImageId::Name(format!("film-p{n}"))));
    }
    assert_eq!(told(&all.join("film-p2.json")), told(&all.join("film-p4.json")));
    assert!(all.join("one.json").exists(), "what has one page has no number");

    // A part of them has the same names and the same results.
    let ran = run(dir, &["film.gif", "--pages", "2,4-9", "--out", "some"]).good();
    assert_eq!(done(&ran), [page(2), page(4)]);
    assert!(ran.err.contains("film.gif: has 4 pages: of 2,4-9, those are done"), "{}", ran.err);
    for name in ["film-p2.json", "film-p4.png"] {
        assert!(fs::read(all.join(name)).unwrap() == fs::read(dir.join("some").join(name)).unwrap(), "{name}");
    }
    // Of files without any of them, each is an error, and the others are done.
    let ran = pages("2-", "past");
    assert!(ran.error().contains("one.png: has no page 2-: it has 1"), "{}", ran.err);
    assert_eq!(done(&ran).len(), 3);
}

#[test]
fn channels_become_colours() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let picture = scene(dir, "grey.png", SIZE, 3);
    // The nuclei are blue, on a ground of other colours.
    let hidden = RgbImage::from_fn(SIZE.0, SIZE.1, |x, y| image::Rgb([90, 200, picture.get_pixel(x, y)[0]]));
    save(dir, "hidden.png", hidden);
    run(dir, &["grey.png", "--out", "out"]).good();
    run(dir, &["hidden.png", "--out", "out", "--channels", "2"]).good();
    let want = told(&dir.join("out/grey.json"));
    assert!(want.len() > 1);
    assert_eq!(told(&dir.join("out/hidden.json")), want);
    run(dir, &["hidden.png", "--out", "three", "--channels", "2,2,2"]).good();
    assert_eq!(told(&dir.join("three/hidden.json")), want);
    let ran = run(dir, &["hidden.png", "--channels", "3"]);
    assert!(ran.error().contains("hidden.png: has no channel 3: it has channels 0 to 2"), "{}", ran.err);
}

/// Half as large nuclei in half as large a picture, and the same where the sides say nothing of the scale.
#[test]
fn pictures_are_scaled_to_the_models_diameter() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let picture = scene(dir, "a.png", (192, 48), 6);
    // Within a wide field, by its sides it would be shrunk to nothing.
    let mut wide = RgbImage::new(1536, 48);
    image::imageops::replace(&mut wide, &picture, 0, 0);
    save(dir, "wide.png", wide);
    let scaled = |name: &str, more: &[&str]| {
        let ran = run(dir, &[&["detect", name, "--out", "out", "--diameter", "33.2"], more].concat()).good();
        let stem = name.strip_suffix(".png").unwrap();
        (results(&dir.join(format!("out/{stem}.json"))), ran)
    };
    let (alone, ran) = scaled("a.png", &[]);
    assert!(alone.len() >= 3 && !ran.err.contains("note"), "{} {}", ran.out, ran.err);
    let (in_field, _) = scaled("wide.png", &[]);
    // What lies at the picture's right end sees another neighbour there.
    let inner = |found: &[CocoResult]| -> Vec<CocoResult> {
        found.iter().filter(|r| r.bbox[0] + r.bbox[2] < 140.0 && r.score > 0.6).cloned().collect()
    };
    let (alone, in_field) = (inner(&alone), inner(&in_field));
    assert!(alone.len() >= 2 && in_field.len() == alone.len(), "{alone:?}, not {in_field:?}");
    for a in &alone {
        let far = |b: &CocoResult| a.bbox.iter().zip(&b.bbox).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(in_field.iter().any(|b| far(b) < 1.0), "{a:?}: results are in pixels of the picture");
    }
    // What cannot be is said once, with the option that changes it.
    let (_, ran) = scaled("wide.png", &["--max-size", "768"]);
    assert!(ran.err.contains("wide.png: by --diameter it would have 1536×48 pixels") && ran.err.contains("--max-size"));
    for (args, part) in
        [(&["--diameter", "0"][..], "0.5 to 16384"), (&["--diameter", "9", "--min-size", "640"], "--min-size")]
    {
        let ran = run(dir, &[&["detect", "a.png"], args].concat());
        assert!(ran.code == 2 && ran.err.contains(part), "{}", ran.err);
    }
    fs::write(dir.join("unknown.toml"), "[transform]\ndiameter = 0\n").unwrap();
    let ran = run(dir, &["detect", "a.png", "--diameter", "9", "--config", "unknown.toml"]);
    assert!(ran.error().contains("`--diameter`") && ran.err.contains("does not tell the diameter"), "{}", ran.err);
}
