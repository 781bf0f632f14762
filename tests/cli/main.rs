//! The program as a user meets it: what it writes, what it says, and how it ends. Pictures are small and narrow, so
//! that a run takes a second.
#![cfg(all(feature = "cli", feature = "embedded-model"))]

mod arguments;
mod compare;
mod detections;
mod devices;
mod evaluation;
mod evolve;
mod given;
mod killed;
mod long;
mod loss;
mod names;
mod outputs;
mod places;
mod predicted;
mod printing;
#[path = "../common/program.rs"]
mod program;
mod propose;
mod reading;
mod readme;
#[path = "../common/skipped.rs"]
mod skipped;
mod sources;
mod stats;
mod tiles;
mod video;
mod weights;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use image::{DynamicImage, RgbImage};
use maskrcnn::engine::vision::coco::CocoResult;
use program::{Ran, program, quick};

fn run(dir: &Path, args: &[&str]) -> Ran {
    Ran::new(program().current_dir(dir).args(quick(args)).output().unwrap())
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

fn save(dir: &Path, name: &str, image: impl Into<DynamicImage>) {
    image.into().save(dir.join(name)).unwrap();
}
