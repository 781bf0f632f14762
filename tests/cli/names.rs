//! What results are called by.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use maskrcnn::engine::vision::coco::ImageId;

use crate::{files, results, run, scene};

/// The id of each image, by its results' stem.
fn ids(dir: &Path, images: &[&str]) -> BTreeMap<String, ImageId> {
    let out = dir.join("out");
    let _ = fs::remove_dir_all(&out);
    run(dir, &[&["detect", "--out", "out", "--score", "0.1"], images].concat()).good();
    let files = files(&out);
    let stems = files.iter().filter_map(|f| f.strip_suffix(".json")).filter(|stem| *stem != "summary");
    stems
        .map(|stem| {
            let found = results(&out.join(format!("{stem}.json")));
            assert!(!found.is_empty() && found.iter().all(|r| r.image_id == found[0].image_id), "{stem}");
            (stem.to_string(), found[0].image_id.clone())
        })
        .collect()
}

#[test]
fn image_ids_are_distinct_and_stay() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    scene(dir, "7.png", (96, 24), 4);
    fs::create_dir(dir.join("two")).unwrap();
    for other in ["007.png", "two/7.png", "000000000042.png", "two/cell.png"] {
        fs::copy(dir.join("7.png"), dir.join(other)).unwrap();
    }
    let (number, name) = (ImageId::Number, |n: &str| ImageId::Name(n.into()));
    let all = ids(dir, &["007.png", "7.png", "000000000042.png", "two/cell.png"]);
    let want = [("007", name("007")), ("000000000042", number(42)), ("7", number(7)), ("cell", name("cell"))];
    assert_eq!(all, want.map(|(stem, id)| (stem.to_string(), id)).into());
    assert_eq!(ids(dir, &["7.png"])["7"], number(7), "another id alone");

    // One name in two folders: whoever comes first.
    let here = dir.canonicalize().unwrap().file_name().unwrap().to_str().unwrap().to_string();
    let want: BTreeMap<_, _> = [format!("{here}-7"), "two-7".into()].map(|n| (n.clone(), ImageId::Name(n))).into();
    assert_eq!(ids(dir, &["two/../two/7.png", "7.png"]), want);
    let ran = run(dir, &["detect", "7.png", "./7.png", "--out", "once"]).good();
    assert!(ran.err.contains("more than once") && files(&dir.join("once")).len() == 2, "{}", ran.err);
}
