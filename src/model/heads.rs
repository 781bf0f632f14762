//! Box head, class NMS, mask head and paste (torchvision, `models/detection/roi_heads.py`).

use super::backbone;
use super::detections;
use super::layer::Layer;
use super::pyramid::{Pyramid, PyramidTensor};
use super::rpn::Rois;
use super::{Builder, Capacity, Outputs};
use crate::Result;
use crate::config::{BoxRule, Config, LevelRule, MaskHead, Neck, RoiPooling};
use crate::graph::Tensor;
use crate::ops::activation::Activation;
use crate::ops::deconv2d::Deconv2d;
use crate::ops::elementwise::Elementwise;
use crate::ops::linear::Linear;
use crate::ops::mask_predict::MaskPredict;
use crate::ops::mean_pool::MeanPool;
use crate::ops::predict::{self, Predict};
use crate::ops::put_rows::PutRows;
use crate::ops::roi_align::{Pooling, RoiAlign};
use crate::ops::roi_crop::RoiCrop;
use crate::ops::roi_levels::{self, Border, RoiLevels};
use crate::ops::roi_pool::{RoiPool, Rounding};
use crate::ops::take_rows::TakeRows;
use crate::tensor::ELEMENT_BYTES;
use crate::weights::{self, Body, BoxHeadWeights, MaskHeadWeights, NetworkWeights};

/// The side of a RoI that belongs on P4 (FPN paper, equation 1).
const CANONICAL_SIDE: f32 = 224.0;

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
pub(super) fn parts(rois: usize, elements: usize) -> Vec<(usize, usize)> {
    let most = (Capacity::LEAST_BINDING / (elements * ELEMENT_BYTES)).max(1);
    let parts = if rois <= most { 1 } else { rois.div_ceil(most.min(ROWS_OF_A_PART)) };
    let rows = rois.div_ceil(parts);
    (0..rois).step_by(rows).map(|first| (first, rows.min(rois - first))).collect()
}

/// What distinguishes one part of several in the names of its ops, and nothing where there is one.
pub(super) fn part_name(name: &str, part: (usize, usize), rois: usize) -> String {
    if part.1 == rois { name.into() } else { format!("{name} {}..{}", part.0, part.0 + part.1) }
}

fn border(config: &Config) -> Border {
    match config.roi_levels {
        LevelRule::Inferred => Border::Log,
        LevelRule::Fixed => Border::Ratio,
        LevelRule::Finest => Border::Finest,
        LevelRule::Rounded => Border::Half,
        LevelRule::Canonical => Border::Canonical,
    }
}

/// The side of a RoI that belongs on P4, in an input of so many rows and columns. Where boxes are shares of the input's sides
/// less a pixel, their size is one of these shares of the whole sides (matterport, `PyramidROIAlign`).
fn canonical_side(config: &Config, (height, width): (usize, usize)) -> f32 {
    let less = |side: usize| (side.max(2) - 1) as f64 / side as f64;
    match config.box_rule {
        BoxRule::Corners => CANONICAL_SIDE,
        BoxRule::Normalized => (f64::from(CANONICAL_SIDE) * (less(height) * less(width)).sqrt()) as f32,
    }
}

/// The level that a box, in pixels of the padded input, is pooled from, among those of such scales.
pub(crate) fn level_of(config: &Config, input: (usize, usize), bbox: &[f32; 4], scales: &[f32]) -> usize {
    roi_levels::level_of(bbox, canonical_side(config, input), scales, (border(config), config.extent()))
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
    let scales: Vec<f32> = pyramid.roi_strides().iter().map(scale).collect();
    // No RoI is on the pooled level; a tensor of nothing else is not read.
    let parts: Vec<PyramidTensor> = pyramid.tensors.iter().filter(|p| p.first < scales.len()).copied().collect();
    let maps = parts.iter().filter_map(|p| p.levels).collect();
    let levels = RoiLevels {
        scales,
        canonical: canonical_side(config, (capacity.height, capacity.width)),
        border: border(config),
        extent: config.extent(),
        maps,
    };
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
        RoiPooling::Crop => {
            let input = (capacity.height, capacity.width);
            b.g.op1(name, RoiCrop { pooled, input, levels }, &inputs)
        }
        RoiPooling::PoolFloor => b.g.op1(name, RoiPool { pooled, rounding: Rounding::Down, levels }, &inputs),
    }
}

/// RoIs of a part with their live count.
pub(super) fn take(
    b: &mut Builder,
    name: &str,
    [boxes, live]: [Tensor; 2],
    (first, rows): (usize, usize),
) -> Result<[Tensor; 2]> {
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
            let how = Layer { pad: 1, activation: Activation::Relu, live: Some(live), ..Layer::new(norm) };
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
            products.push(b.g.op1(
                &label,
                Linear { bias: true, activation: Activation::relu(!sums), live: true },
                &[x, weight, bias, live],
            )?);
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
    detections::of_classes(b, config, predicted, [proposals.boxes, proposals.counts], frames)
}

/// What the last layer of the mask head is given, of the RoIs of a part, of which the first `live` of each image count:
/// `[B·n,M,M,C]`.
pub(super) fn mask_features(
    b: &mut Builder,
    name: &impl Fn(&str) -> String,
    config: &Config,
    (head, body, weights): (&MaskHead, &Body, &MaskHeadWeights),
    pyramid: &Pyramid,
    [rois, live]: [Tensor; 2],
    capacity: &Capacity,
) -> Result<Tensor> {
    let norm = (config.group_norm, config.backbone.bn_eps);
    let how = (head.roi_size, head.sampling_ratio, head.pooling);
    let mut x = pool(b, &name("mask.align"), config, capacity, how, pyramid, [rois, live])?;
    b.tap(name("mask.features"), x);
    b.g.stage("mask head");
    if config.neck == Neck::C4 {
        x = backbone::last_stage(b, config, body, x, live, &name("mask"))?;
    }
    for (i, conv) in weights.convs.iter().enumerate() {
        let how = Layer { pad: 1, activation: Activation::Relu, live: Some(live), ..Layer::new(norm) };
        x = b.layer(&name(&format!("mask.conv{i}")), x, conv, how)?;
    }
    b.tap(name("mask.conv"), x);
    let weight = b.g.constant("mask.deconv.weight", weights.deconv.weight.clone());
    let bias = b.g.constant("mask.deconv.bias", weights.deconv.bias.clone());
    let deconv = Deconv2d { stride: 2, pad: 0, bias: true, relu: true, live: true };
    x = b.g.op1(&name("mask.deconv"), deconv, &[x, weight, bias, live])?;
    b.tap(name("mask.deconv"), x);
    Ok(x)
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
        let of_head = (head, body, weights);
        let x = mask_features(b, &name, config, of_head, pyramid, [rois, live], capacity)?;
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

    detections::results(b, config, found, (anchors, soft), (side, capacity.mask_words), frames)
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
