//! Mask and Faster R-CNNs in ONNX files: weights alone. The graph, with whatever sizes and thresholds were traced into it,
//! tells which weights are what, and is then left: ours runs.
//!
//! [`wire`] reads protobuf, [`model`] nodes and tensors in place, [`constants`] computes what does not depend on the image,
//! [`flow`] follows layers past what has no weights, and [`roles`] tells each layer by how it is joined to the others. A norm
//! that is left in the graph, or is folded into a convolution already, becomes a norm of mean 0, variance 1 and epsilon 0.

mod constants;
mod flow;
mod model;
mod roles;
mod wire;

#[cfg(test)]
mod tests;

use safetensors::Dtype;

use super::entry::Entry;
use super::family::{Family, TORCHVISION_IN_ONNX};
use super::layers::{Kind, Layer, Role};
use super::selection::{Selection, Taken, Told};
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
    let family = family(&flow, &roles)?;
    let convs = roles.iter().filter(|(layer, _)| layer.kind == Kind::BoxConv).count();
    let rows = (family.rows)(convs);
    let (mut tensors, mut decoded) = (Vec::new(), Vec::new());
    let mut put = |layer: Layer, role: Role, shape: Vec<usize>, values: &[f32]| {
        // Every layer that has a role has a name: a test goes through them.
        let name = rows.iter().find_map(|row| row.spell(family, layer, role)).unwrap_or_default();
        let (dtype, strides, start) = (Dtype::F32, Entry::dense_strides(&shape), decoded.len());
        decoded.extend(values.iter().flat_map(|v| v.to_le_bytes()));
        tensors.push((name, Entry { dtype, shape, strides, start }));
    };
    for (layer, i) in roles {
        let weighted = &flow.layers[i];
        let outputs = weighted.shape[if weighted.does == Does::Deconv { 1 } else { 0 }];
        let (mut weight, bias) = flow.values(weighted, outputs)?;
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
    Ok(Taken { tensors, family, selection: Selection::default(), decoded: Some(decoded), told: Told::default() })
}

/// Whether a layer of this kind has a norm in the canonical network, or what is left of one.
fn is_normed(kind: Kind) -> bool {
    matches!(kind, Kind::Stem | Kind::BlockConv | Kind::Shortcut | Kind::BoxConv)
}

/// Whose network it is.
fn family(flow: &Flow, roles: &[(Layer, usize)]) -> Result<&'static Family, String> {
    let stem = roles.iter().find(|(layer, _)| layer.kind == Kind::Stem).map(|(_, i)| *i);
    // torchvision's take images as they are.
    match stem.map(|stem| flow.is_normalised_before(stem)).transpose()? {
        Some(true) => Ok(TORCHVISION_IN_ONNX),
        _ => Err(
            "is an ONNX model of an R-CNN that takes images whose mean was subtracted already, as those of the ONNX \
                  model zoo do: of these, only exports of torchvision's are read"
                .into(),
        ),
    }
}
