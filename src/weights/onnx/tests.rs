//! ONNX models as torch's exporter and ONNX Runtime's quantiser write them (`tests/oracle/make_onnx_fixtures.py`), held
//! against the checkpoints that they were made of, and models that are not what they should be.

use std::io::Read;
use std::path::Path;

use super::*;
use crate::config::Config;
use crate::tensor::HostTensor;
use crate::weights::file::{Format, WeightsFile};
use crate::weights::layers::layers;
use crate::weights::reader::LayerReader;
use crate::weights::settings::Origin;

pub(super) fn fixture(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/weights/onnx/fixtures/{name}.gz"));
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_end(&mut bytes).unwrap();
    bytes
}

pub(super) fn open(bytes: Vec<u8>) -> Result<WeightsFile, String> {
    WeightsFile::from_bytes(bytes, "FILE").map_err(|e| e.to_string())
}

/// A layer with its norm folded in: weight and bias.
pub(super) type Folded = (Layer, HostTensor, Vec<f32>);

/// Every layer with its norm folded in.
pub(super) fn folded(file: &WeightsFile, eps: Option<f32>) -> Vec<Folded> {
    let mut config: Config = file.settings().unwrap().config;
    config.backbone.bn_eps = eps.unwrap_or(config.backbone.bn_eps);
    let mut reader = LayerReader::new(file, &config);
    let all: Vec<_> = layers(&config)
        .into_iter()
        .map(|form| {
            let (weight, bias) = reader.layer(form.layer).unwrap();
            (form.layer, weight, bias)
        })
        .collect();
    reader.finish().unwrap();
    all
}

/// The largest difference as a share of the largest value.
pub(super) fn difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let most = b.iter().fold(1e-6f32, |most, v| most.max(v.abs()));
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / most
}

/// `limits`: of weights, and of biases.
fn hold_against(model: &str, checkpoint: Vec<u8>, limits: [f32; 2]) {
    let (ours, theirs) = (open(fixture(model)).unwrap(), open(checkpoint).unwrap());
    assert_eq!((ours.format(), ours.family_name()), (Format::Onnx, "torchvision"));
    let (ours, theirs) = (folded(&ours, None), folded(&theirs, Some(1e-5)));
    hold(model, &ours, &theirs, limits);
}

/// `limits`: of weights, and of biases.
pub(super) fn hold(model: &str, ours: &[Folded], theirs: &[Folded], limits: [f32; 2]) {
    assert_eq!(ours.len(), theirs.len(), "{model}");
    for ((layer, weight, bias), (of, due, due_bias)) in ours.iter().zip(theirs) {
        assert_eq!((layer, &weight.shape), (of, &due.shape), "{model}");
        let worst = [difference(&weight.data, &due.data), difference(bias, due_bias)];
        assert!(worst.iter().zip(limits).all(|(worst, limit)| *worst <= limit), "{model} {layer:?}: {worst:?}");
    }
}

fn tiny() -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tiny_zip.pth")).unwrap()
}

#[test]
fn an_export_has_the_weights_of_its_checkpoint_wherever_its_norms_are() {
    // Folded by the exporter, left as nodes, and frozen: products and sums.
    for model in ["folded.onnx", "norms.onnx", "frozen.onnx"] {
        hold_against(model, tiny(), [1e-6; 2]);
    }
    hold_against("second.onnx", fixture("second.pth"), [2e-6; 2]);
}

#[test]
fn weights_of_eight_bits_are_as_near_as_their_steps() {
    // Half a step of 127, of the largest value of a channel. A bias's step is that times the step of what comes in: half of it is
    // 0.046 of the largest, by the scales in the file.
    hold_against("qdq.onnx", tiny(), [0.5 / 127.0 + 1e-6, 0.046]);
}

/// Whole numbers with five sizes of steps: with those of the finest level they are as near as in the other form, and that is said.
#[test]
fn a_bias_that_levels_share_in_different_steps_is_the_finest_one_s() {
    hold_against("qoperator.onnx", tiny(), [0.5 / 127.0 + 1e-6, 0.046]);
    let file = open(fixture("qoperator.onnx")).unwrap();
    assert!(file.guessed()[0].contains("assumed to be in those of the finest level"), "{:?}", file.guessed());
    assert!(open(fixture("qdq.onnx")).unwrap().guessed().is_empty());
}

#[test]
fn settings_are_told_by_the_layers() {
    let settings = open(fixture("folded.onnx")).unwrap().settings().unwrap();
    let of_checkpoint = open(tiny()).unwrap().config().unwrap();
    let mut config = settings.config.clone();
    assert_eq!((config.backbone.bn_eps, settings.epsilon.origin), (0.0, Origin::Read));
    config.backbone.bn_eps = of_checkpoint.backbone.bn_eps;
    assert_eq!(config, of_checkpoint);
    let second = open(fixture("second.onnx")).unwrap().config().unwrap();
    assert_eq!((second.box_head.convs, second.box_head.fc_layers, second.fpn_norm), (vec![8, 8], 1, false));
}

#[test]
fn a_prefix_is_no_model_s() {
    assert!(read(&fixture("folded.onnx"), Some("ema")).unwrap_err().contains("none under `ema`"));
    assert!(read(&fixture("folded.onnx"), Some("")).is_ok());
}

#[test]
fn what_is_cut_off_is_refused_in_words() {
    let whole = fixture("folded.onnx");
    for percent in 0..100 {
        let cut = whole[..whole.len() * percent / 100].to_vec();
        let message = open(cut).unwrap_err();
        assert!(
            message.contains("truncated") || message.contains("without a graph") || percent == 0,
            "{percent}: {message}"
        );
    }
}

#[test]
fn no_damage_makes_it_panic() {
    let whole = fixture("norms.onnx");
    let mut state = 0x2545_f491u32;
    let mut next = |most: usize| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as usize % most
    };
    for _ in 0..200 {
        let mut bytes = whole.clone();
        for _ in 0..1 + next(8) {
            let at = next(bytes.len());
            bytes[at] = next(256) as u8;
        }
        if let Ok(file) = open(bytes) {
            let _ = file.settings();
        }
    }
}

/// A field of bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    let mut left = bytes.len();
    while left >= 0x80 {
        out.push(left as u8 | 0x80);
        left >>= 7;
    }
    out.push(left as u8);
    [out, bytes.to_vec()].concat()
}

/// A model of these nodes and tensors.
fn model(nodes: &[Vec<u8>], tensors: &[Vec<u8>]) -> Vec<u8> {
    let nodes: Vec<u8> = nodes.iter().flat_map(|node| field(1, node)).collect();
    let tensors: Vec<u8> = tensors.iter().flat_map(|tensor| field(5, tensor)).collect();
    [vec![0x08, 8], field(7, &[nodes, tensors].concat())].concat()
}

fn node(op: &str, inputs: &[&str], output: &str) -> Vec<u8> {
    let inputs: Vec<u8> = inputs.iter().flat_map(|name| field(1, name.as_bytes())).collect();
    [inputs, field(2, output.as_bytes()), field(4, op.as_bytes())].concat()
}

#[test]
fn lies_are_told() {
    // A stem of [64, 3, 7, 7] whose elements are elsewhere, too few, or as many as nothing could hold.
    let stem = |dims: &[u8], data: Vec<u8>| {
        [vec![0x0a, dims.len() as u8], dims.to_vec(), vec![0x10, 1], field(8, b"w"), data].concat()
    };
    let conv = node("Conv", &["image", "w"], "c");
    let refused = |tensor: Vec<u8>| read(&model(std::slice::from_ref(&conv), &[tensor]), None).unwrap_err();
    let dims = [64, 3, 7, 7];
    let elsewhere = |file: &str| field(13, &[field(1, b"location"), field(2, file.as_bytes())].concat());
    // The network is told before its tensors are read.
    assert!(refused(stem(&dims, elsewhere("../../etc/passwd"))).contains("without an FPN"));
    let graph = model(&[], &[stem(&dims, elsewhere("../../etc/passwd"))]);
    let graph = Graph::read(&graph).unwrap();
    let message = graph.tensors["w"].floats("w").unwrap_err();
    assert!(
        message.contains("another file (`../../etc/passwd`), which is not read") && message.contains("save_model"),
        "{message}"
    );
    for (dims, bytes) in [(&dims[..], 4), (&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0x7f], 4), (&[64, 0], 4)] {
        let bytes = model(&[], &[stem(dims, field(9, &vec![0; bytes]))]);
        let graph = Graph::read(&bytes).unwrap();
        assert!(graph.tensors["w"].floats("w").unwrap_err().contains("no sound ONNX model: its tensor `w`"));
    }
    let below = model(&[], &[[vec![0x0a, 10], vec![0xff; 9], vec![1], field(8, b"w")].concat()]);
    assert!(Graph::read(&below).unwrap_err().contains("below 0"));
}

#[test]
fn other_networks_are_named() {
    assert!(read(&[0x08, 8, 0x42, 0], None).unwrap_err().contains("without a graph"));
    assert!(read(&model(&[], &[]), None).unwrap_err().contains("it is no R-CNN"));
    let running = model(&[node("ConvInteger", &["a", "b"], "c")], &[]);
    assert!(read(&running, None).unwrap_err().contains("quantised as it runs (`ConvInteger`)"));
}

#[test]
fn many_nodes_and_computed_constants_end() {
    let many: Vec<Vec<u8>> = (0..100_001).map(|_| Vec::new()).collect();
    assert!(read(&model(&many, &[]), None).unwrap_err().contains("no Mask R-CNN has so many"));
    // Each computed of the former twice.
    let chain: Vec<Vec<u8>> = (0..64)
        .map(|i| {
            let former = if i == 0 { "one".to_string() } else { format!("v{}", i - 1) };
            node("Add", &[&former, &former], &format!("v{i}"))
        })
        .collect();
    let one = [vec![0x0a, 1, 1, 0x10, 1], field(8, b"one"), field(9, &1.0f32.to_le_bytes())].concat();
    let bytes = model(&chain, &[one]);
    let graph = Graph::read(&bytes).unwrap();
    let constants = Constants::of(&graph);
    assert_eq!(constants.value("v3").unwrap().unwrap().data, [16.0]);
    assert!(constants.value("v63").unwrap().is_none());
    // A value that is made of itself.
    let bytes = model(&[node("Identity", &["a"], "b"), node("Identity", &["b"], "a")], &[]);
    let graph = Graph::read(&bytes).unwrap();
    let constants = Constants::of(&graph);
    assert!(constants.value("a").unwrap().is_none() && constants.stored("a").is_none() && !constants.is_constant("a"));
}
