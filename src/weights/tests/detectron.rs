//! maskrcnn-benchmark's and Detectron's networks: names, settings, and what of them is not supported.

use safetensors::tensor::Dtype;

use super::{Raw, Tensors, serialize};
use crate::config::{AnchorRule, Config, Extents, LevelRule, PasteRule, Resize};
use crate::weights::WeightsFile;
use crate::weights::inspect::Inventory;
use crate::weights::settings::Origin;

const BENCHMARK: &str = include_str!("../../../tests/fixtures/state_dicts/maskrcnn_benchmark_R_50_FPN.txt");
const DETECTRON: &str = include_str!("../../../tests/fixtures/state_dicts/detectron_R_50_FPN.txt");

/// A file of zeros, of lines with a name and extents.
fn file(lines: impl IntoIterator<Item = String>) -> WeightsFile {
    let tensors: Tensors = lines.into_iter().map(|line| of_line(&line)).collect();
    WeightsFile::from_bytes(serialize(&tensors, None), "model.bin").unwrap()
}

fn of_line(line: &str) -> (String, Raw) {
    let (name, shape) = line.split_once(' ').unwrap();
    let shape: Vec<usize> = shape.split('x').map(|axis| axis.parse().unwrap()).collect();
    // A byte a value is enough to tell the shape.
    let bytes = vec![0; shape.iter().product()];
    (name.into(), Raw { dtype: Dtype::U8, shape, bytes })
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(String::from).collect()
}

/// What both projects take for granted.
fn rules(config: &Config) {
    assert_eq!((config.anchor_rule, config.roi_levels), (AnchorRule::Strided, LevelRule::Canonical));
    assert_eq!((config.paste, config.roi_aligned), (PasteRule::Enlarged, false));
    assert_eq!((config.box_head.sampling_ratio, config.backbone.bn_eps), (2, 0.0));
    assert_eq!(config.transform.image_mean, [122.7717, 115.9465, 102.9801]);
    assert!(config.backbone.stride_in_1x1);
    assert_eq!((config.num_classes, config.class_names[80].as_str()), (81, "toothbrush"));
}

/// The names are of a file that maskrcnn-benchmark listed: every tensor has a place in the network that is told of them.
#[test]
fn all_of_maskrcnn_benchmark_s_tensors_have_a_place() {
    let wrapped = lines(BENCHMARK).into_iter().map(|line| format!("module.{line}")).collect();
    let boxes = lines(BENCHMARK).into_iter().filter(|line| !line.starts_with("roi_heads.mask.")).collect();
    for (lines, count, name) in [
        (lines(BENCHMARK), 312, "maskrcnn_resnet50_fpn"),
        (wrapped, 312, "maskrcnn_resnet50_fpn"),
        (boxes, 300, "fasterrcnn_resnet50_fpn"),
    ] {
        assert_eq!(lines.len(), count);
        let file = file(lines);
        assert_eq!(file.family_name(), "maskrcnn-benchmark");
        let settings = file.settings().unwrap();
        let config = &settings.config;
        assert_eq!(config.name, name);
        assert!(Inventory::new(&file, config).fits(), "{:?}", Inventory::new(&file, config));
        rules(config);
        assert_eq!((config.extents, config.transform.resize), (Extents::Inclusive, Resize::PillowFloor));
        // Those of zeros are not as the rules make them.
        assert_eq!(settings.origin("anchor_sizes"), Some(Origin::Assumed));
    }
}

/// Blobs, as Detectron names them: norms have scale and shift alone, and are no GroupNorms.
#[test]
fn all_of_detectron_s_blobs_have_a_place() {
    let momentum = lines(DETECTRON).into_iter().flat_map(|line| [line.clone(), line.replacen(' ', "_momentum ", 1)]);
    let c4_names = |line: String| line.replace("_fpn2_", "_");
    for lines in [lines(DETECTRON), momentum.collect(), lines(DETECTRON).into_iter().map(c4_names).collect()] {
        let file = file(lines);
        assert_eq!(file.family_name(), "Detectron");
        let settings = file.settings().unwrap();
        let config = &settings.config;
        assert_eq!(config.name, "maskrcnn_resnet50_fpn");
        assert!(Inventory::new(&file, config).fits(), "{:?}", Inventory::new(&file, config));
        rules(config);
        assert_eq!((config.extents, config.backbone.group_norm), (Extents::InclusiveInImage, 0));
    }
    // Missing ones are called as they would be.
    let without = |piece: &str| file(lines(DETECTRON).into_iter().filter(|line| !line.starts_with(piece)));
    let config = file(lines(DETECTRON)).settings().unwrap().config;
    assert_eq!(Inventory::new(&without("res4_5_branch2c_w"), &config).missing, ["res4_5_branch2c_w"]);
    assert_eq!(Inventory::new(&without("fc7_b"), &config).missing, ["fc7_b"]);
    // GroupNorms are what they are.
    let grouped =
        lines(DETECTRON).into_iter().map(|line| line.replace("res_conv1_bn_", "conv1_gn_").replace("_bn_", "_gn_"));
    let config = file(grouped).settings().unwrap().config;
    assert_eq!((config.backbone.group_norm, config.backbone.bn_eps, config.backbone.stride_in_1x1), (32, 1e-5, false));
}

#[test]
fn detectron_s_other_networks_are_refused() {
    let with = |name: &str| file([lines(DETECTRON), vec![format!("{name} 1")]].concat());
    let told = with("fpn_6_w").settings().unwrap_err().to_string();
    assert!(told.contains("levels P6 and P7"), "{told}");
    let keypoints = with("kps_score_w");
    let config = keypoints.settings().unwrap().config;
    assert_eq!(Inventory::new(&keypoints, &config).left_over, ["kps_score_w"]);
}
