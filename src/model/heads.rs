//! Box head, class NMS, mask head and paste (torchvision, `models/detection/roi_heads.py`).

use std::sync::Arc;

use super::backbone;
use super::layer::Layer;
use super::pyramid::{Pyramid, PyramidTensor};
use super::rpn::Rois;
use super::{Builder, Capacity, MaskOutputs, Outputs};
use crate::Result;
use crate::config::{Config, MaskHead, Neck, RoiPooling, Suppression};
use crate::graph::Tensor;
use crate::ops::class_decode::ClassDecode;
use crate::ops::collect::Collect;
use crate::ops::deconv2d::Deconv2d;
use crate::ops::elementwise::Elementwise;
use crate::ops::linear::Linear;
use crate::ops::mask_predict::MaskPredict;
use crate::ops::mean_pool::MeanPool;
use crate::ops::nms::Nms;
use crate::ops::paste::Paste;
use crate::ops::paste_layout::PasteLayout;
use crate::ops::predict::{self, Predict};
use crate::ops::put_rows::PutRows;
use crate::ops::roi_align::{Pooling, RoiAlign};
use crate::ops::roi_levels::RoiLevels;
use crate::ops::roi_pool::{RoiPool, Rounding};
use crate::ops::soft_nms::{Decay, SoftNms};
use crate::ops::softmax::Softmax;
use crate::ops::take_rows::TakeRows;
use crate::tensor::{ELEMENT_BYTES, Value};
use crate::weights::{self, Body, BoxHeadWeights, MaskHeadWeights, NetworkWeights};

/// The side of a RoI that belongs on P4 (FPN paper, equation 1).
pub(crate) const CANONICAL_SIDE: f32 = 224.0;

/// What the box head found. n is the configuration's detections an image.
pub(super) struct BoxOutputs {
    /// `[B,n,4]`, pixels of the resized image.
    pub(super) boxes: Tensor,
    /// `[B,1,n]`.
    pub(super) scores: Tensor,
    /// `[B,n]`.
    pub(super) labels: Tensor,
    /// `[B,1]`.
    pub(super) counts: Tensor,
    /// `[B,classes,proposals]`: scores of all that passed the threshold and NMS; none where the boxes were given.
    pub(super) candidates: Option<Tensor>,
}

/// Most rows of a part: of several parts, each needs less memory for what lies between its layers.
const ROWS_OF_A_PART: usize = 512;

/// RoIs of an image that go through a head together, as (first, how many): all, or, where `elements` for each of them
/// would pass the least of bindings, part after part.
fn parts(rois: usize, elements: usize) -> Vec<(usize, usize)> {
    let most = (Capacity::LEAST_BINDING / (elements * ELEMENT_BYTES)).max(1);
    let parts = if rois <= most { 1 } else { rois.div_ceil(most.min(ROWS_OF_A_PART)) };
    let rows = rois.div_ceil(parts);
    (0..rois).step_by(rows).map(|first| (first, rows.min(rois - first))).collect()
}

/// What distinguishes one part of several in the names of its ops, and nothing where there is one.
fn part_name(name: &str, part: (usize, usize), rois: usize) -> String {
    if part.1 == rois { name.into() } else { format!("{name} {}..{}", part.0, part.0 + part.1) }
}

/// The features of `rois`, of which the first `live` of each image count.
fn pool(
    b: &mut Builder,
    name: &str,
    config: &Config,
    capacity: &Capacity,
    (pooled, sampling, pooling): (usize, usize, RoiPooling),
    pyramid: &Pyramid,
    [rois, live]: [Tensor; 2],
) -> Result<Tensor> {
    let scale = |&stride: &usize| (capacity.roi_shift as f32).exp2() / stride as f32;
    let scales: Vec<f32> = pyramid.strides.iter().map(scale).collect();
    // No RoI is on the pooled level; a tensor of nothing else is not read.
    let parts: Vec<PyramidTensor> = pyramid.tensors.iter().filter(|p| p.first < scales.len()).copied().collect();
    let maps = parts.iter().filter_map(|p| p.levels).collect();
    let levels = RoiLevels { scales, canonical: CANONICAL_SIDE, maps };
    let inputs: Vec<Tensor> = [rois, live].into_iter().chain(parts.iter().map(|p| p.tensor)).collect();
    let aligned = config.roi_aligned;
    match pooling {
        RoiPooling::Align => {
            b.g.op1(name, RoiAlign { pooled, sampling, aligned, pooling: Pooling::Average, levels }, &inputs)
        }
        RoiPooling::AlignMax => {
            b.g.op1(name, RoiAlign { pooled, sampling, aligned, pooling: Pooling::Max, levels }, &inputs)
        }
        RoiPooling::Pool => b.g.op1(name, RoiPool { pooled, rounding: Rounding::Nearest, levels }, &inputs),
        RoiPooling::PoolFloor => b.g.op1(name, RoiPool { pooled, rounding: Rounding::Down, levels }, &inputs),
    }
}

/// RoIs of a part with their live count.
fn take(b: &mut Builder, name: &str, [boxes, live]: [Tensor; 2], (first, rows): (usize, usize)) -> Result<[Tensor; 2]> {
    if rows == boxes.dim(1) {
        return Ok([boxes, live]);
    }
    let taken = b.g.op(name, TakeRows { first, rows, integers: false }, &[boxes, live])?;
    Ok([taken[0], taken[1]])
}

/// Logits `[B·n,K]` and deltas `[B·n,4K]` of proposals.
pub(super) fn predictions(
    b: &mut Builder,
    config: &Config,
    (body, weights): (&Body, &BoxHeadWeights),
    pyramid: &Pyramid,
    proposals: &Rois,
    capacity: &Capacity,
) -> Result<[Tensor; 2]> {
    let (head, n) = (&config.box_head, proposals.boxes.dim(1));
    let norm = (config.group_norm, config.backbone.bn_eps);
    let widest = head.convs.iter().copied().chain([config.map_channels()]).max().unwrap_or(0);
    let parts = parts(n, (head.roi_size * head.roi_size * widest).max(head.representation));
    let whole = weights.predictor.rows.map(|k| [capacity.batch * n, k]);
    let whole = (parts.len() > 1).then(|| {
        ["box.logits", "box.deltas"].into_iter().zip(whole).map(|(l, s)| b.g.shared_output(l, s)).collect::<Vec<_>>()
    });
    let mut predicted = Vec::new();
    for part in parts {
        let name = |layer: &str| part_name(layer, part, n);
        b.g.stage(if head.pooling.is_roi_align() { "box RoIAlign" } else { "box RoIPool" });
        let [rois, live] = take(b, &name("box.rois"), [proposals.boxes, proposals.counts], part)?;
        let how = (head.roi_size, head.sampling_ratio, head.pooling);
        let mut x = pool(b, &name("box.align"), config, capacity, how, pyramid, [rois, live])?;
        b.tap(name("box.features"), x);
        b.g.stage("box head");
        for (i, conv) in weights.convs.iter().enumerate() {
            let how = Layer { pad: 1, relu: true, live: Some(live), ..Layer::new(norm) };
            x = b.layer(&name(&format!("box.conv{i}")), x, conv, how)?;
        }
        if config.neck == Neck::C4 {
            let maps = backbone::last_stage(b, config, body, x, live, &name("box"))?;
            b.tap(name("box.conv"), maps);
            x = b.g.op1(&name("box.mean"), MeanPool { live: true }, &[maps, live])?;
        }
        if !weights.convs.is_empty() {
            b.tap(name("box.conv"), x);
        }
        x = fully_connected(b, &weights.fcs, x, live, &name)?;
        let weight = b.g.constant("box.predict.weight", weights.predictor.weight.clone());
        let bias = b.g.constant("box.predict.bias", weights.predictor.bias.clone());
        let predict =
            Predict { outputs: weights.predictor.rows.map(|k| predict::Output::dense(x.dim(0), k)), live: true };
        predicted = b.g.op(&name("box.predict"), predict, &[x, weight, bias, live])?;
        if let Some(whole) = &whole {
            let put = PutRows { batch: capacity.batch, first: part.0, n };
            for (of_part, of_all) in predicted.iter().zip(whole) {
                b.g.op_into(&name("box.put"), put.clone(), &[*of_part], &[*of_all])?;
            }
        }
    }
    let predicted = whole.unwrap_or(predicted);
    b.tap("box.logits", predicted[0]);
    b.tap("box.deltas", predicted[1]);
    Ok([predicted[0], predicted[1]])
}

/// The fully connected layers of the box head on features `[B·n,…]`.
fn fully_connected(
    b: &mut Builder,
    layers: &[Vec<weights::Linear>],
    x: Tensor,
    live: Tensor,
    name: &impl Fn(&str) -> String,
) -> Result<Tensor> {
    // What goes from layer to layer: one tensor, or the parts of one.
    let mut xs = vec![x];
    for (i, parts) in layers.iter().enumerate() {
        // Counted as in the papers, where the first five layers are convolutions of the body.
        let label = name(&format!("box.fc{}", 6 + i));
        // The parts of the second are of its columns, so their products are added up.
        let sums = xs.len() > 1;
        let mut products = Vec::with_capacity(parts.len());
        for (part, fc) in parts.iter().enumerate() {
            let label = if parts.len() == 1 { label.clone() } else { format!("{label} {part}") };
            let weight = b.g.constant(&format!("{label}.weight"), fc.weight.clone());
            let bias = b.g.constant(&format!("{label}.bias"), fc.bias.clone());
            let x = if sums { xs[part] } else { xs[0] };
            products.push(b.g.op1(&label, Linear { bias: true, relu: !sums, live: true }, &[x, weight, bias, live])?);
        }
        if sums {
            let mut sum = products[0];
            for &product in &products[1..] {
                sum = b.g.op1(&format!("{label}.add"), Elementwise::Add, &[sum, product])?;
            }
            products = vec![b.g.op1(&format!("{label}.relu"), Elementwise::Relu, &[sum])?];
        }
        xs = products;
        if let [x] = xs[..] {
            b.tap(label, x);
        }
    }
    Ok(xs[0])
}

/// Detections from proposals.
pub(super) fn boxes(
    b: &mut Builder,
    config: &Config,
    weights: &NetworkWeights,
    pyramid: &Pyramid,
    proposals: &Rois,
    capacity: &Capacity,
    frames: Tensor,
) -> Result<BoxOutputs> {
    let of_head = (&weights.body, &weights.box_head);
    let predicted = predictions(b, config, of_head, pyramid, proposals, capacity)?;
    of_classes(b, config, predicted, [proposals.boxes, proposals.counts], frames)
}

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
    let decode = ClassDecode { weights: head.reg_weights, threshold: head.score_thresh, min_size: head.min_size };
    let candidates = b.g.op("box.decode", decode, &[probabilities, deltas, rois, live, frames])?;
    let (n, groups) = (rois.dim(1), config.num_classes - 1);
    let segments = (0..groups).flat_map(|c| [(c * n) as u32, n as u32]).collect();
    let segments = b.g.constant("box.segments", Arc::new(Value::u32([groups, 2], segments)));
    let sorted = b.g.top_k("box.sort", n, [candidates[1], segments])?;
    // The sort's indices count within a class, so its boxes are gathered class by class.
    let in_order = b.g.op1("box.gather", crate::ops::gather_groups::GatherGroups, &[sorted[1], candidates[0]])?;
    let (ranked, least) = ([in_order, sorted[0], sorted[2]], head.score_thresh);
    let decay = match head.suppression {
        Suppression::Hard => None,
        Suppression::Linear => Some(Decay::Linear(head.nms_thresh)),
        Suppression::Gaussian => Some(Decay::Gaussian(head.soft_nms_sigma)),
    };
    let kept = match decay {
        None => b.g.op1("box.nms", Nms { threshold: head.nms_thresh }, &ranked)?,
        Some(decay) => b.g.op1("box.nms", SoftNms { decay, least }, &ranked)?,
    };
    let all = b.g.constant("box.all", Arc::new(Value::u32([1, 2], vec![0, (groups * n) as u32])));
    let best = b.g.top_k("box.best", head.detections_per_img, [kept, all])?;
    let chosen = b.g.op("box.collect", Collect, &[best[1], in_order])?;
    let found =
        BoxOutputs { boxes: chosen[0], scores: best[0], labels: chosen[1], counts: best[2], candidates: Some(kept) };
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

/// Soft masks `[B·n,M,M]` of what was found.
fn soft_masks(
    b: &mut Builder,
    config: &Config,
    (head, body, weights): (&MaskHead, &Body, &MaskHeadWeights),
    pyramid: &Pyramid,
    found: &BoxOutputs,
    capacity: &Capacity,
) -> Result<Tensor> {
    let n = found.boxes.dim(1);
    let norm = (config.group_norm, config.backbone.bn_eps);
    let widest = head.layers.iter().copied().chain([config.map_channels()]).max().unwrap_or(0);
    let parts = parts(n, head.roi_size * head.roi_size * widest);
    let shape = [capacity.batch * n, head.output_size, head.output_size];
    let whole = (parts.len() > 1).then(|| b.g.shared_output("mask.probs", shape));
    let mut soft = found.boxes;
    for part in parts {
        let name = |layer: &str| part_name(layer, part, n);
        b.g.stage(if head.pooling.is_roi_align() { "mask RoIAlign" } else { "mask RoIPool" });
        let [rois, live] = take(b, &name("mask.rois"), [found.boxes, found.counts], part)?;
        let labels = match whole {
            None => found.labels,
            Some(_) => {
                let take = TakeRows { first: part.0, rows: part.1, integers: true };
                b.g.op(&name("mask.labels"), take, &[found.labels, found.counts])?[0]
            }
        };
        let how = (head.roi_size, head.sampling_ratio, head.pooling);
        let mut x = pool(b, &name("mask.align"), config, capacity, how, pyramid, [rois, live])?;
        b.tap(name("mask.features"), x);
        b.g.stage("mask head");
        if config.neck == Neck::C4 {
            x = backbone::last_stage(b, config, body, x, live, &name("mask"))?;
        }
        for (i, conv) in weights.convs.iter().enumerate() {
            let how = Layer { pad: 1, relu: true, live: Some(live), ..Layer::new(norm) };
            x = b.layer(&name(&format!("mask.conv{i}")), x, conv, how)?;
        }
        b.tap(name("mask.conv"), x);
        let weight = b.g.constant("mask.deconv.weight", weights.deconv.weight.clone());
        let bias = b.g.constant("mask.deconv.bias", weights.deconv.bias.clone());
        let deconv = Deconv2d { stride: 2, pad: 0, bias: true, relu: true, live: true };
        x = b.g.op1(&name("mask.deconv"), deconv, &[x, weight, bias, live])?;
        b.tap(name("mask.deconv"), x);
        let weight = b.g.constant("mask.logits.weight", weights.logits.weight.clone());
        let bias = b.g.constant("mask.logits.bias", weights.logits.bias.clone());
        soft = b.g.op1(&name("mask.predict"), MaskPredict, &[x, weight, bias, labels, live])?;
        if let Some(whole) = whole {
            let put = PutRows { batch: capacity.batch, first: part.0, n };
            b.g.op_into(&name("mask.put"), put, &[soft], &[whole])?;
        }
    }
    let soft = whole.unwrap_or(soft);
    b.tap("mask.probs", soft);
    Ok(soft)
}

/// Masks of the detections, and everything in original pixels.
pub(super) fn masks(
    b: &mut Builder,
    config: &Config,
    weights: &NetworkWeights,
    pyramid: &Pyramid,
    (anchors, found): (Option<[Tensor; 2]>, &BoxOutputs),
    capacity: &Capacity,
    frames: Tensor,
) -> Result<Outputs> {
    let side = config.mask.as_ref().map_or(1, |m| m.output_size);
    let soft = match (&config.mask, &weights.mask_head) {
        (Some(head), Some(of_head)) => {
            let soft = soft_masks(b, config, (head, &weights.body, of_head), pyramid, found, capacity)?;
            Some((soft, head.threshold))
        }
        _ => None,
    };

    results(b, found, (anchors, soft), (side, capacity.mask_words), frames)
}

/// What was found, in original pixels: with the masks of `side` that `soft` has with their threshold, in room for `words` of
/// bits an image.
pub(super) fn results(
    b: &mut Builder,
    found: &BoxOutputs,
    (anchors, soft): (Option<[Tensor; 2]>, Option<(Tensor, f32)>),
    (side, words): (usize, usize),
    frames: Tensor,
) -> Result<Outputs> {
    let live = found.counts;
    b.g.stage("paste");
    let layout = b.g.op("paste.layout", PasteLayout { mask_side: side }, &[found.boxes, live, frames])?;
    let masks = match soft {
        None => None,
        Some((soft, threshold)) => {
            let paste = Paste { capacity: words, first: 0, threshold };
            let bits = b.g.op1("paste", paste, &[soft, layout[1], live])?;
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
    fn parts_cover_all_rois_and_fit_the_least_binding() {
        for (rois, elements) in
            [(1, 25_088), (300, 25_088), (1024, 25_088), (3000, 25_088), (6000, 12_544), (700, 50_176), (9, 1 << 26)]
        {
            let parts = parts(rois, elements);
            let mut next = 0;
            for &(first, rows) in &parts {
                assert!(first == next && rows > 0 && (rows == 1 || rows * elements * 4 <= Capacity::LEAST_BINDING));
                next = first + rows;
            }
            assert_eq!(next, rois);
            assert_eq!(parts.len() == 1, rois * elements * 4 <= Capacity::LEAST_BINDING || rois == 1);
        }
    }
}
