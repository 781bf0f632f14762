//! Masks of annotations and results, in the three forms that COCO has.

use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};

use crate::error::Result;
use crate::vision::Rle;

/// Corners further out than this, in pixels, are no image's.
const FARTHEST: f64 = 1e6;

/// A mask as a file has it.
#[derive(Clone, Debug, PartialEq)]
pub enum Segmentation {
    /// Outlines, each as x, y, x, y, …, in pixels; the mask is what is inside of any.
    Polygons(Vec<Vec<f64>>),
    /// Runs of pixels.
    Runs {
        /// The image's height and width in pixels.
        size: [u32; 2],
        /// Their lengths.
        counts: Counts,
    },
}

/// The lengths of runs as a file has them.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Counts {
    /// COCO's compressed string.
    Text(String),
    /// Numbers.
    Numbers(Vec<u32>),
}

#[derive(Deserialize)]
struct Runs {
    size: [u32; 2],
    counts: Counts,
}

impl<'de> Deserialize<'de> for Segmentation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Forms)
    }
}

/// Tells the forms apart by what they begin with, without a copy of the numbers.
struct Forms;

impl<'de> Visitor<'de> for Forms {
    type Value = Segmentation;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a mask: a list of polygons, or run lengths as {\"size\": [height, width], \"counts\": …}")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Segmentation, A::Error> {
        let mut polygons = Vec::new();
        while let Some(polygon) = list.next_element()? {
            polygons.push(polygon);
        }
        Ok(Segmentation::Polygons(polygons))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Segmentation, A::Error> {
        let Runs { size, counts } = Runs::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Segmentation::Runs { size, counts })
    }
}

impl From<Rle> for Segmentation {
    fn from(rle: Rle) -> Self {
        Self::Runs { size: [rle.height, rle.width], counts: Counts::Numbers(rle.counts) }
    }
}

impl Segmentation {
    /// The mask in an image of that height and width. Where the size is not known, runs have one of their own.
    ///
    /// # Errors
    /// What is wrong with it, in words that follow its owner's name.
    pub fn region(self, size: Option<[u32; 2]>) -> Result<Region, String> {
        match self {
            Self::Runs { size: own, counts } => {
                let [h, w] = own;
                if let Some([height, width]) = size.filter(|&size| size != own) {
                    return Err(format!("its mask is {h}×{w} (height × width), and its image {height}×{width}"));
                }
                let rle = match counts {
                    Counts::Text(text) => Rle::from_compressed_string(h, w, &text),
                    Counts::Numbers(counts) => Rle::from_runs(h, w, counts),
                };
                rle.map(Region::new).map_err(|e| format!("its mask: {e}"))
            }
            Self::Polygons(polygons) => {
                let size = size.ok_or("its mask is a polygon, which takes the image's width and height to draw")?;
                let [height, width] = size;
                let part = |p: &Vec<f64>| Ok::<_, String>(Rle::from_polygon(height, width, &corners(p)?));
                let mut parts = polygons.iter().map(part);
                let first = parts.next().unwrap_or_else(|| Ok(Rle::from_polygon(height, width, &[])))?;
                let all = parts.try_fold(first, |all, part| Ok::<_, String>(all.union(&part?)))?;
                Ok(Region::new(all))
            }
        }
    }
}

fn corners(polygon: &[f64]) -> Result<Vec<[f64; 2]>, String> {
    if polygon.len() < 6 || !polygon.len().is_multiple_of(2) {
        return Err(format!("a polygon of {} numbers: it takes x and y of three corners or more", polygon.len()));
    }
    if let Some(far) = polygon.iter().find(|v| v.abs() > FARTHEST) {
        return Err(format!("a polygon has a corner at {far}, which is outside of any image"));
    }
    Ok(polygon.chunks(2).map(|c| [c[0], c[1]]).collect())
}

/// A mask with what is asked of it again and again.
#[derive(Clone, Debug, PartialEq)]
pub struct Region {
    rle: Rle,
    area: u64,
    bounds: [u32; 4],
}

impl Region {
    pub(super) fn new(rle: Rle) -> Self {
        Self { area: rle.area(), bounds: rle.bounds(), rle }
    }

    /// The pixels of a box, x, y, width, height, in an image of that height and width.
    pub(super) fn of_box(&[x, y, w, h]: &[f64; 4], [height, width]: [u32; 2]) -> Self {
        let near = |v: f64| v.clamp(-FARTHEST, FARTHEST);
        let (x0, y0, x1, y1) = (near(x), near(y), near(x + w), near(y + h));
        Self::new(Rle::from_polygon(height, width, &[[x0, y0], [x0, y1], [x1, y1], [x1, y0]]))
    }

    /// The mask.
    pub fn rle(&self) -> &Rle {
        &self.rle
    }

    /// Its pixels.
    pub fn area(&self) -> u64 {
        self.area
    }

    /// The smallest box that holds it: x, y, width, height in pixels.
    pub fn bbox(&self) -> [f64; 4] {
        let [x0, y0, x1, y1] = self.bounds;
        [x0, y0, x1 - x0, y1 - y0].map(f64::from)
    }

    /// Pixels in common with another mask of the same image.
    pub fn intersection(&self, other: &Region) -> u64 {
        let ([ax0, ay0, ax1, ay1], [bx0, by0, bx1, by1]) = (self.bounds, other.bounds);
        // Most pairs of an image are far apart.
        if ax0 >= bx1 || bx0 >= ax1 || ay0 >= by1 || by0 >= ay1 { 0 } else { self.rle.intersection(&other.rle) }
    }

    /// Intersection over union, 0 to 1; over the pixels of this one where the other is a crowd. Two masks without a pixel
    /// have 0.
    pub fn iou(&self, other: &Region, crowd: bool) -> f64 {
        let both = self.intersection(other);
        let any = if crowd { self.area } else { self.area + other.area - both };
        if both == 0 { 0.0 } else { both as f64 / any as f64 }
    }
}

/// The same of boxes, x, y, width, height.
pub(super) fn box_iou(a: &[f64; 4], b: &[f64; 4], crowd: bool) -> f64 {
    let side = |i: usize| (a[i] + a[i + 2]).min(b[i] + b[i + 2]) - a[i].max(b[i]);
    let (w, h) = (side(0), side(1));
    if w <= 0.0 || h <= 0.0 {
        return 0.0;
    }
    let (both, own, other) = (w * h, a[2] * a[3], b[2] * b[3]);
    both / if crowd { own } else { own + other - both }
}
