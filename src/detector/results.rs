//! From a network's results to detections.

use crate::compiled::OutputValues;
use crate::ops::topk::NONE;
use crate::tensor::Value;
use crate::vision::{Detection, Mask, SoftMask};

/// The logit from which on the RPN takes an anchor for an object: 0.9. With the default model, the weakest of the anchors
/// that NMS was given of a level had -1.5 at most in an image of 84 nuclei, and 9.3 in one of 1,500.
const LIKELY: f32 = 2.197;

/// What was found in an image.
#[derive(Default)]
pub(super) struct ImageResult {
    pub items: Vec<Detection>,
    pub left_out: Vec<f32>,
    pub crowded: bool,
}

impl ImageResult {
    /// What is in each image of a run: a mask for each detection, made of at most `most` proposals.
    pub(super) fn of(values: &OutputValues, masks: Vec<Vec<Mask>>, most: usize) -> Vec<Self> {
        masks.into_iter().enumerate().map(|(image, masks)| Self::in_image(values, image, masks, most)).collect()
    }

    fn in_image(v: &OutputValues, image: usize, masks: Vec<Mask>, most: usize) -> Self {
        let floats = |v| part(v, Value::floats(v), image);
        let [boxes, scores] = [&v.boxes, &v.scores].map(floats);
        let labels = part(&v.labels, v.labels.ints(), image);
        let items = masks.into_iter().enumerate().map(|(i, mask)| {
            let bbox = std::array::from_fn(|c| boxes[4 * i + c]);
            Detection { bbox, score: scores[i], label: labels[i], mask, soft: soft(v, image, i) }
        });
        let items: Vec<Detection> = items.collect();
        let candidates = v.candidates.as_ref().map_or(&[][..], floats);
        let mut left_out: Vec<f32> = candidates.iter().copied().filter(|&s| s > NONE).collect();
        left_out.sort_by(|a, b| b.total_cmp(a));
        left_out.drain(..items.len().min(left_out.len()));
        let crowded = v.anchors.as_ref().is_some_and(|[given, kept]| {
            let (anchors, proposals, k) = (floats(given), floats(kept), given.shape.dim(2));
            let likely = proposals.iter().filter(|&&logit| logit >= LIKELY).count();
            likely > most || anchors.chunks(k).any(|level| level[k - 1] >= LIKELY)
        });
        Self { items, left_out, crowded }
    }
}

/// The elements of a batch's value that are an image's.
fn part<'a, T>(value: &Value, elements: &'a [T], image: usize) -> &'a [T] {
    let one = elements.len() / value.shape.dim(0).max(1);
    &elements[one * image..one * (image + 1)]
}

/// The soft mask of detection `i` of an image, where it was asked for.
fn soft(v: &OutputValues, image: usize, i: usize) -> Option<SoftMask> {
    let all = v.masks.as_ref()?.soft.as_ref()?;
    let (most, side) = (v.labels.shape.dim(1), all.shape.dim(1));
    let cells = side * side;
    let values = all.floats().get(cells * (image * most + i)..)?.get(..cells)?.to_vec();
    Some(SoftMask { side, values })
}
