//! Where settings come from; and BatchNorm's epsilon, which no file tells.

use safetensors::tensor::Dtype;
use serde_json::json;

use super::{Raw, Tensors, serialize, tiny_config, tiny_model, tiny_v2_config};
use crate::config::Config;
use crate::config::{Backbone, BlockKind};
use crate::weights::{Origin, Settings, WeightsFile};

fn settings(tensors: &Tensors, name: &str) -> Settings {
    WeightsFile::from_bytes(serialize(tensors, None), name).unwrap().settings().unwrap()
}

fn floats(values: &[f32]) -> Raw {
    Raw { dtype: Dtype::F32, shape: vec![values.len()], bytes: values.iter().flat_map(|v| v.to_le_bytes()).collect() }
}

/// The parts of a ResNet-50-FPN that decide, the rest as small as shapes allow.
fn resnet50(classes: usize) -> Tensors {
    let config = Config {
        backbone: Backbone { layers: vec![3, 4, 6, 3], ..tiny_config(BlockKind::Bottleneck).backbone },
        num_classes: classes,
        class_names: Config::names_of(classes),
        ..tiny_config(BlockKind::Bottleneck)
    };
    let mut all = tiny_model(&config);
    // What is read before shapes are compared: the widths of stem, blocks and FPN.
    for (name, shape) in [
        ("backbone.body.conv1.weight", vec![64, 3, 7, 7]),
        ("backbone.body.layer1.0.conv2.weight", vec![64, 64, 3, 3]),
        ("backbone.fpn.inner_blocks.0.0.weight", vec![256, 16, 1, 1]),
    ] {
        let bytes = vec![0; 4 * shape.iter().product::<usize>()];
        all.insert(name.into(), Raw { dtype: Dtype::F32, shape, bytes });
    }
    let columns = Raw { dtype: Dtype::F32, shape: vec![8, 256], bytes: vec![0; 4 * 8 * 256] };
    all.insert("roi_heads.box_head.fc6.weight".into(), columns);
    all
}

/// The same with a first BatchNorm of these means: weight, bias, variance.
fn with_stem(mut all: Tensors, means: [f32; 3]) -> Tensors {
    for (part, mean) in ["weight", "bias", "running_var"].into_iter().zip(means) {
        let values: Vec<f32> = (0..64).map(|i| if i % 2 == 0 { 0.5 * mean } else { 1.5 * mean }).collect();
        all.insert(format!("backbone.body.bn1.{part}"), floats(&values));
    }
    all.insert("backbone.body.bn1.running_mean".into(), floats(&[0.0; 64]));
    all
}

const FIRST: [f32; 3] = [0.2567, 0.2113, 2.6527];
const SECOND: [f32; 3] = [2.6323, 2.7428, 9.8349];

#[test]
fn epsilon_follows_the_evidence() {
    let basic = tiny_model(&tiny_config(BlockKind::Basic));
    let live = |all: &Tensors| {
        let mut live = all.clone();
        let counter = Raw { dtype: Dtype::I64, shape: vec![], bytes: vec![0; 8] };
        live.insert("backbone.body.bn1.num_batches_tracked".into(), counter);
        live
    };
    let set = |mut all: Tensors, name: &str, values: &[f32]| {
        all.insert(name.into(), floats(values));
        all
    };
    let (inferred, assumed) = (Origin::Inferred, Origin::Assumed);
    let var = "backbone.body.layer1.0.bn1.running_var";
    let published = "models/maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth";
    let first = || with_stem(resnet50(3), FIRST);
    for (tensors, name, eps, origin, because) in [
        // Any body but one.
        (basic.clone(), "mine.pth", 1e-5, assumed, "a ResNet-50"),
        (tiny_model(&tiny_config(BlockKind::Bottleneck)), "mine.pth", 1e-5, assumed, "a ResNet-50"),
        (tiny_model(&tiny_v2_config()), "mine.pth", 1e-5, assumed, "a plain FPN"),
        // A name does not make it one.
        (basic.clone(), published, 1e-5, assumed, "a ResNet-50"),
        // BatchNorms that are not frozen.
        (live(&basic), "mine.pth", 1e-5, inferred, "count batches"),
        (live(&first()), published, 1e-5, inferred, "count batches"),
        // That one body.
        (first(), published, 0.0, inferred, "its name"),
        (resnet50(3), "fasterrcnn_resnet50_fpn_coco-258fb6c6.pth", 0.0, inferred, "its name"),
        (first(), "mine.pth", 0.0, assumed, "fine-tuned from torchvision's first COCO models"),
        (with_stem(resnet50(3), SECOND), "mine.pth", 1e-5, assumed, "second ImageNet weights"),
        (with_stem(resnet50(91), SECOND), "mine.pth", 1e-5, assumed, "second ImageNet weights"),
        (resnet50(91), "mine.pth", 0.0, assumed, "91 classes"),
        (resnet50(3), "mine.pth", 1e-5, assumed, "not those of ResNet-50's first"),
        // 0 makes no number of a channel, or drowns all others.
        (set(first(), var, &[1.0, 0.0, 1.0, 1.0]), "mine.pth", 1e-5, assumed, "does not vary"),
        (set(first(), var, &[1.0, 1e-12, 1.0, 1.0]), "mine.pth", 1e-5, assumed, "does not vary"),
        // One that died has no mean either.
        (
            set(
                set(first(), var, &[1.0, 1e-40, 1.0, 1.0]),
                "backbone.body.layer1.0.bn1.running_mean",
                &[0.1, 1e-30, 0.1, 0.1],
            ),
            "mine.pth",
            0.0,
            assumed,
            "first COCO models",
        ),
    ] {
        let found = settings(&tensors, name);
        assert_eq!(found.config.backbone.bn_eps, eps, "{because}");
        assert_eq!((found.epsilon.origin, found.origin("backbone.norm")), (origin, Some(origin)), "{because}");
        assert!(found.epsilon.because.contains(because), "{because}: {}", found.epsilon.because);
        let doubt = found.epsilon.doubt.map(|doubt| doubt.other);
        assert_eq!(doubt, (origin == assumed).then_some(if eps == 0.0 { 1e-5 } else { 0.0 }));
    }
}

#[test]
fn a_doubt_counts_the_channels_that_it_touches() {
    let config = tiny_config(BlockKind::Basic);
    let mut all = tiny_model(&config);
    let none = settings(&all, "mine.pth").epsilon.doubt.unwrap();
    assert!((none.changed, none.channels) == (0, 188) && none.most < 1e-5, "{none:?}");
    // sqrt((3e-5 + 1e-5) / 3e-5) is 1.1547; sqrt((1e-3 + 1e-5) / 1e-3) is 1.00499.
    all.insert("backbone.body.layer1.0.bn1.running_var".into(), floats(&[1.0, 3e-5, 1e-3, 1.0]));
    let some = settings(&all, "mine.pth").epsilon.doubt.unwrap();
    assert!(some.changed == 1 && (some.most - 0.1547).abs() < 1e-4, "{some:?}");
}

#[test]
fn every_setting_has_an_origin() {
    let config = tiny_config(BlockKind::Basic);
    let all = tiny_model(&config);
    let inferred = settings(&all, "mine.pth");
    for (setting, origin) in [
        ("backbone.layers", Origin::Inferred),
        ("fpn_channels", Origin::Inferred),
        ("num_classes", Origin::Inferred),
        ("mask.layers", Origin::Inferred),
        ("box.roi_size", Origin::Inferred),
        ("class_names", Origin::Assumed),
        ("anchor_sizes", Origin::Assumed),
        ("anchor_ratios", Origin::Assumed),
        ("transform.image_range", Origin::Assumed),
        ("transform.image_mean", Origin::Assumed),
        ("transform.min_size", Origin::Assumed),
        ("box.reg_weights", Origin::Assumed),
        ("box.sampling_ratio", Origin::Assumed),
        ("mask.roi_size", Origin::Assumed),
        ("roi_aligned", Origin::Assumed),
        ("backbone.stride_in_1x1", Origin::Assumed),
    ] {
        assert_eq!(inferred.origin(setting), Some(origin), "{setting}");
    }
    assert!(inferred.origin("box").is_none() && inferred.origin("no.such").is_none());
    for (setting, source) in [
        ("num_classes", "`roi_heads.box_predictor.cls_score.weight` [3, 8]"),
        ("backbone.groups", "`backbone.body.layer1.0.conv2.weight` [4, 4, 3, 3]"),
        ("box.convs", "`roi_heads.box_head.fc6.weight` [8, 16]"),
        ("transform.colours", "the default of torchvision"),
    ] {
        assert_eq!(inferred.source(setting), Some(source));
    }
    assert!(inferred.source("no.such").is_none());
    assert!(inferred.assumed().any(|name| name == "rpn.nms_thresh"));
    // All that is not assumed is told by the tensors: other ones, other values.
    let other = settings(&tiny_model(&tiny_v2_config()), "mine.pth");
    let tree = |s: &Settings| serde_json::from_str::<serde_json::Value>(&s.config.to_json().unwrap()).unwrap();
    for name in inferred.assumed().filter(|name| *name != "backbone.norm") {
        let pointer = format!("/{}", name.replace('.', "/"));
        assert_eq!(tree(&inferred).pointer(&pointer), tree(&other).pointer(&pointer), "{name}");
    }

    let stated = |json: &str| WeightsFile::from_bytes(serialize(&all, Some(json)), "x").unwrap().settings().unwrap();
    let whole = stated(&config.to_json().unwrap());
    assert!(whole.stated && whole.assumed().count() == 0 && whole.any(Origin::Read));
    let some = stated(r#"{"class_names": ["background", "a", "b"], "backbone": {"norm": "batchnorm eps 1e-3"}}"#);
    assert_eq!((some.config.backbone.bn_eps, some.epsilon.origin), (1e-3, Origin::Read));
    assert_eq!((some.origin("class_names"), some.origin("num_classes")), (Some(Origin::Read), Some(Origin::Inferred)));
    assert_eq!(some.origin("anchor_sizes"), Some(Origin::Assumed));
}

#[test]
fn what_is_given_is_marked() {
    let settings = settings(&tiny_model(&tiny_config(BlockKind::Basic)), "mine.pth");
    let changes = json!({ "transform": { "min_size": 64 }, "class_names": ["background", "a", "b"] });
    let given = settings.clone().overridden(&changes).unwrap();
    let origins =
        ["transform.min_size", "transform.max_size", "class_names", "num_classes"].map(|name| given.origin(name));
    assert_eq!(origins, [Origin::Given, Origin::Assumed, Origin::Given, Origin::Given].map(Some));
    assert!(given.epsilon.doubt.is_some());
    assert_eq!(
        (given.source("num_classes"), given.source("transform.max_size")),
        (given.source("class_names"), settings.source("transform.max_size"))
    );
    let named = settings.clone().given(&changes, "mine.toml").unwrap();
    assert_eq!(
        (named.source("class_names"), named.source("anchor_rule")),
        (Some("mine.toml"), Some("the default of torchvision"))
    );
    let given = settings.clone().overridden(&json!({ "backbone": { "norm": "batchnorm eps 1e-3" } })).unwrap();
    assert!(given.epsilon.doubt.is_none() && given.config.backbone.bn_eps == 1e-3);
    assert_eq!((given.epsilon.origin, given.origin("backbone.norm")), (Origin::Given, Some(Origin::Given)));
    assert!(settings.overridden(&json!({ "rpn": { "nms_tresh": 0.5 } })).is_err());
}

/// The container that PyTorch wrote before 1.6, with the names of that time.
#[test]
fn files_from_before_there_was_an_epsilon() {
    let fixture = |name: &str| {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
        WeightsFile::open(path).unwrap().settings().unwrap()
    };
    let old = fixture("tiny_legacy.pth");
    assert_eq!((old.config.backbone.bn_eps, old.epsilon.origin), (0.0, Origin::Assumed));
    assert!(old.epsilon.because.contains("before 1.6"), "{}", old.epsilon.because);
    assert_eq!(fixture("tiny_zip.pth").config.backbone.bn_eps, 1e-5);
}

#[test]
fn numbers_are_as_people_write_them() {
    let text = |bn_eps| Backbone { bn_eps, ..Backbone::default() }.eps_text();
    assert_eq!([text(0.0), text(1e-5), text(1e-3), text(0.1)], ["0", "1e-5", "1e-3", "1e-1"]);
    let json = Config::maskrcnn_resnet50_fpn().to_json().unwrap();
    assert!(json.contains(r#""batchnorm eps 0""#), "{json}");
    assert_eq!(Config::from_json(&json, "x").unwrap(), Config::maskrcnn_resnet50_fpn());
}
