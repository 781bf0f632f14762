//! detectron2's networks: names, settings, and what of them is not supported.

use safetensors::tensor::Dtype;

use super::{Raw, Tensors, serialize};
use crate::config::Neck;
use crate::weights::WeightsFile;
use crate::weights::bound::Bound;
use crate::weights::family::Colours;
use crate::weights::inspect::Inventory;
use crate::weights::settings::Origin;

fn file(tensors: &Tensors) -> WeightsFile {
    WeightsFile::from_bytes(serialize(tensors, None), "model.bin").unwrap()
}

/// detectron2's names, of files that `tests/oracle/make_detectron2_goldens.py` listed: every tensor of its networks has a
/// place in the one that is told of them, and none is left over.
#[test]
fn all_of_detectron2_s_networks_are_read() {
    let [fpn, c4, dc5, gn, syncbn, x101] = [
        include_str!("../../../tests/fixtures/state_dicts/detectron2_R_50_FPN.txt"),
        include_str!("../../../tests/fixtures/state_dicts/detectron2_R_50_C4.txt"),
        include_str!("../../../tests/fixtures/state_dicts/detectron2_R_50_DC5.txt"),
        include_str!("../../../tests/fixtures/state_dicts/detectron2_R_50_FPN_gn.txt"),
        include_str!("../../../tests/fixtures/state_dicts/detectron2_R_50_FPN_syncbn.txt"),
        include_str!("../../../tests/fixtures/state_dicts/detectron2_X_101_FPN.txt"),
    ];
    // Without what only the bottlenecks of ResNeXt have: ResNet-101 is as ResNet-50 but for its blocks.
    let r101 = |r50: &str| {
        let in_stage =
            if r50.contains("backbone.bottom_up") { "backbone.bottom_up.res4.1." } else { "backbone.res4.1." };
        let block: Vec<&str> = r50.lines().filter(|line| line.starts_with(in_stage)).collect();
        let more =
            (6..23).flat_map(|n| block.iter().map(move |line| line.replacen("res4.1.", &format!("res4.{n}."), 1)));
        r50.lines().map(String::from).chain(more).collect::<Vec<_>>()
    };
    // The newer baselines have two convolutions before the RPN's predictors.
    let lsj = syncbn.lines().flat_map(|line| match line.contains("rpn_head.conv.") {
        true => [0, 1].map(|n| line.replace("rpn_head.conv.", &format!("rpn_head.conv.conv{n}."))).to_vec(),
        false => vec![line.into()],
    });
    let lines = |text: &str| text.lines().map(String::from).collect::<Vec<_>>();
    let without_masks = |text: &str| {
        text.lines().filter(|line| !line.starts_with("roi_heads.mask_head")).map(String::from).collect::<Vec<_>>()
    };
    for (names, count, name) in [
        (lines(fpn), 307, "maskrcnn_resnet50_fpn"),
        (r101(fpn), 562, "maskrcnn_resnet101_fpn"),
        (lines(x101), 562, "maskrcnn_resnext101_32x8d_fpn"),
        (without_masks(fpn), 295, "fasterrcnn_resnet50_fpn"),
        (lines(c4), 279, "maskrcnn_resnet50_c4"),
        (r101(c4), 534, "maskrcnn_resnet101_c4"),
        (lines(dc5), 291, "maskrcnn_resnet50_dc5"),
        (r101(dc5), 546, "maskrcnn_resnet101_dc5"),
        (lines(gn), 223, "maskrcnn_resnet50_fpn_v2"),
        (lines(syncbn), 361, "maskrcnn_resnet50_fpn_v2"),
        (lsj.collect(), 363, "maskrcnn_resnet50_fpn_v2"),
    ] {
        assert_eq!(names.len(), count, "{name}");
        let tensors: Tensors = names.iter().map(|line| of_line(line)).collect();
        let file = file(&tensors);
        assert_eq!(file.family_name(), "detectron2");
        let settings = file.settings().unwrap();
        assert_eq!(settings.config.name, name);
        let config = &settings.config;
        assert_eq!((config.num_classes, config.class_names[80].as_str()), (81, "toothbrush"));
        let inventory = Inventory::new(&file, config);
        assert!(inventory.fits(), "{name}: {inventory:?}");
        assert_eq!(config.rpn.conv_depth, if count == 363 { 2 } else { 1 });
        // What it takes for granted.
        let other = config.backbone.groups > 1 || config.backbone.group_norm > 0;
        assert_eq!(config.backbone.stride_in_1x1, !other, "{name}");
        assert_eq!(config.transform.image_std[0], if config.backbone.groups == 1 { 1.0 } else { 58.395 });
        assert_eq!(config.transform.image_mean, [123.675, 116.28, 103.53]);
        let of_fpn = (1000, 32, [32.0].as_slice());
        let of_others = (6000, 1, [32.0, 64.0, 128.0, 256.0, 512.0].as_slice());
        let has = (config.rpn.pre_nms_top_n, config.transform.size_divisible, config.anchor_sizes[0].as_slice());
        assert_eq!(has, if config.neck == Neck::Fpn { of_fpn } else { of_others }, "{name}");
        // A tensor that is not there is called as it would be.
        for missing in names.iter().filter(|name| name.contains("res5.1.") || name.contains("rpn_head")).take(3) {
            let missing = missing.split(' ').next().unwrap();
            let mut less = tensors.clone();
            less.remove(missing);
            let told = Inventory::new(&self::file(&less), config);
            assert_eq!(told.missing, [missing], "{name}");
        }
    }
}

/// A tensor of zeros, by the line that lists it.
fn of_line(line: &str) -> (String, Raw) {
    let (name, shape) = line.split_once(' ').unwrap();
    let shape: Vec<usize> = shape.split('x').map(|axis| axis.parse().unwrap()).collect();
    // Zeros take no memory until somebody looks at them; a byte a value is enough to tell the shape.
    let bytes = vec![0; shape.iter().product()];
    (name.into(), Raw { dtype: Dtype::U8, shape, bytes })
}

/// What stands beside a network of detectron2's and tells of it: colours, and anchors.
#[test]
fn detectron2_s_settings_are_read() {
    let fpn = include_str!("../../../tests/fixtures/state_dicts/detectron2_R_50_FPN.txt");
    let with = |more: &[(&str, &[usize], Vec<f32>)]| {
        let mut tensors: Tensors = fpn.lines().map(of_line).collect();
        for (name, shape, values) in more {
            let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            tensors.insert(name.to_string(), Raw { dtype: Dtype::F32, shape: shape.to_vec(), bytes });
        }
        file(&tensors)
    };
    let plain = with(&[]);
    let assumed = plain.settings().unwrap();
    assert_eq!(assumed.origin("transform.image_mean"), Some(Origin::Assumed));
    assert_eq!(assumed.epsilon.origin, Origin::Inferred);
    // A body of torchvision's, in detectron2's hands: red first, stride in the second convolution.
    let rgb = [123.675, 116.28, 103.53];
    let std = [58.395, 57.12, 57.375];
    let told = with(&[("pixel_mean", &[3, 1, 1], rgb.to_vec()), ("pixel_std", &[3, 1, 1], std.to_vec())]);
    let settings = told.settings().unwrap();
    assert_eq!((settings.config.transform.image_mean, settings.config.transform.image_std), (rgb, std));
    assert!(!settings.config.backbone.stride_in_1x1);
    assert_eq!(settings.origin("transform.image_mean"), Some(Origin::Read));
    assert!(Inventory::new(&told, &settings.config).fits() && told.selection().note().is_none());
    let stem = "backbone.bottom_up.stem.conv1.weight";
    let order = |file: &WeightsFile| Bound::of(file).conventions.colours;
    assert!(told.contains(stem) && (order(&told), order(&plain)) == (Colours::Rgb, Colours::Bgr));
    // Anchors of other sizes, two a level, and of one ratio less.
    let cell = |size: f32, ratio: f32| {
        let (w, h) = (size / ratio.sqrt() / 2.0, size * ratio.sqrt() / 2.0);
        [-w, -h, w, h]
    };
    let level = |size: f32| [cell(size, 0.5), cell(size, 2.0), cell(size * 1.5, 0.5), cell(size * 1.5, 2.0)].concat();
    let name = |level: usize| format!("proposal_generator.anchor_generator.cell_anchors.{level}");
    let names: Vec<String> = (0..5).map(name).collect();
    let levels: Vec<(&str, &[usize], Vec<f32>)> =
        names.iter().enumerate().map(|(i, name)| (name.as_str(), &[4, 4][..], level(8.0 * (1 << i) as f32))).collect();
    let settings = with(&levels).settings().unwrap();
    assert_eq!(settings.config.anchor_ratios, [0.5, 2.0]);
    assert_eq!(settings.config.anchor_sizes[..2], [[8.0, 12.0], [16.0, 24.0]]);
    assert_eq!(settings.origin("anchor_sizes"), Some(Origin::Read));
    // Some that no rule makes are left to the defaults.
    let mut odd = levels.clone();
    odd[2].2[5] = 1.0;
    assert_eq!(with(&odd).settings().unwrap().config.anchor_ratios, [0.5, 1.0, 2.0]);
}

/// Parts of detectron2's networks that are not supported are named.
#[test]
fn detectron2_s_other_networks_are_refused() {
    let fpn = include_str!("../../../tests/fixtures/state_dicts/detectron2_R_50_FPN.txt");
    for (name, words) in [
        ("backbone.bottom_up.res3.0.conv2_offset.weight", "deformable convolutions"),
        ("roi_heads.box_predictor.0.cls_score.weight", "Cascade R-CNN"),
        ("roi_heads.mask_head.point_head.fc1.weight", "PointRend"),
        ("backbone.top_block.p6.weight", "levels P6 and P7"),
    ] {
        let mut tensors: Tensors = fpn.lines().map(of_line).collect();
        tensors.insert(name.into(), Raw { dtype: Dtype::F32, shape: vec![1], bytes: vec![0; 4] });
        let told = file(&tensors).settings().unwrap_err().to_string();
        assert!(told.contains(words) && told.contains(name), "{told}");
    }
}
