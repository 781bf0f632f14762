//! MMDetection's networks: names, settings, and what of them is not supported.

use safetensors::tensor::Dtype;

use super::{Raw, Tensors, serialize};
use crate::config::{AnchorRule, Config, DeltaLimit, LevelRule, Neck, Resize};
use crate::weights::WeightsFile;
use crate::weights::bound::Bound;
use crate::weights::family::{Background, Colours};
use crate::weights::inspect::Inventory;
use crate::weights::settings::Origin;

const FPN: &str = include_str!("../../../tests/fixtures/state_dicts/mmdet_r50_fpn.txt");
const C4: &str = include_str!("../../../tests/fixtures/state_dicts/mmdet_r50_c4.txt");
const X101: &str = include_str!("../../../tests/fixtures/state_dicts/mmdet_x101_32x8d_fpn.txt");

/// A file of zeros, of lines with a name and extents.
fn file(lines: &[String], name: &str) -> WeightsFile {
    let tensors: Tensors = lines.iter().map(|line| of_line(line)).collect();
    WeightsFile::from_bytes(serialize(&tensors, None), name).unwrap()
}

fn of_line(line: &str) -> (String, Raw) {
    let (name, shape) = line.split_once(' ').unwrap();
    let shape: Vec<usize> =
        shape.split('x').filter(|axis| !axis.is_empty()).map(|axis| axis.parse().unwrap()).collect();
    // A byte a value is enough to tell the shape.
    let bytes = vec![0; shape.iter().product()];
    (name.into(), Raw { dtype: Dtype::U8, shape, bytes })
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(String::from).collect()
}

/// ResNet-101 is as ResNet-50 but for 17 more blocks of the third stage.
fn r101(r50: &str) -> Vec<String> {
    let block: Vec<&str> = r50.lines().filter(|line| line.starts_with("backbone.layer3.1.")).collect();
    let more =
        (6..23).flat_map(|n| block.iter().map(move |line| line.replacen("layer3.1.", &format!("layer3.{n}."), 1)));
    r50.lines().map(String::from).chain(more).collect()
}

/// With what BatchNorms count.
fn counted(lines: Vec<String>) -> Vec<String> {
    let counters = lines
        .iter()
        .filter_map(|line| line.split_once("running_mean "))
        .map(|(of, _)| format!("{of}num_batches_tracked "));
    let counters: Vec<String> = counters.collect();
    lines.into_iter().chain(counters).collect()
}

/// As version 1 named them: the background's logits, deltas and masks first.
fn version_1(lines: Vec<String>) -> Vec<String> {
    let renamed = |line: String| {
        let line = line.strip_prefix("roi_head.").unwrap_or(&line);
        let line =
            line.replace("fc_reg.weight 320x", "fc_reg.weight 324x").replace("fc_reg.bias 320", "fc_reg.bias 324");
        line.replace("conv_logits.weight 80x", "conv_logits.weight 81x")
            .replace("conv_logits.bias 80", "conv_logits.bias 81")
    };
    lines.into_iter().map(renamed).collect()
}

/// The names are of files that `tests/oracle/make_mmdet_goldens.py` listed: every tensor of the networks has a place in the one
/// that is told of them, and none is left over.
#[test]
fn all_of_mmdetection_s_networks_are_read() {
    let boxes = |text: &str| lines(text).into_iter().filter(|line| !line.contains("mask_head")).collect::<Vec<_>>();
    for (lines, count, name, version) in [
        (lines(FPN), 307, "maskrcnn_resnet50_fpn", 2),
        (counted(lines(FPN)), 360, "maskrcnn_resnet50_fpn", 2),
        (r101(FPN), 562, "maskrcnn_resnet101_fpn", 2),
        (counted(r101(FPN)), 666, "maskrcnn_resnet101_fpn", 2),
        (lines(X101), 562, "maskrcnn_resnext101_32x8d_fpn", 2),
        (boxes(FPN), 295, "fasterrcnn_resnet50_fpn", 2),
        (lines(C4), 279, "maskrcnn_resnet50_c4", 2),
        (counted(lines(C4)), 332, "maskrcnn_resnet50_c4", 2),
        (version_1(lines(FPN)), 307, "maskrcnn_resnet50_fpn", 1),
        (version_1(lines(C4)), 279, "maskrcnn_resnet50_c4", 1),
    ] {
        assert_eq!(lines.len(), count, "{name}");
        let file = file(&lines, "model.bin");
        assert_eq!(file.family_name(), if version == 1 { "MMDetection 1" } else { "MMDetection" });
        let settings = file.settings().unwrap();
        let config = &settings.config;
        assert_eq!(config.name, name);
        assert_eq!((config.num_classes, config.class_names[80].as_str()), (81, "toothbrush"));
        let inventory = Inventory::new(&file, config);
        assert!(inventory.fits(), "{name}: {inventory:?}");
        let background = if version == 1 { Background::First } else { Background::Last };
        assert_eq!(Bound::of(&file).conventions.background, background);
        assert!(!file.has_training_config() && settings.epsilon.doubt.is_none());
        // What it takes for granted.
        assert_eq!(config.transform.resize, Resize::Opencv);
        assert_eq!(settings.origin("transform.resize"), Some(Origin::Assumed));
        assert!(!config.backbone.stride_in_1x1);
        let top = if config.neck == Neck::C4 { 6000 } else { 1000 };
        assert_eq!((config.rpn.pre_nms_top_n, config.transform.size_divisible), (top, 32));
        if version == 2 {
            let rules = (config.anchor_rule, config.roi_levels, config.delta_limit, config.roi_aligned);
            assert_eq!(rules, (AnchorRule::ExactByRatio, LevelRule::Finest, DeltaLimit::Both, true));
        }
    }
}

/// Where nothing else does, groups and the file's name tell who trained the body.
#[test]
fn colours_and_strides_by_groups_and_by_name() {
    let rgb = ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375]);
    for (text, name, (mean, std), colours, origin) in [
        (FPN, "mask_rcnn_r50_fpn_1x_coco.pth", rgb, Colours::Rgb, Origin::Assumed),
        (FPN, "caffe/mask_rcnn_r50_fpn_1x_coco.pth", rgb, Colours::Rgb, Origin::Assumed),
        (FPN, "x/mask_rcnn_r50_caffe_fpn_1x.pth", (rgb.0, [1.0; 3]), Colours::Bgr, Origin::Inferred),
        (X101, "epoch_12.pth", (rgb.0, [58.395, 57.12, 57.375]), Colours::Bgr, Origin::Inferred),
    ] {
        let file = file(&lines(text), name);
        let settings = file.settings().unwrap();
        let transform = &settings.config.transform;
        assert_eq!((transform.image_mean, transform.image_std), (mean, std), "{name}");
        assert_eq!(Bound::of(&file).conventions.colours, colours, "{name}");
        assert_eq!(settings.origin("transform.image_mean"), Some(origin), "{name}");
        assert_eq!(settings.config.backbone.stride_in_1x1, name.contains("_caffe"), "{name}");
    }
}

/// Parts of MMDetection's networks that are not supported are named.
#[test]
fn mmdetection_s_other_networks_are_refused() {
    for (name, words) in [
        ("backbone.layer2.0.conv2.conv_offset.weight", "deformable convolutions"),
        ("roi_head.bbox_head.0.fc_cls.weight", "Cascade R-CNN"),
        ("roi_head.point_head.fcs.0.conv.weight", "PointRend"),
        ("roi_head.mask_iou_head.fcs.0.weight", "Mask Scoring"),
        ("roi_head.semantic_head.convs.0.conv.weight", "semantic segmentation"),
        ("neck.1.refine.conv.weight", "neck of several parts"),
    ] {
        let with = [lines(FPN), vec![format!("{name} 1")]].concat();
        let told = file(&with, "model.bin").settings().unwrap_err().to_string();
        assert!(told.contains(words) && told.contains(name), "{told}");
    }
    // What has no place is left over, and refused when it is loaded.
    let with = [lines(FPN), vec!["backbone.layer2.0.context_block.x.weight 1".into()]].concat();
    let file = file(&with, "model.bin");
    let config: Config = file.settings().unwrap().config;
    assert_eq!(Inventory::new(&file, &config).left_over, ["backbone.layer2.0.context_block.x.weight"]);
}
