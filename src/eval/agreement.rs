//! Two results files against each other: for who runs a network elsewhere, and wants the same answers.

use std::collections::BTreeMap;

use super::coco::by_falling_score;
use super::region::Region;
use super::results::Results;
use crate::error::Result;
use crate::vision::coco::ImageId;

/// How much two results may differ and still be the same.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Results that score this or more must have a partner.
    pub score: f64,
    /// Pixels between corners of boxes, in x or y.
    pub corner: f64,
    /// Difference of scores.
    pub score_difference: f64,
    /// The IoU that masks have at least.
    pub iou: f64,
    /// Boxes alone are compared.
    pub boxes_only: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self { score: 0.1, corner: 0.5, score_difference: 0.005, iou: 0.98, boxes_only: false }
    }
}

/// How far two results files agree.
#[derive(Clone, Debug, Default)]
pub struct Agreement {
    /// Results of each side that must have a partner.
    pub counts: [usize; 2],
    /// Pairs, one to one.
    pub pairs: Vec<Difference>,
    /// Results without a partner, though they must have one; image by image, those of the first file first.
    pub unmatched: Vec<Unmatched>,
    /// How many of those lack it only as its score is below the limit on the other side.
    pub straddling: usize,
    /// Whether masks were compared.
    pub masks: bool,
    /// Images of either file.
    pub images: usize,
}

/// How two results of an image differ.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Their image.
    pub image: ImageId,
    /// The most that a corner's x or y differs, in pixels.
    pub corner: f64,
    /// Difference of scores.
    pub score: f64,
    /// IoU of the masks; 1 where none are compared.
    pub iou: f64,
}

/// A result without a partner.
#[derive(Clone, Debug, PartialEq)]
pub struct Unmatched {
    /// Its image.
    pub image: ImageId,
    /// The file that it is in: 0 or 1.
    pub side: usize,
    /// Its score.
    pub score: f64,
    /// Left, top, right, bottom in pixels.
    pub corners: [f64; 4],
    /// What sets it apart from the nearest box of the other file.
    pub because: String,
}

/// A result as it is compared.
struct Item {
    label: u32,
    score: f64,
    /// Left, top, right, bottom.
    corners: [f64; 4],
    mask: Option<Region>,
}

impl Agreement {
    /// Pairs the results of each image one to one, among those that differ no more than `limits`, the best mask IoU first,
    /// then the nearest box.
    ///
    /// # Errors
    /// [`Error::Dataset`](crate::Error::Dataset), naming the result whose mask is wrong or a polygon.
    pub fn new(a: Results, b: Results, limits: &Limits) -> Result<Self> {
        let mut images: BTreeMap<String, (Option<ImageId>, [Vec<Item>; 2])> = BTreeMap::new();
        let mut out = Self::default();
        for (side, mut results) in [a, b].into_iter().enumerate() {
            for at in 0..results.entries.len() {
                let segmentation = results.entries[at].segmentation.take().filter(|_| !limits.boxes_only);
                let mask = segmentation.map(|s| s.region(None)).transpose().map_err(|e| results.fault(at, e))?;
                out.masks |= mask.is_some();
                let entry = &results.entries[at];
                let bbox = entry.bbox.or_else(|| mask.as_ref().map(Region::bbox));
                let Some([x, y, w, h]) = bbox else {
                    return Err(results.fault(at, "has no bbox".into()));
                };
                let item = Item { label: entry.category_id, score: entry.score, corners: [x, y, x + w, y + h], mask };
                let image = images.entry(key(&entry.image_id)).or_default();
                image.0 = Some(entry.image_id.clone());
                image.1[side].push(item);
            }
        }
        out.images = images.len();
        for (image, mut sides) in images.into_values().filter_map(|(id, sides)| Some((id?, sides))) {
            sides.iter_mut().for_each(|side| by_falling_score(side, |item| item.score));
            out.add(image, &sides, limits);
        }
        Ok(out)
    }

    /// Twice the pairs over the results that must have a partner, of both files together; 1 where there are none.
    pub fn share(&self) -> f64 {
        let all = self.counts[0] + self.counts[1];
        if all == 0 { 1.0 } else { 2.0 * self.pairs.len() as f64 / all as f64 }
    }

    fn add(&mut self, image: ImageId, sides: &[Vec<Item>; 2], limits: &Limits) {
        let wanted = sides.each_ref().map(|side| side.partition_point(|item| item.score >= limits.score));
        let mut close = Vec::new();
        for (i, a) in sides[0][..wanted[0]].iter().enumerate() {
            for (j, b) in sides[1][..wanted[1]].iter().enumerate() {
                if let Some(difference) = same(a, b, limits) {
                    close.push((i, j, difference));
                }
            }
        }
        close.sort_by(|a, b| b.2.iou.total_cmp(&a.2.iou).then(a.2.corner.total_cmp(&b.2.corner)));
        let mut taken = sides.each_ref().map(|side| vec![false; side.len()]);
        for (i, j, Apart { corner, score, iou }) in close {
            if !taken[0][i] && !taken[1][j] {
                (taken[0][i], taken[1][j]) = (true, true);
                self.pairs.push(Difference { image: image.clone(), corner, score, iou });
            }
        }
        for side in 0..2 {
            self.counts[side] += wanted[side];
            let (own, other) = (&sides[side], &sides[1 - side]);
            for (_, item) in own[..wanted[side]].iter().enumerate().filter(|(i, _)| !taken[side][*i]) {
                let because = self.explain(item, other, &taken[1 - side], limits);
                let (score, corners) = (item.score, item.corners);
                self.unmatched.push(Unmatched { image: image.clone(), side, score, corners, because });
            }
        }
    }

    /// What the nearest box of the other file fails.
    fn explain(&mut self, item: &Item, other: &[Item], taken: &[bool], limits: &Limits) -> String {
        let distance = |o: &Item| corner(item, o);
        let nearest = other.iter().enumerate().min_by(|a, b| distance(a.1).total_cmp(&distance(b.1)));
        let Some((at, nearest)) = nearest else { return "nothing found there".into() };
        let apart = Apart::new(item, nearest);
        let below = nearest.score < limits.score;
        self.straddling += usize::from(below && same(item, nearest, limits).is_some());
        let reasons: Vec<String> = [
            (item.label != nearest.label, format!("class {}, not {}", nearest.label, item.label)),
            (apart.corner > limits.corner, "box differs".into()),
            (apart.score > limits.score_difference, format!("score differs {:.4}", apart.score)),
            (item.mask.is_some() != nearest.mask.is_some(), "a mask on one side only".into()),
            (
                item.mask.is_some() && nearest.mask.is_some() && apart.iou < limits.iou,
                format!("mask IoU {:.4}", apart.iou),
            ),
            (below, "below the score there".into()),
            (taken[at], "taken by another".into()),
        ]
        .into_iter()
        .filter_map(|(failed, text)| failed.then_some(text))
        .collect();
        format!("nearest scores {:.4}, corner {:.3} px: {}", nearest.score, apart.corner, reasons.join(", "))
    }
}

/// Numbers before names, each in order.
fn key(id: &ImageId) -> String {
    match id {
        ImageId::Number(n) => format!("{n:020}"),
        ImageId::Name(name) => format!("~{name}"),
    }
}

struct Apart {
    corner: f64,
    score: f64,
    iou: f64,
}

impl Apart {
    fn new(a: &Item, b: &Item) -> Self {
        let iou = match (&a.mask, &b.mask) {
            (None, None) => 1.0,
            (Some(x), Some(y)) if (x.rle().height, x.rle().width) != (y.rle().height, y.rle().width) => 0.0,
            // Two empty masks agree.
            (Some(x), Some(y)) if x.area() == 0 && y.area() == 0 => 1.0,
            (Some(x), Some(y)) => x.iou(y, false),
            _ => 0.0,
        };
        Self { corner: corner(a, b), score: (a.score - b.score).abs(), iou }
    }
}

fn corner(a: &Item, b: &Item) -> f64 {
    a.corners.iter().zip(b.corners).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max)
}

/// How two results differ that may be the same.
fn same(a: &Item, b: &Item, limits: &Limits) -> Option<Apart> {
    // Masks last: most pairs are far apart.
    let near =
        a.label == b.label && corner(a, b) <= limits.corner && (a.score - b.score).abs() <= limits.score_difference;
    near.then(|| Apart::new(a, b)).filter(|apart| apart.iou >= limits.iou)
}
