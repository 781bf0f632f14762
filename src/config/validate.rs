//! The range of every setting.
//!
//! The bounds serve two ends: kernels and buffers are sized by these numbers without further checks, so no product
//! of them may overflow; and a corrupt file should fail here, by name, and not as a lack of memory later.

use std::fmt::Display;
use std::ops::RangeInclusive;

use super::{
    AnchorRule, Backbone, BlockKind, BodyKind, BoxHead, BoxRule, Config, Extents, MaskHead, Neck, PasteRule, Resize,
    RoiPooling, Rpn, Transform,
};
use crate::error::{Error, Result};

/// Allowed `num_classes`; LVIS, the largest vocabulary in use, has 1,204.
pub(super) const CLASSES: RangeInclusive<usize> = 2..=4096;
/// Boxes that are sorted and suppressed together; C4 networks propose 6,000 to 12,000. NMS holds each against all that
/// were kept before it, so the time grows with the square.
const SELECTION: RangeInclusive<usize> = 1..=Config::MOST_DETECTIONS;
/// Side of a pooled RoI.
const ROI_SIZE: RangeInclusive<usize> = 1..=64;
/// RoIAlign samples a bin and axis; 0 is adaptive.
const SAMPLING: RangeInclusive<usize> = 0..=8;
/// A probability or an IoU.
const UNIT: RangeInclusive<f32> = 0.0..=1.0;
/// A minimum side in pixels.
const SIDE: RangeInclusive<f32> = 0.0..=16384.0;
/// Most values of one weight tensor: 1 GiB as f32 (torchvision's largest has 12.8 M).
const LARGEST_TENSOR: usize = 1 << 28;

impl Config {
    /// Most detections and proposals of an image.
    pub const MOST_DETECTIONS: usize = 16_384;

    /// Refuses settings that no network can have, or that ours cannot run.
    ///
    /// # Errors
    /// [`Error::Config`] with the setting's dotted JSON name and the allowed range.
    pub fn validate(&self) -> Result<()> {
        self.backbone.validate()?;
        self.validate_neck()?;
        width("fpn_channels", self.fpn_channels, 1024)?;
        within("num_classes", self.num_classes, &CLASSES)?;
        if self.class_names.len() != self.num_classes {
            let (names, classes) = (self.class_names.len(), self.num_classes);
            return refuse("class_names", format!("has {names} names, allowed {classes}: one for each of num_classes"));
        }
        self.validate_anchors()?;
        self.rpn.validate()?;
        self.box_head.validate()?;
        // Each factor is bounded by now, so neither product can overflow 64 bits; 32-bit hosts saturate.
        let channels = self.box_head.convs.last().copied().unwrap_or(self.map_channels());
        let pooled = channels * self.box_head.roi_size * self.box_head.roi_size;
        if pooled.saturating_mul(self.box_head.representation) > LARGEST_TENSOR {
            // A width is a multiple of 4, so what is named as allowed must be one.
            let most = LARGEST_TENSOR / pooled / 4 * 4;
            return refuse(
                "box.representation",
                format!("is too wide for {pooled} pooled features, allowed up to {most}"),
            );
        }
        if let Some(mask) = &self.mask {
            mask.validate()?;
        }
        self.validate_heads()?;
        self.transform.validate()?;
        self.validate_boxes()?;
        // C5 has stride 32, and the FPN's 2× upsampling is exact only if it divides the input.
        match self.neck {
            Neck::Fpn => {
                within("transform.size_divisible", self.transform.size_divisible, &(32..=1024))?;
                multiple("transform.size_divisible", self.transform.size_divisible, 32)
            }
            Neck::C4 | Neck::Dc5 => within("transform.size_divisible", self.transform.size_divisible, &(1..=1024)),
        }
    }

    /// What goes with which neck in the body.
    fn validate_neck(&self) -> Result<()> {
        let (stages, first) = (self.backbone.stages(), self.backbone.first_level);
        if self.neck != Neck::Fpn {
            if self.backbone.kind != BodyKind::Resnet {
                return refuse("neck", format!("is {}, and of a MobileNetV3 it must be fpn", self.neck.name()));
            }
            if stages != Backbone::MOST_STAGES {
                return refuse(
                    "neck",
                    format!("is {}, which takes a body of 4 stages, not {stages}", self.neck.name()),
                );
            }
            if first > 0 || self.fpn_norm {
                let setting = if first > 0 { "backbone.first_level" } else { "fpn_norm" };
                return refuse(setting, format!("is of an FPN, and `neck` is {}", self.neck.name()));
            }
        }
        // Levels before these would be more than the RPN takes.
        let least = if self.backbone.kind == BodyKind::Resnet { 0 } else { 2 };
        within("backbone.first_level", first, &(least..=stages - 1))
    }

    /// What boxes are decides how they come into the image and out of it.
    fn validate_boxes(&self) -> Result<()> {
        let normalized = self.box_rule == BoxRule::Normalized;
        let of_matterport = matches!(self.transform.resize, Resize::Square | Resize::Pad64 | Resize::None);
        let other = |is: bool| if is { "is one of" } else { "is none of" };
        for (setting, is) in [("transform.resize", of_matterport), ("paste", self.paste == PasteRule::Whole)] {
            if is != normalized {
                let reason = format!(
                    "{} matterport's, and `box_rule` {} them: box_rule normalized, transform.resize square, pad64 or none, and \
                     paste whole go together",
                    other(is),
                    other(normalized)
                );
                return refuse(setting, reason);
            }
        }
        if normalized && self.anchor_rule != AnchorRule::Exact {
            return refuse("anchor_rule", "is not exact, as with box_rule normalized it must be".into());
        }
        if normalized && self.extents != Extents::Exclusive {
            return refuse("extents", "is not exclusive, as with box_rule normalized it must be".into());
        }
        Ok(())
    }

    /// What goes with which neck in the heads.
    fn validate_heads(&self) -> Result<()> {
        let c4 = self.neck == Neck::C4;
        let convs = self.box_head.convs.len();
        if c4 && (convs, self.box_head.fc_layers) != (0, 0) {
            let reason = "is not empty or 0, and with `neck` c4 the box head is the body's last stage alone: set box.convs \
                          to [] and box.fc_layers to 0";
            return refuse(if convs > 0 { "box.convs" } else { "box.fc_layers" }, reason.into());
        }
        if !c4 {
            within("box.fc_layers", self.box_head.fc_layers, &(1..=8))?;
            // torchvision's head without convolutions is always the one with two layers (`TwoMLPHead`).
            if convs == 0 && self.box_head.fc_layers != 2 {
                let reason = format!("is {}, allowed 2 where box.convs is empty", self.box_head.fc_layers);
                return refuse("box.fc_layers", reason);
            }
        }
        if let Some(mask) = &self.mask {
            // The 2×2 transposed convolution with stride 2 leaves no choice.
            let side = if c4 { mask.roi_size.next_multiple_of(2) } else { 2 * mask.roi_size };
            within("mask.output_size", mask.output_size, &(side..=side))?;
            if mask.layers.is_empty() && !c4 {
                return count("mask.layers", 0, 16);
            }
        }
        self.validate_groups()
    }

    /// Every GroupNorm's groups divide the channels before it.
    fn validate_groups(&self) -> Result<()> {
        let body = &self.backbone;
        let of_body = (0..body.layers.len()).map(|stage| body.stage_width(stage)).chain(body.stage_channels());
        for channels in of_body.chain([body.base_width]) {
            divides("backbone.group_norm", body.group_norm, channels)?;
        }
        let fpn = self.fpn_norm.then_some(self.fpn_channels);
        let mask = self.mask.iter().filter(|mask| mask.norm).flat_map(|mask| &mask.layers);
        for &channels in self.box_head.convs.iter().chain(mask).chain(&fpn) {
            divides("group_norm", self.group_norm, channels)?;
        }
        Ok(())
    }

    /// Refuses boxes that end with a pixel, where `what` tells of those alone that end at a line.
    pub(crate) fn expect_exclusive(&self, what: &str) -> Result<()> {
        match self.extents {
            Extents::Exclusive => Ok(()),
            _ => refuse("extents", format!("is of boxes with their last pixel, and {what}")),
        }
    }

    fn validate_anchors(&self) -> Result<()> {
        let (levels, due) = (self.anchor_sizes.len(), self.levels());
        if levels != due {
            let strides = self.backbone.stage_strides();
            let finest = strides.get(self.backbone.first_level).map_or(2, |stride| stride.ilog2() as usize);
            let which = match self.neck {
                Neck::Fpn => format!("P{finest}..P{} and the pooled P{}", finest + due - 2, finest + due - 1),
                Neck::C4 => "the map of stride 16".into(),
                Neck::Dc5 => "the dilated map of stride 16".into(),
            };
            return refuse("anchor_sizes", format!("has {levels} levels, allowed {due}: {which}"));
        }
        let first = self.anchor_sizes[0].len();
        for (level, sizes) in self.anchor_sizes.iter().enumerate() {
            // One RPN head serves all levels, so its anchors a pixel are one number.
            if sizes.len() != first || sizes.is_empty() {
                let reason = format!("has {} sizes, allowed: as many as level 0, and at least 1", sizes.len());
                return refuse(format!("anchor_sizes.{level}"), reason);
            }
            for (i, &size) in sizes.iter().enumerate() {
                within(format!("anchor_sizes.{level}.{i}"), size, &(1.0..=16384.0))?;
            }
        }
        count("anchor_ratios", self.anchor_ratios.len(), 64)?;
        for (i, &ratio) in self.anchor_ratios.iter().enumerate() {
            within(format!("anchor_ratios.{i}"), ratio, &(0.01..=100.0))?;
        }
        let anchors = self.anchors_per_cell();
        if anchors > 64 {
            return refuse(
                "anchor_ratios",
                format!("times anchor_sizes makes {anchors} anchors a pixel, allowed 1 to 64"),
            );
        }
        Ok(())
    }
}

impl Backbone {
    fn validate(&self) -> Result<()> {
        if self.kind == BodyKind::MobilenetV3Large {
            if !self.layers.is_empty() {
                return refuse(
                    "backbone.layers",
                    "is of a ResNet, and `backbone.type` is mobilenet-v3-large: set it to []".into(),
                );
            }
            if self.group_norm > 0 {
                return refuse("backbone.group_norm", "is not 0, and a MobileNetV3 has BatchNorms".into());
            }
            return within("backbone.norm", self.bn_eps, &UNIT);
        }
        count("backbone.layers", self.layers.len(), Self::MOST_STAGES)?;
        for (stage, &blocks) in self.layers.iter().enumerate() {
            within(format!("backbone.layers.{stage}"), blocks, &(1..=64))?;
        }
        width("backbone.base_width", self.base_width, 512)?;
        if self.inner_width > 0 {
            width("backbone.inner_width", self.inner_width, 2048)?;
        }
        within("backbone.groups", self.groups, &(1..=1024))?;
        if self.block == BlockKind::Basic && (self.groups > 1 || self.inner_width > 0) {
            let setting = if self.groups > 1 { "backbone.groups" } else { "backbone.inner_width" };
            return refuse(setting, "is of bottlenecks, and `backbone.block` is basic".into());
        }
        if !self.stage_width(0).is_multiple_of(self.groups) {
            let width = self.stage_width(0);
            return refuse("backbone.groups", format!("is {}, allowed divisors of {width}", self.groups));
        }
        within("backbone.norm", self.bn_eps, &UNIT)
    }
}

impl Rpn {
    fn validate(&self) -> Result<()> {
        within("rpn.conv_depth", self.conv_depth, &(1..=8))?;
        if self.channels > 0 {
            width("rpn.channels", self.channels, 4096)?;
        }
        within("rpn.pre_nms_top_n", self.pre_nms_top_n, &SELECTION)?;
        within("rpn.post_nms_top_n", self.post_nms_top_n, &SELECTION)?;
        within("rpn.nms_thresh", self.nms_thresh, &UNIT)?;
        within("rpn.score_thresh", self.score_thresh, &UNIT)?;
        within("rpn.min_size", self.min_size, &SIDE)
    }
}

impl BoxHead {
    fn validate(&self) -> Result<()> {
        crops("box.roi_size", self.roi_size, self.pooling)?;
        within("box.sampling_ratio", self.sampling_ratio, &SAMPLING)?;
        if !self.convs.is_empty() {
            count("box.convs", self.convs.len(), 16)?;
        }
        for (i, &channels) in self.convs.iter().enumerate() {
            width(format!("box.convs.{i}"), channels, 1024)?;
        }
        width("box.representation", self.representation, 16384)?;
        within("box.score_thresh", self.score_thresh, &UNIT)?;
        within("box.nms_thresh", self.nms_thresh, &UNIT)?;
        within("box.soft_nms_sigma", self.soft_nms_sigma, &(1e-3..=1e3))?;
        within("box.detections_per_img", self.detections_per_img, &SELECTION)?;
        for (i, &weight) in self.reg_weights.iter().enumerate() {
            within(format!("box.reg_weights.{i}"), weight, &(1e-3..=1e4))?;
        }
        within("box.min_size", self.min_size, &SIDE)
    }
}

impl MaskHead {
    fn validate(&self) -> Result<()> {
        crops("mask.roi_size", self.roi_size, self.pooling)?;
        within("mask.sampling_ratio", self.sampling_ratio, &SAMPLING)?;
        within("mask.layers", self.layers.len(), &(0..=16))?;
        for (i, &channels) in self.layers.iter().enumerate() {
            width(format!("mask.layers.{i}"), channels, 1024)?;
        }
        width("mask.dim_reduced", self.dim_reduced, 1024)?;
        within("mask.threshold", self.threshold, &UNIT)
    }
}

impl Transform {
    fn validate(&self) -> Result<()> {
        within("transform.max_size", self.max_size, &(1..=16384))?;
        within("transform.min_size", self.min_size, &(1..=self.max_size))?;
        within("transform.scale", self.scale, &(0.0..=1024.0))?;
        within("transform.diameter", self.diameter, &SIDE)?;
        within("transform.min_scale", self.min_scale, &(0.0..=1024.0))?;
        within("transform.image_range", self.image_range, &(1.0..=255.0))?;
        for i in 0..3 {
            within(format!("transform.image_mean.{i}"), self.image_mean[i], &(-1e4..=1e4))?;
            within(format!("transform.image_std.{i}"), self.image_std[i], &(1e-6..=1e4))?;
        }
        Ok(())
    }
}

/// The side of what is pooled so.
fn crops(setting: &str, side: usize, pooling: RoiPooling) -> Result<()> {
    let least = if pooling == RoiPooling::Crop { 2 } else { *ROI_SIZE.start() };
    within(setting, side, &(least..=*ROI_SIZE.end()))
}

/// `value` in `range`; written so that NaN is refused.
fn within<T: PartialOrd + Display>(setting: impl Display, value: T, range: &RangeInclusive<T>) -> Result<()> {
    if range.contains(&value) {
        return Ok(());
    }
    refuse(setting, format!("is {value}, allowed {} to {}", range.start(), range.end()))
}

/// GroupNorm's groups, 0 where there is none.
fn divides(setting: &str, groups: usize, channels: usize) -> Result<()> {
    if groups == 0 || channels.is_multiple_of(groups) {
        return Ok(());
    }
    refuse(setting, format!("is {groups}, allowed 0 and divisors of {channels} channels"))
}

/// The length of a list.
fn count(setting: impl Display, entries: usize, most: usize) -> Result<()> {
    if (1..=most).contains(&entries) {
        return Ok(());
    }
    refuse(setting, format!("has {entries} entries, allowed 1 to {most}"))
}

/// A number of channels: shaders read four at a time.
fn width(setting: impl Display, channels: usize, most: usize) -> Result<()> {
    within(&setting, channels, &(4..=most))?;
    multiple(&setting, channels, 4)
}

fn multiple(setting: impl Display, value: usize, of: usize) -> Result<()> {
    if value.is_multiple_of(of) {
        return Ok(());
    }
    refuse(setting, format!("is {value}, allowed multiples of {of}"))
}

fn refuse(setting: impl Display, reason: String) -> Result<()> {
    Err(Error::Config { setting: setting.to_string(), reason })
}
