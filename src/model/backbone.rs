//! ResNet bodies and the feature pyramid (torchvision, `models/resnet.py`, `ops/feature_pyramid_network.py`).

use super::pyramid::Pyramid;
use super::{Builder, Capacity};
use crate::Result;
use crate::config::Config;
use crate::graph::Tensor;
use crate::ops::max_pool::MaxPool;
use crate::weights::{Block, Body, Fpn};

/// A map that a body makes of the input.
#[derive(Clone, Copy, Debug)]
pub(super) struct Feature {
    /// `[B,H,W,C]`.
    pub map: Tensor,
    /// Input pixels from one of its pixels to the next.
    pub stride: usize,
}

/// The number of the level of a stride, as in C2 and P2: strides are powers of two.
pub(super) fn level(stride: usize) -> usize {
    stride.ilog2() as usize
}

/// What a stage is called, by its level.
fn stage_name(level: usize) -> &'static str {
    ["C0", "C1", "C2", "C3", "C4", "C5"].get(level).copied().unwrap_or("body")
}

/// The features of `x` `[B,H,W,4]`, finest first: C2 at stride 4, each further one at twice that.
pub(super) fn resnet(b: &mut Builder, config: &Config, body: &Body, x: Tensor) -> Result<Vec<Feature>> {
    b.g.stage("C1");
    let c1 = b.g.conv2d("stem", x, &body.stem.weight, &body.stem.bias).stride(2).pad(3).relu().done()?;
    let mut x = b.g.op1("stem.pool", MaxPool { kernel: 3, stride: 2, pad: 1 }, &[c1])?;
    let mut features = Vec::new();
    for (stage, blocks) in body.stages.iter().enumerate() {
        let out = 4 << stage;
        b.g.stage(stage_name(level(out)));
        for (i, block) in blocks.iter().enumerate() {
            let stride = if stage > 0 && i == 0 { 2 } else { 1 };
            x = residual(b, config, block, x, stride, &format!("layer{}.{i}", stage + 1))?;
        }
        b.tap(format!("c{}", level(out)), x);
        features.push(Feature { map: x, stride: out });
    }
    Ok(features)
}

/// A basic or bottleneck block. The stride is on the first convolution, or on the 3×3 of a bottleneck.
fn residual(b: &mut Builder, config: &Config, block: &Block, x: Tensor, stride: usize, name: &str) -> Result<Tensor> {
    let identity = match &block.downsample {
        Some(d) => b.g.conv2d(&format!("{name}.downsample"), x, &d.weight, &d.bias).stride(stride).done()?,
        None => x,
    };
    let (c1, c2) = (&block.conv1, &block.conv2);
    let label = |n: usize| format!("{name}.conv{n}");
    match &block.conv3 {
        None => {
            let y = b.g.conv2d(&label(1), x, &c1.weight, &c1.bias).stride(stride).pad(1).relu().done()?;
            b.g.conv2d(&label(2), y, &c2.weight, &c2.bias).pad(1).residual(identity).relu().done()
        }
        Some(c3) => {
            let (first, second) = if config.backbone.stride_in_1x1 { (stride, 1) } else { (1, stride) };
            let y = b.g.conv2d(&label(1), x, &c1.weight, &c1.bias).stride(first).relu().done()?;
            let y = b.g.conv2d(&label(2), y, &c2.weight, &c2.bias).stride(second).pad(1).relu().done()?;
            b.g.conv2d(&label(3), y, &c3.weight, &c3.bias).residual(identity).relu().done()
        }
    }
}

/// A level for each feature, and one that is pooled from the last: P2..P6 of C2..C5.
pub(super) fn fpn(b: &mut Builder, fpn: &Fpn, features: &[Feature], capacity: &Capacity) -> Result<Pyramid> {
    b.g.stage("FPN");
    let mut maps: Vec<(usize, usize)> = features.iter().map(|f| (f.map.dim(1), f.map.dim(2))).collect();
    let last = maps[features.len() - 1];
    maps.push((last.0.div_ceil(2), last.1.div_ceil(2)));
    let channels = fpn.layer[0].weight.shape.dim(0);
    let strides: Vec<usize> = features.iter().map(|f| f.stride).collect();
    let pyramid = Pyramid::new(b, &maps, &strides, channels, capacity.batch, capacity.pyramid_bytes);
    let mut top: Option<Tensor> = None;
    for (i, feature) in features.iter().enumerate().rev() {
        let (inner, layer) = (&fpn.inner[i], &fpn.layer[i]);
        let name = format!("lateral{}", level(feature.stride));
        let lateral = b.g.conv2d(&name, feature.map, &inner.weight, &inner.bias);
        let merged = match top {
            None => lateral.done()?,
            Some(top) => lateral.residual(top).done()?,
        };
        top = Some(merged);
        let output = |b: &mut Builder, i: usize, stride: usize| {
            let (part, map) = pyramid.home(i);
            let conv = b.g.conv2d(&pyramid.name(i), merged, &layer.weight, &layer.bias).pad(1).stride(stride);
            conv.into_slice(part.tensor, part.levels.first(map) * channels)
        };
        output(b, i, 1)?;
        if i + 1 == features.len() {
            // Every second row and column of the last. Computed again, from its own sources, since no dispatch can read
            // the tensor that it writes.
            output(b, i + 1, 2)?;
        }
    }
    for i in 0..maps.len() {
        let (part, map) = pyramid.home(i);
        b.tap_map(pyramid.name(i).to_lowercase(), part.tensor, part.levels, map);
    }
    Ok(pyramid)
}
