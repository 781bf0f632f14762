//! What was found, as files that other programs open: pure functions from detections to bytes or text.
//!
//! | file | what comes out | who reads it |
//! |---|---|---|
//! | `contour` | a mask's outlines as rings of corners | the formats below |
//! | `measure` | area, centroid, perimeter, axes, intensities | tables |
//! | `dataset` | a COCO dataset | pycocotools, FiftyOne, CVAT |
//! | `labelme` | polygons, a file an image | LabelMe |
//! | `yolo` | normalised polygons, a file an image | Ultralytics |
//! | `geojson` | polygons with holes | QuPath |
//! | `imagej` | a zip of ROIs | ImageJ, Fiji |
//! | `labels` | a label map as TIFF | Cellpose, napari, ImageJ |
//! | `table` | CSV, a row an instance | spreadsheets, R, pandas |
//! | `cutout` | an instance alone, on nothing | whoever wants pictures |
//! | `page` | a contact sheet as HTML | a browser |
//!
//! Polygons run along the sides of pixels, so that their area is the mask's. A mask of several parts that do not share a
//! side has as many outer rings; what a format cannot hold is left out of it, and counted in [`Lost`].

mod base64;
mod contour;
mod cutout;
mod dataset;
mod geojson;
mod imagej;
mod labelme;
mod labels;
mod measure;
mod page;
mod page_text;
mod pixel_size;
mod table;
mod yolo;

use std::borrow::Cow;

pub use self::base64::base64;
pub use self::contour::{Part, Ring, parts};
pub use self::cutout::{cutout, jpeg_thumbnail};
pub use self::dataset::{Dataset, DatasetImage};
pub use self::geojson::geojson;
pub use self::imagej::imagej;
pub use self::labelme::labelme;
pub use self::labels::{LabelMap, label_map};
pub use self::measure::{Intensity, Measures, intensities, measures};
pub use self::page::{Entry, PAGE_END, page_entry, page_head};
pub use self::pixel_size::PixelSize;
pub use self::table::{csv_field, csv_header, csv_rows};
pub use self::yolo::{yolo, yolo_names};

use crate::vision::detections::{Detection, Detections};
use crate::vision::mask::Mask;

/// What a format has no room for, in all the instances of an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// Holes that are filled.
    pub holes: usize,
    /// Parts of masks that are left out, all but the largest of an instance.
    pub parts: usize,
    /// Pixels of those parts.
    pub part_pixels: u64,
    /// Instances of no pixel, which are left out.
    pub empty: usize,
}

/// The pixels of an instance: its mask, or those of its box where the model gives no masks, cut to the image.
pub fn shape<'a>(dets: &Detections, found: &'a Detection) -> Cow<'a, Mask> {
    let (right, low) = (found.mask.x.saturating_add(found.mask.w), found.mask.y.saturating_add(found.mask.h));
    if dets.has_masks() {
        if right <= dets.width && low <= dets.height {
            return Cow::Borrowed(&found.mask);
        }
        let (w, h) = (dets.width.saturating_sub(found.mask.x), dets.height.saturating_sub(found.mask.y));
        let (x, y, w, h) = (found.mask.x, found.mask.y, w.min(found.mask.w), h.min(found.mask.h));
        return Cow::Owned(Mask::from_fn(x, y, w, h, |px, py| found.mask.get(px, py)));
    }
    // A number that is none becomes 0.
    let to = |v: f32, high: u32| (v.round() as u32).min(high);
    let [x1, y1, x2, y2] = found.bbox;
    let (x0, y0) = (to(x1, dets.width), to(y1, dets.height));
    let (w, h) = (to(x2, dets.width).saturating_sub(x0), to(y2, dets.height).saturating_sub(y0));
    Cow::Owned(Mask::from_fn(x0, y0, w, h, |_, _| true))
}

/// The smallest rectangle that holds a mask's pixels: left, top, and past the right and the bottom. None of no pixel.
pub fn bounds(mask: &Mask) -> Option<[u32; 4]> {
    let mut out: Option<[u32; 4]> = None;
    for run in mask.runs() {
        let [x0, y0, x1, _] = out.unwrap_or([run.x0, run.y, run.x1, run.y]);
        out = Some([x0.min(run.x0), y0, x1.max(run.x1), run.y + 1]);
    }
    out
}

/// To so many places behind the point.
fn rounded(value: f64, places: i32) -> f64 {
    let unit = 10_f64.powi(places);
    (value * unit).round() / unit
}

/// A number of single precision as it is written, instead of with the digits that it gets in double precision.
fn as_written(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(f64::from(value))
}

#[cfg(test)]
mod tests;
