//! matterport's Mask R-CNN in Keras (`Mask_RCNN`, 2017 to 2019) and what was trained with it: `.h5` files.
//!
//! Source: the names are those of `mrcnn/model.py`, the defaults those of `mrcnn/config.py`, `samples/coco/coco.py` and
//! `samples/nucleus/nucleus.py`.

use super::{Background, Colours, Conventions, Family, Layout, Row, Unit};
use crate::config::{AnchorRule, BoxRule, Config, DeltaLimit, LevelRule, PasteRule, Resize, RoiPooling};
use crate::weights::bound::Bound;
use crate::weights::layers::Kind::*;
use crate::weights::settings::{Epsilon, Finding, Origin};

pub(super) const MATTERPORT: Family = Family {
    name: "matterport",
    signs: ["rpn_class_raw/kernel:0", "mrcnn_class_logits/kernel:0"],
    modules: &["conv1/", "bn_conv1/", "res", "bn2", "bn3", "bn4", "bn5", "fpn_", "rpn_", "mrcnn_"],
    rows,
    layer_ends: ["/kernel:0", "/bias:0"],
    norm_ends: ["/gamma:0", "/beta:0", "/moving_mean:0", "/moving_variance:0"],
    counters: &[],
    epsilon: |_, _| {
        let because = "Keras's BatchNorm has it, and matterport never says another".into();
        (1e-3, Epsilon { origin: Origin::Inferred, because, doubt: None })
    },
    conventions: Conventions {
        background: Background::First,
        colours: Colours::Rgb,
        range: 255.0,
        mean: [123.7, 116.8, 103.9],
        std: [1.0; 3],
        layout: Layout::Keras,
    },
    told: |_, conventions| conventions,
    defaults,
    refused: &[],
    left_out: &[],
};

fn rows(_: usize) -> Vec<Row> {
    let layer = |kind, theirs: &str| Row::new(kind, Unit::Layer, theirs);
    let norm = |kind, theirs: &str| Row::new(kind, Unit::Norm, theirs);
    vec![
        layer(Stem, "conv1"),
        norm(Stem, "bn_conv1"),
        layer(BlockConv, "res{2}{a}_branch2{a}"),
        norm(BlockConv, "bn{2}{a}_branch2{a}"),
        layer(Shortcut, "res{2}{a}_branch1"),
        norm(Shortcut, "bn{2}{a}_branch1"),
        layer(FpnInner, "fpn_c{2}p{=}"),
        layer(FpnLayer, "fpn_p{2}"),
        layer(RpnConv, "rpn_conv_shared"),
        layer(RpnLogits, "rpn_class_raw"),
        layer(RpnDeltas, "rpn_bbox_pred"),
        layer(BoxFc, "mrcnn_class_conv{1}"),
        norm(BoxFc, "mrcnn_class_bn{1}"),
        layer(BoxLogits, "mrcnn_class_logits"),
        layer(BoxDeltas, "mrcnn_bbox_fc"),
        layer(MaskConv, "mrcnn_mask_conv{1}"),
        norm(MaskConv, "mrcnn_mask_bn{1}"),
        layer(MaskDeconv, "mrcnn_mask_deconv"),
        layer(MaskLogits, "mrcnn_mask"),
    ]
}

/// What no tensor tells: the COCO sample's settings, which those of most projects are made from, or the nucleus sample's,
/// where there are its two classes on its ResNet-50.
fn defaults(_: &Bound, config: &mut Config) -> Vec<Finding> {
    coco(config);
    if (config.num_classes, config.backbone.layers.as_slice()) == (2, &[3, 4, 6, 3]) {
        nucleus(config);
    }
    if config.num_classes == 81 {
        config.class_names = Config::coco_names_without_holes();
    }
    Vec::new()
}

/// matterport's rules with the settings of its COCO sample (`CocoConfig`, `InferenceConfig`), for whatever network.
pub(in crate::weights) fn coco(config: &mut Config) {
    (config.backbone.stride_in_1x1, config.backbone.pool_after) = (true, true);
    let Conventions { range, mean, std, .. } = MATTERPORT.conventions;
    let transform = &mut config.transform;
    (transform.image_range, transform.image_mean, transform.image_std) = (range, mean, std);
    (transform.resize, transform.min_size, transform.max_size) = (Resize::Square, 800, 1024);
    (transform.min_scale, transform.size_divisible) = (0.0, 64);
    // Its ratios are width over height.
    (config.anchor_rule, config.anchor_ratios) = (AnchorRule::Exact, vec![2.0, 1.0, 0.5]);
    (config.box_rule, config.roi_levels, config.paste) = (BoxRule::Normalized, LevelRule::Rounded, PasteRule::Whole);
    config.delta_limit = DeltaLimit::None;
    let rpn = &mut config.rpn;
    (rpn.joint, rpn.pre_nms_top_n, rpn.post_nms_top_n, rpn.nms_thresh) = (true, 6000, 1000, 0.7);
    (rpn.score_thresh, rpn.min_size) = (0.0, 0.0);
    let head = &mut config.box_head;
    (head.pooling, head.best_class, head.score_thresh, head.nms_thresh) = (RoiPooling::Crop, true, 0.7, 0.3);
    (head.detections_per_img, head.min_size) = (100, 0.0);
    if let Some(mask) = &mut config.mask {
        (mask.pooling, mask.threshold) = (RoiPooling::Crop, 0.5);
    }
}

/// What its nucleus sample (`NucleusInferenceConfig`) has instead.
pub(in crate::weights) fn nucleus(config: &mut Config) {
    let transform = &mut config.transform;
    transform.image_mean = [43.53, 39.56, 48.22];
    // Its `pad64` knows no largest size.
    (transform.resize, transform.min_size, transform.max_size) = (Resize::Pad64, 512, 16_384);
    transform.min_scale = 2.0;
    let levels = config.anchor_sizes.len();
    config.anchor_sizes = (0..levels).map(|level| vec![(8 << level) as f32]).collect();
    config.rpn.post_nms_top_n = 2000;
    (config.box_head.score_thresh, config.box_head.detections_per_img) = (0.0, 400);
    config.class_names = vec!["__background__".into(), "nucleus".into()];
}
