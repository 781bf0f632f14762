//! MMDetection's detectors on a ResNet, with an FPN, on C4 or on a dilated C5: of versions 2 and 3, and of version 1.
//!
//! Source: the names are those of `models/backbones/resnet.py`, `necks/fpn.py`, `dense_heads/rpn_head.py` and `roi_heads/*`,
//! the defaults those of `configs/_base_`.

use super::mm_config::{self, Style};
use super::{Background, Colours, Conventions, Family, Layout, Row, Unit};
use crate::config::{AnchorRule, Config, DeltaLimit, Extents, LevelRule, Neck, PasteRule, Resize, SMALLEST_SIDE};
use crate::weights::bound::Bound;
use crate::weights::layers::Kind::*;
use crate::weights::settings::{Epsilon, Finding, Origin};

pub(super) const MMDETECTION: Family = Family {
    name: "MMDetection",
    signs: ["rpn_head.rpn_cls.weight", "roi_head.bbox_head.fc_cls.weight"],
    modules: &["backbone.", "neck.", "rpn_head.", "roi_head."],
    rows: |_| rows("roi_head."),
    layer_ends: [".weight", ".bias"],
    norm_ends: [".weight", ".bias", ".running_mean", ".running_var"],
    counters: &[".num_batches_tracked"],
    epsilon: |_, _| {
        let because = "all of MMDetection's norms have it".into();
        (1e-5, Epsilon { origin: Origin::Inferred, because, doubt: None })
    },
    conventions: Conventions {
        background: Background::Last,
        colours: Colours::Rgb,
        range: 255.0,
        mean: [123.675, 116.28, 103.53],
        std: [58.395, 57.12, 57.375],
        layout: Layout::Torch,
    },
    told: |bound, conventions| mm_config::colours(bound, conventions).0,
    defaults,
    refused: &[
        (
            "conv_offset.",
            "has deformable convolutions (`{}`), which are not supported: its other layers were trained with them",
        ),
        (
            "conv2_offset.",
            "has deformable convolutions (`{}`), which are not supported: its other layers were trained with them",
        ),
        (
            "bbox_head.0.",
            "is a Cascade R-CNN (`{}`), whose stages of boxes are not supported: one of them alone would find other things \
             than the network was trained to",
        ),
        (
            "point_head.",
            "has a PointRend mask head (`{}`), which is not supported: its coarse masks alone are not what it was trained to make",
        ),
        (
            "mask_iou_head.",
            "is a Mask Scoring R-CNN (`{}`), which is not supported: without this head its detections score otherwise than it \
             was trained to",
        ),
        (
            "semantic_head.",
            "has a head for semantic segmentation whose features its boxes and masks are made with (`{}`), which is not supported",
        ),
        (
            "neck.1.",
            "has a neck of several parts (`{}`), such as a balanced pyramid, which is not supported: an FPN alone is",
        ),
    ],
    left_out: &[],
};

/// Before version 2 there was no `roi_head`, and the background was the first of the classes.
pub(super) const MMDETECTION_1: Family = Family {
    name: "MMDetection 1",
    signs: ["rpn_head.rpn_cls.weight", "bbox_head.fc_cls.weight"],
    modules: &["backbone.", "neck.", "rpn_head.", "bbox_head.", "mask_head.", "shared_head."],
    rows: |_| rows(""),
    conventions: Conventions { background: Background::First, ..MMDETECTION.conventions },
    defaults: |bound, config| {
        // As all did then: boxes with their last pixel, anchors of whole ones, samples that are not moved.
        let told = defaults(bound, config);
        let unless_told = |name: &str| !told.iter().any(|told| told.name == name && told.origin == Origin::Read);
        (config.anchor_rule, config.extents) = (AnchorRule::RoundedCorners, Extents::Inclusive);
        config.roi_aligned = false;
        if unless_told("box.sampling_ratio") {
            config.box_head.sampling_ratio = 2;
        }
        if let Some(mask) = config.mask.as_mut().filter(|_| unless_told("mask.sampling_ratio")) {
            mask.sampling_ratio = 2;
        }
        told
    },
    ..MMDETECTION
};

/// The heads' names begin with `heads`.
fn rows(heads: &str) -> Vec<Row> {
    let layer = |kind, theirs: &str| vec![Row::new(kind, Unit::Layer, theirs)];
    // Where it is called after its kind, a norm may be a BatchNorm or a GroupNorm.
    let norm =
        |kind, theirs: &str| ["bn", "gn"].map(|norm| Row::new(kind, Unit::Norm, theirs.replace("norm", norm))).to_vec();
    let both =
        |kind, theirs: &str| [layer(kind, &format!("{theirs}.conv")), norm(kind, &format!("{theirs}.norm"))].concat();
    let stages = |at: &str| {
        [
            layer(BlockConv, &format!("{at}layer{{1}}.{{0}}.conv{{1}}")),
            norm(BlockConv, &format!("{at}layer{{1}}.{{0}}.norm{{1}}")),
            layer(Shortcut, &format!("{at}layer{{1}}.{{0}}.downsample.0")),
            vec![Row::new(Shortcut, Unit::Norm, format!("{at}layer{{1}}.{{0}}.downsample.1"))],
        ]
        .concat()
    };
    [
        layer(Stem, "backbone.conv1"),
        norm(Stem, "backbone.norm1"),
        stages("backbone."),
        stages(&format!("{heads}shared_head.")),
        both(FpnInner, "neck.lateral_convs.{0}"),
        both(FpnLayer, "neck.fpn_convs.{0}"),
        layer(RpnConv, "rpn_head.rpn_conv"),
        layer(RpnConv, "rpn_head.rpn_conv.{0}.conv"),
        layer(RpnLogits, "rpn_head.rpn_cls"),
        layer(RpnDeltas, "rpn_head.rpn_reg"),
        both(BoxConv, &format!("{heads}bbox_head.shared_convs.{{0}}")),
        layer(BoxFc, &format!("{heads}bbox_head.shared_fcs.{{0}}")),
        layer(BoxLogits, &format!("{heads}bbox_head.fc_cls")),
        layer(BoxDeltas, &format!("{heads}bbox_head.fc_reg")),
        both(MaskConv, &format!("{heads}mask_head.convs.{{0}}")),
        layer(MaskDeconv, &format!("{heads}mask_head.upsample")),
        layer(MaskLogits, &format!("{heads}mask_head.conv_logits")),
    ]
    .concat()
}

/// MMDetection's rules, which no tensor tells, and what the file's `meta`, or its name, tells instead.
fn defaults(bound: &Bound, config: &mut Config) -> Vec<Finding> {
    let mut told = Vec::new();
    let (_, origin, source) = mm_config::colours(bound, bound.conventions);
    told.extend(
        ["transform.colours", "transform.image_range", "transform.image_mean", "transform.image_std"]
            .map(|name| Finding::new(name, origin, source)),
    );
    let (style, origin, source) = mm_config::style(bound);
    config.backbone.stride_in_1x1 = style == Style::Caffe;
    told.push(Finding::new("backbone.stride_in_1x1", origin, source));
    config.backbone.dilate_first = true;
    config.transform.resize = Resize::Opencv;
    (config.anchor_rule, config.roi_levels, config.paste) =
        (AnchorRule::ExactByRatio, LevelRule::Finest, PasteRule::Sampled);
    (config.roi_aligned, config.delta_limit) = (true, DeltaLimit::Both);
    config.rpn.pre_nms_top_n = if config.neck == Neck::Fpn { 1000 } else { 6000 };
    // Boxes of no area are dropped among proposals alone.
    (config.rpn.min_size, config.box_head.min_size) = (SMALLEST_SIDE, 0.0);
    config.box_head.sampling_ratio = 0;
    if let Some(mask) = &mut config.mask {
        mask.sampling_ratio = 0;
    }
    if config.num_classes == 81 {
        config.class_names = Config::coco_names_without_holes();
    }
    told.extend(mm_config::apply(bound.file.told(), config));
    told
}
