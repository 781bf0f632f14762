//! Every setting of a network, as one value that a weights file carries in its metadata.
//!
//! Whatever a file does not state takes the value of torchvision's `maskrcnn_resnet50_fpn`
//! (`torchvision/models/detection/{mask_rcnn,faster_rcnn}.py`). Field names are the JSON's keys, except
//! [`Config::box_head`] (`box`, a reserved word in Rust) and [`Backbone::bn_eps`] (`norm`, a phrase).

mod anchors;
mod backbone;
mod coco;
mod json;
pub mod mobilenet;
mod overrides;
pub mod presets;
mod rules;
mod validate;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use backbone::{Backbone, BlockKind, Neck};
use coco::COCO_NAMES;
pub use mobilenet::BodyKind;
pub use rules::{
    AnchorRule, BoxRule, Colours, DeltaLimit, Extents, LevelRule, PasteRule, Resize, RoiPooling, SMALLEST_SIDE,
};

/// The settings of one Mask R-CNN.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// What to call the network in messages.
    pub name: String,
    /// The body.
    pub backbone: Backbone,
    /// What lies between the body and the heads.
    pub neck: Neck,
    /// Channels of every FPN level; a multiple of 4.
    pub fpn_channels: usize,
    /// Each of the FPN's convolutions has a norm instead of a bias (torchvision's `_v2` models).
    pub fpn_norm: bool,
    /// Where it is not 0: the norms of FPN and heads are GroupNorms of so many groups, and not BatchNorms.
    pub group_norm: usize,
    /// Classes, the background (class 0) included.
    pub num_classes: usize,
    /// One name a class, the background's first.
    pub class_names: Vec<String>,
    /// Anchor sides in input pixels (square root of the area), for each of the levels ([`Config::levels`]).
    pub anchor_sizes: Vec<Vec<f32>>,
    /// Anchor height over width; every level has all of them.
    pub anchor_ratios: Vec<f32>,
    /// How anchors are made of these.
    pub anchor_rule: AnchorRule,
    /// Region proposal network.
    pub rpn: Rpn,
    /// Box head; `box` in JSON.
    #[serde(rename = "box")]
    pub box_head: BoxHead,
    /// Mask head; `null` in JSON, `None` here, makes a Faster R-CNN.
    pub mask: Option<MaskHead>,
    /// From image to network input.
    pub transform: Transform,
    /// RoIAlign moves its samples by half a feature pixel and drops the 1-pixel minimum (detectron2, MMDetection);
    /// torchvision's published models do not.
    pub roi_aligned: bool,
    /// How the levels of RoIs are found.
    pub roi_levels: LevelRule,
    /// How far a delta may change a box.
    pub delta_limit: DeltaLimit,
    /// Where boxes end.
    pub extents: Extents,
    /// How boxes and masks are brought into the image.
    pub paste: PasteRule,
    /// What boxes are, and how they are made of deltas and clipped.
    pub box_rule: BoxRule,
}

/// Region proposal network (`torchvision/models/detection/rpn.py`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rpn {
    /// 3×3 convolutions before the two predictors.
    pub conv_depth: usize,
    /// Their output channels, a multiple of 4; 0: as many as the maps have that they are on.
    pub channels: usize,
    /// Proposals are chosen before NMS, and suppressed, over all levels together (matterport), and not level by level.
    pub joint: bool,
    /// Proposals a level keeps before NMS; with `joint`, all levels together.
    pub pre_nms_top_n: usize,
    /// Proposals an image keeps after NMS, over all levels.
    pub post_nms_top_n: usize,
    /// NMS suppresses above this IoU.
    pub nms_thresh: f32,
    /// Proposals below this probability are dropped.
    pub score_thresh: f32,
    /// Proposals with a shorter side, in pixels of the resized image, are dropped.
    pub min_size: f32,
}

/// What happens to a detection that overlaps a better one of its class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Suppression {
    /// It is dropped where the IoU passes [`BoxHead::nms_thresh`].
    #[default]
    Hard,
    /// Soft-NMS: where the IoU passes [`BoxHead::nms_thresh`], its score falls by `1 − IoU`.
    Linear,
    /// Soft-NMS: its score falls by `exp(−IoU² / σ)`, with [`BoxHead::soft_nms_sigma`].
    Gaussian,
}

/// Box head (`torchvision/models/detection/roi_heads.py`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BoxHead {
    /// Side of the pooled features.
    pub roi_size: usize,
    /// How they are pooled.
    pub pooling: RoiPooling,
    /// RoIAlign samples a bin and axis; at most 8; 0 takes as many as the bin has pixels.
    pub sampling_ratio: usize,
    /// Output channels of the 3×3 convolutions before the fully connected layers, each with a norm and ReLU;
    /// multiples of 4 (torchvision's `_v2` models have four of 256).
    pub convs: Vec<usize>,
    /// Fully connected layers; none with [`Neck::C4`], whose box head is the body's last stage and a mean.
    pub fc_layers: usize,
    /// Their width; a multiple of 4.
    pub representation: usize,
    /// Detections must score above this probability.
    pub score_thresh: f32,
    /// NMS within a class suppresses above this IoU.
    pub nms_thresh: f32,
    /// What suppression is. A score that falls to `score_thresh` or less is dropped.
    pub suppression: Suppression,
    /// σ of [`Suppression::Gaussian`].
    pub soft_nms_sigma: f32,
    /// Detections an image keeps.
    pub detections_per_img: usize,
    /// Divisors of the deltas x, y, width, height.
    pub reg_weights: [f32; 4],
    /// One set of deltas serves all classes.
    pub class_agnostic: bool,
    /// A RoI is a candidate of its best class alone, and of none where that is the background; scores that reach the
    /// threshold count (matterport).
    pub best_class: bool,
    /// Detections with a shorter side, in pixels of the resized image, are dropped.
    pub min_size: f32,
}

/// Mask head (`torchvision/models/detection/mask_rcnn.py`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MaskHead {
    /// Side of the pooled features.
    pub roi_size: usize,
    /// How they are pooled.
    pub pooling: RoiPooling,
    /// RoIAlign samples a bin and axis; at most 8; 0 takes as many as the bin has pixels.
    pub sampling_ratio: usize,
    /// Output channels of each 3×3 convolution; multiples of 4.
    pub layers: Vec<usize>,
    /// Each of them has a norm instead of a bias (torchvision's `_v2` models).
    pub norm: bool,
    /// Channels after the transposed convolution; a multiple of 4.
    pub dim_reduced: usize,
    /// Side of the predicted mask: twice `roi_size`; with [`Neck::C4`], where the body's last stage halves what was pooled,
    /// as much as `roi_size`.
    pub output_size: usize,
    /// One mask serves all classes.
    pub class_agnostic: bool,
    /// A pixel belongs to the mask above this probability, or from it on ([`Config::paste`]).
    pub threshold: f32,
}

/// Resize, normalisation and padding (`torchvision/models/detection/transform.py`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Transform {
    /// How pixels are made of the image's.
    pub resize: Resize,
    /// The short side becomes this many pixels; with [`Resize::Square`] and [`Resize::Pad64`] at least this many …
    pub min_size: usize,
    /// … unless the long side would then pass this many.
    pub max_size: usize,
    /// Where it is not 0: every image is resized by this factor, whatever its short side is, unless the long side would
    /// then pass `max_size`.
    pub scale: f32,
    /// The diameter, in pixels after the resize, of what the network was trained to find: the median of 2·√(area/π). 0
    /// where it is not known.
    pub diameter: f32,
    /// With [`Resize::Square`] and [`Resize::Pad64`]: every image is enlarged by at least this factor.
    pub min_scale: f32,
    /// The order of the colours in the file's first convolution. Mean and standard deviation are in that of RGB.
    pub colours: Colours,
    /// What a byte of 255 counts as: 1 (torchvision) or, where mean and standard deviation are those of bytes, 255.
    pub image_range: f32,
    /// Subtracted from red, green and blue, each in 0..`image_range`.
    pub image_mean: [f32; 3],
    /// Divides what is left.
    pub image_std: [f32; 3],
    /// Height and width are padded right and below to a multiple of this, which is one of 32 where there is an FPN.
    pub size_divisible: usize,
}

impl Config {
    /// torchvision's `maskrcnn_resnet50_fpn` as published (`COCO_V1`): 91 COCO ids, BatchNorm epsilon **0**.
    ///
    /// torchvision's loader sets that epsilon for this one file (`overwrite_eps`); the file does not say it. A model
    /// fine-tuned with torchvision has 1e-5, which is what [`Config::default`] gives.
    pub fn maskrcnn_resnet50_fpn() -> Self {
        let mut config = Self::default();
        config.backbone.bn_eps = 0.0;
        config
    }

    /// torchvision's `maskrcnn_resnet50_fpn_v2`: BatchNorm throughout (epsilon 1e-5), a deeper RPN head, convolutions
    /// in the box head (`torchvision/models/detection/mask_rcnn.py`).
    pub fn maskrcnn_resnet50_fpn_v2() -> Self {
        let mut config = Self { name: "maskrcnn_resnet50_fpn_v2".into(), fpn_norm: true, ..Self::default() };
        config.rpn.conv_depth = 2;
        (config.box_head.convs, config.box_head.fc_layers) = (vec![256; 4], 1);
        config.mask = Some(MaskHead { norm: true, ..MaskHead::default() });
        config
    }

    /// This network without its mask head: a Faster R-CNN, named as torchvision names it.
    pub fn without_masks(self) -> Self {
        Self { name: self.name.replace("maskrcnn", "fasterrcnn"), mask: None, ..self }
    }

    /// The names that torchvision's models give `classes` classes, the background's first: COCO's for 91, otherwise
    /// "class 1", "class 2", …
    pub fn names_of(classes: usize) -> Vec<String> {
        match classes {
            91 => COCO_NAMES.map(String::from).to_vec(),
            _ => (0..classes)
                .map(|class| if class == 0 { "__background__".into() } else { format!("class {class}") })
                .collect(),
        }
    }

    /// The names of COCO's 80 classes, as projects number them that leave the unused ids out, the background's first.
    pub fn coco_names_without_holes() -> Vec<String> {
        COCO_NAMES.iter().filter(|name| **name != "N/A").map(|name| name.to_string()).collect()
    }

    /// Levels that anchors are on: with an FPN, one for each stage from [`Backbone::first_level`] on, and one that is pooled
    /// from the last; one otherwise.
    pub fn levels(&self) -> usize {
        match self.neck {
            Neck::Fpn => self.backbone.stages().saturating_sub(self.backbone.first_level) + 1,
            Neck::C4 | Neck::Dc5 => 1,
        }
    }

    /// Channels of the maps that the RPN and the heads read.
    pub fn map_channels(&self) -> usize {
        let stage = |n: usize| self.backbone.stage_channels().get(n).copied().unwrap_or(0);
        match self.neck {
            Neck::Fpn => self.fpn_channels,
            Neck::C4 => stage(2),
            Neck::Dc5 => stage(3),
        }
    }

    /// Channels between the RPN's convolutions and its predictors.
    pub fn rpn_channels(&self) -> usize {
        if self.rpn.channels > 0 { self.rpn.channels } else { self.map_channels() }
    }

    /// Features of a RoI that its logits and deltas are made of.
    pub fn box_features(&self) -> usize {
        match self.neck {
            Neck::C4 => self.backbone.stage_channels().last().copied().unwrap_or(0),
            Neck::Fpn | Neck::Dc5 => self.box_head.representation,
        }
    }

    /// How much more than the difference of its corners a box's side is, in pixels.
    pub(crate) fn extent(&self) -> f32 {
        if self.extents == Extents::Exclusive { 0.0 } else { 1.0 }
    }

    /// What an IoU must pass for one of two boxes to be dropped, for a threshold that is set.
    pub(crate) fn passed(&self, threshold: f32) -> f32 {
        match self.extents {
            Extents::Exclusive | Extents::InclusiveButOverlaps => threshold,
            Extents::Inclusive | Extents::InclusiveInImage => threshold.next_down(),
        }
    }

    /// Anchors at each feature pixel: sizes of a level times ratios.
    pub fn anchors_per_cell(&self) -> usize {
        self.anchor_sizes.first().map_or(0, Vec::len) * self.anchor_ratios.len()
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            name: "maskrcnn_resnet50_fpn".into(),
            backbone: Backbone::default(),
            neck: Neck::Fpn,
            fpn_channels: 256,
            fpn_norm: false,
            group_norm: 0,
            num_classes: COCO_NAMES.len(),
            class_names: COCO_NAMES.map(String::from).to_vec(),
            anchor_sizes: [32.0, 64.0, 128.0, 256.0, 512.0].map(|size| vec![size]).to_vec(),
            anchor_ratios: vec![0.5, 1.0, 2.0],
            anchor_rule: AnchorRule::Rounded,
            rpn: Rpn::default(),
            box_head: BoxHead::default(),
            mask: Some(MaskHead::default()),
            transform: Transform::default(),
            roi_aligned: false,
            roi_levels: LevelRule::Inferred,
            delta_limit: DeltaLimit::Above,
            extents: Extents::Exclusive,
            paste: PasteRule::Enlarged,
            box_rule: BoxRule::Corners,
        }
    }
}

impl Default for Rpn {
    fn default() -> Self {
        Self {
            conv_depth: 1,
            channels: 0,
            joint: false,
            pre_nms_top_n: 1000,
            post_nms_top_n: 1000,
            nms_thresh: 0.7,
            score_thresh: 0.0,
            min_size: 1e-3,
        }
    }
}

impl Default for BoxHead {
    fn default() -> Self {
        Self {
            roi_size: 7,
            pooling: RoiPooling::Align,
            sampling_ratio: 2,
            convs: Vec::new(),
            fc_layers: 2,
            representation: 1024,
            score_thresh: 0.05,
            nms_thresh: 0.5,
            suppression: Suppression::Hard,
            soft_nms_sigma: 0.5,
            detections_per_img: 100,
            reg_weights: [10.0, 10.0, 5.0, 5.0],
            class_agnostic: false,
            best_class: false,
            min_size: 1e-2,
        }
    }
}

impl Default for MaskHead {
    fn default() -> Self {
        Self {
            roi_size: 14,
            pooling: RoiPooling::Align,
            sampling_ratio: 2,
            layers: vec![256; 4],
            norm: false,
            dim_reduced: 256,
            output_size: 28,
            class_agnostic: false,
            threshold: 0.5,
        }
    }
}

impl Default for Transform {
    fn default() -> Self {
        Self {
            resize: Resize::Bilinear,
            min_size: 800,
            max_size: 1333,
            scale: 0.0,
            diameter: 0.0,
            min_scale: 0.0,
            colours: Colours::Rgb,
            image_range: 1.0,
            image_mean: [0.485, 0.456, 0.406],
            image_std: [0.229, 0.224, 0.225],
            size_divisible: 32,
        }
    }
}
