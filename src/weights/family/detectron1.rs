//! Detectron's detectors on a ResNet, with an FPN or on C4: pickles of Caffe2's blobs.
//!
//! Source: the names are those of `modeling/{ResNet,FPN,rpn_heads,fast_rcnn_heads,mask_rcnn_heads}.py`, the defaults those of
//! `core/config.py` and of its `configs/`.

use super::maskrcnn_benchmark::{CONVENTIONS, epsilon, inclusive};
use super::{Family, Row, Unit};
use crate::config::{Config, Extents, Resize};
use crate::weights::bound::Bound;
use crate::weights::layers::Kind::*;
use crate::weights::settings::Finding;

pub(super) const DETECTRON: Family = Family {
    name: "Detectron",
    signs: ["conv1_w", "cls_score_w"],
    modules: &[
        "conv",
        "res",
        "fpn_",
        "rpn_",
        "fc",
        "head_conv",
        "cls_score_",
        "bbox_pred_",
        "_[mask]_",
        "mask_fcn_",
        "kps_",
    ],
    rows,
    layer_ends: ["_w", "_b"],
    // A BatchNorm's statistics are in its scale and shift already: they have no names.
    norm_ends: ["_s", "_b", "_mean", "_var"],
    counters: &["_momentum"],
    epsilon,
    conventions: CONVENTIONS,
    told: |_, conventions| conventions,
    defaults,
    refused: &[("fpn_6_w", "has an FPN with levels P6 and P7 of its own weights (`{}`), which is not supported")],
    left_out: &[
        ("kps_", "keypoints are not supported; its boxes alone can be had by leaving these blobs out"),
        ("conv_fcn", "keypoints are not supported; its boxes alone can be had by leaving these blobs out"),
    ],
};

fn rows(_: usize) -> Vec<Row> {
    let layer = |kind, theirs: &str| vec![Row::new(kind, Unit::Layer, theirs)];
    // A BatchNorm as an affine, or a GroupNorm.
    let norm = |kind, theirs: &str| {
        [Row::affine(kind, format!("{theirs}_bn")), Row::new(kind, Unit::Norm, format!("{theirs}_gn"))].to_vec()
    };
    let both = |kind, theirs: &str| [layer(kind, theirs), norm(kind, theirs)].concat();
    [
        layer(Stem, "conv1"),
        norm(Stem, "res_conv1"),
        vec![Row::new(Stem, Unit::Norm, "conv1_gn")],
        both(BlockConv, "res{2}_{0}_branch2{a}"),
        both(Shortcut, "res{2}_{0}_branch1"),
        both(FpnInner, "fpn_inner_res{2}_{*}_sum_lateral"),
        both(FpnInner, "fpn_inner_res{2}_{*}_sum"),
        both(FpnLayer, "fpn_res{2}_{*}_sum"),
        layer(RpnConv, "conv_rpn_fpn2"),
        layer(RpnConv, "conv_rpn"),
        layer(RpnLogits, "rpn_cls_logits_fpn2"),
        layer(RpnLogits, "rpn_cls_logits"),
        layer(RpnDeltas, "rpn_bbox_pred_fpn2"),
        layer(RpnDeltas, "rpn_bbox_pred"),
        both(BoxConv, "head_conv{1}"),
        layer(BoxFc, "fc{6}"),
        layer(BoxLogits, "cls_score"),
        layer(BoxDeltas, "bbox_pred"),
        both(MaskConv, "_[mask]_fcn{1}"),
        layer(MaskDeconv, "conv5_mask"),
        layer(MaskLogits, "mask_fcn_logits"),
    ]
    .concat()
}

fn defaults(_: &Bound, config: &mut Config) -> Vec<Finding> {
    inclusive(config);
    config.extents = Extents::InclusiveInImage;
    // Values are resized as floats, between the two nearest pixels.
    config.transform.resize = Resize::Bilinear;
    Vec::new()
}
