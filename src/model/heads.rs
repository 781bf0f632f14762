//! Box head, class NMS, mask head and paste (torchvision, `models/detection/roi_heads.py`).

use std::sync::Arc;

use super::pyramid::{Part, Pyramid};
use super::rpn::Rois;
use super::{Builder, Config, MaskOutputs, Outputs, Room};
use crate::Result;
use crate::graph::Tensor;
use crate::kernels::class_decode::ClassDecode;
use crate::kernels::collect::Collect;
use crate::kernels::deconv2d::Deconv2d;
use crate::kernels::linear::Linear;
use crate::kernels::mask_predict::MaskPredict;
use crate::kernels::nms::Nms;
use crate::kernels::paste::Paste;
use crate::kernels::paste_layout::PasteLayout;
use crate::kernels::predict::{self, Predict};
use crate::kernels::roi_align::{Pooling, RoiAlign};
use crate::kernels::softmax::Softmax;
use crate::kernels::topk::TopK;
use crate::tensor::Value;
use crate::weights::{BoxHeadWeights, MaskHeadWeights};

/// The side of a RoI that belongs on P4 (FPN paper, equation 1).
const CANONICAL_SIDE: f32 = 224.0;

/// What the box head found. n is the configuration's detections an image.
pub(super) struct Found {
    /// `[B,n,4]`, pixels of the resized image.
    boxes: Tensor,
    /// `[B,1,n]`.
    scores: Tensor,
    /// `[B,n]`.
    labels: Tensor,
    /// `[B,1]`.
    pub(super) counts: Tensor,
}

/// RoIAlign of `rois`, of which the first `live` of each image count.
fn align(
    b: &mut Builder,
    name: &str,
    config: &Config,
    room: &Room,
    (pooled, sampling): (usize, usize),
    pyramid: &Pyramid,
    [rois, live]: [Tensor; 2],
) -> Result<Tensor> {
    let scales = [0.25, 0.125, 0.0625, 0.03125].map(|s| s * (room.roi_shift as f32).exp2()).to_vec();
    // No RoI is on P6; a tensor of nothing else is not read.
    let parts: Vec<Part> = pyramid.parts.iter().filter(|p| p.first < scales.len()).copied().collect();
    let kernel = RoiAlign {
        pooled,
        sampling,
        aligned: config.roi_aligned,
        pooling: Pooling::Average,
        scales,
        canonical: CANONICAL_SIDE,
        maps: parts.iter().map(|p| p.levels).collect(),
    };
    let inputs: Vec<Tensor> = [rois, live].into_iter().chain(parts.iter().map(|p| p.tensor)).collect();
    b.g.op1(name, kernel, &inputs)
}

/// Detections from proposals.
pub(super) fn boxes(
    b: &mut Builder,
    config: &Config,
    weights: &BoxHeadWeights,
    pyramid: &Pyramid,
    proposals: &Rois,
    room: &Room,
    frames: Tensor,
) -> Result<Found> {
    let (head, live, rois) = (&config.box_head, proposals.counts, proposals.boxes);
    b.g.stage("box RoIAlign");
    let mut x = align(b, "box.align", config, room, (head.roi_size, head.sampling_ratio), pyramid, [rois, live])?;
    b.tap("box.features", x);
    b.g.stage("box head");
    for (i, conv) in weights.convs.iter().enumerate() {
        x = b.g.conv2d(&format!("box.conv{i}"), x, &conv.weight, &conv.bias).pad(1).relu().live(live).done()?;
    }
    if !weights.convs.is_empty() {
        b.tap("box.conv", x);
    }
    for (i, fc) in weights.fcs.iter().enumerate() {
        // Counted as in the papers, where the first five layers are convolutions of the body.
        let name = format!("box.fc{}", 6 + i);
        let weight = b.g.constant(&format!("{name}.weight"), fc.weight.clone());
        let bias = b.g.constant(&format!("{name}.bias"), fc.bias.clone());
        x = b.g.op1(&name, Linear { relu: true, live: true }, &[x, weight, bias, live])?;
        b.tap(name, x);
    }
    let weight = b.g.constant("box.predict.weight", weights.predictor.weight.clone());
    let bias = b.g.constant("box.predict.bias", weights.predictor.bias.clone());
    let predict = Predict { parts: weights.predictor.rows.map(|k| predict::Part::dense(x.dim(0), k)), live: true };
    let predicted = b.g.op("box.predict", predict, &[x, weight, bias, live])?;
    let (logits, deltas) = (predicted[0], predicted[1]);
    b.tap("box.logits", logits);
    b.tap("box.deltas", deltas);

    b.g.stage("class NMS");
    let probabilities = b.g.op1("box.softmax", Softmax { live: true }, &[logits, live])?;
    let decode = ClassDecode { weights: head.reg_weights, threshold: head.score_thresh, min_size: head.min_size };
    let candidates = b.g.op("box.decode", decode, &[probabilities, deltas, rois, live, frames])?;
    let (n, groups) = (rois.dim(1), config.num_classes - 1);
    let segments = (0..groups).flat_map(|c| [(c * n) as u32, n as u32]).collect();
    let segments = b.g.constant("box.segments", Arc::new(Value::u32([groups, 2], segments)));
    let sorted = b.g.op("box.sort", TopK { k: n }, &[candidates[1], segments])?;
    // The sort's indices count within a class, so its boxes are gathered class by class.
    let in_order = b.g.op1("box.gather", crate::kernels::gather_groups::GatherGroups, &[sorted[1], candidates[0]])?;
    let kept = b.g.op1("box.nms", Nms { threshold: head.nms_thresh }, &[in_order, sorted[0], sorted[2]])?;
    let all = b.g.constant("box.all", Arc::new(Value::u32([1, 2], vec![0, (groups * n) as u32])));
    let best = b.g.op("box.best", TopK { k: head.detections_per_img }, &[kept, all])?;
    let chosen = b.g.op("box.collect", Collect, &[best[1], in_order])?;
    let found = Found { boxes: chosen[0], scores: best[0], labels: chosen[1], counts: best[2] };
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

/// Masks of the detections, and everything in original pixels.
pub(super) fn masks(
    b: &mut Builder,
    config: &Config,
    weights: Option<&MaskHeadWeights>,
    pyramid: &Pyramid,
    found: &Found,
    room: &Room,
    frames: Tensor,
) -> Result<Outputs> {
    let live = found.counts;
    let side = config.mask.as_ref().map_or(1, |m| m.output_size);
    let mut soft = None;
    if let (Some(head), Some(weights)) = (&config.mask, weights) {
        b.g.stage("mask RoIAlign");
        let sizes = (head.roi_size, head.sampling_ratio);
        let mut x = align(b, "mask.align", config, room, sizes, pyramid, [found.boxes, live])?;
        b.tap("mask.features", x);
        b.g.stage("mask head");
        for (i, conv) in weights.convs.iter().enumerate() {
            x = b.g.conv2d(&format!("mask.conv{i}"), x, &conv.weight, &conv.bias).pad(1).relu().live(live).done()?;
        }
        b.tap("mask.conv", x);
        let weight = b.g.constant("mask.deconv.weight", weights.deconv.weight.clone());
        let bias = b.g.constant("mask.deconv.bias", weights.deconv.bias.clone());
        let deconv = Deconv2d { stride: 2, pad: 0, relu: true, live: true };
        x = b.g.op1("mask.deconv", deconv, &[x, weight, bias, live])?;
        b.tap("mask.deconv", x);
        let weight = b.g.constant("mask.logits.weight", weights.logits.weight.clone());
        let bias = b.g.constant("mask.logits.bias", weights.logits.bias.clone());
        let probabilities = b.g.op1("mask.predict", MaskPredict, &[x, weight, bias, found.labels, live])?;
        b.tap("mask.probs", probabilities);
        soft = Some((probabilities, head.threshold));
    }

    b.g.stage("paste");
    let layout = b.g.op("paste.layout", PasteLayout { mask_side: side }, &[found.boxes, live, frames])?;
    let masks = match soft {
        None => None,
        Some((soft, threshold)) => {
            let paste = Paste { capacity: room.mask_words, threshold };
            let bits = b.g.op1("paste", paste, &[soft, layout[1], live])?;
            Some(MaskOutputs { places: layout[1], soft, bits })
        }
    };
    Ok(Outputs { header: layout[2], boxes: layout[0], scores: found.scores, labels: found.labels, masks })
}
