//! torchvision's detectors on a ResNet or a MobileNetV3 with FPN, and our own files, which have its names.
//!
//! Source: `torchvision/models/detection/*.py` and `ops/feature_pyramid_network.py`; the renamings of 2022 are in their
//! `_load_from_state_dict`.

use super::{Background, Colours, Conventions, Family, Layout, Row, Unit, of_graph};
use crate::config::Config;
use crate::weights::bound::Bound;
use crate::weights::eps;
use crate::weights::layers::Kind::{self, *};
use crate::weights::settings::{Epsilon, Finding, Origin};

pub(super) const TORCHVISION: Family = Family {
    name: "torchvision",
    signs: ["backbone.body.conv1.weight", "rpn.head.cls_logits.weight"],
    modules: &["backbone.", "rpn.", "roi_heads."],
    rows,
    layer_ends: [".weight", ".bias"],
    norm_ends: [".weight", ".bias", ".running_mean", ".running_var"],
    counters: &[".num_batches_tracked"],
    epsilon: eps::of,
    conventions: Conventions {
        background: Background::First,
        colours: Colours::Rgb,
        range: 1.0,
        mean: [0.485, 0.456, 0.406],
        std: [0.229, 0.224, 0.225],
        layout: Layout::Torch,
    },
    told: |_, conventions| conventions,
    defaults: |_, _| Vec::new(),
    refused: &[(
        "backbone.fpn.extra_blocks.",
        "has an FPN with levels P6 and P7 of its own weights (`{}`; torchvision's LastLevelP6P7, as in RetinaNet), which is \
         not supported: here P6 is pooled from P5 (LastLevelMaxPool, torchvision's default), and without these levels the \
         network would find other things than it was trained to",
    )],
    left_out: &[(
        "roi_heads.keypoint",
        "Keypoint R-CNN is not supported; its boxes alone can be had by leaving these out when saving",
    )],
};

/// The same on a MobileNetV3, whose first layer has another name.
pub(super) const ON_MOBILENET: Family = Family {
    signs: ["backbone.body.0.0.weight", "backbone.body.1.block.0.0.weight"],
    rows: rows_on_mobilenet,
    defaults: of_mobilenet,
    ..TORCHVISION
};

/// What torchvision's builders of Faster R-CNNs on a MobileNetV3 set, and its `MaskRCNN` does not: proposals below 0.05 are
/// dropped (`_fasterrcnn_mobilenet_v3_large_fpn`'s callers in `models/detection/faster_rcnn.py`).
fn of_mobilenet(_: &Bound, config: &mut Config) -> Vec<Finding> {
    if config.mask.is_none() {
        config.rpn.score_thresh = 0.05;
    }
    Vec::new()
}

/// The same as torch's exporter writes them to ONNX, once `onnx` has told the layers.
pub(super) const IN_ONNX: Family = Family {
    epsilon: |_, _| {
        let because = "an ONNX model has it in the weights".into();
        (0.0, Epsilon { origin: Origin::Read, because, doubt: None })
    },
    defaults: of_graph,
    ..TORCHVISION
};

fn rows(box_convs: usize) -> Vec<Row> {
    let (layer, norm) = (of_layer, of_norm);
    let mut rows = vec![
        layer(Stem, "backbone.body.conv1"),
        norm(Stem, "backbone.body.bn1"),
        layer(BlockConv, "backbone.body.layer{1}.{0}.conv{1}"),
        norm(BlockConv, "backbone.body.layer{1}.{0}.bn{1}"),
        layer(Shortcut, "backbone.body.layer{1}.{0}.downsample.0"),
        norm(Shortcut, "backbone.body.layer{1}.{0}.downsample.1"),
    ];
    rows.extend(beyond_body(box_convs));
    rows
}

fn rows_on_mobilenet(box_convs: usize) -> Vec<Row> {
    let (layer, norm) = (of_layer, of_norm);
    let mut rows = vec![
        layer(Stem, "backbone.body.0.0"),
        norm(Stem, "backbone.body.0.1"),
        layer(InvertedConv, "backbone.body.{1}.block.{0}.0"),
        norm(InvertedConv, "backbone.body.{1}.block.{0}.1"),
        layer(Squeeze, "backbone.body.{1}.block.{0}.fc{1}"),
        layer(LastConv, "backbone.body.16.0"),
        norm(LastConv, "backbone.body.16.1"),
    ];
    rows.extend(beyond_body(box_convs));
    rows
}

fn of_layer(kind: Kind, theirs: &str) -> Row {
    Row::new(kind, Unit::Layer, theirs)
}

fn of_norm(kind: Kind, theirs: &str) -> Row {
    Row::new(kind, Unit::Norm, theirs)
}

/// A fully connected layer of a box head with convolutions goes by its place after those and the flattening, and a ReLU
/// stands between two of them.
fn beyond_body(box_convs: usize) -> Vec<Row> {
    let (layer, norm) = (of_layer, of_norm);
    let fc = match box_convs {
        0 => "roi_heads.box_head.fc{6}".into(),
        convs => format!("roi_heads.box_head.{{{}/2}}", convs + 1),
    };
    vec![
        layer(FpnInner, "backbone.fpn.inner_blocks.{0}.0"),
        layer(FpnInner, "backbone.fpn.inner_blocks.{0}"),
        norm(FpnInner, "backbone.fpn.inner_blocks.{0}.1"),
        layer(FpnLayer, "backbone.fpn.layer_blocks.{0}.0"),
        layer(FpnLayer, "backbone.fpn.layer_blocks.{0}"),
        norm(FpnLayer, "backbone.fpn.layer_blocks.{0}.1"),
        layer(RpnConv, "rpn.head.conv.{0}.0"),
        // Before it could be deep, the head had one convolution without a number.
        layer(RpnConv, "rpn.head.conv"),
        layer(RpnLogits, "rpn.head.cls_logits"),
        layer(RpnDeltas, "rpn.head.bbox_pred"),
        layer(BoxConv, "roi_heads.box_head.{0}.0"),
        norm(BoxConv, "roi_heads.box_head.{0}.1"),
        layer(BoxFc, &fc),
        layer(BoxLogits, "roi_heads.box_predictor.cls_score"),
        layer(BoxDeltas, "roi_heads.box_predictor.bbox_pred"),
        layer(MaskConv, "roi_heads.mask_head.{0}.0"),
        layer(MaskConv, "roi_heads.mask_head.mask_fcn{1}"),
        norm(MaskConv, "roi_heads.mask_head.{0}.1"),
        layer(MaskDeconv, "roi_heads.mask_predictor.conv5_mask"),
        layer(MaskLogits, "roi_heads.mask_predictor.mask_fcn_logits"),
    ]
}
