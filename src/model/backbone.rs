//! Bodies and the feature pyramid (torchvision, `models/resnet.py`, `ops/feature_pyramid_network.py`).

use super::layer::Layer;
use super::mobilenet::mobilenet;
use super::pyramid::Pyramid;
use super::{Builder, Capacity};
use crate::Result;
use crate::config::{Backbone, BodyKind, Config, Neck};
use crate::graph::Tensor;
use crate::ops::activation::Activation::Relu;
use crate::ops::max_pool::MaxPool;
use crate::weights::{Block, Body, Conv, Fpn};

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

/// The number of the finest of a body's maps, from which the others are counted on.
pub(super) fn first_level(features: &[Feature]) -> usize {
    features.first().map_or(2, |finest| level(finest.stride))
}

/// What stage `stage`, counted from 0, is called.
fn stage_name(stage: usize) -> &'static str {
    ["C2", "C3", "C4", "C5"].get(stage).copied().unwrap_or("body")
}

/// How the blocks of a stage are done.
#[derive(Clone, Copy, Debug)]
struct Stage {
    /// Of its first block.
    stride: usize,
    /// Steps between the taps of the 3×3 of its first block, and of its others.
    dilation: [usize; 2],
    /// How many RoIs of each image count, where the stage is on RoIs.
    live: Option<Tensor>,
}

/// The features of `x` `[B,H,W,4]` that the network goes on with, finest first.
pub(super) fn features(b: &mut Builder, config: &Config, body: &Body, x: Tensor) -> Result<Vec<Feature>> {
    match config.backbone.kind {
        BodyKind::Resnet => resnet(b, config, body, x),
        BodyKind::MobilenetV3Large => mobilenet(b, config, body, x),
    }
}

/// Those of a ResNet: C2 at stride 4, each further one at twice that, but for a dilated C5.
fn resnet(b: &mut Builder, config: &Config, body: &Body, x: Tensor) -> Result<Vec<Feature>> {
    let backbone = &config.backbone;
    b.g.stage("C1");
    let stem = Layer { stride: 2, pad: 3, activation: Relu, ..Layer::new(norm(backbone)) };
    let c1 = b.layer("stem", x, &body.stem, stem)?;
    let mut x = b.g.op1(
        "stem.pool",
        MaxPool { kernel: 3, stride: 2, pad: 1 - usize::from(backbone.pool_after), after: 1 },
        &[c1],
    )?;
    let mut features = Vec::new();
    let mut stride = 4;
    // With C4, the last stage is the box head.
    let stages = body.stages.len() - usize::from(config.neck == Neck::C4);
    for (stage, blocks) in body.stages[..stages].iter().enumerate() {
        let dilated = config.neck == Neck::Dc5 && stage + 1 == stages;
        let how = match dilated {
            true => Stage { stride: 1, dilation: [1 + usize::from(backbone.dilate_first), 2], live: None },
            false => Stage { stride: 1 + usize::from(stage > 0), dilation: [1, 1], live: None },
        };
        stride *= how.stride;
        b.g.stage(stage_name(stage));
        x = residual_stage(b, backbone, blocks, x, how, &format!("layer{}", stage + 1))?;
        b.tap(format!("c{}", stage + 2), x);
        features.push(Feature { map: x, stride });
    }
    Ok(match config.neck {
        Neck::Fpn => features.split_off(backbone.first_level),
        Neck::C4 | Neck::Dc5 => features.split_off(features.len() - 1),
    })
}

/// The body's last stage on pooled RoIs `[B·n,P,P,C]`, of which the first `live` of each image count: half the side.
pub(super) fn last_stage(
    b: &mut Builder,
    config: &Config,
    body: &Body,
    x: Tensor,
    live: Tensor,
    name: &str,
) -> Result<Tensor> {
    let blocks = body.stages.last().map_or(&[][..], Vec::as_slice);
    let how = Stage { stride: 2, dilation: [1, 1], live: Some(live) };
    residual_stage(b, &config.backbone, blocks, x, how, &format!("{name}.layer{}", body.stages.len()))
}

fn norm(backbone: &Backbone) -> (usize, f32) {
    (backbone.group_norm, backbone.bn_eps)
}

fn residual_stage(
    b: &mut Builder,
    backbone: &Backbone,
    blocks: &[Block],
    mut x: Tensor,
    how: Stage,
    name: &str,
) -> Result<Tensor> {
    for (i, block) in blocks.iter().enumerate() {
        let (stride, dilation) = if i == 0 { (how.stride, how.dilation[0]) } else { (1, how.dilation[1]) };
        x = residual(b, backbone, block, x, (stride, dilation), how.live, &format!("{name}.{i}"))?;
    }
    Ok(x)
}

/// A basic or bottleneck block. The stride is on the first convolution, or on the 3×3 of a bottleneck.
fn residual(
    b: &mut Builder,
    backbone: &Backbone,
    block: &Block,
    x: Tensor,
    (stride, dilation): (usize, usize),
    live: Option<Tensor>,
    name: &str,
) -> Result<Tensor> {
    let one = Layer { live, ..Layer::new(norm(backbone)) };
    let three = Layer { pad: dilation, dilation, groups: backbone.groups, ..one };
    let identity = match &block.downsample {
        Some(d) => b.layer(&format!("{name}.downsample"), x, d, Layer { stride, ..one })?,
        None => x,
    };
    let last = |how: Layer| Layer { residual: Some(identity), activation: Relu, ..how };
    let mut conv = |n: usize, x: Tensor, conv: &Conv, how: Layer| b.layer(&format!("{name}.conv{n}"), x, conv, how);
    match &block.conv3 {
        None => {
            let y = conv(1, x, &block.conv1, Layer { stride, activation: Relu, ..three })?;
            conv(2, y, &block.conv2, last(three))
        }
        Some(conv3) => {
            let (first, second) = if backbone.stride_in_1x1 { (stride, 1) } else { (1, stride) };
            let y = conv(1, x, &block.conv1, Layer { stride: first, activation: Relu, ..one })?;
            let y = conv(2, y, &block.conv2, Layer { stride: second, activation: Relu, ..three })?;
            conv(3, y, conv3, last(one))
        }
    }
}

/// What RPN and heads read of the features: the pyramid's levels, or the one map that there is.
pub(super) fn neck(
    b: &mut Builder,
    config: &Config,
    weights: &Fpn,
    features: &[Feature],
    capacity: &Capacity,
) -> Result<Pyramid> {
    match config.neck {
        Neck::Fpn if config.fpn_norm && config.group_norm > 0 => normalized_fpn(b, config, weights, features),
        Neck::Fpn => fpn(b, weights, features, capacity),
        Neck::C4 | Neck::Dc5 => Ok(Pyramid::of_maps('C', if config.neck == Neck::C4 { 4 } else { 5 }, features, &[])),
    }
}

/// The pyramid with GroupNorms, which need each map whole: every level is a tensor of its own.
fn normalized_fpn(b: &mut Builder, config: &Config, fpn: &Fpn, features: &[Feature]) -> Result<Pyramid> {
    b.g.stage("FPN");
    let one = Layer::new((config.group_norm, config.backbone.bn_eps));
    let (mut top, mut maps): (Option<Tensor>, Vec<Feature>) = (None, Vec::new());
    let first = first_level(features);
    for (i, feature) in features.iter().enumerate().rev() {
        let name = format!("lateral{}", first + i);
        let merged = b.layer(&name, feature.map, &fpn.inner[i], Layer { residual: top, ..one })?;
        top = Some(merged);
        let name = format!("P{}", first + i);
        let map = b.layer(&name, merged, &fpn.layer[i], Layer { pad: 1, ..one })?;
        b.tap(name.to_lowercase(), map);
        maps.insert(0, Feature { map, ..*feature });
    }
    let last = maps[maps.len() - 1];
    let name = format!("P{}", first + maps.len());
    let pooled = b.g.op1(&name, MaxPool { kernel: 1, stride: 2, pad: 0, after: 0 }, &[last.map])?;
    b.tap(name.to_lowercase(), pooled);
    Ok(Pyramid::of_maps('P', level(maps[0].stride), &maps, &[pooled]))
}

/// Level `i` of the pyramid, counted from the finest, and no other.
pub(super) fn one_level(
    b: &mut Builder,
    config: &Config,
    fpn: &Fpn,
    features: &[Feature],
    i: usize,
) -> Result<Feature> {
    b.g.stage("FPN");
    let groups = if config.fpn_norm { config.group_norm } else { 0 };
    let one = Layer::new((groups, config.backbone.bn_eps));
    let mut top = None;
    let first = first_level(features);
    for (i, feature) in features.iter().enumerate().skip(i).rev() {
        let name = format!("lateral{}", first + i);
        top = Some(b.layer(&name, feature.map, &fpn.inner[i], Layer { residual: top, ..one })?);
    }
    let feature = features[i];
    let name = format!("P{}", first + i);
    let map = b.layer(&name, top.unwrap_or(feature.map), &fpn.layer[i], Layer { pad: 1, ..one })?;
    b.tap(name.to_lowercase(), map);
    Ok(Feature { map, ..feature })
}

/// A level for each feature, and one that is pooled from the last: P2..P6 of C2..C5.
fn fpn(b: &mut Builder, fpn: &Fpn, features: &[Feature], capacity: &Capacity) -> Result<Pyramid> {
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
        let name = format!("lateral{}", first_level(features) + i);
        let lateral = b.g.conv2d(&name, feature.map, &inner.weight, &inner.bias);
        let merged = match top {
            None => lateral.done()?,
            Some(top) => lateral.residual(top).done()?,
        };
        top = Some(merged);
        let output = |b: &mut Builder, i: usize, stride: usize| {
            let (part, map) = pyramid.home(i);
            let conv = b.g.conv2d(&pyramid.name(i), merged, &layer.weight, &layer.bias).pad(1).stride(stride);
            conv.into_slice(part.tensor, part.first_cell(map) * channels)
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
        if let Some(levels) = part.levels {
            b.tap_map(pyramid.name(i).to_lowercase(), part.tensor, levels, map);
        }
    }
    Ok(pyramid)
}
