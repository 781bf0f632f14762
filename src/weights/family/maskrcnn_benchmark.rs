//! maskrcnn-benchmark's detectors on a ResNet, with an FPN or on C4.
//!
//! Source: the names are those of `modeling/backbone/{resnet,fpn}.py`, `modeling/rpn/rpn.py` and `modeling/roi_heads/*`, the
//! defaults those of `config/defaults.py` and of its `configs/`.

use super::{Background, Colours, Conventions, Family, Layout, Row, Unit};
use crate::config::{AnchorRule, Config, Extents, LevelRule, Neck, PasteRule, Resize};
use crate::weights::bound::Bound;
use crate::weights::layers::Kind::*;
use crate::weights::layers::Role;
use crate::weights::settings::{Epsilon, Finding, Origin};

/// Caffe's colours, which Detectron's models have, too.
pub(super) const CONVENTIONS: Conventions = Conventions {
    background: Background::First,
    colours: Colours::Bgr,
    range: 255.0,
    mean: [102.9801, 115.9465, 122.7717],
    std: [1.0; 3],
    layout: Layout::Torch,
};

pub(super) const MASKRCNN_BENCHMARK: Family = Family {
    name: "maskrcnn-benchmark",
    signs: ["backbone.body.stem.conv1.weight", "roi_heads.box.predictor.cls_score.weight"],
    // On C4 the mask head has the box head's body once more, under a name of its own.
    modules: &[
        "backbone.",
        "rpn.",
        "roi_heads.box.",
        "roi_heads.mask.predictor.",
        "roi_heads.mask.feature_extractor.mask_fcn",
        "roi_heads.keypoint.",
    ],
    rows,
    layer_ends: [".weight", ".bias"],
    norm_ends: [".weight", ".bias", ".running_mean", ".running_var"],
    counters: &[".num_batches_tracked"],
    epsilon,
    conventions: CONVENTIONS,
    told: |_, conventions| conventions,
    defaults,
    refused: &[(
        "conv2.offset.",
        "has deformable convolutions (`{}`), which are not supported: its other layers were trained with them",
    )],
    left_out: &[(
        "roi_heads.keypoint.",
        "keypoints are not supported; its boxes alone can be had by leaving these out when saving",
    )],
};

/// Its frozen BatchNorms, like those that Detectron folds, divide by the root of the variance alone.
pub(super) fn epsilon(_: &Bound, config: &Config) -> (f32, Epsilon) {
    let grouped = config.backbone.group_norm.max(config.group_norm) > 0;
    let (eps, because) = match grouped {
        true => (1e-5, "its GroupNorms have it"),
        false => (0.0, "its frozen BatchNorms have none"),
    };
    (eps, Epsilon { origin: Origin::Inferred, because: because.into(), doubt: None })
}

fn rows(_: usize) -> Vec<Row> {
    let layer = |kind, theirs: &str| vec![Row::new(kind, Unit::Layer, theirs)];
    let norm = |kind, theirs: &str| vec![Row::new(kind, Unit::Norm, theirs)];
    // With a GroupNorm after it, a convolution is the first of a list.
    let or_two = |kind, theirs: &str| {
        let [conv, after] = [0, 1].map(|n| format!("{theirs}.{n}"));
        [layer(kind, theirs), layer(kind, &conv), norm(kind, &after)].concat()
    };
    let stages = |at: &str| {
        [
            layer(BlockConv, &format!("{at}.layer{{1}}.{{0}}.conv{{1}}")),
            norm(BlockConv, &format!("{at}.layer{{1}}.{{0}}.bn{{1}}")),
            layer(Shortcut, &format!("{at}.layer{{1}}.{{0}}.downsample.0")),
            norm(Shortcut, &format!("{at}.layer{{1}}.{{0}}.downsample.1")),
        ]
        .concat()
    };
    [
        layer(Stem, "backbone.body.stem.conv1"),
        norm(Stem, "backbone.body.stem.bn1"),
        stages("backbone.body"),
        stages("roi_heads.box.feature_extractor.head"),
        or_two(FpnInner, "backbone.fpn.fpn_inner{1}"),
        or_two(FpnLayer, "backbone.fpn.fpn_layer{1}"),
        layer(RpnConv, "rpn.head.conv"),
        layer(RpnLogits, "rpn.head.cls_logits"),
        layer(RpnDeltas, "rpn.head.bbox_pred"),
        layer(BoxConv, "roi_heads.box.feature_extractor.xconvs.{0/3}"),
        norm(BoxConv, "roi_heads.box.feature_extractor.xconvs.{1/3}"),
        layer(BoxFc, "roi_heads.box.feature_extractor.fc{6}"),
        layer(BoxLogits, "roi_heads.box.predictor.cls_score"),
        layer(BoxDeltas, "roi_heads.box.predictor.bbox_pred"),
        or_two(MaskConv, "roi_heads.mask.feature_extractor.mask_fcn{1}"),
        layer(MaskDeconv, "roi_heads.mask.predictor.conv5_mask"),
        layer(MaskLogits, "roi_heads.mask.predictor.mask_fcn_logits"),
        vec![Row::new(CellAnchors, Unit::Setting, "rpn.anchor_generator.cell_anchors.{0}")],
    ]
    .concat()
}

pub(super) fn defaults(bound: &Bound, config: &mut Config) -> Vec<Finding> {
    inclusive(config);
    config.transform.resize = Resize::PillowFloor;
    // Anchors that are there are as these rules make them, or else their sizes cannot be told from them.
    let strides = (0..config.levels()).map(|level| if config.neck == Neck::Fpn { 4 << level } else { 16 });
    let same = strides.zip(&config.anchor_sizes).enumerate().all(|(level, (stride, sizes))| {
        let made: Vec<f32> = config.anchor_rule.cells(sizes, &config.anchor_ratios, stride).concat();
        bound.setting(CellAnchors.nth(level)).is_some_and(|cells| cells == made)
    });
    let names = ["anchor_sizes", "anchor_ratios", "anchor_rule", "extents"];
    let read = |name| Finding::new(name, Origin::Read, format!("`{}`", bound.name(CellAnchors.nth(0), Role::Setting)));
    names.into_iter().filter(|_| same).map(read).collect()
}

/// What maskrcnn-benchmark has of Detectron's rules.
pub(super) fn inclusive(config: &mut Config) {
    let fpn = config.neck == Neck::Fpn;
    config.extents = Extents::Inclusive;
    (config.anchor_rule, config.roi_levels, config.paste) =
        (AnchorRule::Strided, LevelRule::Canonical, PasteRule::Enlarged);
    config.transform.size_divisible = if fpn { 32 } else { 1 };
    // Bodies of MSRA's have their strides in the first convolution; those of ResNeXt and with GroupNorms have not.
    config.backbone.stride_in_1x1 = config.backbone.groups == 1 && config.backbone.group_norm == 0;
    config.roi_aligned = false;
    config.rpn.pre_nms_top_n = if fpn { 1000 } else { 6000 };
    // No side is less than a pixel.
    (config.rpn.min_size, config.box_head.min_size) = (0.0, 0.0);
    config.box_head.sampling_ratio = if fpn { 2 } else { 0 };
    if let Some(mask) = &mut config.mask {
        mask.sampling_ratio = if fpn { 2 } else { 0 };
    }
    if config.num_classes == 81 {
        config.class_names = Config::coco_names_without_holes();
    }
}
