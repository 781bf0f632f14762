//! A layer of a network: a convolution, the norm after it where one is left, and what follows.

use super::Builder;
use crate::Result;
use crate::graph::Tensor;
use crate::ops::activation::Activation;
use crate::ops::elementwise::Elementwise;
use crate::ops::group_norm::GroupNorm;
use crate::weights::Conv;

/// How a convolution is done, and what follows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layer {
    /// Steps between outputs.
    pub stride: usize,
    /// Zeros around the map.
    pub pad: usize,
    /// Steps between taps.
    pub dilation: usize,
    /// Groups of channels that do not mix.
    pub groups: usize,
    /// What is added, enlarged by nearest neighbour where it is smaller.
    pub residual: Option<Tensor>,
    /// What ends it.
    pub activation: Activation,
    /// How many of each image's rows count, where the map's images are RoIs.
    pub live: Option<Tensor>,
    /// Groups and epsilon of a GroupNorm, where the weights have one.
    pub norm: (usize, f32),
}

impl Layer {
    /// Stride 1, nothing around, nothing after it.
    pub(super) fn new(norm: (usize, f32)) -> Self {
        Self {
            stride: 1,
            pad: 0,
            dilation: 1,
            groups: 1,
            residual: None,
            activation: Activation::Identity,
            live: None,
            norm,
        }
    }
}

impl Builder {
    /// `conv` of `x` `[N,H,W,C]`, as `how` says.
    pub(super) fn layer(&mut self, label: &str, x: Tensor, conv: &Conv, how: Layer) -> Result<Tensor> {
        let mut layer = self.g.conv2d(label, x, &conv.weight, &conv.bias);
        layer = layer.stride(how.stride).pad(how.pad).dilation(how.dilation).groups(how.groups);
        if let Some(live) = how.live {
            layer = layer.live(live);
        }
        let Some(affine) = &conv.group_norm else {
            if let Some(residual) = how.residual {
                layer = layer.residual(residual);
            }
            return layer.activation(how.activation).done();
        };
        let y = layer.done()?;
        let scale = self.g.constant(&format!("{label}.norm.scale"), affine.scale.clone());
        let shift = self.g.constant(&format!("{label}.norm.shift"), affine.shift.clone());
        let mut inputs = vec![y, scale, shift];
        if let Some(mut residual) = how.residual {
            let (h, w) = (y.dim(1), y.dim(2));
            if (residual.dim(1), residual.dim(2)) != (h, w) {
                residual = self.g.op1(&format!("{label}.enlarge"), Elementwise::Enlarge { h, w }, &[residual])?;
            }
            inputs.push(residual);
        }
        inputs.extend(how.live);
        // No network has another after a GroupNorm.
        let relu = how.activation == Activation::Relu;
        let ((groups, eps), residual, live) = (how.norm, how.residual.is_some(), how.live.is_some());
        self.g.op1(&format!("{label}.norm"), GroupNorm { groups, eps, residual, relu, live }, &inputs)
    }
}
