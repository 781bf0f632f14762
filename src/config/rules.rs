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
    /// maskrcnn-benchmark: the same, with the long side rounded down.
    PillowFloor,
    /// MMDetection: sides rounded to the nearest; OpenCV's bilinear resize of bytes, between the two nearest pixels, with
    /// weights of 11 bits; then values are normalised.
    Opencv,
    /// matterport's `square`: images are enlarged, and made smaller only to fit; sides rounded to the nearest, halves to the
    /// even; bytes interpolated between the two nearest pixels as scikit-image does it, with black around the image, and cut
    /// off to bytes; then black on all sides, up to a square of `max_size`; then values are normalised.
    Square,
    /// matterport's `pad64`: the same, with black on all sides up to the next multiples of `size_divisible`.
    Pad64,
    /// matterport's `none`: the same without any change of size.
    None,
}

/// The order in which a network's first convolution has the colours in its file. Images and settings are in that of RGB, whatever
/// this is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Colours {
    /// Red first: torchvision, matterport, and so our own files.
    #[default]
    Rgb,
    /// Blue first, as OpenCV and Caffe have it: detectron2, maskrcnn-benchmark, and MMDetection's bodies of Caffe.
    Bgr,
}

impl Colours {
    /// Three values, one a channel, in the order of RGB.
    pub(crate) fn to_rgb<T>(self, values: [T; 3]) -> [T; 3] {
        let [a, b, c] = values;
        match self {
            Self::Rgb => [a, b, c],
            Self::Bgr => [c, b, a],
        }
    }
}

/// How the features of a RoI become a square of fixed size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RoiPooling {
    /// RoIAlign: the mean of a bin's bilinear samples (Mask R-CNN).
    #[default]
    Align,
    /// RoIAlign with their maximum.
    AlignMax,
    /// RoIPool: the maximum of a bin's pixels, with the RoI brought to the nearest whole ones (Fast R-CNN, torchvision's
    /// `roi_pool`).
    Pool,
    /// RoIPool with everything rounded down, as drawings of it have it.
    PoolFloor,
    /// TensorFlow's `crop_and_resize`: one bilinear sample a bin, those of the outermost bins on the RoI's border, with zeros
    /// outside of the map (matterport).
    Crop,
}

impl RoiPooling {
    /// Every way, as files and flags name it.
    pub const ALL: [(&'static str, Self); 5] = [
        ("align", Self::Align),
        ("align-max", Self::AlignMax),
        ("pool", Self::Pool),
        ("pool-floor", Self::PoolFloor),
        ("crop", Self::Crop),
    ];

    /// Whether it samples between pixels.
    pub fn is_roi_align(self) -> bool {
        matches!(self, Self::Align | Self::AlignMax)
    }

    /// As files and flags name it.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, pooling)| *pooling == self).map_or("", |(name, _)| name)
    }
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
    /// Detectron, maskrcnn-benchmark: sides rounded to whole pixels at the size of a level's pixel, then enlarged; centred on
    /// that pixel, a ratio's sizes one after the other.
    Strided,
    /// MMDetection 1: corners rounded to whole pixels, centred as with `strided`, a ratio's sizes one after the other.
    RoundedCorners,
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
    /// matterport: `4 + log2(√area / 224)` rounded to the nearest, and levels are as fine as their strides.
    Rounded,
    /// Detectron, maskrcnn-benchmark: `⌊4 + log2(√area / 224 + 1e-6)⌋`, and levels are as fine as their strides.
    Canonical,
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
    /// matterport: boxes are rounded to whole pixels, halves to the even, and masks enlarged to them as scikit-image does it;
    /// what *reaches* the threshold belongs to the mask. Boxes that are left without a pixel are none.
    Whole,
}

/// What boxes are, and how they are clipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BoxRule {
    /// torchvision, detectron2: a box's far corner is where its last pixel ends. All boxes are clipped to the image.
    #[default]
    Corners,
    /// matterport, whose boxes are shares of the padded input's sides less a pixel: a box's far corner is where its last
    /// pixel begins. Proposals are clipped to the padded input, detections to the image.
    Normalized,
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
    /// matterport: as far as it says.
    None,
}

/// Where boxes end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Extents {
    /// At a line: a box from 2 to 5 is 3 wide.
    #[default]
    Exclusive,
    /// Detectron, maskrcnn-benchmark: with a pixel: a box from 2 to 5 is 4 wide, wherever widths are taken but when RoIs are
    /// pooled. Of two boxes, one is dropped if their IoU *reaches* the threshold.
    Inclusive,
    /// Detectron: the same, and of classes' boxes the pixels are those of the image before its resize.
    InclusiveInImage,
    /// The ONNX model zoo's exports of maskrcnn-benchmark: as inclusive, but for IoUs, which are of the corners alone; a box is
    /// dropped if its IoU *passes* the threshold, whichever of its corners comes first (ONNX's `NonMaxSuppression`).
    InclusiveButOverlaps,
}

/// As [`Rpn::min_size`](super::Rpn::min_size) or [`BoxHead::min_size`](super::BoxHead::min_size): boxes of no area are
/// dropped, and no others.
pub const SMALLEST_SIDE: f32 = 1e-6;
