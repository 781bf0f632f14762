//! ResNet bodies and the feature pyramid (torchvision, `models/resnet.py`, `ops/feature_pyramid_network.py`).

use super::pyramid::Pyramid;
use super::{Builder, Config, Room};
use crate::Result;
use crate::graph::Tensor;
use crate::ops::max_pool::MaxPool;
use crate::weights::{Block, Body, Fpn};

const STAGES: [&str; 4] = ["C2", "C3", "C4", "C5"];

/// C2..C5 of `x` `[B,H,W,4]`, at strides 4 to 32.
pub(super) fn resnet(b: &mut Builder, config: &Config, body: &Body, x: Tensor) -> Result<[Tensor; 4]> {
    b.g.stage("C1");
    let c1 = b.g.conv2d("stem", x, &body.stem.weight, &body.stem.bias).stride(2).pad(3).relu().done()?;
    let mut x = b.g.op1("stem.pool", MaxPool { kernel: 3, stride: 2, pad: 1 }, &[c1])?;
    let mut out = [x; 4];
    for (stage, blocks) in body.stages.iter().enumerate() {
        b.g.stage(STAGES[stage]);
        for (i, block) in blocks.iter().enumerate() {
            let stride = if stage > 0 && i == 0 { 2 } else { 1 };
            x = residual(b, config, block, x, stride, &format!("layer{}.{i}", stage + 1))?;
        }
        b.tap(format!("c{}", stage + 2), x);
        out[stage] = x;
    }
    Ok(out)
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

/// P2..P6 of C2..C5.
pub(super) fn fpn(b: &mut Builder, fpn: &Fpn, stages: &[Tensor; 4], room: &Room) -> Result<Pyramid> {
    b.g.stage("FPN");
    let mut maps = stages.map(|c| (c.dim(1), c.dim(2))).to_vec();
    maps.push((maps[3].0.div_ceil(2), maps[3].1.div_ceil(2)));
    let channels = fpn.layer[0].weight.shape.dim(0);
    let pyramid = Pyramid::new(b, &maps, channels, room.batch, room.pyramid_bytes);
    let mut top: Option<Tensor> = None;
    for i in (0..4).rev() {
        let (inner, layer) = (&fpn.inner[i], &fpn.layer[i]);
        let lateral = b.g.conv2d(&format!("lateral{}", i + 2), stages[i], &inner.weight, &inner.bias);
        let merged = match top {
            None => lateral.done()?,
            Some(top) => lateral.residual(top).done()?,
        };
        top = Some(merged);
        let level = |b: &mut Builder, i: usize, stride: usize| {
            let (part, map) = pyramid.home(i);
            let conv = b.g.conv2d(&format!("P{}", i + 2), merged, &layer.weight, &layer.bias).pad(1).stride(stride);
            conv.into_slice(part.tensor, part.levels.first(map) * channels)
        };
        level(b, i, 1)?;
        if i == 3 {
            // Every second row and column of P5. Computed again, from P5's own sources, since no dispatch can read the
            // tensor that it writes.
            level(b, 4, 2)?;
        }
    }
    for i in 0..maps.len() {
        let (part, map) = pyramid.home(i);
        b.tap_map(format!("p{}", i + 2), part.tensor, part.levels, map);
    }
    Ok(pyramid)
}
