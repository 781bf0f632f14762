//! The terms of the RPN, the box head and the mask head.

use std::sync::Arc;

use super::TruthTensors;
use super::constants::BETA;
use super::sample::SampledBoxes;
use crate::Result;
use crate::config::Config;
use crate::graph::Tensor;
use crate::model::pyramid::Pyramid;
use crate::model::rpn::{Rois, RpnOutputs};
use crate::model::{Builder, Capacity, heads};
use crate::ops::gather_rows::GatherRows;
use crate::ops::losses::{BinaryLoss, BoxLoss, ClassLoss};
use crate::ops::put_rows::PutRows;
use crate::ops::take_class::TakeClass;
use crate::ops::take_rows::TakeRows;
use crate::ops::targets::{BoxTargets, LabelTargets, MaskTargets};
use crate::tensor::Value;
use crate::weights::NetworkWeights;

/// Whether there are objects, and the deltas to them: of the sampled anchors.
pub(super) fn rpn(
    b: &mut Builder,
    outputs: &RpnOutputs,
    anchors: &SampledBoxes,
    truths: &TruthTensors,
) -> Result<[Tensor; 2]> {
    b.g.stage("RPN's loss");
    let (indices, live) = (anchors.indices, anchors.counts[0]);
    let gather = GatherRows { integers: false };
    let logits = b.g.op1("rpn.loss.logits", gather.clone(), &[outputs.logits, indices, live])?;
    let deltas = b.g.op1("rpn.loss.deltas", gather, &[outputs.deltas, indices, live])?;
    let targets = BoxTargets { weights: [1.0; 4] };
    let targets = b.g.op1("rpn.loss.targets", targets, &[anchors.boxes, anchors.matches, truths.boxes, live])?;
    let labels = b.g.op("rpn.loss.labels", LabelTargets, &[anchors.matches, truths.labels, live])?;
    b.tap("rpn.targets", targets);
    let rows = indices.shape().len();
    let objectness = b.g.op1("loss.objectness", BinaryLoss { rows }, &[logits, labels[1], live])?;
    let boxes = b.g.op1("loss.rpn_box", BoxLoss { beta: BETA }, &[deltas, targets, labels[0], live])?;
    Ok([objectness, boxes])
}

/// Classes, and the deltas of the true ones: of the sampled RoIs.
pub(super) fn boxes(
    b: &mut Builder,
    config: &Config,
    weights: &NetworkWeights,
    pyramid: &Pyramid,
    rois: &SampledBoxes,
    truths: &TruthTensors,
    room: &Capacity,
) -> Result<[Tensor; 2]> {
    let live = rois.counts[0];
    let of_head = (&weights.body, &weights.box_head);
    let taken = Rois { boxes: rois.boxes, counts: live, candidates: None };
    let [logits, deltas] = heads::predictions(b, config, of_head, pyramid, &taken, room)?;
    b.g.stage("box head's loss");
    let labels = b.g.op("box.loss.labels", LabelTargets, &[rois.matches, truths.labels, live])?;
    let targets = BoxTargets { weights: config.box_head.reg_weights };
    let targets = b.g.op1("box.loss.targets", targets, &[rois.boxes, rois.matches, truths.boxes, live])?;
    b.tap("box.labels", labels[0]);
    b.tap("box.targets", targets);
    let own = TakeClass { classes: deltas.dim(1) / 4, inner: 4 };
    let own = b.g.op1("box.loss.own", own, &[deltas, labels[0], live])?;
    let classifier = b.g.op1("loss.classifier", ClassLoss, &[logits, labels[0], live])?;
    let boxes = b.g.op1("loss.box", BoxLoss { beta: BETA }, &[own, targets, labels[0], live])?;
    Ok([classifier, boxes])
}

/// The masks of the true classes, of the sampled RoIs on truths; nothing where the network has no mask head.
pub(super) fn masks(
    b: &mut Builder,
    config: &Config,
    weights: &NetworkWeights,
    pyramid: &Pyramid,
    rois: &SampledBoxes,
    truths: &TruthTensors,
    (room, frames): (&Capacity, Tensor),
) -> Result<Option<Tensor>> {
    let (Some(head), Some(of_head), Some([places, bits])) = (&config.mask, &weights.mask_head, truths.masks) else {
        return Ok(None);
    };
    b.g.stage("mask head's loss");
    // Those on truths come first.
    let (n, on_truths) = (rois.positives, rois.counts[1]);
    let first = |b: &mut Builder, name: &str, x: Tensor, integers: bool| {
        b.g.op(name, TakeRows { first: 0, rows: n, integers }, &[x, on_truths])
    };
    let taken = first(b, "mask.loss.rois", rois.boxes, false)?;
    let (boxes, live) = (taken[0], taken[1]);
    let matches = first(b, "mask.loss.matches", rois.matches, true)?[0];
    let labels = b.g.op("mask.loss.labels", LabelTargets, &[matches, truths.labels, live])?[0];

    let (side, classes) = (head.output_size, of_head.logits.weight.shape.dim(0));
    let widest = head.layers.iter().copied().chain([config.map_channels()]).max().unwrap_or(0);
    let elements = (head.roi_size * head.roi_size * widest).max(side * side * classes.max(head.dim_reduced));
    let parts = heads::parts(n, elements);
    let whole = (parts.len() > 1).then(|| b.g.shared_output("mask.loss.logits", [room.batch * n, side * side]));
    let weight = &of_head.logits.weight;
    let weight = Value::f32([classes, 1, 1, weight.shape.dim(1)], weight.floats().to_vec());
    let weight = Arc::new(weight);
    let mut own = boxes;
    for part in parts {
        let name = |layer: &str| heads::part_name(layer, part, n);
        let [of_part, live_part] = heads::take(b, &name("mask.rois"), [boxes, live], part)?;
        let labels = match whole {
            None => labels,
            Some(_) => {
                let take = TakeRows { first: part.0, rows: part.1, integers: true };
                b.g.op(&name("mask.labels"), take, &[labels, live])?[0]
            }
        };
        let head = (head, &weights.body, of_head);
        let x = heads::mask_features(b, &name, config, head, pyramid, [of_part, live_part], room)?;
        let logits = b.g.conv2d(&name("mask.logits"), x, &weight, &of_head.logits.bias).live(live_part).done()?;
        own = b.g.op1(&name("mask.own"), TakeClass { classes, inner: 1 }, &[logits, labels, live_part])?;
        if let Some(whole) = whole {
            let put = PutRows { batch: room.batch, first: part.0, n };
            b.g.op_into(&name("mask.put"), put, &[own], &[whole])?;
        }
    }
    let own = whole.unwrap_or(own);
    b.g.stage("mask head's loss");
    let inputs = [places, bits, boxes, matches, live, frames];
    let targets = b.g.op1("mask.loss.targets", MaskTargets { side }, &inputs)?;
    b.tap("mask.targets", targets);
    Ok(Some(b.g.op1("loss.mask", BinaryLoss { rows: room.batch * n }, &[own, targets, live])?))
}
