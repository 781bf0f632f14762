use safetensors::tensor::Dtype;

use super::{Raw, Tensors, nuclei, serialize, tiny_config, tiny_model, tiny_v2_config};
use crate::config::BlockKind;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::weights::synth::{synthetic, synthetic_file};
use crate::weights::{NetworkWeights, WeightsFile};

fn load(tensors: &Tensors, config: &Config) -> Result<NetworkWeights> {
    NetworkWeights::load(&WeightsFile::from_bytes(serialize(tensors, None), "model.bin")?, config)
}

/// The tensor that `Error::Tensor` names, and why.
fn culprit(result: Result<NetworkWeights>) -> (String, String) {
    match result {
        Err(Error::Tensor { tensor, reason, .. }) => (tensor, reason),
        other => panic!("a tensor error was due, not {other:?}"),
    }
}

#[test]
fn loads_the_default_model() {
    let file = WeightsFile::open(nuclei()).unwrap();
    let config = file.config().unwrap();
    assert_eq!(config.name, "nuclei-r18w32-fpn128");
    assert_eq!((config.backbone.block, config.backbone.bn_eps), (BlockKind::Basic, 1e-5));
    assert_eq!((config.transform.min_size, config.box_head.detections_per_img), (640, 300));
    let weights = NetworkWeights::load(&file, &config).unwrap();
    assert_eq!(weights.body.stem.weight.shape.dims(), [32, 7, 7, 4]);
    assert_eq!(weights.body.stages.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 2, 2]);
    assert!(weights.body.stages[0][0].downsample.is_none());
    assert_eq!(weights.body.stages[1][0].downsample.as_ref().unwrap().weight.shape.dims(), [64, 1, 1, 32]);
    assert_eq!(weights.box_head.fcs[0][0].weight.shape.dims(), [256, 6272]);
    assert_eq!(weights.mask_head.unwrap().deconv.weight.shape.dims(), [128, 2, 2, 128]);
}

#[test]
fn shapes_of_a_bottleneck_network() {
    let mut config = tiny_config(BlockKind::Bottleneck);
    config.rpn.conv_depth = 2;
    let weights = load(&tiny_model(&config), &config).unwrap();
    let first = &weights.body.stages[0][0];
    assert_eq!(first.conv1.weight.shape.dims(), [4, 1, 1, 4]);
    assert_eq!(first.conv3.as_ref().unwrap().weight.shape.dims(), [16, 1, 1, 4]);
    assert_eq!(first.downsample.as_ref().unwrap().weight.shape.dims(), [16, 1, 1, 4]);
    assert!(weights.body.stages[0][1].downsample.is_none());
    assert_eq!(weights.body.stages[3][0].conv1.weight.shape.dims(), [32, 1, 1, 64]);
    assert_eq!(weights.fpn.inner[3].weight.shape.dims(), [4, 1, 1, 128]);
    assert_eq!(weights.fpn.layer[0].weight.shape.dims(), [4, 3, 3, 4]);
    assert_eq!(weights.rpn.convs.len(), 1);
    let predictors = [&weights.rpn.last[0].1, &weights.box_head.predictor];
    assert_eq!(predictors.map(|p| (p.weight.shape.dims(), p.rows)), [(&[15, 4][..], [3, 12]), (&[15, 8], [3, 12])]);
    let mask = weights.mask_head.unwrap();
    assert_eq!(
        (mask.convs[0].weight.shape.dims(), mask.convs[1].weight.shape.dims()),
        (&[8, 3, 3, 4][..], &[4, 3, 3, 8][..])
    );
    assert_eq!((mask.deconv.weight.shape.dims(), mask.logits.weight.shape.dims()), (&[8, 2, 2, 4][..], &[3, 8][..]));
    assert_eq!((mask.deconv.bias.shape.len(), mask.logits.bias.shape.len()), (8, 3));
}

#[test]
fn shapes_of_a_second_version() {
    let config = tiny_v2_config();
    let weights = load(&tiny_model(&config), &config).unwrap();
    let head = &weights.box_head;
    let shapes: Vec<_> = head.convs.iter().map(|c| c.weight.shape.dims()).collect();
    assert_eq!(shapes, [[12, 3, 3, 4], [8, 3, 3, 12]]);
    let shapes: Vec<_> = head.fcs.iter().flatten().map(|c| c.weight.shape.dims()).collect();
    assert_eq!(shapes, [[8, 32], [8, 8]]);
    assert_eq!(weights.fpn.layer[2].bias.shape.len(), 4);
}

#[test]
fn anchors_that_the_file_was_not_trained_with_are_named() {
    let config = tiny_config(BlockKind::Basic);
    let all = tiny_model(&config);
    let other = Config { anchor_ratios: vec![1.0], ..config };
    match load(&all, &other) {
        Err(Error::Config { setting, reason }) => {
            assert!(
                setting == "anchor_sizes" && reason.contains("makes 1 anchor at") && reason.contains("with 3"),
                "{reason}"
            );
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn values_land_where_they_belong() {
    let config = tiny_config(BlockKind::Basic);
    let torch: std::collections::HashMap<_, _> = synthetic(&config, 1).into_iter().collect();
    let at = |name: &str| &torch[name].data;
    let ours = load(&tiny_model(&config), &config).unwrap();

    // The stem, folded: output channel 2, kernel row 5, column 3, input channel 1; and the channel of zeros.
    let bn = |part: &str, k: usize| f64::from(at(&format!("backbone.body.bn1.{part}"))[k]);
    let scale = bn("weight", 2) / (bn("running_var", 2) + f64::from(1e-5f32)).sqrt();
    let value = f64::from(at("backbone.body.conv1.weight")[((2 * 3 + 1) * 7 + 5) * 7 + 3]);
    assert_eq!(ours.body.stem.weight.floats()[((2 * 7 + 5) * 7 + 3) * 4 + 1], (value * scale) as f32);
    assert_eq!(ours.body.stem.bias.floats()[2], (bn("bias", 2) - bn("running_mean", 2) * scale) as f32);
    assert!(ours.body.stem.weight.floats().iter().skip(3).step_by(4).all(|&v| v == 0.0));

    // The transposed convolution: output 3, dy 1, dx 0, input 2, of 8 outputs and 4 inputs.
    let mask = ours.mask_head.as_ref().unwrap();
    let deconv = at("roi_heads.mask_predictor.conv5_mask.weight");
    assert_eq!(mask.deconv.weight.floats()[((3 * 2 + 1) * 2) * 4 + 2], deconv[((2 * 8 + 3) * 2 + 1) * 2]);
    assert_eq!(mask.logits.weight.floats(), *at("roi_heads.mask_predictor.mask_fcn_logits.weight"));

    // fc6: output 5, row 1, column 0, channel 3, of 4 channels on 2×2.
    let fc6 = at("roi_heads.box_head.fc6.weight");
    assert_eq!(ours.box_head.fcs[0][0].weight.floats()[5 * 16 + 2 * 4 + 3], fc6[5 * 16 + 3 * 4 + 2]);
    assert_eq!(ours.box_head.fcs[1][0].weight.floats(), *at("roi_heads.box_head.fc7.weight"));

    // Predictors: the rows of logits, then those of deltas.
    for (ours, logits, deltas) in [
        (&ours.rpn.last[0].1, "rpn.head.cls_logits", "rpn.head.bbox_pred"),
        (&ours.box_head.predictor, "roi_heads.box_predictor.cls_score", "roi_heads.box_predictor.bbox_pred"),
    ] {
        let both = |part: &str| [logits, deltas].map(|stem| at(&format!("{stem}.{part}")).clone()).concat();
        assert_eq!(ours.weight.floats(), both("weight"));
        assert_eq!(ours.bias.floats(), both("bias"));
    }
}

#[test]
fn every_tensor_is_needed_and_shaped() {
    let (basic, bottleneck) = (tiny_config(BlockKind::Basic), tiny_config(BlockKind::Bottleneck));
    for config in [tiny_v2_config(), basic, bottleneck] {
        let all = tiny_model(&config);
        for name in all.keys() {
            let mut without = all.clone();
            let dropped = without.remove(name).unwrap();
            let (tensor, reason) = culprit(load(&without, &config));
            assert_eq!(&tensor, name);
            assert!(reason.contains("missing") && reason.contains("closest"), "{reason}");

            let reshaped = Raw { shape: [vec![1], dropped.shape.clone()].concat(), ..dropped.clone() };
            let (tensor, reason) = culprit(load(&with(&all, name, reshaped), &config));
            assert_eq!(&tensor, name);
            assert!(reason.contains(&format!("{:?}", dropped.shape)), "{reason}");

            let mut nan = dropped.clone();
            nan.bytes[..4].copy_from_slice(&f32::NAN.to_le_bytes());
            assert_eq!(&culprit(load(&with(&all, name, nan), &config)).0, name);

            let integer = Raw { dtype: Dtype::I32, ..dropped };
            assert_eq!(&culprit(load(&with(&all, name, integer), &config)).0, name);
        }
    }
}

/// A copy with one tensor replaced or added.
fn with(tensors: &Tensors, name: &str, raw: Raw) -> Tensors {
    let mut copy = tensors.clone();
    copy.insert(name.into(), raw);
    copy
}

fn floats(values: &[f32]) -> Raw {
    Raw { dtype: Dtype::F32, shape: vec![values.len()], bytes: values.iter().flat_map(|v| v.to_le_bytes()).collect() }
}

#[test]
fn accepts_the_older_names() {
    let config = tiny_config(BlockKind::Basic);
    let all = tiny_model(&config);
    let older = |name: &str| {
        let mut name = name.replace("rpn.head.conv.0.0.", "rpn.head.conv.");
        for i in 0..4 {
            name = name.replace(&format!("_blocks.{i}.0."), &format!("_blocks.{i}."));
            name = name.replace(&format!("mask_head.{i}.0."), &format!("mask_head.mask_fcn{}.", i + 1));
        }
        name
    };
    let old: Tensors = all.iter().map(|(name, raw)| (older(name), raw.clone())).collect();
    assert_eq!(old.keys().filter(|name| !all.contains_key(*name)).count(), 2 * (8 + 1 + 2));
    assert_eq!(load(&old, &config).unwrap(), load(&all, &config).unwrap());
    for name in old.keys() {
        let mut without = old.clone();
        without.remove(name);
        assert_eq!(&culprit(load(&without, &config)).0, name);
    }
    // Both spellings at once: one of them would be ignored in silence.
    let both = with(&all, "rpn.head.conv.bias", all["rpn.head.conv.0.0.bias"].clone());
    assert!(
        matches!(load(&both, &config), Err(Error::Weights { reason, .. }) if reason.contains("rpn.head.conv.bias"))
    );
}

#[test]
fn left_over_tensors_are_refused_by_name() {
    let config = tiny_config(BlockKind::Basic);
    let all = tiny_model(&config);
    let counter = Raw { dtype: Dtype::I64, shape: vec![], bytes: vec![0; 8] };
    load(&with(&all, "backbone.body.bn1.num_batches_tracked", counter), &config).unwrap();
    match load(&with(&all, "roi_heads.keypoint_head.0.weight", floats(&[1.0])), &config) {
        Err(Error::Weights { file, reason }) => {
            assert_eq!(file, "model.bin");
            for part in
                ["1 of its tensors has", "`roi_heads.keypoint_head.0.weight`", "Keypoint R-CNN is not supported"]
            {
                assert!(reason.contains(part), "{reason}");
            }
        }
        other => panic!("{other:?}"),
    }
    // A network without masks does not take a file with them: the configuration is not the file's.
    let without_masks = Config { mask: None, ..config };
    match load(&all, &without_masks) {
        Err(Error::Weights { reason, .. }) => {
            assert!(
                reason.contains("mask_head") && reason.contains('…') && reason.contains("of another network"),
                "{reason}"
            );
        }
        other => panic!("{other:?}"),
    }
    let faster = load(&tiny_model(&without_masks), &without_masks).unwrap();
    assert!(faster.mask_head.is_none());
}

#[test]
fn refuses_statistics_that_cannot_be_folded() {
    let mut config = tiny_config(BlockKind::Basic);
    let all = tiny_model(&config);
    let var = "backbone.body.layer1.0.bn2.running_var";
    let (tensor, reason) = culprit(load(&with(&all, var, floats(&[1.0, 1.0, -0.5, 1.0])), &config));
    assert_eq!(tensor, var);
    assert!(reason.contains("-0.5 in channel 2") && reason.contains("1e-5"), "{reason}");
    // A dead channel is harmless as long as there is an epsilon.
    let dead = with(&all, var, floats(&[1.0, 0.0, 1.0, 1.0]));
    load(&dead, &config).unwrap();
    config.backbone.bn_eps = 0.0;
    assert_eq!(culprit(load(&dead, &config)).0, var);
    let huge = with(&all, "backbone.body.layer1.0.bn2.weight", floats(&[3e38; 4]));
    let tiny = with(&huge, var, floats(&[1e-30; 4]));
    let (tensor, reason) = culprit(load(&tiny, &config));
    assert_eq!(tensor, "backbone.body.layer1.0.conv2.weight");
    assert!(reason.contains("range of f32"), "{reason}");
}

#[test]
fn a_configuration_made_by_hand_is_checked() {
    let mut config = tiny_config(BlockKind::Basic);
    let all = tiny_model(&config);
    config.fpn_channels = usize::MAX;
    assert!(matches!(load(&all, &config), Err(Error::Config { .. })));
}

#[test]
fn synthetic_files_load() {
    for block in [BlockKind::Basic, BlockKind::Bottleneck] {
        let config = tiny_config(block);
        let file = synthetic_file(&config, 3).unwrap();
        assert_eq!(file.config().unwrap(), config);
        NetworkWeights::load(&file, &config).unwrap();
    }
}
