//! detectron2's detectors on a ResNet, with an FPN, on C4 or on a dilated C5: its model zoo's, and what it trains.
//!
//! Source: the names are those of `modeling/backbone/{resnet,fpn}.py`, `proposal_generator/rpn.py` and `roi_heads/*.py`, the
//! defaults those of `config/defaults.py` and of the zoo's `configs/`.

use super::{Background, Colours, Conventions, Family, Layout, Row, Unit};
use crate::config::{AnchorRule, Config, LevelRule, Neck, PasteRule, Resize, SMALLEST_SIDE};
use crate::weights::bound::Bound;
use crate::weights::layers::Kind::*;
use crate::weights::layers::Role;
use crate::weights::settings::{Epsilon, Finding, Origin};

pub(super) const DETECTRON2: Family = Family {
    name: "detectron2",
    // Where the body's tensors are depends on the neck.
    signs: ["proposal_generator.rpn_head.objectness_logits.weight", "proposal_generator.rpn_head.anchor_deltas.weight"],
    modules: &["backbone.", "proposal_generator.", "roi_heads.", "pixel_mean", "pixel_std"],
    rows,
    layer_ends: [".weight", ".bias"],
    norm_ends: [".weight", ".bias", ".running_mean", ".running_var"],
    counters: &[".num_batches_tracked"],
    epsilon: |_, _| {
        let because = "all of detectron2's norms have it".into();
        (1e-5, Epsilon { origin: Origin::Inferred, because, doubt: None })
    },
    conventions: Conventions {
        background: Background::Last,
        colours: Colours::Bgr,
        range: 255.0,
        mean: [103.53, 116.28, 123.675],
        std: [1.0; 3],
        layout: Layout::Torch,
    },
    told: |_, conventions| conventions,
    defaults,
    refused: &[
        (
            "conv2_offset.",
            "has deformable convolutions (`{}`), which are not supported: its other layers were trained with them",
        ),
        (
            "roi_heads.box_predictor.0.",
            "is a Cascade R-CNN (`{}`), whose three stages of boxes are not supported: one of them alone would find other \
             things than the network was trained to",
        ),
        (
            "roi_heads.mask_head.point_head.",
            "has a PointRend mask head (`{}`), which is not supported: its coarse masks alone are not what it was trained to make",
        ),
        (
            "roi_heads.mask_coarse_head.",
            "has a PointRend mask head (`{}`), which is not supported: its coarse masks alone are not what it was trained to make",
        ),
        ("backbone.top_block.", "has an FPN with levels P6 and P7 of its own weights (`{}`), which is not supported"),
    ],
    left_out: &[(
        "roi_heads.keypoint_head.",
        "keypoints are not supported; its boxes alone can be had by leaving these out when saving",
    )],
};

/// The body's tensors are a level deeper where there is an FPN, and on C4 its last stage is the box head's.
fn rows(_: usize) -> Vec<Row> {
    let layer = |kind, theirs: String| Row::new(kind, Unit::Layer, theirs);
    let both = |kind, theirs: String| vec![layer(kind, theirs.clone()), Row::new(kind, Unit::Norm, theirs + ".norm")];
    let setting = |kind, theirs: &str| Row::new(kind, Unit::Setting, theirs);
    let stages = |at: &str| {
        let convs = both(BlockConv, format!("{at}.res{{2}}.{{0}}.conv{{1}}"));
        [convs, both(Shortcut, format!("{at}.res{{2}}.{{0}}.shortcut"))].concat()
    };
    let body = |at: &str| [both(Stem, format!("{at}.stem.conv1")), stages(at)].concat();
    let heads = [
        both(FpnInner, "backbone.fpn_lateral{2}".into()),
        both(FpnLayer, "backbone.fpn_output{2}".into()),
        vec_of(layer(RpnConv, "proposal_generator.rpn_head.conv".into())),
        vec_of(layer(RpnConv, "proposal_generator.rpn_head.conv.conv{0}".into())),
        vec_of(layer(RpnLogits, "proposal_generator.rpn_head.objectness_logits".into())),
        vec_of(layer(RpnDeltas, "proposal_generator.rpn_head.anchor_deltas".into())),
        both(BoxConv, "roi_heads.box_head.conv{1}".into()),
        vec_of(layer(BoxFc, "roi_heads.box_head.fc{1}".into())),
        vec_of(layer(BoxLogits, "roi_heads.box_predictor.cls_score".into())),
        vec_of(layer(BoxDeltas, "roi_heads.box_predictor.bbox_pred".into())),
        both(MaskConv, "roi_heads.mask_head.mask_fcn{1}".into()),
        vec_of(layer(MaskDeconv, "roi_heads.mask_head.deconv".into())),
        vec_of(layer(MaskLogits, "roi_heads.mask_head.predictor".into())),
        vec_of(setting(PixelMean, "pixel_mean")),
        vec_of(setting(PixelStd, "pixel_std")),
        vec_of(setting(CellAnchors, "proposal_generator.anchor_generator.cell_anchors.{0}")),
    ];
    let all = [body("backbone.bottom_up"), body("backbone"), stages("roi_heads")].into_iter().chain(heads);
    all.flatten().collect()
}

/// One row, beside those of layers that have norms.
fn vec_of(row: Row) -> Vec<Row> {
    vec![row]
}

/// detectron2's rules, which no tensor tells, and what its files may tell of anchors and colours.
fn defaults(bound: &Bound, config: &mut Config) -> Vec<Finding> {
    let mut told = Vec::new();
    let [mean, std] = [PixelMean, PixelStd].map(|kind| bound.setting(kind.only()));
    if let Some(mean) = mean {
        told.push(Finding::new("transform.image_mean", Origin::Read, "`pixel_mean`"));
        if mean.first() != mean.last() {
            told.push(Finding::new("transform.colours", Origin::Inferred, "`pixel_mean`, whose largest is red's"));
        }
    }
    // Bodies of MSRA's have their strides in the first convolution, and no standard deviation divides their colours; those
    // of ResNeXt have it the other way round, and those with GroupNorms neither.
    let (groups, normed) = (config.backbone.groups > 1, config.backbone.group_norm > 0);
    let divided = match &std {
        Some(std) => {
            told.push(Finding::new("transform.image_std", Origin::Read, "`pixel_std`"));
            told.push(Finding::new("backbone.stride_in_1x1", Origin::Inferred, "`pixel_std`: bodies of MSRA's have 1"));
            std.iter().any(|v| *v != 1.0)
        }
        None => groups,
    };
    if std.is_none() && divided {
        config.transform.image_std = Colours::Bgr.to_rgb([57.375, 57.12, 58.395]);
    }
    config.backbone.stride_in_1x1 = !divided && !normed;
    config.backbone.dilate_first = true;
    let fpn = config.neck == Neck::Fpn;
    config.transform.resize = Resize::Pillow;
    config.transform.size_divisible = if fpn { 32 } else { 1 };
    (config.anchor_rule, config.roi_levels, config.paste) = (AnchorRule::Exact, LevelRule::Fixed, PasteRule::Sampled);
    config.roi_aligned = true;
    config.rpn.pre_nms_top_n = if fpn { 1000 } else { 6000 };
    (config.rpn.min_size, config.box_head.min_size) = (SMALLEST_SIDE, SMALLEST_SIDE);
    config.box_head.sampling_ratio = 0;
    if let Some(mask) = &mut config.mask {
        mask.sampling_ratio = 0;
    }
    match config.num_classes {
        81 => config.class_names = Config::coco_names_without_holes(),
        // LVIS.
        1204 | 1231 => (config.box_head.score_thresh, config.box_head.detections_per_img) = (1e-4, 300),
        _ => {}
    }
    if let Some((sizes, ratios)) = anchors(bound, config.levels()) {
        (config.anchor_sizes, config.anchor_ratios) = (sizes, ratios);
        let (names, cells) =
            (["anchor_sizes", "anchor_ratios", "anchor_rule"], bound.name(CellAnchors.nth(0), Role::Setting));
        told.extend(names.map(|name| Finding::new(name, Origin::Read, format!("`{cells}`"))));
    }
    told
}

/// Sizes of each level and ratios, of cell anchors that are as detectron2 makes them.
fn anchors(bound: &Bound, levels: usize) -> Option<(Vec<Vec<f32>>, Vec<f32>)> {
    let mut all: Option<(Vec<Vec<f32>>, Vec<f32>)> = None;
    for level in 0..levels {
        let cells = bound.setting(CellAnchors.nth(level))?;
        let sides: Vec<[f64; 2]> = cells.chunks_exact(4).map(|c| [c[2] - c[0], c[3] - c[1]].map(f64::from)).collect();
        // To a digit that no rounding reaches: sides are f32.
        let short = |value: f64| (value * 1e3).round() / 1e3;
        let size = |[w, h]: &[f64; 2]| short((w * h).sqrt()) as f32;
        let ratio = |[w, h]: &[f64; 2]| short(h / w) as f32;
        let first = size(sides.first()?);
        let ratios: Vec<f32> = sides.iter().take_while(|side| size(side) == first).map(ratio).collect();
        let sizes: Vec<f32> = sides.iter().step_by(ratios.len()).map(size).collect();
        let made = sides
            .iter()
            .enumerate()
            .all(|(i, side)| (size(side), ratio(side)) == (sizes[i / ratios.len()], ratios[i % ratios.len()]));
        let (all_sizes, all_ratios) = all.get_or_insert_with(|| (Vec::new(), ratios.clone()));
        if !made || *all_ratios != ratios {
            return None;
        }
        all_sizes.push(sizes);
    }
    all
}
