//! The body, a ResNet or a MobileNetV3, and what of it the rest of the network reads.

use serde::{Deserialize, Serialize};

use super::mobilenet::MAPS;
use super::{BodyKind, json};

/// A body without its classifier. A ResNet: 7×7 stem, max-pool, stages at strides 4, 8, 16 and 32; what is said of blocks
/// and widths below is of such alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Backbone {
    /// What it is made of; `type` in JSON.
    #[serde(rename = "type")]
    pub kind: BodyKind,
    /// Blocks in each stage, from the one of stride 4 on; one to [`Backbone::MOST_STAGES`] stages. Empty where the body is no
    /// ResNet.
    pub layers: Vec<usize>,
    /// What a block is made of.
    pub block: BlockKind,
    /// Channels of the stem. A basic block of stage `i` makes this shifted left by `i`, a bottleneck four times that; a
    /// multiple of 4.
    pub base_width: usize,
    /// Channels of the 3×3 convolutions of the first stage's bottlenecks, doubled from stage to stage; 0: `base_width`.
    /// ResNeXt-50 32×4d and the wide ResNets have 128, ResNeXt-101 32×8d and 64×4d have 256.
    pub inner_width: usize,
    /// Groups of the 3×3 convolutions of bottlenecks (ResNeXt).
    pub groups: usize,
    /// A bottleneck's stride sits in its first 1×1 (Caffe, MSRA) and not in its 3×3 (torchvision).
    pub stride_in_1x1: bool,
    /// The windows of the stem's max-pool begin at the map's first pixels, and pass its border below and right alone
    /// (TensorFlow's `same`); torch's begin one before.
    pub pool_after: bool,
    /// The first stage of which an FPN has a level, counted from 0 (torchvision's `returned_layers` from 1): with 1, the
    /// levels begin at stride 8. Of a MobileNetV3 the first of its [`MAPS`] that an FPN reads; all
    /// further ones follow.
    pub first_level: usize,
    /// With [`Neck::Dc5`], the first block of the last stage is dilated as its others are (detectron2); torchvision's
    /// `replace_stride_with_dilation` leaves it undilated.
    pub dilate_first: bool,
    /// Where it is not 0: each convolution is followed by a GroupNorm of so many groups, and not by a BatchNorm.
    pub group_norm: usize,
    /// Added to the norm's variance. JSON: `"norm": "batchnorm eps 1e-5"`.
    #[serde(rename = "norm", with = "json::norm")]
    pub bn_eps: f32,
}

/// The two residual blocks of `torchvision/models/resnet.py`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BlockKind {
    /// 3×3, 3×3 (ResNet-18 and -34).
    Basic,
    /// 1×1, 3×3, 1×1 to four times the width (ResNet-50 and deeper).
    Bottleneck,
}

/// What lies between the body and the heads (Mask R-CNN, §3; detectron2's names).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Neck {
    /// A feature pyramid on the body's stages.
    #[default]
    Fpn,
    /// Nothing: RPN and RoIs are on the third stage's map, of stride 16; the fourth stage is the box head, whose features a
    /// mean pools, and the mask head begins with it, too.
    C4,
    /// Nothing: RPN and RoIs are on the fourth stage's map, whose stride stays 16, since it is dilated by 2.
    Dc5,
}

impl Neck {
    /// Every neck, as files and flags name it.
    pub const ALL: [(&'static str, Self); 3] = [("fpn", Self::Fpn), ("c4", Self::C4), ("dc5", Self::Dc5)];

    /// As files and flags name it.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, neck)| *neck == self).map_or("", |(name, _)| name)
    }
}

impl BlockKind {
    /// Output channels of a block over the width of its stage.
    pub fn expansion(self) -> usize {
        match self {
            Self::Basic => 1,
            Self::Bottleneck => 4,
        }
    }
}

impl Backbone {
    /// The norm's epsilon for people: `0`, `1e-5`.
    pub fn eps_text(&self) -> String {
        json::norm::text(self.bn_eps)
    }

    /// Most stages: RoIAlign reads so many levels.
    pub const MOST_STAGES: usize = 4;

    /// Stages that an FPN may have levels of.
    pub fn stages(&self) -> usize {
        match self.kind {
            BodyKind::Resnet => self.layers.len(),
            BodyKind::MobilenetV3Large => MAPS.len(),
        }
    }

    /// Input pixels from one pixel of a stage's output to the next, but where it is dilated.
    pub fn stage_strides(&self) -> Vec<usize> {
        match self.kind {
            BodyKind::Resnet => (0..self.layers.len()).map(|stage| 4 << stage).collect(),
            BodyKind::MobilenetV3Large => MAPS.iter().map(|map| map.stride).collect(),
        }
    }

    /// Output channels of each stage: C2, C3, …
    pub fn stage_channels(&self) -> Vec<usize> {
        if self.kind == BodyKind::MobilenetV3Large {
            return MAPS.iter().map(|map| map.channels).collect();
        }
        (0..self.layers.len()).map(|stage| (self.base_width << stage) * self.block.expansion()).collect()
    }

    /// Channels of the 3×3 convolutions of a stage's blocks.
    pub fn stage_width(&self, stage: usize) -> usize {
        let first = match self.block {
            BlockKind::Bottleneck if self.inner_width > 0 => self.inner_width,
            _ => self.base_width,
        };
        first << stage
    }
}

impl Default for Backbone {
    fn default() -> Self {
        Self {
            kind: BodyKind::Resnet,
            layers: vec![3, 4, 6, 3],
            block: BlockKind::Bottleneck,
            base_width: 64,
            inner_width: 0,
            groups: 1,
            stride_in_1x1: false,
            pool_after: false,
            first_level: 0,
            dilate_first: false,
            group_norm: 0,
            bn_eps: 1e-5,
        }
    }
}
