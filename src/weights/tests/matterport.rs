//! matterport's networks: names, layouts, settings.

use safetensors::tensor::Dtype;

use super::{Raw, Tensors, serialize};
use crate::config::{BoxRule, Resize};
use crate::weights::convert::{self, ElementType};
use crate::weights::inspect::Inventory;
use crate::weights::settings::Origin;
use crate::weights::{NetworkWeights, WeightsFile};

fn file(tensors: &Tensors) -> WeightsFile {
    WeightsFile::from_bytes(serialize(tensors, None), "model.bin").unwrap()
}

fn of_line(line: &str) -> (String, Raw) {
    let (name, shape) = line.split_once(' ').unwrap();
    let shape: Vec<usize> = shape.split('x').map(|axis| axis.parse().unwrap()).collect();
    let bytes = vec![0; shape.iter().product()];
    (name.into(), Raw { dtype: Dtype::U8, shape, bytes })
}

/// Every tensor of both samples' networks has a place in the one that is told of them, and none is left over.
#[test]
fn all_of_matterport_s_networks_are_read() {
    let [r50, r101] = [
        include_str!("../../../tests/fixtures/state_dicts/matterport_resnet50.txt"),
        include_str!("../../../tests/fixtures/state_dicts/matterport_resnet101.txt"),
    ];
    for (text, count, name, classes) in
        [(r50, 384, "maskrcnn_resnet50_fpn", 2), (r101, 690, "maskrcnn_resnet101_fpn", 81)]
    {
        let tensors: Tensors = text.lines().map(of_line).collect();
        assert_eq!(tensors.len(), count);
        let file = file(&tensors);
        assert_eq!((file.family_name(), file.selection().note()), ("matterport", None));
        let settings = file.settings().unwrap();
        let config = &settings.config;
        assert_eq!((config.name.as_str(), config.num_classes, config.rpn.channels), (name, classes, 512));
        assert_eq!((config.box_head.roi_size, config.box_head.representation), (7, 1024));
        let inventory = Inventory::new(&file, config);
        assert!(inventory.fits(), "{name}: {inventory:?}");
        // What it takes for granted: which sample's settings, and its rules.
        let nucleus = (Resize::Pad64, 8.0, [43.53, 39.56, 48.22], 0.0, 400, "nucleus");
        let coco = (Resize::Square, 32.0, [123.7, 116.8, 103.9], 0.7, 100, "person");
        let (transform, head) = (&config.transform, &config.box_head);
        let name_of = config.class_names[1].as_str();
        let has = (transform.resize, config.anchor_sizes[0][0], transform.image_mean);
        let has = (has.0, has.1, has.2, head.score_thresh, head.detections_per_img, name_of);
        assert_eq!(has, if classes == 2 { nucleus } else { coco });
        assert_eq!((config.backbone.bn_eps, config.box_rule), (1e-3, BoxRule::Normalized));
        // The presets are the same.
        let [of_coco, of_nucleus] =
            ["matterport-coco", "matterport-nucleus"].map(|preset| config.with_preset(preset).unwrap());
        assert_eq!(if classes == 2 { &of_nucleus } else { &of_coco }, config);
        let [first, second] =
            [&of_coco, &of_nucleus].map(|config| (config.transform.resize, config.rpn.post_nms_top_n));
        assert_eq!((first, second), ((Resize::Square, 1000), (Resize::Pad64, 2000)));
        assert!(config.backbone.stride_in_1x1 && config.backbone.pool_after && head.best_class && config.rpn.joint);
        let assumed =
            ["transform.resize", "anchor_sizes", "transform.image_mean", "box.score_thresh", "box_rule", "rpn.joint"];
        assert!(assumed.iter().all(|of| settings.origin(of) == Some(Origin::Assumed)));
        for missing in
            ["bn5b_branch2b/moving_mean:0", "mrcnn_class_conv2/bias:0", "mrcnn_class_bn1/beta:0", "fpn_c4p4/bias:0"]
        {
            let mut less = tensors.clone();
            less.remove(missing).unwrap();
            assert_eq!(Inventory::new(&self::file(&less), config).missing, [missing]);
        }
    }
}

/// A network of the smallest widths, by hand: `convert` writes what is loaded of the original, biases and norms folded in.
#[test]
fn what_is_converted_is_the_same_network() {
    let (_, bytes) = super::h5::files().swap_remove(1);
    let file = WeightsFile::from_bytes(bytes, "mask_rcnn.h5").unwrap();
    let config = file.config().unwrap();
    let ours = NetworkWeights::load(&file, &config).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.safetensors");
    convert::write(&file, &config, ElementType::F32, &path).unwrap();
    let again = WeightsFile::open(&path).unwrap();
    assert_eq!((again.config().unwrap(), again.family_name()), (config.clone(), "torchvision"));
    assert_eq!(NetworkWeights::load(&again, &config).unwrap(), ours);
}

/// A convolution with a bias and a BatchNorm of which each value is told by its name.
#[test]
fn biases_go_up_in_norms() {
    let (_, bytes) = super::h5::files().swap_remove(1);
    let file = WeightsFile::from_bytes(bytes, "mask_rcnn.h5").unwrap();
    let network = NetworkWeights::load(&file, &file.config().unwrap()).unwrap();
    let of = |name: &str, shape: &[usize]| file.tensor(name, shape).unwrap().data;
    let vector = |name: &str| of(name, &[4]).iter().map(|v| f64::from(*v)).collect::<Vec<_>>();
    let [gamma, beta, mean, var] =
        ["gamma", "beta", "moving_mean", "moving_variance"].map(|end| vector(&format!("bn_conv1/{end}:0")));
    let (bias, kernel) = (vector("conv1/bias:0"), of("conv1/kernel:0", &[7, 7, 3, 4]));
    for k in 0..4 {
        let scale = gamma[k] / (var[k] + f64::from(1e-3f32)).sqrt();
        let folded = network.body.stem.bias.floats()[k];
        assert!((f64::from(folded) - (beta[k] + (bias[k] - mean[k]) * scale)).abs() < 1e-6);
        // Row 2, column 5, blue.
        let weight = network.body.stem.weight.floats()[((k * 7 + 2) * 7 + 5) * 4 + 2];
        assert!((f64::from(weight) - f64::from(kernel[((2 * 7 + 5) * 3 + 2) * 4 + k]) * scale).abs() < 1e-6);
    }
    // A fully connected layer: row 1, column 6, channel 3 of what is pooled, output 5.
    let first = &network.box_head.fcs[0][0];
    let eight = |name: &str| of(name, &[8]).iter().map(|v| f64::from(*v)).collect::<Vec<_>>();
    let scale = eight("mrcnn_class_bn1/gamma:0")[5]
        / (eight("mrcnn_class_bn1/moving_variance:0")[5] + f64::from(1e-3f32)).sqrt();
    let kernel = of("mrcnn_class_conv1/kernel:0", &[7, 7, 4, 8])[((7 + 6) * 4 + 3) * 8 + 5];
    let weight = first.weight.floats()[5 * 196 + (7 + 6) * 4 + 3];
    assert!((f64::from(weight) - f64::from(kernel) * scale).abs() < 1e-6);
    let folded = eight("mrcnn_class_bn1/beta:0")[5]
        + (eight("mrcnn_class_conv1/bias:0")[5] - eight("mrcnn_class_bn1/moving_mean:0")[5]) * scale;
    assert!((f64::from(first.bias.floats()[5]) - folded).abs() < 1e-6);
}
