//! Configurations read off the names and shapes of tensors.

use super::{Raw, Tensors, serialize, tiny_config, tiny_model, tiny_v2_config};
use crate::config::Config;
use crate::config::{BlockKind, MaskHead};
use crate::error::{Error, Result};
use crate::weights::{NetworkWeights, Origin, Settings, WeightsFile};

fn settings(tensors: &Tensors, name: &str) -> Result<Settings> {
    WeightsFile::from_bytes(serialize(tensors, None), name)?.settings()
}

/// What no tensor tells is as torchvision has it.
fn as_told(config: &Config) -> Config {
    let head = |m: &MaskHead| MaskHead { roi_size: 14, output_size: 28, ..m.clone() };
    let mut told = Config { class_names: Config::names_of(config.num_classes), ..config.clone() };
    told.mask = config.mask.as_ref().map(head);
    told
}

#[test]
fn reads_the_network_off_its_tensors() {
    let (basic, bottleneck, v2) = (tiny_config(BlockKind::Basic), tiny_config(BlockKind::Bottleneck), tiny_v2_config());
    for (config, name) in [
        (basic.clone(), "maskrcnn_resnet_fpn"),
        (basic.without_masks(), "fasterrcnn_resnet_fpn"),
        (bottleneck, "maskrcnn_resnet_fpn"),
        (v2.clone(), "maskrcnn_resnet_fpn_v2"),
        (v2.without_masks(), "fasterrcnn_resnet_fpn_v2"),
    ] {
        let all = tiny_model(&config);
        let found = settings(&all, "model.bin").unwrap();
        assert_eq!(found.config, Config { name: name.into(), ..as_told(&config) });
        assert!(!found.stated && found.epsilon.origin == Origin::Assumed);
        let file = WeightsFile::from_bytes(serialize(&all, None), "model.bin").unwrap();
        NetworkWeights::load(&file, &found.config).unwrap();
    }
}

#[test]
fn every_depth_has_its_name() {
    use BlockKind::{Basic, Bottleneck};
    for (block, layers, name) in [
        (Basic, [2, 2, 2, 2], "maskrcnn_resnet18_fpn"),
        (Basic, [3, 4, 6, 3], "maskrcnn_resnet34_fpn"),
        (Bottleneck, [3, 4, 6, 3], "maskrcnn_resnet50_fpn"),
        (Bottleneck, [3, 4, 23, 3], "maskrcnn_resnet101_fpn"),
        (Bottleneck, [3, 8, 36, 3], "maskrcnn_resnet152_fpn"),
    ] {
        let mut config = tiny_config(block);
        config.backbone.layers = layers.to_vec();
        assert_eq!(settings(&tiny_model(&config), "model.bin").unwrap().config.name, name);
    }
}

#[test]
fn ninety_one_classes_are_coco_s() {
    let config = Config { num_classes: 91, class_names: Config::names_of(91), ..tiny_config(BlockKind::Basic) };
    let names = settings(&tiny_model(&config), "model.bin").unwrap().config.class_names;
    assert_eq!((names[1].as_str(), names[90].as_str()), ("person", "toothbrush"));
    let few = settings(&tiny_model(&tiny_config(BlockKind::Basic)), "model.bin").unwrap().config.class_names;
    assert_eq!(few, ["__background__", "class 1", "class 2"]);
}

#[test]
fn what_is_no_such_network_is_refused() {
    let all = tiny_model(&tiny_config(BlockKind::Basic));
    let refusal = |change: &dyn Fn(&mut Tensors)| {
        let mut tensors = all.clone();
        change(&mut tensors);
        settings(&tensors, "model.bin").unwrap_err().to_string()
    };
    let message = refusal(&|t| t.retain(|name, _| name.starts_with("backbone")));
    assert!(message.contains("not a Mask R-CNN") && message.contains("`backbone.body.bn1.bias`"), "{message}");
    let message = refusal(&|t| t.clear());
    assert!(message.contains("begins with nothing"), "{message}");
    let message = refusal(&|t| t.retain(|name, _| !name.contains("inner_blocks.3")));
    assert!(message.contains("3 levels"), "{message}");
    let one = all["backbone.fpn.inner_blocks.0.0.bias"].clone();
    let message = refusal(&|t| drop(t.insert("backbone.fpn.extra_blocks.p6.weight".into(), one.clone())));
    for part in ["`backbone.fpn.extra_blocks.p6.weight`", "LastLevelP6P7", "not supported", "pooled from P5"] {
        assert!(message.contains(part), "{message}");
    }
    assert!(!message.contains("remove"), "{message}");
    let message = refusal(&|t| t.retain(|name, _| !name.contains("cls_score")));
    assert!(
        message.contains("cls_score.weight` is missing") || message.contains("cls_score.weight`: is missing"),
        "{message}"
    );
    let message = refusal(&|t| t.get_mut("roi_heads.box_head.fc6.weight").unwrap().shape = vec![16, 8]);
    assert!(message.contains("no square"), "{message}");
    let message = refusal(&|t| t.get_mut("roi_heads.box_head.fc6.weight").unwrap().shape = vec![128]);
    assert!(message.contains("2 axes are due"), "{message}");
}

/// Any tensor may be absent, or of another shape: an error or a configuration, never a panic.
#[test]
fn damaged_files_never_panic() {
    for config in [tiny_config(BlockKind::Basic), tiny_v2_config()] {
        let all = tiny_model(&config);
        for name in all.keys() {
            let mut without = all.clone();
            let dropped = without.remove(name).unwrap();
            let _ = settings(&without, "model.bin");
            for shape in [vec![], vec![0], vec![0, 0], vec![1], vec![1, 1], vec![5, 0, 3, 3], vec![1, 2, 3, 4, 5, 6]] {
                let bytes = vec![0; 4 * shape.iter().product::<usize>()];
                without.insert(name.clone(), Raw { shape, bytes, ..dropped.clone() });
                match settings(&without, "model.bin") {
                    Ok(_) | Err(Error::Weights { .. } | Error::Tensor { .. } | Error::Config { .. }) => {}
                    Err(other) => panic!("{other}"),
                }
            }
        }
    }
}
