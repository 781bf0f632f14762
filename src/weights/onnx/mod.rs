//! Mask and Faster R-CNNs in ONNX files: weights alone. The graph, with whatever sizes and thresholds were traced into it,
//! tells which weights are what, and is then left: ours runs.
//!
//! [`wire`] reads protobuf, [`model`] nodes and tensors in place, [`constants`] computes what does not depend on the image,
//! [`flow`] follows layers past what has no weights, and [`roles`] tells each layer by how it is joined to the others. A norm
//! that is left in the graph, or is folded into a convolution already, becomes a norm of mean 0, variance 1 and epsilon 0.
//!
//! Whose they are is told by what happens to the image before the first convolution: torchvision's normalise it, and the ONNX model
//! zoo's, which are exports of maskrcnn-benchmark's, take it without its mean.

mod constants;
mod flow;
mod model;
mod roles;
mod wire;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod zoo_tests;

use safetensors::Dtype;

use super::entry::Entry;
use super::family::{Family, ONNX_ZOO, TORCHVISION_IN_ONNX};
use super::layers::{Kind, Layer, Role};
use super::names::counted;
use super::selection::{Selection, Taken, Told};
use crate::config::{AnchorRule, Config};
use constants::Constants;
use flow::{Does, Flow};
use model::Graph;

/// Whether these bytes begin as an ONNX model does: the version of the format, then the producer, the operators or the graph.
pub(super) fn is_onnx(bytes: &[u8]) -> bool {
    matches!(bytes, [0x08, 1..=20, 0x12 | 0x3a | 0x42, ..])
}

/// All tensors of the network in a model, under its family's names, as f32.
///
/// # Errors
/// What is wrong and what to do, as a sentence that reads on after "weights FILE: ".
pub(super) fn read(bytes: &[u8], wanted: Option<&str>) -> Result<Taken, String> {
    if let Some(wanted) = wanted.filter(|wanted| !wanted.is_empty()) {
        return Err(format!("is an ONNX model, which has one network without a prefix, and none under `{wanted}`"));
    }
    let graph = Graph::read(bytes)?;
    let flow = Flow::of(Constants::of(&graph))?;
    let roles = roles::roles(&flow)?;
    let mut told = told(&flow, &roles);
    let anchors = anchors(&flow)?;
    let family = family(&flow, &roles, told.stride_in_1x1 == Some(true) || !anchors.is_empty())?;
    let convs = roles.iter().filter(|(layer, _)| layer.kind == Kind::BoxConv).count();
    let rows = (family.rows)(convs);
    let (mut tensors, mut decoded) = (Vec::new(), Vec::new());
    let mut doubt = 1.0f32;
    let mut put = |layer: Layer, role: Role, shape: Vec<usize>, values: &[f32]| {
        // Every layer that has a role has a name: a test goes through them.
        let name = rows.iter().find_map(|row| row.spell(family, layer, role)).unwrap_or_default();
        let (dtype, strides, start) = (Dtype::F32, Entry::dense_strides(&shape), decoded.len());
        decoded.extend(values.iter().flat_map(|v| v.to_le_bytes()));
        tensors.push((name, Entry { dtype, shape, strides, start }));
    };
    if family.name == ONNX_ZOO.name {
        for (level, cells) in anchors {
            put(Kind::CellAnchors.nth(level), Role::Setting, vec![cells.len() / 4, 4], &cells);
        }
    }
    let finest = roles.iter().find(|(layer, _)| *layer == Kind::FpnLayer.nth(0)).map(|(_, i)| *i);
    for (layer, i) in roles {
        let weighted = &flow.layers[i];
        let outputs = weighted.shape[if weighted.does == Does::Deconv { 1 } else { 0 }];
        let (mut weight, bias, times) = flow.values(weighted, outputs, finest)?;
        doubt = doubt.max(times);
        let (scale, shift) = flow.norm(weighted, outputs)?;
        let shift: Vec<f32> = bias.iter().zip(&scale).zip(shift).map(|((b, by), sum)| b * by + sum).collect();
        if is_normed(layer.kind) {
            put(layer, Role::Weight, weight.shape, &weight.data);
            let vectors = [&scale[..], &shift, &vec![0.0; outputs], &vec![1.0; outputs]];
            for (role, values) in Role::NORM.into_iter().zip(vectors) {
                put(layer, role, vec![outputs], values);
            }
            continue;
        }
        if scale.iter().any(|by| *by != 1.0) {
            if weighted.does == Does::Deconv {
                return Err(
                    "is an ONNX model with a norm after the mask head's transposed convolution, which is not supported"
                        .into(),
                );
            }
            let row = weight.data.len() / outputs;
            weight.data.chunks_mut(row).zip(&scale).for_each(|(row, by)| row.iter_mut().for_each(|v| *v *= by));
        }
        put(layer, Role::Weight, weight.shape, &weight.data);
        put(layer, Role::Bias, vec![outputs], &shift);
    }
    // A hundredth more or less is no more than the steps themselves leave open.
    if doubt > 1.01 {
        told.guessed.push(format!(
            "the biases that its RPN's levels share are whole numbers, and each level counts them in steps of its own, up to \
             {doubt:.1} times another's: they are assumed to be in those of the finest level, for which ONNX Runtime's quantiser \
             writes them; the other levels' are off where the model runs as it is"
        ));
    }
    Ok(Taken { tensors, family, selection: Selection::default(), decoded: Some(decoded), told })
}

/// Whether a layer of this kind has a norm in the canonical network, or what is left of one.
fn is_normed(kind: Kind) -> bool {
    matches!(kind, Kind::Stem | Kind::BlockConv | Kind::Shortcut | Kind::BoxConv)
}

/// What a graph tells beside its tensors.
fn told(flow: &Flow, roles: &[(Layer, usize)]) -> Told {
    let steps = |conv| {
        let layer = Kind::BlockConv.in_block(1, 0, conv);
        let &(_, i) = roles.iter().find(|(of, _)| *of == layer)?;
        (flow.layers[i].shape[2] == if conv == 0 { 1 } else { 3 }).then(|| flow.steps(i)).flatten()
    };
    let stride_in_1x1 = match [steps(0), steps(1)] {
        [Some(first), Some(second)] if first != second => Some(first == [2, 2]),
        _ => None,
    };
    let mut sampling: Vec<(usize, usize)> = Vec::new();
    for node in flow.constants.graph.nodes.iter().filter(|node| node.op == "RoiAlign") {
        let number = |name: &str| node.integer(name).and_then(|n| usize::try_from(n).ok());
        let (Some(side), ratio) = (number("output_height"), number("sampling_ratio").unwrap_or(0)) else { continue };
        match sampling.iter().find(|(of, _)| *of == side) {
            // Levels that differ are no setting.
            Some((_, other)) if *other != ratio => return Told { stride_in_1x1, ..Told::default() },
            Some(_) => {}
            None => sampling.push((side, ratio)),
        }
    }
    Told { stride_in_1x1, sampling, ..Told::default() }
}

/// The anchors of a pixel of each level that are among the constants as maskrcnn-benchmark makes them of its usual sizes: those of
/// all levels, or none.
fn anchors(flow: &Flow) -> Result<Vec<(usize, Vec<f32>)>, String> {
    let usual = Config::default();
    let mut found = Vec::new();
    for (level, sizes) in usual.anchor_sizes.iter().enumerate() {
        let due = AnchorRule::Strided.cells(sizes, &usual.anchor_ratios, 4 << level).concat();
        for (name, tensor) in &flow.constants.graph.tensors {
            if tensor.shape.last() == Some(&4) && tensor.len() == Some(due.len()) && tensor.floats(name)? == due {
                found.push((level, due));
                break;
            }
        }
    }
    Ok(if found.len() == usual.anchor_sizes.len() { found } else { Vec::new() })
}

/// Whose network it is. `of_zoo`: whether its anchors or its strides are as the ONNX model zoo's.
fn family(flow: &Flow, roles: &[(Layer, usize)], of_zoo: bool) -> Result<&'static Family, String> {
    let layer = |kind: Kind| roles.iter().find(|(layer, _)| layer.kind == kind).map(|(_, i)| *i);
    // torchvision's take images as they are.
    if layer(Kind::Stem).map(|stem| flow.is_normalised_before(stem)).transpose()? == Some(true) {
        return Ok(TORCHVISION_IN_ONNX);
    }
    let rows = |kind| layer(kind).map_or(0, |i| flow.layers[i].shape[0]);
    let (logits, deltas) = (rows(Kind::BoxLogits), rows(Kind::BoxDeltas));
    let why = match deltas == 4 * logits {
        true if of_zoo => return Ok(ONNX_ZOO),
        true => "has neither the anchors nor the strides of those".into(),
        false => format!("has {} for boxes of {logits}", counted(deltas / 4, "class")),
    };
    Err(format!(
        "is an ONNX model of an R-CNN that takes images whose mean was subtracted already, as the ONNX model zoo's do, and \
         {why}: it is another project's, whose rules the graph does not tell; give the weights file that it was exported \
         from (.pth, .pkl)"
    ))
}
