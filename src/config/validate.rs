//! The range of every setting.
//!
//! The bounds serve two ends: kernels and buffers are sized by these numbers without further checks, so no product
//! of them may overflow; and a corrupt file should fail here, by name, and not as a lack of memory later.

use std::fmt::Display;
use std::ops::RangeInclusive;

use super::{Backbone, BoxHead, Config, MaskHead, Rpn, Transform};
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
        let channels = self.box_head.convs.last().copied().unwrap_or(self.fpn_channels);
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
        self.transform.validate()
    }

    fn validate_anchors(&self) -> Result<()> {
        let levels = self.anchor_sizes.len();
        let of_body = self.backbone.levels();
        if levels != of_body {
            let reason =
                format!("has {levels} levels, allowed {of_body}: P2..P{of_body} and the pooled P{}", of_body + 1);
            return refuse("anchor_sizes", reason);
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
        count("backbone.layers", self.layers.len(), Self::MOST_STAGES)?;
        for (stage, &blocks) in self.layers.iter().enumerate() {
            within(format!("backbone.layers.{stage}"), blocks, &(1..=64))?;
        }
        width("backbone.base_width", self.base_width, 512)?;
        within("backbone.norm", self.bn_eps, &UNIT)
    }
}

impl Rpn {
    fn validate(&self) -> Result<()> {
        within("rpn.conv_depth", self.conv_depth, &(1..=8))?;
        within("rpn.pre_nms_top_n", self.pre_nms_top_n, &SELECTION)?;
        within("rpn.post_nms_top_n", self.post_nms_top_n, &SELECTION)?;
        within("rpn.nms_thresh", self.nms_thresh, &UNIT)?;
        within("rpn.score_thresh", self.score_thresh, &UNIT)?;
        within("rpn.min_size", self.min_size, &SIDE)
    }
}

impl BoxHead {
    fn validate(&self) -> Result<()> {
        within("box.roi_size", self.roi_size, &ROI_SIZE)?;
        within("box.sampling_ratio", self.sampling_ratio, &SAMPLING)?;
        if !self.convs.is_empty() {
            count("box.convs", self.convs.len(), 16)?;
        }
        for (i, &channels) in self.convs.iter().enumerate() {
            width(format!("box.convs.{i}"), channels, 1024)?;
        }
        within("box.fc_layers", self.fc_layers, &(1..=8))?;
        // torchvision's head without convolutions is always the one with two layers (`TwoMLPHead`).
        if self.convs.is_empty() && self.fc_layers != 2 {
            return refuse("box.fc_layers", format!("is {}, allowed 2 where box.convs is empty", self.fc_layers));
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
        within("mask.roi_size", self.roi_size, &ROI_SIZE)?;
        within("mask.sampling_ratio", self.sampling_ratio, &SAMPLING)?;
        count("mask.layers", self.layers.len(), 16)?;
        for (i, &channels) in self.layers.iter().enumerate() {
            width(format!("mask.layers.{i}"), channels, 1024)?;
        }
        width("mask.dim_reduced", self.dim_reduced, 1024)?;
        // The 2×2 transposed convolution with stride 2 leaves no choice.
        let doubled = 2 * self.roi_size;
        within("mask.output_size", self.output_size, &(doubled..=doubled))?;
        within("mask.threshold", self.threshold, &UNIT)
    }
}

impl Transform {
    fn validate(&self) -> Result<()> {
        within("transform.max_size", self.max_size, &(1..=16384))?;
        within("transform.min_size", self.min_size, &(1..=self.max_size))?;
        within("transform.scale", self.scale, &(0.0..=1024.0))?;
        within("transform.diameter", self.diameter, &SIDE)?;
        within("transform.image_range", self.image_range, &(1.0..=255.0))?;
        for i in 0..3 {
            within(format!("transform.image_mean.{i}"), self.image_mean[i], &(-1e4..=1e4))?;
            within(format!("transform.image_std.{i}"), self.image_std[i], &(1e-6..=1e4))?;
        }
        // C5 has stride 32, and the FPN's 2× upsampling is exact only if it divides the input.
        within("transform.size_divisible", self.size_divisible, &(32..=1024))?;
        multiple("transform.size_divisible", self.size_divisible, 32)
    }
}

/// `value` in `range`; written so that NaN is refused.
fn within<T: PartialOrd + Display>(setting: impl Display, value: T, range: &RangeInclusive<T>) -> Result<()> {
    if range.contains(&value) {
        return Ok(());
    }
    refuse(setting, format!("is {value}, allowed {} to {}", range.start(), range.end()))
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
