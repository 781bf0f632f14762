//! What a network found in one image.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

use crate::vision::mask::Mask;

/// One instance found.
#[derive(Clone, Debug, PartialEq)]
pub struct Detection {
    /// `[x1, y1, x2, y2]` in pixels of the original image, edges rather than centres: the whole image is `[0, 0, w, h]`.
    pub bbox: [f32; 4],
    /// The network's confidence, 0 to 1.
    pub score: f32,
    /// The class, as an index into [`Detections::classes`]; 0 is the background and never found.
    pub label: u32,
    /// The pixels of the original image; [empty](Mask::is_empty) where the model gives boxes only.
    pub mask: Mask,
    /// The mask before it was cut at its threshold, where that was asked for
    /// ([`Options::soft_masks`](crate::Options::soft_masks)).
    pub soft: Option<SoftMask>,
}

/// How likely each part of a detection's box is its object's, as the network's mask head says: a square of cells laid over
/// the box, of which [`Detection::mask`] is the enlargement, cut at the configuration's threshold.
#[derive(Clone, Debug, PartialEq)]
pub struct SoftMask {
    /// Rows, and cells of a row: 28 in most networks.
    pub side: usize,
    /// Probabilities, 0 to 1, row by row.
    pub values: Vec<f32>,
}

/// All instances found in an image, by falling score. Derefs to the slice of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Detections {
    /// Width of the original image in pixels.
    pub width: u32,
    /// Height of the original image in pixels.
    pub height: u32,
    /// Class names by label; 0 is the background.
    pub classes: Arc<[String]>,
    /// The instances, by falling score; of boxes that were given, in their order.
    pub items: Vec<Detection>,
    /// Scores, falling, of further instances that were found, and for which the settings had no room
    /// (`box.detections_per_img`).
    pub left_out: Vec<f32>,
    /// Whether more likely objects were proposed than the settings let through (`rpn.pre_nms_top_n`,
    /// `rpn.post_nms_top_n`): there may be instances that nothing looked at.
    pub crowded: bool,
}

impl Detections {
    /// Sorts `items` by falling score; equal scores keep their order.
    pub fn new(width: u32, height: u32, classes: Arc<[String]>, mut items: Vec<Detection>) -> Self {
        items.sort_by(|a, b| b.score.total_cmp(&a.score));
        Self { width, height, classes, items, left_out: Vec::new(), crowded: false }
    }

    /// The name of class `label`, or "class N" for one that has no name.
    pub fn name(&self, label: u32) -> Cow<'_, str> {
        match self.classes.get(label as usize) {
            Some(name) if !name.is_empty() => Cow::Borrowed(name),
            _ => Cow::Owned(format!("class {label}")),
        }
    }

    /// Those that score `score` or more.
    pub fn above(&self, score: f32) -> Self {
        let items = self.items.iter().filter(|d| d.score >= score).cloned().collect();
        let left_out = self.left_out.iter().copied().filter(|&s| s >= score).collect();
        Self { items, left_out, classes: self.classes.clone(), ..*self }
    }

    /// The same in a version of the image of another size: boxes and masks as large as they are there. Each pixel of a mask
    /// takes what is at its centre.
    pub fn scaled_to(&self, width: u32, height: u32) -> Self {
        let (sx, sy) = (f64::from(width) / f64::from(self.width), f64::from(height) / f64::from(self.height));
        let scaled = |d: &Detection| {
            let [x1, y1, x2, y2] = d.bbox;
            let bbox = [(x1, sx), (y1, sy), (x2, sx), (y2, sy)].map(|(v, scale)| (f64::from(v) * scale) as f32);
            let mask = d.mask.scaled((sx, sy), (width, height));
            Detection { bbox, mask, soft: d.soft.clone(), ..*d }
        };
        let items = self.items.iter().map(scaled).collect();
        let (classes, left_out) = (self.classes.clone(), self.left_out.clone());
        Self { width, height, classes, items, left_out, crowded: self.crowded }
    }

    /// `(label, number of instances)` of each class found, the most frequent first, then by label.
    pub fn counts_by_class(&self) -> Vec<(u32, usize)> {
        let mut counts = BTreeMap::new();
        for d in &self.items {
            *counts.entry(d.label).or_insert(0) += 1;
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_by_key(|&(_, n)| std::cmp::Reverse(n));
        counts
    }

    /// Each instance's number within its class, from 1, by falling score: what the overlay
    /// writes beside it.
    pub fn numbers(&self) -> Vec<usize> {
        let mut seen = BTreeMap::new();
        self.items
            .iter()
            .map(|d| {
                let n = seen.entry(d.label).or_insert(0);
                *n += 1;
                *n
            })
            .collect()
    }

    /// Whether the model gives masks, told from what it found.
    pub fn has_masks(&self) -> bool {
        self.items.iter().any(|d| !d.mask.is_empty())
    }
}

impl Deref for Detections {
    type Target = [Detection];

    fn deref(&self) -> &[Detection] {
        &self.items
    }
}

impl IntoIterator for Detections {
    type Item = Detection;
    type IntoIter = std::vec::IntoIter<Detection>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.into_iter()
    }
}

impl<'a> IntoIterator for &'a Detections {
    type Item = &'a Detection;
    type IntoIter = std::slice::Iter<'a, Detection>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found() -> Detections {
        let one = |score, label| Detection { bbox: [0.0; 4], score, label, mask: Mask::default(), soft: None };
        let classes = ["background", "cat", "dog"].map(String::from).into();
        Detections::new(10, 10, classes, vec![one(0.2, 1), one(0.9, 2), one(0.5, 7), one(0.7, 2), one(0.7, 1)])
    }

    #[test]
    fn classes_without_a_name_are_numbered() {
        let d = Detections::new(1, 1, ["background", "", "dog"].map(String::from).into(), Vec::new());
        assert_eq!([1, 2, 3].map(|label| d.name(label).into_owned()), ["class 1", "dog", "class 3"]);
    }

    #[test]
    fn sorted_by_score_and_numbered_within_a_class() {
        let d = found();
        assert_eq!(
            d.iter().map(|d| (d.score, d.label)).collect::<Vec<_>>(),
            [(0.9, 2), (0.7, 2), (0.7, 1), (0.5, 7), (0.2, 1)]
        );
        assert_eq!(d.numbers(), [1, 2, 1, 1, 2]);
        assert_eq!((&d).into_iter().len(), d.clone().into_iter().len());
    }

    #[test]
    fn names_counts_and_thresholds() {
        let d = found();
        assert_eq!([d.name(1), d.name(7)], ["cat", "class 7"]);
        assert_eq!(d.counts_by_class(), [(1, 2), (2, 2), (7, 1)]);
        assert_eq!((d.above(0.7).len(), d.above(1.1).len()), (3, 0));
        assert!(!d.has_masks());
        let d = Detections { left_out: vec![0.2, 0.15, 0.1], crowded: true, ..d };
        assert_eq!(
            (d.above(0.15).left_out, d.above(0.5).left_out, d.above(0.5).crowded),
            (vec![0.2, 0.15], vec![], true)
        );
    }
}
