//! MobileNetV3-large as a body (Howard et al., arXiv:1905.02244, table 1; `torchvision/models/mobilenetv3.py`).

use serde::{Deserialize, Serialize};

/// What a body is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BodyKind {
    /// Residual blocks ([`Backbone::layers`](super::Backbone::layers)).
    #[default]
    Resnet,
    /// MobileNetV3-large of width 1, not dilated. Of its maps an FPN reads those that torchvision's `mobilenet_backbone`
    /// returns: [`MAPS`].
    MobilenetV3Large,
}

/// A block of depthwise convolution: 1×1 to `expanded` channels (where those are not the input's), a depthwise one, squeeze
/// and excitation where said, 1×1 to `outputs`; the input is added where it is of the output's shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvertedBlock {
    /// Side of the depthwise kernel.
    pub side: usize,
    /// Channels of the depthwise convolution.
    pub expanded: usize,
    /// Channels of the block's output.
    pub outputs: usize,
    /// Whether its channels are scaled by what is made of their means.
    pub squeezes: bool,
    /// Whether its activations are hard swishes, and not ReLUs.
    pub hard: bool,
    /// Of the depthwise convolution.
    pub stride: usize,
}

const fn block(
    side: usize,
    expanded: usize,
    outputs: usize,
    squeezes: bool,
    hard: bool,
    stride: usize,
) -> InvertedBlock {
    InvertedBlock { side, expanded, outputs, squeezes, hard, stride }
}

/// Channels of the 3×3 convolution of stride 2 that comes first.
pub const STEM: usize = 16;

/// The blocks after it.
pub const BLOCKS: [InvertedBlock; 15] = [
    block(3, 16, 16, false, false, 1),
    block(3, 64, 24, false, false, 2),
    block(3, 72, 24, false, false, 1),
    block(5, 72, 40, true, false, 2),
    block(5, 120, 40, true, false, 1),
    block(5, 120, 40, true, false, 1),
    block(3, 240, 80, false, true, 2),
    block(3, 200, 80, false, true, 1),
    block(3, 184, 80, false, true, 1),
    block(3, 184, 80, false, true, 1),
    block(3, 480, 112, true, true, 1),
    block(3, 672, 112, true, true, 1),
    block(5, 672, 160, true, true, 2),
    block(5, 960, 160, true, true, 1),
    block(5, 960, 160, true, true, 1),
];

/// Channels of the 1×1 convolution that comes last.
pub const LAST: usize = 960;

/// A map that an FPN may read, by torchvision's number (`returned_layers`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Map {
    /// After how many blocks it is there; the last is what the last convolution makes.
    pub after: usize,
    /// Its channels.
    pub channels: usize,
    /// Input pixels from one of its pixels to the next.
    pub stride: usize,
}

const fn map(after: usize, channels: usize, stride: usize) -> Map {
    Map { after, channels, stride }
}

/// The stem's output, those of the blocks that halve the map, and the last convolution's, whose stride is that of the one
/// before: torchvision's detectors read just these two.
pub const MAPS: [Map; 6] =
    [map(0, STEM, 2), map(2, 24, 4), map(4, 40, 8), map(7, 80, 16), map(13, 160, 32), map(15, LAST, 32)];

impl InvertedBlock {
    /// Channels between the two layers of squeeze and excitation: a quarter, as a multiple of 8 that is no less than nine
    /// tenths of it (`_make_divisible`).
    pub fn squeezed(&self) -> usize {
        let quarter = self.expanded / 4;
        let nearest = ((quarter + 4) / 8 * 8).max(8);
        if 10 * nearest < 9 * quarter { nearest + 8 } else { nearest }
    }

    /// Whether a 1×1 convolution precedes the depthwise one, of such an input.
    pub fn expands(&self, inputs: usize) -> bool {
        self.expanded != inputs
    }

    /// Whether such an input is added to the output.
    pub fn is_residual(&self, inputs: usize) -> bool {
        self.stride == 1 && self.outputs == inputs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_of_one_body() {
        let mut stride = 2;
        for (i, block) in BLOCKS.iter().enumerate() {
            stride *= block.stride;
            let reads = MAPS.iter().find(|map| map.after == i + 1 && map.after < BLOCKS.len());
            // What halves the map is read, and nothing else but the ends.
            assert_eq!(reads.is_some(), block.stride == 2, "{i}");
            assert!(reads.is_none_or(|map| (map.channels, map.stride) == (block.outputs, stride)), "{i}");
        }
        assert_eq!((MAPS[5].stride, MAPS[5].channels), (stride, 6 * BLOCKS[14].outputs));
        let squeezed: Vec<usize> = BLOCKS.iter().filter(|b| b.squeezes).map(InvertedBlock::squeezed).collect();
        assert_eq!(squeezed, [24, 32, 32, 120, 168, 168, 240, 240]);
    }
}
