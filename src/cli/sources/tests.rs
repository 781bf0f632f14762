use std::ffi::OsString;
use std::fs;

use image::{GrayImage, Luma};
use maskrcnn::engine::vision::coco;
use maskrcnn::engine::vision::results::{Pair, save_png_atomic};

use super::*;

/// A folder with what folders of pictures have in them.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    for folder in ["below", "below/deeper", ".hidden", "empty"] {
        fs::create_dir(path(folder)).unwrap();
    }
    let picture = GrayImage::from_pixel(4, 3, Luma([7]));
    for name in ["img10.png", "img2.png", "img1.bmp", "B.PNG", "below/x.png", "below/deeper/y.png", ".hidden/no.png"] {
        picture.save(path(name)).unwrap();
    }
    // By its content alone, and by its name alone.
    fs::copy(path("img2.png"), path("scan")).unwrap();
    fs::write(path("broken.tif"), b"").unwrap();
    fs::write(path("notes.txt"), b"no picture").unwrap();
    fs::write(path("mine.json"), b"{}").unwrap();
    fs::write(path(".DS_Store"), b"x").unwrap();
    // A scene is a picture of this program's, and no result.
    save_png_atomic(path("scene.png"), &image::RgbImage::new(4, 3)).unwrap();
    let pair = Pair::new(dir.path(), "img2.result").of_run("1f");
    let found = maskrcnn::Detections::new(4, 3, ["".into()].into(), Vec::new());
    pair.write(&image::RgbImage::new(4, 3), &coco::results(&found, "x"), false).unwrap();
    dir
}

/// The files that are found, without the folder, and the notices.
fn found(dir: &Path, named: &[&str], recursive: bool) -> (Vec<String>, Vec<String>) {
    let named: Vec<PathBuf> = named.iter().map(|n| dir.join(n)).collect();
    let sources = Sources::find(&named, recursive);
    let name = |source: &Source| source.path().strip_prefix(dir).unwrap().display().to_string().replace('\\', "/");
    (sources.all.iter().map(name).collect(), sources.notices)
}

const TOP: [&str; 7] = ["B.PNG", "broken.tif", "img1.bmp", "img2.png", "img10.png", "scan", "scene.png"];

#[test]
fn a_folder_gives_its_pictures_in_the_order_of_their_numbers() {
    let dir = folder();
    let (files, notices) = found(dir.path(), &[""], false);
    assert_eq!(files, TOP);
    assert_eq!(notices.len(), 1);
    for part in ["2 files that are no images", "2 results of this program", "2 folders (--recursive looks into them)"] {
        assert!(notices[0].contains(part), "{notices:?}");
    }
    let (files, notices) = found(dir.path(), &[""], true);
    assert_eq!(files[..3], ["B.PNG", "below/deeper/y.png", "below/x.png"]);
    assert_eq!(files[3..], TOP[1..]);
    assert!(!notices[0].contains("folder"), "{notices:?}");
    let empty = Sources::find(&[dir.path().join("empty")], false);
    assert!(empty.all[0].check().unwrap_err().to_string().contains("directory without images"));
    let only = Sources::find(&[dir.path().join("below")], false);
    assert_eq!(only.all.len(), 1);
}

#[cfg(unix)]
#[test]
fn links_in_a_circle_end() {
    let dir = folder();
    std::os::unix::fs::symlink(dir.path(), dir.path().join("below/up")).unwrap();
    std::os::unix::fs::symlink("nowhere.png", dir.path().join("below/gone.png")).unwrap();
    assert_eq!(found(dir.path(), &[""], true).0.len(), TOP.len() + 2);
}

#[test]
fn patterns_are_filled_in_unless_a_file_has_that_name() {
    let dir = folder();
    assert_eq!(found(dir.path(), &["img*"], false).0, ["img1.bmp", "img2.png", "img10.png"]);
    assert_eq!(found(dir.path(), &["**/*.png"], false).0.len(), 5);
    assert_eq!(found(dir.path(), &["img[12].*"], false).0, ["img1.bmp", "img2.png"]);
    assert_eq!(found(dir.path(), &["be*"], true).0, ["below/deeper/y.png", "below/x.png"]);
    fs::copy(dir.path().join("img1.bmp"), dir.path().join("img[1].bmp")).unwrap();
    assert_eq!(found(dir.path(), &["img[1].bmp"], false).0, ["img[1].bmp"]);
    for (pattern, part) in [("none*", "it matches none"), ("no*", "matches no image"), ("a[", "no pattern")] {
        let sources = Sources::find(&[dir.path().join(pattern)], false);
        let text = sources.all[0].check().unwrap_err().to_string();
        assert!(sources.all.len() == 1 && text.contains(part) && text.contains(pattern), "{text}");
    }
}

#[test]
fn lists_name_paths_from_their_folder_on() {
    let dir = folder();
    let list = dir.path().join("below/list.txt");
    let named = || vec![PathBuf::from(format!("@{}", list.display()))];
    fs::write(&list, "\u{feff}# pictures\r\n../img2.png\r\n\r\n  x.png \nmissing.png\ndeeper\n../img1*\n").unwrap();
    let names: Vec<String> = Sources::find(&named(), false)
        .all
        .iter()
        .map(|s| s.path().strip_prefix(dir.path()).unwrap().display().to_string().replace('\\', "/"))
        .collect();
    let want = ["below/../img2.png", "below/x.png", "below/missing.png", "below/deeper/y.png"];
    assert_eq!(names[..4], want);
    assert_eq!(names[4..], ["below/../img1.bmp", "below/../img10.png"]);
    for (bytes, part) in [(&b"# none\n"[..], "names no picture"), (b"\xff\xfe", "UTF-8")] {
        fs::write(&list, bytes).unwrap();
        let text = Sources::find(&named(), false).all[0].check().unwrap_err().to_string();
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn pictures_need_no_command() {
    let dir = folder();
    let is_command = |name: &str| ["detect", "scene", "help"].contains(&name);
    let with = |args: &[&str]| -> Vec<String> {
        let args = ["maskrcnn"].iter().chain(args).map(OsString::from).collect();
        with_command(args, is_command).into_iter().map(|a| a.into_string().unwrap()).collect()
    };
    let here = dir.path().display().to_string();
    for first in ["x.png", "X.TIFF", "-", "@list", "data/*", &here] {
        assert_eq!(with(&[first, "--score", "0.9"]), ["maskrcnn", "detect", first, "--score", "0.9"]);
    }
    // Options, commands, and what may be one that was mistyped.
    for first in ["detect", "help", "scene", "detcet", "--version", "-h", "recognise"] {
        assert_eq!(with(&[first, "x.png"]), ["maskrcnn", first, "x.png"]);
    }
    assert_eq!(with(&[]), ["maskrcnn"]);
    assert!(with_command(Vec::new(), is_command).is_empty());
}
