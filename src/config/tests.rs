use proptest::prelude::*;

use super::*;
use crate::error::Error;

/// The setting that `Error::Config` names.
fn culprit(result: crate::Result<impl std::fmt::Debug>) -> String {
    match result {
        Err(Error::Config { setting, reason }) => {
            assert!(!reason.is_empty());
            setting
        }
        other => panic!("a configuration error was due, not {other:?}"),
    }
}

#[test]
fn presets_are_valid_and_read_back() {
    let v2 = Config::maskrcnn_resnet50_fpn_v2();
    for config in [Config::default(), Config::maskrcnn_resnet50_fpn(), v2.clone(), v2.clone().without_masks()] {
        config.validate().unwrap();
        assert_eq!(Config::from_json(&config.to_json().unwrap(), "test").unwrap(), config);
    }
    assert_eq!(Config::default().backbone.stage_channels(), [256, 512, 1024, 2048]);
    assert_eq!(Config::default().anchors_per_cell(), 3);
    assert_eq!(Config::maskrcnn_resnet50_fpn().backbone.bn_eps, 0.0);
    assert_eq!(v2.without_masks().name, "fasterrcnn_resnet50_fpn_v2");
    // Spot checks of the hand-typed list against the ids of COCO's annotation files.
    for (id, name) in
        [(1, "person"), (13, "stop sign"), (44, "bottle"), (70, "toilet"), (88, "teddy bear"), (90, "toothbrush")]
    {
        assert_eq!(COCO_NAMES[id], name);
    }
    assert_eq!(COCO_NAMES.iter().filter(|name| **name == "N/A").count(), 10);
}

#[test]
fn reads_every_key() {
    let json = r#"{"name": "n", "arch": "ignored",
        "backbone": {"type": "resnet", "block": "bottleneck", "depth": 18, "layers": [2, 3, 4, 5], "base_width": 32, "inner_width": 48,
                     "groups": 4, "stride_in_1x1": true, "pool_after": true, "first_level": 1, "dilate_first": true, "group_norm": 16, "norm": "BatchNorm eps 1e-3"},
        "neck": "fpn", "fpn_channels": 128, "fpn_norm": true, "group_norm": 4, "num_classes": 3, "class_names": ["b", "x", "y"],
        "anchor_sizes": [[1, 2], [3, 4], [7, 8], [9, 10.5]], "anchor_ratios": [0.5],
        "rpn": {"conv_depth": 2, "channels": 20, "joint": true, "pre_nms_top_n": 11, "post_nms_top_n": 12, "nms_thresh": 0.1, "score_thresh": 0.2, "min_size": 3},
        "box": {"roi_size": 5, "pooling": "align-max", "sampling_ratio": 0, "convs": [24], "fc_layers": 3, "representation": 64, "score_thresh": 0.3, "nms_thresh": 0.4,
                "suppression": "gaussian", "soft_nms_sigma": 0.7, "detections_per_img": 13, "reg_weights": [1, 2, 3, 4], "class_agnostic": true, "best_class": true, "min_size": 5},
        "mask": {"roi_size": 6, "pooling": "pool-floor", "sampling_ratio": 1, "layers": [8, 16], "norm": true, "dim_reduced": 12, "output_size": 12, "class_agnostic": true, "threshold": 0.6},
        "transform": {"resize": "pad64", "min_scale": 2, "min_size": 100, "max_size": 200, "scale": 1.5, "diameter": 30, "colours": "bgr", "image_range": 255, "image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6],
                      "size_divisible": 64},
        "anchor_rule": "exact", "roi_aligned": true, "roi_levels": "rounded", "delta_limit": "both", "extents": "exclusive", "paste": "whole", "box_rule": "normalized"}"#;
    let expected = Config {
        name: "n".into(),
        backbone: Backbone {
            kind: BodyKind::Resnet,
            layers: vec![2, 3, 4, 5],
            block: BlockKind::Bottleneck,
            base_width: 32,
            inner_width: 48,
            groups: 4,
            stride_in_1x1: true,
            pool_after: true,
            first_level: 1,
            dilate_first: true,
            group_norm: 16,
            bn_eps: 1e-3,
        },
        neck: Neck::Fpn,
        fpn_channels: 128,
        fpn_norm: true,
        group_norm: 4,
        num_classes: 3,
        class_names: vec!["b".into(), "x".into(), "y".into()],
        anchor_sizes: vec![vec![1.0, 2.0], vec![3.0, 4.0], vec![7.0, 8.0], vec![9.0, 10.5]],
        anchor_ratios: vec![0.5],
        rpn: Rpn {
            conv_depth: 2,
            channels: 20,
            joint: true,
            pre_nms_top_n: 11,
            post_nms_top_n: 12,
            nms_thresh: 0.1,
            score_thresh: 0.2,
            min_size: 3.0,
        },
        box_head: BoxHead {
            roi_size: 5,
            pooling: RoiPooling::AlignMax,
            sampling_ratio: 0,
            convs: vec![24],
            fc_layers: 3,
            representation: 64,
            score_thresh: 0.3,
            nms_thresh: 0.4,
            suppression: Suppression::Gaussian,
            soft_nms_sigma: 0.7,
            detections_per_img: 13,
            reg_weights: [1.0, 2.0, 3.0, 4.0],
            class_agnostic: true,
            best_class: true,
            min_size: 5.0,
        },
        mask: Some(MaskHead {
            roi_size: 6,
            pooling: RoiPooling::PoolFloor,
            sampling_ratio: 1,
            layers: vec![8, 16],
            norm: true,
            dim_reduced: 12,
            output_size: 12,
            class_agnostic: true,
            threshold: 0.6,
        }),
        transform: Transform {
            resize: Resize::Pad64,
            min_scale: 2.0,
            min_size: 100,
            max_size: 200,
            scale: 1.5,
            diameter: 30.0,
            colours: Colours::Bgr,
            image_range: 255.0,
            image_mean: [0.1, 0.2, 0.3],
            image_std: [0.4, 0.5, 0.6],
            size_divisible: 64,
        },
        anchor_rule: AnchorRule::Exact,
        roi_aligned: true,
        roi_levels: LevelRule::Rounded,
        delta_limit: DeltaLimit::Both,
        extents: Extents::Exclusive,
        paste: PasteRule::Whole,
        box_rule: BoxRule::Normalized,
    };
    let config = Config::from_json(json, "test").unwrap();
    assert_eq!(config, expected);
    // What goes with none of these.
    for (json, extents) in [
        ("inclusive", Extents::Inclusive),
        ("inclusive-in-image", Extents::InclusiveInImage),
        ("inclusive-but-overlaps", Extents::InclusiveButOverlaps),
    ] {
        let config = Config::from_json(&format!(r#"{{"extents": "{json}"}}"#), "test").unwrap();
        assert_eq!(config, Config { extents, ..Config::default() });
    }
    assert_eq!(Config::from_json(&config.to_json().unwrap(), "test").unwrap(), expected);
}

#[test]
fn fills_in_what_is_absent() {
    assert_eq!(Config::from_json("{}", "test").unwrap(), Config::default());
    assert_eq!(Config::from_json(r#"{"mask": null}"#, "test").unwrap().mask, None);
    let counted = Config::from_json(r#"{"num_classes": 3}"#, "test").unwrap();
    assert_eq!(counted.class_names, ["__background__", "class 1", "class 2"]);
    let named = Config::from_json(r#"{"class_names": ["background", "cat"]}"#, "test").unwrap();
    assert_eq!(named.num_classes, 2);
    let partial = Config::from_json(r#"{"backbone": {"layers": [3, 4, 23, 3]}}"#, "test").unwrap();
    assert_eq!((partial.backbone.layers[2], partial.backbone.bn_eps), (23, 1e-5));
}

#[test]
fn refuses_what_is_not_json_in_the_files_name() {
    for json in ["", "{", "[]", "3", "{\"num_classes\": 2", "\u{0}", &"[".repeat(100_000)] {
        match Config::from_json(json, "model.safetensors") {
            Err(Error::Weights { file, reason }) => assert!(file == "model.safetensors" && reason.contains("config")),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn names_the_setting_of_a_wrong_type() {
    for (json, setting) in [
        (r#"{"rpn": {"pre_nms_top_n": -3, "nms_thresh": 0.5}}"#, "rpn.pre_nms_top_n"),
        (r#"{"box": {"roi_size": 7.5}}"#, "box.roi_size"),
        (r#"{"box": {"reg_weights": [1, 2, 3]}}"#, "box.reg_weights"),
        (r#"{"box": 4}"#, "box"),
        (r#"{"num_classes": "two"}"#, "num_classes"),
        (r#"{"fpn_channels": null}"#, "fpn_channels"),
        (r#"{"backbone": {"layers": [1, 2, 3, 4, 5]}}"#, "backbone.layers"),
        (
            r#"{"transform": {"resize": "square"}, "paste": "whole", "box_rule": "normalized", "anchor_rule": "exact", "extents": "inclusive"}"#,
            "extents",
        ),
        // Three stages make a pyramid of four levels, and the anchors are of five.
        (r#"{"backbone": {"layers": [1, 2, 3]}}"#, "anchor_sizes"),
        (r#"{"backbone": {"block": "dense"}}"#, "backbone.block"),
        (r#"{"backbone": {"norm": "groupnorm 32"}}"#, "backbone.norm"),
        (r#"{"backbone": {"norm": "groupnorm eps 1e-5"}}"#, "backbone.norm"),
        (r#"{"backbone": {"norm": "batchnorm"}}"#, "backbone.norm"),
        (r#"{"backbone": {"norm": "batchnorm eps nan"}}"#, "backbone.norm"),
        (r#"{"backbone": {"norm": "batchnorm eps -1"}}"#, "backbone.norm"),
        (r#"{"num_classes": 999999999999}"#, "num_classes"),
        (r#"{"transform": {"image_std": [1, 1e39, 1]}}"#, "transform.image_std.1"),
        (r#"{"class_names": []}"#, "num_classes"),
        (r#"{"mask": {"layers": [8, "x"]}}"#, "mask.layers"),
    ] {
        assert_eq!(culprit(Config::from_json(json, "test")), setting, "{json}");
    }
}

/// A change to a valid configuration.
type Change = fn(&mut Config);

#[test]
fn names_the_setting_out_of_range() {
    let cases: &[(&str, Change)] = &[
        ("backbone.layers.2", |c| c.backbone.layers[2] = 0),
        ("backbone.layers.0", |c| c.backbone.layers[0] = usize::MAX),
        ("backbone.base_width", |c| c.backbone.base_width = 0),
        ("backbone.base_width", |c| c.backbone.base_width = 30),
        ("backbone.base_width", |c| c.backbone.base_width = usize::MAX - 3),
        ("backbone.norm", |c| c.backbone.bn_eps = f32::NAN),
        ("backbone.norm", |c| c.backbone.bn_eps = -1e-5),
        ("fpn_channels", |c| c.fpn_channels = 0),
        ("fpn_channels", |c| c.fpn_channels = 130),
        ("num_classes", |c| c.num_classes = 0),
        ("num_classes", |c| c.num_classes = 1),
        ("num_classes", |c| c.num_classes = usize::MAX),
        ("class_names", |c| c.num_classes = 90),
        ("class_names", |c| c.class_names.clear()),
        ("anchor_sizes", |c| c.anchor_sizes.truncate(4)),
        ("anchor_sizes", |c| c.anchor_sizes.push(vec![1024.0])),
        ("anchor_sizes", |c| c.anchor_sizes.clear()),
        ("anchor_sizes.0", |c| c.anchor_sizes[0].clear()),
        ("anchor_sizes.3", |c| c.anchor_sizes[3].push(7.0)),
        ("anchor_sizes.1.0", |c| c.anchor_sizes[1][0] = -16.0),
        ("anchor_sizes.1.0", |c| c.anchor_sizes[1][0] = f32::NAN),
        ("anchor_sizes.4.0", |c| c.anchor_sizes[4][0] = f32::INFINITY),
        ("anchor_ratios", |c| c.anchor_ratios.clear()),
        ("anchor_ratios", |c| c.anchor_ratios = vec![1.0; 65]),
        ("anchor_ratios", |c| c.anchor_sizes = vec![vec![8.0; 22]; 5]),
        ("anchor_ratios.1", |c| c.anchor_ratios[1] = 0.0),
        ("anchor_ratios.2", |c| c.anchor_ratios[2] = f32::NAN),
        ("rpn.conv_depth", |c| c.rpn.conv_depth = 0),
        ("rpn.pre_nms_top_n", |c| c.rpn.pre_nms_top_n = 16_385),
        ("rpn.pre_nms_top_n", |c| c.rpn.pre_nms_top_n = 0),
        ("rpn.post_nms_top_n", |c| c.rpn.post_nms_top_n = 20_000),
        ("rpn.nms_thresh", |c| c.rpn.nms_thresh = f32::NAN),
        ("rpn.score_thresh", |c| c.rpn.score_thresh = 1.1),
        ("rpn.min_size", |c| c.rpn.min_size = -1.0),
        ("box.roi_size", |c| c.box_head.roi_size = 0),
        ("box.roi_size", |c| c.box_head.roi_size = 65),
        ("box.sampling_ratio", |c| c.box_head.sampling_ratio = 9),
        ("box.convs.1", |c| c.box_head.convs = vec![256, 3]),
        ("box.convs", |c| c.box_head.convs = vec![256; 17]),
        ("box.fc_layers", |c| c.box_head.fc_layers = 0),
        ("box.fc_layers", |c| c.box_head.fc_layers = 1),
        ("box.representation", |c| c.box_head.representation = 0),
        ("box.representation", |c| c.box_head.representation = 1 << 20),
        ("box.representation", |c| (c.box_head.roi_size, c.box_head.representation) = (64, 1024)),
        ("box.score_thresh", |c| c.box_head.score_thresh = -0.1),
        ("box.nms_thresh", |c| c.box_head.nms_thresh = f32::NAN),
        ("box.detections_per_img", |c| c.box_head.detections_per_img = 16_385),
        ("box.detections_per_img", |c| c.box_head.detections_per_img = 0),
        ("box.reg_weights.3", |c| c.box_head.reg_weights[3] = 0.0),
        ("box.min_size", |c| c.box_head.min_size = f32::INFINITY),
        ("mask.roi_size", |c| c.mask = Some(MaskHead { roi_size: 0, ..Default::default() })),
        ("mask.sampling_ratio", |c| c.mask = Some(MaskHead { sampling_ratio: 99, ..Default::default() })),
        ("mask.layers", |c| c.mask = Some(MaskHead { layers: vec![], ..Default::default() })),
        ("mask.layers.1", |c| c.mask = Some(MaskHead { layers: vec![256, 3], ..Default::default() })),
        ("mask.dim_reduced", |c| c.mask = Some(MaskHead { dim_reduced: 6, ..Default::default() })),
        ("mask.output_size", |c| c.mask = Some(MaskHead { output_size: 14, ..Default::default() })),
        ("mask.threshold", |c| c.mask = Some(MaskHead { threshold: f32::NAN, ..Default::default() })),
        ("transform.min_size", |c| c.transform.min_size = 1334),
        ("transform.min_size", |c| c.transform.min_size = 0),
        ("transform.max_size", |c| c.transform.max_size = usize::MAX),
        ("transform.scale", |c| c.transform.scale = -0.5),
        ("transform.scale", |c| c.transform.scale = f32::NAN),
        ("transform.diameter", |c| c.transform.diameter = 1e5),
        ("transform.image_range", |c| c.transform.image_range = 0.5),
        ("transform.image_mean.0", |c| c.transform.image_mean[0] = f32::NAN),
        ("transform.image_std.2", |c| c.transform.image_std[2] = 0.0),
        ("transform.image_std.1", |c| c.transform.image_std[1] = -0.2),
        ("transform.size_divisible", |c| c.transform.size_divisible = 0),
        ("transform.size_divisible", |c| c.transform.size_divisible = 48),
    ];
    for (i, (setting, change)) in cases.iter().enumerate() {
        let mut config = Config::default();
        change(&mut config);
        assert_eq!(culprit(config.validate()), *setting, "case {i}");
        assert_eq!(culprit(config.to_json()), *setting, "case {i}");
    }
}

proptest! {
    #[test]
    fn numbers_survive_json(eps in 0f32..1.0, std in 1e-6f32..1e4, size in 1f32..16384.0, threshold in 0f32..=1.0) {
        let mut config = Config::default();
        config.backbone.bn_eps = eps;
        config.transform.image_std[1] = std;
        config.anchor_sizes[2][0] = size;
        config.box_head.nms_thresh = threshold;
        prop_assert_eq!(Config::from_json(&config.to_json().unwrap(), "test").unwrap(), config);
    }

    /// One character of a valid configuration replaced: a value or an error, no panic.
    #[test]
    fn damaged_json_never_panics(at in 0usize..1500, c in any::<char>()) {
        let json = Config::default().to_json().unwrap();
        let damaged: String = json.chars().enumerate().map(|(i, old)| if i == at { c } else { old }).collect();
        let _ = Config::from_json(&damaged, "test");
    }
}

/// What an error says is allowed, is.
#[test]
fn the_widest_layer_that_is_named_is_allowed() {
    let mut config = Config::maskrcnn_resnet50_fpn();
    config.fpn_channels = 1024;
    config.box_head.roi_size = 14;
    config.box_head.representation = 16384;
    let said = config.validate().unwrap_err().to_string();
    let most: usize = said.rsplit(' ').next().unwrap().parse().unwrap_or_else(|_| panic!("{said}"));
    config.box_head.representation = most;
    config.validate().unwrap();
    config.box_head.representation = most + 4;
    assert_eq!(culprit(config.validate()), "box.representation");
}

/// What belongs to one neck or body alone is refused with another.
#[test]
fn necks_and_bodies_take_what_is_theirs() {
    let with = |changes: serde_json::Value| Config::default().overridden(&changes);
    let c4 = serde_json::json!({
        "neck": "c4", "anchor_sizes": [[32, 64]], "box": { "roi_size": 14, "fc_layers": 0 },
        "mask": { "layers": [], "output_size": 14 },
    });
    let config = with(c4.clone()).unwrap();
    assert_eq!((config.levels(), config.map_channels(), config.box_features()), (1, 1024, 2048));
    let dc5 = with(serde_json::json!({ "neck": "dc5", "anchor_sizes": [[32, 64]] })).unwrap();
    assert_eq!((dc5.levels(), dc5.map_channels(), dc5.box_features()), (1, 2048, 1024));
    let resnext = with(serde_json::json!({ "backbone": { "groups": 32, "inner_width": 128 } })).unwrap();
    assert_eq!((resnext.backbone.stage_width(3), resnext.backbone.stage_channels()[3]), (1024, 2048));
    let changed = |change: serde_json::Value| config.overridden(&change);
    for (result, setting) in [
        (changed(serde_json::json!({ "box": { "fc_layers": 2 } })), "box.fc_layers"),
        (changed(serde_json::json!({ "box": { "convs": [8] } })), "box.convs"),
        (changed(serde_json::json!({ "mask": { "output_size": 28 } })), "mask.output_size"),
        (changed(serde_json::json!({ "anchor_sizes": [[32], [64]] })), "anchor_sizes"),
        (changed(serde_json::json!({ "backbone": { "first_level": 1 } })), "backbone.first_level"),
        (changed(serde_json::json!({ "fpn_norm": true })), "fpn_norm"),
        (changed(serde_json::json!({ "backbone": { "layers": [1, 1, 1] } })), "neck"),
        (with(serde_json::json!({ "box": { "fc_layers": 0 } })), "box.fc_layers"),
        (with(serde_json::json!({ "mask": { "layers": [] } })), "mask.layers"),
        (with(serde_json::json!({ "backbone": { "first_level": 4 } })), "backbone.first_level"),
        (with(serde_json::json!({ "backbone": { "first_level": 1 } })), "anchor_sizes"),
        (with(serde_json::json!({ "backbone": { "groups": 3 } })), "backbone.groups"),
        (with(serde_json::json!({ "backbone": { "block": "basic", "groups": 2 } })), "backbone.groups"),
        (with(serde_json::json!({ "backbone": { "group_norm": 24 } })), "backbone.group_norm"),
        (with(serde_json::json!({ "fpn_norm": true, "group_norm": 24 })), "group_norm"),
    ] {
        assert_eq!(culprit(result), setting);
    }
}
