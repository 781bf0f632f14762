//! Rules by which projects do the same a little differently: torchvision's are the defaults.

use serde::{Deserialize, Serialize};

/// How an image is brought to the network's size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resize {
    /// torchvision: sides rounded down; values are normalised and then interpolated between the two nearest pixels.
    #[default]
    Bilinear,
    /// detectron2: sides rounded to the nearest; Pillow's bilinear filter, which is as wide as what it shrinks (no aliases),
    /// along rows and then along columns, each rounded to bytes; then values are normalised.
    Pillow,
    /// MMDetection: sides rounded to the nearest; OpenCV's bilinear resize of bytes, between the two nearest pixels, with
    /// weights of 11 bits; then values are normalised.
    Opencv,
}

/// How anchors are made of sizes and ratios.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AnchorRule {
    /// torchvision: half sides rounded to whole pixels, a ratio's sizes one after the other, steps of what the padded input
    /// has of a level's pixels.
    #[default]
    Rounded,
    /// detectron2: not rounded, a size's ratios one after the other, steps of the level's stride.
    Exact,
    /// MMDetection: as `exact`, but a ratio's sizes one after the other.
    ExactByRatio,
}

/// How the level of a RoI, and its place on it, are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LevelRule {
    /// torchvision: `⌊4 + log2(√area / 224) + 1e-6⌋`, and levels are as fine as the padded image has of their pixels.
    #[default]
    Inferred,
    /// detectron2: `⌊4 + log2(√area / 224 + 1e-8)⌋`, and levels are as fine as their strides.
    Fixed,
    /// MMDetection: `⌊2 + log2(√area / 56 + 1e-6)⌋`, and levels are as fine as their strides.
    Finest,
}

/// How masks are brought into the image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PasteRule {
    /// torchvision: enlarged, with a border of zeros, to a box of whole pixels; what is *above* the threshold belongs to the
    /// mask. Boxes end where they end.
    #[default]
    Enlarged,
    /// detectron2: sampled at the centre of every pixel of the box as it is; what *reaches* the threshold belongs to the
    /// mask. Boxes are clipped to the image once more.
    Sampled,
}

/// How far a delta may shrink or enlarge a box.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeltaLimit {
    /// torchvision, detectron2: at most to 1000 / 16 of its side; to nothing, if it says so.
    #[default]
    Above,
    /// MMDetection: nor to less than 16 / 1000 of it.
    Both,
}

/// As [`Rpn::min_size`](super::Rpn::min_size) or [`BoxHead::min_size`](super::BoxHead::min_size): boxes of no area are
/// dropped, and no others.
pub const SMALLEST_SIDE: f32 = 1e-6;
