//! What other families need, on one that is made up: every convention is the other way round than torchvision's.

use std::collections::BTreeMap;

use safetensors::tensor::Dtype;

use super::{Raw, Tensors, serialize, tiny_config, tiny_model, tiny_v2_config};
use crate::config::{BlockKind, BodyKind, BoxHead, Config, MaskHead};
use crate::weights::bound::state_dict;
use crate::weights::convert::{self, ElementType};
use crate::weights::family::{Background, Colours, Conventions, Family, Layout, Row, Unit};
use crate::weights::inspect::Inventory;
use crate::weights::layers::Kind::*;
use crate::weights::settings::{Epsilon, Origin};
use crate::weights::{NetworkWeights, WeightsFile};

/// The background last, blue first, bytes as they are, one set of deltas and one mask for all classes where wanted.
pub(in crate::weights) const MIRRORED: Family = Family {
    name: "mirrored",
    signs: ["net/body/stem:k", "net/proposals/logits:k"],
    modules: &["net/"],
    rows,
    layer_ends: [":k", ":o"],
    norm_ends: ["~gamma", "~beta", "~mu", "~sigma2"],
    counters: &["~steps"],
    epsilon: |_, _| {
        let because = "the mirrored have it".into();
        (1e-3, Epsilon { origin: Origin::Inferred, because, doubt: None })
    },
    conventions: Conventions {
        background: Background::Last,
        colours: Colours::Bgr,
        range: 255.0,
        mean: [103.5, 116.25, 123.75],
        std: [1.0, 2.0, 3.0],
        layout: Layout::Torch,
    },
    told: |_, conventions| conventions,
    defaults: |_, _| Vec::new(),
    refused: &[("net/gates/", "has gates (`{}`)")],
    left_out: &[("net/poses/", "poses are not supported")],
};

fn rows(_: usize) -> Vec<Row> {
    let both = |kind, theirs: &'static str| [Row::new(kind, Unit::Layer, theirs), Row::new(kind, Unit::Norm, theirs)];
    [
        both(Stem, "net/body/stem"),
        both(BlockConv, "net/body/{1}/{1}/c{1}"),
        both(Shortcut, "net/body/{1}/{1}/short"),
        both(FpnInner, "net/top/{2}/in"),
        both(FpnLayer, "net/top/{2}/out"),
        both(RpnConv, "net/proposals/{0}"),
        both(RpnLogits, "net/proposals/logits"),
        both(RpnDeltas, "net/proposals/deltas"),
        both(BoxConv, "net/box/c{1}"),
        both(BoxFc, "net/box/f{1}"),
        both(BoxLogits, "net/box/logits"),
        both(BoxDeltas, "net/box/deltas"),
        both(MaskConv, "net/mask/c{1}"),
        both(MaskDeconv, "net/mask/up"),
        both(MaskLogits, "net/mask/logits"),
    ]
    .concat()
}

/// The name that [`rows`] gives a tensor of torchvision's, written out by hand.
fn mirrored_name(name: &str, box_convs: usize) -> String {
    let parts: Vec<&str> = name.split('.').collect();
    let (&end, stem) = parts.split_last().unwrap();
    let up = |n: &str, by: usize| (n.parse::<usize>().unwrap() + by).to_string();
    let digit = |text: &str| text.trim_start_matches(char::is_alphabetic).to_string();
    let (path, norm) = match stem {
        ["backbone", "body", last] => ("body/stem".into(), last.starts_with("bn")),
        ["backbone", "body", layer, block, "downsample", n] => {
            (format!("body/{}/{}/short", digit(layer), up(block, 1)), *n == "1")
        }
        ["backbone", "body", layer, block, last] => {
            (format!("body/{}/{}/c{}", digit(layer), up(block, 1), digit(last)), last.starts_with("bn"))
        }
        ["backbone", "fpn", "inner_blocks", level, n] => (format!("top/{}/in", up(level, 2)), *n == "1"),
        ["backbone", "fpn", "layer_blocks", level, n] => (format!("top/{}/out", up(level, 2)), *n == "1"),
        ["rpn", "head", "conv", depth, _] => (format!("proposals/{depth}"), false),
        ["rpn", "head", "cls_logits"] => ("proposals/logits".into(), false),
        ["rpn", "head", "bbox_pred"] => ("proposals/deltas".into(), false),
        ["roi_heads", "box_head", conv, n] => (format!("box/c{}", up(conv, 1)), *n == "1"),
        ["roi_heads", "box_head", fc] => match fc.strip_prefix("fc") {
            Some(fc) => (format!("box/f{}", fc.parse::<usize>().unwrap() - 5), false),
            None => (format!("box/f{}", (fc.parse::<usize>().unwrap() - box_convs - 1) / 2 + 1), false),
        },
        ["roi_heads", "box_predictor", "cls_score"] => ("box/logits".into(), false),
        ["roi_heads", "box_predictor", "bbox_pred"] => ("box/deltas".into(), false),
        ["roi_heads", "mask_head", conv, n] => (format!("mask/c{}", up(conv, 1)), *n == "1"),
        ["roi_heads", "mask_predictor", "conv5_mask"] => ("mask/up".into(), false),
        ["roi_heads", "mask_predictor", "mask_fcn_logits"] => ("mask/logits".into(), false),
        _ => panic!("{name}"),
    };
    let end = match (norm, end) {
        (false, "weight") => ":k",
        (false, "bias") => ":o",
        (true, "weight") => "~gamma",
        (true, "bias") => "~beta",
        (true, "running_mean") => "~mu",
        (true, "running_var") => "~sigma2",
        _ => panic!("{name}"),
    };
    format!("net/{path}{end}")
}

/// What a network of torchvision's would be in a mirrored file.
fn mirrored(config: &Config) -> Tensors {
    let shared = config.box_head.class_agnostic;
    let mut out = Tensors::new();
    for (name, mut raw) in tiny_model(config) {
        let values = |raw: &Raw| raw.shape.iter().product::<usize>();
        if name == "backbone.body.conv1.weight" {
            let tap = 4 * raw.shape[2] * raw.shape[3];
            raw.bytes = raw.bytes.chunks(3 * tap).flat_map(|k| k.chunks(tap).rev().flatten().copied()).collect();
        } else if name.contains("cls_score") {
            let row = 4 * values(&raw) / config.num_classes;
            raw.bytes = [&raw.bytes[row..], &raw.bytes[..row]].concat();
        } else if !shared && (name.contains("bbox_pred") && name.starts_with("roi") || name.contains("mask_fcn_logits"))
        {
            let class = 4 * values(&raw) / config.num_classes;
            let classes = config.num_classes - 1;
            raw.shape[0] = raw.shape[0] / config.num_classes * classes;
            raw.bytes = raw.bytes[class..class * (1 + classes)].to_vec();
        }
        out.insert(mirrored_name(&name, config.box_head.convs.len()), raw);
    }
    out
}

/// The network that a mirrored file should be: the same, but for what it does not have.
fn expected(config: &Config) -> NetworkWeights {
    let mut all = tiny_model(config);
    for (name, raw) in all.iter_mut().filter(|_| !config.box_head.class_agnostic) {
        if name.contains("roi_heads") && name.contains("bbox_pred") || name.contains("mask_fcn_logits") {
            let class = raw.bytes.len() / config.num_classes;
            raw.bytes[..class].fill(0);
        }
    }
    NetworkWeights::load(&file(&all), config).unwrap()
}

/// The same with one set of deltas, and one mask, for all classes.
fn class_agnostic(mut config: Config) -> Config {
    config.box_head.class_agnostic = true;
    config.mask.iter_mut().for_each(|mask| mask.class_agnostic = true);
    config
}

fn file(tensors: &Tensors) -> WeightsFile {
    WeightsFile::from_bytes(serialize(tensors, None), "model.bin").unwrap()
}

#[test]
fn a_family_with_every_convention_reversed() {
    let dir = tempfile::tempdir().unwrap();
    for config in [
        tiny_config(BlockKind::Basic),
        class_agnostic(tiny_config(BlockKind::Bottleneck)),
        tiny_v2_config(),
        class_agnostic(tiny_v2_config()),
        class_agnostic(tiny_config(BlockKind::Basic).without_masks()),
    ] {
        let file = file(&mirrored(&config));
        assert_eq!(file.family_name(), "mirrored");
        let settings = file.settings().unwrap();
        assert_eq!(settings.config.num_classes, config.num_classes);
        assert_eq!(settings.config.box_head.convs, config.box_head.convs);
        assert_eq!(settings.config.box_head.class_agnostic, config.box_head.class_agnostic);
        let one_mask = |config: &Config| config.mask.as_ref().map(|mask| mask.class_agnostic);
        assert_eq!(one_mask(&settings.config), one_mask(&config));
        let transform = &settings.config.transform;
        assert_eq!(transform.image_range, 255.0);
        assert_eq!(transform.image_mean, [123.75, 116.25, 103.5]);
        assert_eq!(transform.image_std, [3.0, 2.0, 1.0]);
        assert_eq!(settings.config.backbone.bn_eps, 1e-3);
        assert_eq!(settings.epsilon.origin, Origin::Inferred);

        assert_eq!(settings.config.transform.colours, Colours::Bgr);
        let ours = config;
        let mut config = ours.clone();
        config.transform.colours = Colours::Bgr;
        let weights = NetworkWeights::load(&file, &config).unwrap();
        // The order that is said is the one that is taken.
        assert!(NetworkWeights::load(&file, &ours).unwrap() != weights);
        assert!(weights == expected(&ours), "{}", config.box_head.class_agnostic);
        let inventory = Inventory::new(&file, &config);
        assert!(inventory.fits(), "{inventory:?}");

        // In our form it is one of ours, and the same network.
        let path = dir.path().join("ours.safetensors");
        convert::write(&file, &config, ElementType::F32, &path).unwrap();
        let converted = WeightsFile::open(&path).unwrap();
        assert_eq!(converted.family_name(), "torchvision");
        assert_eq!(converted.config().unwrap(), ours);
        assert!(NetworkWeights::load(&converted, &ours).unwrap() == weights);
    }
}

#[test]
fn messages_have_the_family_s_names() {
    let config = tiny_v2_config();
    let all = mirrored(&config);
    let with = |change: &dyn Fn(&mut Tensors)| {
        let mut tensors = all.clone();
        change(&mut tensors);
        file(&tensors)
    };
    let one = Raw { dtype: Dtype::F32, shape: vec![1], bytes: vec![0; 4] };
    let message = |file: &WeightsFile| NetworkWeights::load(file, &config).unwrap_err().to_string();
    for name in all.keys() {
        let missing = message(&with(&|t| drop(t.remove(name))));
        assert!(missing.contains(&format!("`{name}`")) && missing.contains("is missing"), "{missing}");
    }
    let reshaped = message(&with(&|t| t.get_mut("net/box/deltas:k").unwrap().shape = vec![2, 4, 8]));
    assert!(reshaped.contains("net/box/deltas:k") && reshaped.contains("needs [8, 8]"), "{reshaped}");
    let poses = message(&with(&|t| drop(t.insert("net/poses/0:k".into(), one.clone()))));
    assert!(poses.contains("1 of its tensors has") && poses.contains("poses are not supported"), "{poses}");
    let gates = with(&|t| drop(t.insert("net/gates/0:k".into(), one.clone()))).settings().unwrap_err().to_string();
    assert!(gates.contains("has gates (`net/gates/0:k`)"), "{gates}");
    let counted = with(&|t| drop(t.insert("net/body/stem~steps".into(), one.clone())));
    assert!(NetworkWeights::load(&counted, &config).is_ok() && Inventory::new(&counted, &config).fits());
    let beside = with(&|t| drop(t.insert("loss".into(), one.clone())));
    assert_eq!(beside.selection().beside, ["loss"]);
}

/// One file of names is torchvision's own, dumped by `tests/oracle/state_dicts.py`: what the table says against it.
#[test]
fn state_dicts_are_torchvision_s() {
    let mut resnet18 = Config { num_classes: 2, ..Config::default() };
    (resnet18.backbone.layers, resnet18.backbone.block) = (vec![2, 2, 2, 2], BlockKind::Basic);
    let (v1, v2) = (Config::maskrcnn_resnet50_fpn(), Config::maskrcnn_resnet50_fpn_v2());
    let mobilenet = mobilenet_v3_large();
    let [first, second, other, mobile] = [
        include_str!("../../../tests/fixtures/state_dicts/maskrcnn_resnet50_fpn.txt"),
        include_str!("../../../tests/fixtures/state_dicts/maskrcnn_resnet50_fpn_v2.txt"),
        include_str!("../../../tests/fixtures/state_dicts/maskrcnn_resnet18_fpn.txt"),
        include_str!("../../../tests/fixtures/state_dicts/fasterrcnn_mobilenet_v3_large_fpn.txt"),
    ];
    for (theirs, config) in [
        (first, v1.clone()),
        (second, v2.clone()),
        (other, resnet18),
        (first, v1.without_masks()),
        (second, v2.without_masks()),
        (mobile, mobilenet.without_masks()),
    ] {
        let lines = theirs.lines().filter(|line| config.mask.is_some() || !line.starts_with("roi_heads.mask"));
        let theirs: Vec<String> = lines.map(String::from).collect();
        let shape = |shape: Vec<usize>| shape.iter().map(usize::to_string).collect::<Vec<_>>().join("x");
        let ours: Vec<String> =
            state_dict(&config).into_iter().map(|(name, _, _, dims)| format!("{name} {}", shape(dims))).collect();
        assert_eq!(ours, theirs, "{}", config.name);
    }
}

/// Names that torchvision changed are read as those of today.
#[test]
fn older_names_are_the_same_network() {
    let config = tiny_config(BlockKind::Basic);
    let older = |name: &str| {
        for (present, older) in [
            ("inner_blocks.2.0.", "inner_blocks.2."),
            ("layer_blocks.0.0.", "layer_blocks.0."),
            ("rpn.head.conv.0.0.", "rpn.head.conv."),
            ("mask_head.0.0.", "mask_head.mask_fcn1."),
            ("mask_head.1.0.", "mask_head.mask_fcn2."),
        ] {
            if name.contains(present) {
                return name.replace(present, older);
            }
        }
        name.into()
    };
    let all = tiny_model(&config);
    let renamed: Tensors = all.iter().map(|(name, raw)| (older(name), raw.clone())).collect();
    assert_eq!(renamed.keys().filter(|name| !all.contains_key(*name)).count(), 10);
    let load = |tensors: &Tensors| NetworkWeights::load(&file(tensors), &config);
    assert!(load(&renamed).unwrap() == load(&all).unwrap());
    // What is missing is named as its layer's other tensor is.
    let mut without = renamed.clone();
    without.remove("rpn.head.conv.bias");
    assert!(load(&without).unwrap_err().to_string().contains("`rpn.head.conv.bias`"));
    // Of two names for one tensor the present one is taken, and the other has no place.
    let mut both: BTreeMap<_, _> = all.clone();
    both.insert("rpn.head.conv.weight".into(), renamed["rpn.head.conv.weight"].clone());
    let message = load(&both).unwrap_err().to_string();
    assert!(message.contains("`rpn.head.conv.weight`") && message.contains("has no place"), "{message}");
    // Those were counted from one.
    let mut zero = all.clone();
    let conv = zero.remove("roi_heads.mask_head.0.0.weight").unwrap();
    zero.insert("roi_heads.mask_head.mask_fcn0.weight".into(), conv);
    assert!(load(&zero).unwrap_err().to_string().contains("`roi_heads.mask_head.0.0.weight`"));
}

/// torchvision's Mask R-CNN on `mobilenet_backbone`, with the anchors of its Faster R-CNN.
fn mobilenet_v3_large() -> Config {
    let mut config = Config { anchor_sizes: vec![vec![32.0, 64.0, 128.0, 256.0, 512.0]; 3], ..Config::default() };
    config.backbone.kind = BodyKind::MobilenetV3Large;
    (config.backbone.layers, config.backbone.first_level) = (Vec::new(), 4);
    config.name = "maskrcnn_mobilenet_v3_large_fpn".into();
    config
}

/// The same with narrow heads.
fn small_mobilenet() -> Config {
    let mask = MaskHead { layers: vec![8, 4], dim_reduced: 8, ..MaskHead::default() };
    let head = BoxHead { roi_size: 2, representation: 8, ..BoxHead::default() };
    let (class_names, mask) = (Config::names_of(3), Some(mask));
    Config { fpn_channels: 4, num_classes: 3, class_names, box_head: head, mask, ..mobilenet_v3_large() }
}

/// All that tensors tell of a MobileNetV3 is told by them, and the rest is as torchvision's builders have it.
#[test]
fn a_mobilenet_is_known_by_its_tensors() {
    for first_level in 2..=5 {
        let mut config = small_mobilenet();
        config.backbone.first_level = first_level;
        config.anchor_sizes = vec![config.anchor_sizes[0].clone(); 7 - first_level];
        let all = tiny_model(&config);
        let settings = file(&all).settings().unwrap();
        assert_eq!(settings.config, config);
        assert_eq!(settings.origin("backbone.type"), Some(Origin::Inferred));
        assert_eq!(settings.origin("transform.min_size"), Some(Origin::Assumed));
        assert_eq!((settings.epsilon.origin, settings.epsilon.doubt), (Origin::Inferred, None));
        NetworkWeights::load(&file(&all), &config).unwrap();
    }
    // Its Faster R-CNN has another threshold, and a preset has that of the smaller images.
    let config = small_mobilenet().without_masks();
    let mut all = tiny_model(&config);
    let told = file(&all).settings().unwrap().config;
    assert_eq!((told.name.as_str(), told.rpn.score_thresh), ("fasterrcnn_mobilenet_v3_large_fpn", 0.05));
    let small = told.with_preset("tv-mobilenet-320").unwrap();
    assert_eq!((small.transform.min_size, small.transform.max_size, small.rpn.pre_nms_top_n), (320, 640, 150));
    assert_eq!((small.rpn.post_nms_top_n, small.rpn.score_thresh), (150, 0.05));
    // Norms that count batches may be the classifier's.
    let counter = Raw { dtype: Dtype::I64, shape: Vec::new(), bytes: vec![0; 8] };
    all.insert("backbone.body.0.1.num_batches_tracked".into(), counter);
    let epsilon = file(&all).settings().unwrap().epsilon;
    assert_eq!((epsilon.origin, epsilon.doubt.map(|doubt| doubt.other)), (Origin::Assumed, Some(1e-3)));
}

#[test]
fn other_mobilenets_are_refused() {
    let all = tiny_model(&small_mobilenet());
    let refusal = |change: &dyn Fn(&mut Tensors)| {
        let mut tensors = all.clone();
        change(&mut tensors);
        file(&tensors).settings().unwrap_err().to_string()
    };
    let fewer = refusal(&|t| t.retain(|name, _| !name.starts_with("backbone.body.15.")));
    assert!(fewer.contains("14 blocks") && fewer.contains("MobileNetV3-large of width 1"), "{fewer}");
    let cut = refusal(&|t| t.retain(|name, _| !name.starts_with("backbone.body.16.")));
    assert!(cut.contains("an FPN that reads its last map"), "{cut}");
    let one = refusal(&|t| t.retain(|name, _| !name.starts_with("backbone.fpn.")));
    assert!(one.contains("has no FPN"), "{one}");
}
