//! Models as the ONNX model zoo's are (`tests/oracle/make_zoo_fixtures.py`), held against the tensors that they were made of, which a
//! formula makes.

use std::collections::HashMap;

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

use super::tests::{difference, fixture, folded, hold, open};
use crate::config::{AnchorRule, Extents, Resize};
use crate::weights::file::{Format, WeightsFile};
use crate::weights::layers::Kind;
use crate::weights::settings::Origin;
use crate::weights::synth::values;

/// The same network as maskrcnn-benchmark names it.
fn formula() -> WeightsFile {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/onnx_zoo.safetensors");
    let bytes = std::fs::read(path).unwrap();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let metadata = header.metadata().clone().unwrap();
    let shapes: Vec<(String, Vec<usize>)> = serde_json::from_str(&metadata["shapes"]).unwrap();
    let scales: HashMap<String, f32> = serde_json::from_str(&metadata["scales"]).unwrap();
    let seed = metadata["seed"].parse().unwrap();
    let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = shapes
        .into_iter()
        .map(|(name, shape)| {
            let scale = scales.get(&name).copied().unwrap_or(1.0);
            let cut = |v: f32| ((v * scale).to_bits() & 0xffff_0000).to_le_bytes();
            let data = values(&name, &shape, seed).into_iter().flat_map(cut).collect();
            (name, shape, data)
        })
        .collect();
    let views = tensors.iter().map(|(n, shape, data)| (n, TensorView::new(Dtype::F32, shape.clone(), data).unwrap()));
    let file = WeightsFile::from_bytes(safetensors::serialize(views, None).unwrap(), "formula").unwrap();
    assert_eq!(file.family_name(), "maskrcnn-benchmark");
    file
}

/// Nameless constants of version 10, of which five are the RPN's convolution, and initialisers of version 12.
#[test]
fn the_zoo_s_models_have_the_weights_of_maskrcnn_benchmark_s() {
    let formula = folded(&formula(), None);
    assert_eq!(formula.len(), 1 + 4 * 4 + 8 + 3 + 4 + 6);
    for model in ["zoo_10.onnx", "zoo_12.onnx"] {
        let file = open(fixture(model)).unwrap();
        assert_eq!((file.format(), file.family_name()), (Format::Onnx, "the ONNX zoo"));
        assert!(file.guessed().is_empty());
        hold(model, &folded(&file, None), &formula, [1e-6; 2]);
    }
}

/// `FasterRCNN`: what is left where masks are left out.
#[test]
fn without_masks_the_rest_is_the_same() {
    let file = open(fixture("zoo_faster.onnx")).unwrap();
    assert_eq!((file.format(), file.family_name()), (Format::Onnx, "the ONNX zoo"));
    assert!(file.guessed().is_empty());
    let mut formula = folded(&formula(), None);
    formula.retain(|(layer, ..)| !matches!(layer.kind, Kind::MaskConv | Kind::MaskDeconv | Kind::MaskLogits));
    assert_eq!(formula.len(), 1 + 4 * 4 + 8 + 3 + 4);
    hold("zoo_faster.onnx", &folded(&file, None), &formula, [1e-6; 2]);
    assert!(file.settings().unwrap().config.mask.is_none());
}

#[test]
fn its_rules_are_read_off_the_graph_or_known() {
    let settings = open(fixture("zoo_10.onnx")).unwrap().settings().unwrap();
    let config = &settings.config;
    for (name, origin) in [
        ("backbone.stride_in_1x1", Origin::Read),
        ("box.sampling_ratio", Origin::Read),
        ("mask.sampling_ratio", Origin::Read),
        ("anchor_sizes", Origin::Read),
        ("anchor_rule", Origin::Read),
        ("backbone.norm", Origin::Read),
        ("transform.image_mean", Origin::Assumed),
        ("box.score_thresh", Origin::Assumed),
    ] {
        assert_eq!(settings.origin(name), Some(origin), "{name}");
    }
    assert_eq!(settings.source("anchor_sizes"), Some("the anchors of a pixel among the graph's constants"));
    assert_eq!(settings.source("backbone.stride_in_1x1"), Some("`strides` of the graph's convolutions"));
    assert!(config.backbone.stride_in_1x1 && config.backbone.bn_eps == 0.0);
    assert_eq!((config.extents, config.anchor_rule), (Extents::InclusiveButOverlaps, AnchorRule::Strided));
    assert_eq!((config.transform.resize, config.transform.image_range), (Resize::PillowFloor, 255.0));
    assert_eq!(config.transform.image_mean, [122.7717, 115.9465, 102.9801]);
    assert_eq!((config.num_classes, config.class_names[18].as_str()), (81, "horse"));
    assert_eq!((config.box_head.sampling_ratio, config.mask.as_ref().unwrap().sampling_ratio), (2, 2));
}

/// Weights of 8 bits, whose levels share biases in whole numbers with steps of their own.
#[test]
fn biases_of_eight_bits_are_those_of_the_finest_level() {
    let file = open(fixture("zoo_12_int8.onnx")).unwrap();
    assert!(file.guessed()[0].contains("assumed to be in those of the finest level"), "{:?}", file.guessed());
    let (ours, formula) = (folded(&file, None), folded(&formula(), None));
    for ((layer, weight, bias), (_, due, due_bias)) in ours.iter().zip(&formula) {
        // Norms are not of 8 bits, and what they make of a convolution is compared elsewhere.
        if matches!(layer.kind, Kind::RpnConv | Kind::RpnLogits | Kind::RpnDeltas | Kind::FpnInner | Kind::FpnLayer) {
            let worst = [difference(&weight.data, &due.data), difference(bias, due_bias)];
            assert!(worst[0] < 0.5 / 127.0 + 1e-6 && worst[1] < 0.05, "{layer:?}: {worst:?}");
        }
    }
}

/// A model that was changed, or is another project's.
#[test]
fn what_is_not_the_zoo_s_is_not_taken_for_it() {
    let whole = fixture("zoo_10.onnx");
    let replaced = |bytes: &[u8], from: &[u8], to: &[u8]| {
        let mut out = bytes.to_vec();
        let places: Vec<usize> =
            bytes.windows(from.len()).enumerate().filter(|(_, w)| *w == from).map(|(i, _)| i).collect();
        assert!(!places.is_empty());
        places.iter().for_each(|&at| out[at..at + to.len()].copy_from_slice(to));
        out
    };
    // The first anchor's left end on the coarsest level.
    let sizes = [32.0f32, 64.0, 128.0, 256.0, 512.0];
    let cells = AnchorRule::Strided.cells(&sizes[4..], &[0.5, 1.0, 2.0], 64);
    let other_anchors = replaced(&whole, &cells[0][0].to_le_bytes(), &(cells[0][0] - 1.0).to_le_bytes());
    let settings = open(other_anchors.clone()).unwrap().settings().unwrap();
    assert_eq!((settings.family, settings.origin("anchor_sizes")), ("the ONNX zoo", Some(Origin::Assumed)));
    let without_strides = replaced(&whole, b"strides", b"strange");
    let settings = open(without_strides).unwrap().settings().unwrap();
    assert_eq!(settings.origin("backbone.stride_in_1x1"), Some(Origin::Assumed));
    let neither = replaced(&other_anchors, b"strides", b"strange");
    let message = open(neither).unwrap_err();
    assert!(message.contains("neither the anchors nor the strides") && message.contains(".pth"), "{message}");
}
