//! What is left of logits and deltas: class NMS, and everything in original pixels.

use std::sync::Arc;

use super::heads::BoxOutputs;
use super::{Builder, MaskOutputs, Outputs};
use crate::Result;
use crate::config::{BoxRule, Config, DeltaLimit, Extents, PasteRule, Suppression};
use crate::graph::Tensor;
use crate::ops::class_decode::ClassDecode;
use crate::ops::collect::Collect;
use crate::ops::gather_groups::GatherGroups;
use crate::ops::move_ends::MoveEnds;
use crate::ops::nms::Nms;
use crate::ops::paste::Paste;
use crate::ops::paste_layout::{PasteLayout, Pasting};
use crate::ops::rpn_decode::Coder;
use crate::ops::soft_nms::{Decay, SoftNms};
use crate::ops::softmax::Softmax;
use crate::tensor::Value;

/// Detections from logits `[B·n,K]` and deltas `[B·n,4K]` of `rois` `[B,n,4]`, of which the first `live` of each image count.
pub(super) fn of_classes(
    b: &mut Builder,
    config: &Config,
    [logits, deltas]: [Tensor; 2],
    [rois, live]: [Tensor; 2],
    frames: Tensor,
) -> Result<BoxOutputs> {
    let head = &config.box_head;
    b.g.stage("class NMS");
    let probabilities = b.g.op1("box.softmax", Softmax { live: true }, &[logits, live])?;
    let normalized = config.box_rule == BoxRule::Normalized;
    let decode = ClassDecode {
        weights: head.reg_weights,
        threshold: head.score_thresh,
        min_size: head.min_size,
        coder: coder(config),
        short: if normalized { 1.0 } else { 0.0 },
        best: head.best_class,
        in_image: config.extents == Extents::InclusiveInImage,
    };
    let candidates = b.g.op("box.decode", decode, &[probabilities, deltas, rois, live, frames])?;
    let (n, groups) = (rois.dim(1), config.num_classes - 1);
    let segments = (0..groups).flat_map(|c| [(c * n) as u32, n as u32]).collect();
    let segments = b.g.constant("box.segments", Arc::new(Value::u32([groups, 2], segments)));
    let sorted = b.g.top_k("box.sort", n, [candidates[1], segments])?;
    // The sort's indices count within a class, so its boxes are gathered class by class.
    let in_order = b.g.op1("box.gather", GatherGroups, &[sorted[1], candidates[0]])?;
    let in_order = corners_before_nms(b, config, "box.corners", in_order, frames)?;
    let (ranked, least) = ([in_order, sorted[0], sorted[2]], head.score_thresh);
    let decay = match head.suppression {
        Suppression::Hard => None,
        Suppression::Linear => Some(Decay::Linear(config.passed(head.nms_thresh))),
        Suppression::Gaussian => Some(Decay::Gaussian(head.soft_nms_sigma)),
    };
    let kept = match decay {
        None => b.g.op1("box.nms", hard(config, head.nms_thresh), &ranked)?,
        Some(decay) => b.g.op1("box.nms", SoftNms { decay, least }, &ranked)?,
    };
    let all = b.g.constant("box.all", Arc::new(Value::u32([1, 2], vec![0, (groups * n) as u32])));
    let best = b.g.top_k("box.best", head.detections_per_img, [kept, all])?;
    let chosen = b.g.op("box.collect", Collect, &[best[1], in_order])?;
    let boxes = corners_after_nms(b, config, "box.corners", chosen[0], (true, frames))?;
    let found = BoxOutputs { boxes, scores: best[0], labels: chosen[1], counts: best[2], candidates: Some(kept) };
    for (name, t) in [
        ("det.boxes", found.boxes),
        ("det.scores", found.scores),
        ("det.labels", found.labels),
        ("det.count", found.counts),
    ] {
        b.tap(name, t);
    }
    Ok(found)
}

/// NMS that drops boxes at `threshold`, by a network's rules.
pub(super) fn hard(config: &Config, threshold: f32) -> Nms {
    // Of a box less than a pixel wide, the corners that ONNX Runtime is given lie the wrong way round; it turns them.
    Nms { threshold: config.passed(threshold), any_corners: config.extents == Extents::InclusiveButOverlaps }
}

/// How a network's deltas are read.
pub(super) fn coder(config: &Config) -> Coder {
    let extent = config.extent();
    match config.delta_limit {
        DeltaLimit::Above => Coder { extent, ..Coder::PLAIN },
        DeltaLimit::Both => Coder { extent, ..Coder::BOTH },
        DeltaLimit::None => Coder { extent, ..Coder::FREE },
    }
}

/// Boxes that are as wide as their corners are apart, with the corners that the network's rules give them, where overlaps are of
/// these; otherwise as they are.
pub(super) fn corners_before_nms(
    b: &mut Builder,
    config: &Config,
    name: &str,
    boxes: Tensor,
    frames: Tensor,
) -> Result<Tensor> {
    if config.extents != Extents::InclusiveButOverlaps {
        return Ok(boxes);
    }
    b.g.op1(name, MoveEnds { by: -config.extent(), in_image: false }, &[boxes, frames])
}

/// The same where overlaps are of the former; of classes, in the pixels that those count.
pub(super) fn corners_after_nms(
    b: &mut Builder,
    config: &Config,
    name: &str,
    boxes: Tensor,
    (of_classes, frames): (bool, Tensor),
) -> Result<Tensor> {
    if matches!(config.extents, Extents::Exclusive | Extents::InclusiveButOverlaps) {
        return Ok(boxes);
    }
    let in_image = of_classes && config.extents == Extents::InclusiveInImage;
    b.g.op1(name, MoveEnds { by: -config.extent(), in_image }, &[boxes, frames])
}

/// How a network's masks come into the image.
pub(crate) fn pasting(config: &Config) -> Pasting {
    match config.paste {
        PasteRule::Enlarged => Pasting::Enlarged,
        PasteRule::Sampled => Pasting::Sampled,
        PasteRule::Whole => Pasting::Whole,
    }
}

/// What was found, in original pixels: with the masks of `side` that `soft` has with their threshold, in room for `words` of
/// bits an image.
pub(super) fn results(
    b: &mut Builder,
    config: &Config,
    found: &BoxOutputs,
    (anchors, soft): (Option<[Tensor; 2]>, Option<(Tensor, f32)>),
    (side, words): (usize, usize),
    frames: Tensor,
) -> Result<Outputs> {
    let live = found.counts;
    b.g.stage("paste");
    let pasting = pasting(config);
    let layout = b.g.op("paste.layout", PasteLayout { mask_side: side, pasting }, &[found.boxes, live, frames])?;
    let masks = match soft {
        None => None,
        Some((soft, threshold)) => {
            let paste = Paste { capacity: words, first: 0, threshold, pasting };
            let boxes = (pasting == Pasting::Sampled).then_some(layout[0]);
            let inputs: Vec<Tensor> = [soft, layout[1], live].into_iter().chain(boxes).collect();
            let bits = b.g.op1("paste", paste, &inputs)?;
            Some(MaskOutputs { places: layout[1], soft, bits })
        }
    };
    Ok(Outputs {
        header: layout[2],
        boxes: layout[0],
        scores: found.scores,
        labels: found.labels,
        candidates: found.candidates,
        anchors,
        masks,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corners_are_turned_where_onnx_runtime_turns_them() {
        let nms = |extents| hard(&Config { extents, ..Config::default() }, 0.5);
        let told = |nms: Nms| (nms.threshold, nms.any_corners);
        assert_eq!(told(nms(Extents::Exclusive)), (0.5, false));
        assert_eq!(told(nms(Extents::Inclusive)), (0.5f32.next_down(), false));
        assert_eq!(told(nms(Extents::InclusiveInImage)), (0.5f32.next_down(), false));
        assert_eq!(told(nms(Extents::InclusiveButOverlaps)), (0.5, true));
    }
}
