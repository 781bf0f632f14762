//! MobileNetV3-large as a body (`torchvision/models/mobilenetv3.py`).

use super::Builder;
use super::backbone::{Feature, first_level};
use super::layer::Layer;
use crate::Result;
use crate::config::Config;
use crate::config::mobilenet::{BLOCKS, InvertedBlock, MAPS};
use crate::graph::Tensor;
use crate::ops::activation::Activation;
use crate::ops::elementwise::Elementwise;
use crate::ops::linear::Linear;
use crate::ops::mean_pool::MeanPool;
use crate::weights::{Body, Inverted, Squeeze};

/// What the stages are called, by the stride of their maps.
const STAGES: [&str; 5] = ["C1", "C2", "C3", "C4", "C5"];

/// The features of `x` `[B,H,W,4]` that the pyramid goes on with, finest first.
pub(super) fn mobilenet(b: &mut Builder, config: &Config, body: &Body, x: Tensor) -> Result<Vec<Feature>> {
    let one = Layer::new((0, config.backbone.bn_eps));
    let hard = Activation::HardSwish;
    b.g.stage(STAGES[0]);
    let mut x = b.layer("stem", x, &body.stem, Layer { stride: 2, pad: 1, activation: hard, ..one })?;
    let mut stride = 2;
    let mut features = Vec::new();
    for (i, (weights, block)) in body.inverted.iter().zip(&BLOCKS).enumerate() {
        stride *= block.stride;
        b.g.stage(STAGES.get(stride.ilog2() as usize - 1).copied().unwrap_or("body"));
        x = inverted(b, one, (weights, block), x, &format!("block{}", i + 1))?;
        if MAPS[config.backbone.first_level..].iter().any(|map| map.after == i + 1 && map.after < BLOCKS.len()) {
            features.push(Feature { map: x, stride });
        }
    }
    if let Some(last) = &body.last {
        let map = b.layer("last", x, last, Layer { activation: hard, ..one })?;
        features.push(Feature { map, stride });
    }
    let first = first_level(&features);
    for (i, feature) in features.iter().enumerate() {
        b.tap(format!("c{}", first + i), feature.map);
    }
    Ok(features)
}

/// A block of depthwise convolution.
fn inverted(
    b: &mut Builder,
    one: Layer,
    (weights, block): (&Inverted, &InvertedBlock),
    x: Tensor,
    name: &str,
) -> Result<Tensor> {
    let activation = if block.hard { Activation::HardSwish } else { Activation::Relu };
    let residual = block.is_residual(x.dim(3)).then_some(x);
    let mut y = x;
    if let Some(expand) = &weights.expand {
        y = b.layer(&format!("{name}.expand"), y, expand, Layer { activation, ..one })?;
    }
    let depthwise = Layer { stride: block.stride, pad: block.side / 2, groups: block.expanded, activation, ..one };
    y = b.layer(&format!("{name}.depthwise"), y, &weights.depthwise, depthwise)?;
    if let Some(weights) = &weights.squeeze {
        y = squeezed(b, weights, y, name)?;
    }
    b.layer(&format!("{name}.project"), y, &weights.project, Layer { residual, ..one })
}

/// Squeeze and excitation (Hu et al., arXiv:1709.01507, figure 1): each channel times what two layers make of all means.
fn squeezed(b: &mut Builder, weights: &Squeeze, x: Tensor, name: &str) -> Result<Tensor> {
    let mut factors = b.g.op1(&format!("{name}.mean"), MeanPool { live: false }, &[x])?;
    let layers =
        [("squeeze", &weights.squeeze, Activation::Relu), ("excite", &weights.excite, Activation::HardSigmoid)];
    for (what, layer, activation) in layers {
        let name = format!("{name}.{what}");
        let weight = b.g.constant(&format!("{name}.weight"), layer.weight.clone());
        let bias = b.g.constant(&format!("{name}.bias"), layer.bias.clone());
        factors = b.g.op1(&name, Linear { bias: true, activation, live: false }, &[factors, weight, bias])?;
    }
    b.g.op1(&format!("{name}.scale"), Elementwise::Scale, &[x, factors])
}
