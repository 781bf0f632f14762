//! Labels as Ultralytics' YOLO reads them for segmentation.

use std::fmt::Write as _;

use serde_json::json;

use super::labelme::INSET;
use super::{Lost, parts, shape};
use crate::vision::detections::Detections;

/// The text of a label file: a line an instance, the number of its class from 0 and one polygon, in shares of the image's
/// width and height. There are no holes and no second parts there: the largest part is taken. Outlines lie 0.01 pixels within
/// their pixels, so that what Ultralytics fills, cutting coordinates off, are the mask's own.
pub fn yolo(dets: &Detections) -> (String, Lost) {
    let mut lost = Lost::default();
    let mut out = String::new();
    for d in dets {
        let parts = parts(&shape(dets, d));
        // Of several equal ones the first.
        let Some(largest) = parts.iter().rev().max_by_key(|p| p.area()) else {
            lost.empty += 1;
            continue;
        };
        lost.holes += largest.holes.len();
        lost.parts += parts.len() - 1;
        lost.part_pixels += parts.iter().map(super::Part::area).sum::<u64>() - largest.area();
        let _ = write!(out, "{}", d.label.saturating_sub(1));
        for [x, y] in largest.shell.inset(INSET) {
            let _ = write!(out, " {:.8} {:.8}", x / f64::from(dets.width), y / f64::from(dets.height));
        }
        out.push('\n');
    }
    (out, lost)
}

/// The text of `data.yaml` for such labels: where pictures are, and the names of the classes by number.
pub fn yolo_names(classes: &[String]) -> String {
    let mut out = "# Pictures belong into images/, by the names of their labels: the folder of labels/ is looked for beside it.\n\
                   path: .\ntrain: images\nval: images\nnames:\n"
        .to_string();
    for (i, name) in classes.iter().enumerate().skip(1) {
        let name = if name.is_empty() { format!("class {i}") } else { name.clone() };
        // What JSON quotes, YAML reads.
        let _ = writeln!(out, "  {}: {}", i - 1, json!(name));
    }
    out
}
