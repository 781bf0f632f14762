//! Region proposals (torchvision, `models/detection/rpn.py`).

use std::sync::Arc;

use super::anchors::{Level, table};
use super::pyramid::Pyramid;
use super::{Builder, Capacity};
use crate::Result;
use crate::config::{BoxRule, Config};
use crate::graph::Tensor;
use crate::ops::collect::Collect;
use crate::ops::elementwise::Elementwise;
use crate::ops::predict::{self, Predict};
use crate::ops::rpn_decode::RpnDecode;
use crate::ops::topk::NONE;
use crate::tensor::Value;
use crate::weights::{Conv, RpnWeights};

/// RoIs and how many of them count.
pub(super) struct Rois {
    /// `[B,n,4]`, pixels of the resized image.
    pub boxes: Tensor,
    /// `[B]` as `[B,1]`.
    pub counts: Tensor,
    /// Logits of the anchors that NMS was given, by falling logit, and of what it kept: `[B,levels,k]` each. None where they
    /// were given.
    pub candidates: Option<[Tensor; 2]>,
}

/// What the head says of every anchor.
pub(super) struct RpnOutputs {
    /// `[B,anchors]`, level after level in (H, W, A) order.
    pub logits: Tensor,
    /// `[B,anchors,4]`.
    pub deltas: Tensor,
    /// Where the levels' anchors are, `[levels, 4 + 4A]`.
    pub table: Tensor,
    /// Of each level, its first anchor and how many it has.
    segments: Vec<(usize, usize)>,
}

/// The head on every level, the best anchors of each, NMS within a level, the best over all levels.
pub(super) fn proposals(
    b: &mut Builder,
    config: &Config,
    weights: &RpnWeights,
    pyramid: &Pyramid,
    capacity: &Capacity,
    frames: Tensor,
) -> Result<Rois> {
    let outputs = outputs(b, config, weights, pyramid, capacity)?;
    select(b, config, &outputs, (capacity.height, capacity.width), frames)
}

/// The head on every level.
pub(super) fn outputs(
    b: &mut Builder,
    config: &Config,
    weights: &RpnWeights,
    pyramid: &Pyramid,
    capacity: &Capacity,
) -> Result<RpnOutputs> {
    b.g.stage("RPN");
    let anchors_a_cell = config.anchors_per_cell();
    let mut levels = Vec::new();
    let mut total = 0;
    for (i, map) in pyramid.maps().enumerate() {
        // The pooled level is twice as coarse as the last.
        let stride = pyramid.strides.get(i).copied().unwrap_or(pyramid.strides[pyramid.strides.len() - 1] * 2);
        levels.push(Level { map, input: (capacity.height, capacity.width), stride, first: total });
        total += map.0 * map.1 * anchors_a_cell;
    }

    // All levels side by side in (H, W, A) order: one selection reads them all. Where the head is in parts, each has its
    // own, and they are added up.
    let parts = weights.last.len();
    let of_part = |name: &str, part: usize| if parts == 1 { name.into() } else { format!("{name} {part}") };
    let mut predicted = Vec::with_capacity(parts);
    for part in 0..parts {
        let logits = b.g.shared_output(&of_part("rpn.logits", part), [capacity.batch, total]);
        predicted.push([logits, b.g.shared_output(&of_part("rpn.deltas", part), [capacity.batch, total, 4])]);
    }
    for tensor in &pyramid.tensors {
        let conv = |b: &mut Builder, name: &str, x: Tensor, conv: &Conv| {
            let conv2d = b.g.conv2d(&format!("{name} {}", tensor.name()), x, &conv.weight, &conv.bias).pad(1).relu();
            match tensor.levels {
                Some(levels) => conv2d.levels(levels).done(),
                None => conv2d.done(),
            }
        };
        let mut x = tensor.tensor;
        for (n, weights) in weights.convs.iter().enumerate() {
            x = conv(b, &format!("rpn.conv{n}"), x, weights)?;
        }
        let first = levels[tensor.first].first;
        for (part, (last, predictor)) in weights.last.iter().enumerate() {
            let name = of_part(&format!("rpn.conv{}", weights.convs.len()), part);
            let x = conv(b, &name, x, last)?;
            let name = format!("{} {}", of_part("rpn.predict", part), tensor.name());
            let weight = b.g.constant(&format!("{name}.weight"), predictor.weight.clone());
            let bias = b.g.constant(&format!("{name}.bias"), predictor.bias.clone());
            let [of_logits, of_deltas] = predictor.rows;
            let [logits, deltas] = predicted[part];
            let outputs = [
                predict::Output { k: of_logits, whole: logits.shape(), offset: first },
                predict::Output { k: of_deltas, whole: deltas.shape(), offset: 4 * first },
            ];
            b.g.op_into(&name, Predict { outputs, live: false }, &[x, weight, bias], &[logits, deltas])?;
        }
    }
    let mut sums = predicted[0];
    for part in &predicted[1..] {
        for ((sum, of_part), name) in sums.iter_mut().zip(part).zip(["rpn.logits.add", "rpn.deltas.add"]) {
            *sum = b.g.op1(name, Elementwise::Add, &[*sum, *of_part])?;
        }
    }
    let [logits, deltas] = sums;
    b.tap("rpn.logits", logits);
    b.tap("rpn.deltas", deltas);
    let segments = levels.iter().map(|l| (l.first, l.map.0 * l.map.1 * anchors_a_cell)).collect();
    let table = table(&levels, config);
    let table = b.g.constant("rpn.anchors", Arc::new(table));
    Ok(RpnOutputs { logits, deltas, table, segments })
}

/// The best anchors of each level, or of all together, as boxes, NMS within a level, or among all, the best over all levels.
/// `input`: rows and columns of the padded input.
pub(super) fn select(
    b: &mut Builder,
    config: &Config,
    outputs: &RpnOutputs,
    (height, width): (usize, usize),
    frames: Tensor,
) -> Result<Rois> {
    b.g.stage("proposals");
    let RpnOutputs { logits, deltas, table, segments } = outputs;
    let all = [(0, logits.dim(1))];
    let levels = if config.rpn.joint { &all[..] } else { segments };
    let segments = levels.iter().flat_map(|&(first, n)| [first as u32, n as u32]);
    let segments = Value::u32([levels.len(), 2], segments.collect());
    let segments = b.g.constant("rpn.segments", Arc::new(segments));
    let longest = levels.iter().map(|l| l.1).max().unwrap_or(1);
    let k = config.rpn.pre_nms_top_n.min(longest);
    let top = b.g.top_k("rpn.topk", k, [*logits, segments])?;
    b.tap("rpn.topk.indices", top[1]);
    // A probability as a logit: sigmoid rises strictly.
    let threshold = config.rpn.score_thresh;
    let min_logit = if threshold > 0.0 { (threshold / (1.0 - threshold)).ln() } else { NONE };
    let normalized = config.box_rule == BoxRule::Normalized;
    let far = normalized.then(|| [width, height].map(|side| side as f32 - 1.0));
    let coder = super::detections::coder(config);
    let decode = RpnDecode { min_size: config.rpn.min_size, min_logit, coder, far };
    let decoded = b.g.op("rpn.decode", decode, &[top[0], top[1], *deltas, *table, frames])?;
    let boxes = super::detections::corners_before_nms(b, config, "rpn.corners", decoded[0], frames)?;
    let scores = decoded[1];
    let kept = b.g.op1("rpn.nms", super::detections::hard(config, config.rpn.nms_thresh), &[boxes, scores, top[2]])?;
    let all = Value::u32([1, 2], vec![0, (levels.len() * k) as u32]);
    let all = b.g.constant("rpn.all", Arc::new(all));
    let best = b.g.top_k("rpn.best", config.rpn.post_nms_top_n, [kept, all])?;
    let chosen = b.g.op("rpn.collect", Collect, &[best[1], boxes])?;
    let boxes = super::detections::corners_after_nms(b, config, "rpn.corners", chosen[0], (false, frames))?;
    b.tap("rpn.proposals", boxes);
    b.tap("rpn.proposals.logits", best[0]);
    b.tap("rpn.proposals.count", best[2]);
    Ok(Rois { boxes, counts: best[2], candidates: Some([top[0], kept]) })
}
