//! The blocks of a MobileNetV3 in the canonical form.

use super::canonical::{Conv, Linear};
use super::layers::Kind;
use super::reader::LayerReader;
use crate::config::mobilenet::{BLOCKS, InvertedBlock, STEM};
use crate::error::Result;
use crate::tensor::HostTensor;

/// A block of depthwise convolution. I is its input channels, E the expanded ones, O its outputs.
#[derive(Clone, Debug, PartialEq)]
pub struct Inverted {
    /// `[E, 1, 1, I]`, where E is not I.
    pub expand: Option<Conv>,
    /// `[E, side, side, 1]`.
    pub depthwise: Conv,
    /// Squeeze and excitation, in some blocks.
    pub squeeze: Option<Squeeze>,
    /// `[O, 1, 1, E]`.
    pub project: Conv,
}

/// The two layers of squeeze and excitation, S channels between them.
#[derive(Clone, Debug, PartialEq)]
pub struct Squeeze {
    /// `[S, E]`.
    pub squeeze: Linear,
    /// `[E, S]`.
    pub excite: Linear,
}

impl Inverted {
    pub(super) fn load(reader: &mut LayerReader, i: usize, block: &InvertedBlock) -> Result<Self> {
        let inputs = i.checked_sub(1).map_or(STEM, |before| BLOCKS[before].outputs);
        let mut part = 0;
        let mut next = || {
            part += 1;
            part - 1
        };
        let conv = |part| Kind::InvertedConv.in_block(i, part, 0);
        let expand = block.expands(inputs).then(|| reader.conv(conv(next()))).transpose()?;
        let depthwise = reader.conv(conv(next()))?;
        let squeeze = block.squeezes.then(|| Squeeze::load(reader, [i, next()])).transpose()?;
        Ok(Self { expand, depthwise, squeeze, project: reader.conv(conv(next()))? })
    }
}

impl Squeeze {
    fn load(reader: &mut LayerReader, [block, part]: [usize; 2]) -> Result<Self> {
        let mut layer = |which| {
            let (weight, bias) = reader.layer(Kind::Squeeze.in_block(block, part, which))?;
            let matrix = [weight.shape[0], weight.shape[1]];
            Ok(Linear::new(HostTensor::new(&matrix, weight.data), bias))
        };
        Ok(Self { squeeze: layer(0)?, excite: layer(1)? })
    }
}
