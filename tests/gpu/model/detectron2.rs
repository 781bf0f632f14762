//! detectron2's networks, from a pickle as its model zoo has them and nothing else, against detectron2 itself
//! (`tests/oracle/make_detectron2_goldens.py`), stage by stage. Weights are made by formula, on both sides.

use std::collections::HashMap;
use std::path::Path;

use maskrcnn::Detector;
use maskrcnn::engine::config::{Config, Neck, Resize};
use maskrcnn::engine::weights::synth::values;
use maskrcnn::engine::weights::{Origin, WeightsFile};
use serde_json::Value as Json;

use super::compare::Report;
use super::full;
use super::golden::{Golden, path};
use super::ours::Ours;
use super::stages;
use crate::common::device;

/// Relative error of a stage, from the pixels on or from the oracle's selections.
const LIMIT: f64 = 1e-4;

/// The file that a golden was made with: a pickle of protocol 4, whose dict has a `model` of NumPy's arrays.
pub(super) fn file(metadata: &HashMap<String, String>) -> WeightsFile {
    let shapes: Vec<(String, Vec<usize>)> = serde_json::from_str(&metadata["detectron2"]).unwrap();
    let scales: HashMap<String, f32> = serde_json::from_str(&metadata["scales"]).unwrap();
    let (seed, mut used) = (metadata["seed"].parse().unwrap(), 0);
    let mut bytes = b"\x80\x04}(X\x05\0\0\0model}(".to_vec();
    let text = |bytes: &mut Vec<u8>, text: &str| {
        bytes.push(b'X');
        bytes.extend((text.len() as u32).to_le_bytes());
        bytes.extend(text.as_bytes());
    };
    for (name, shape) in shapes {
        let scale = scales.get(&name).copied();
        used += usize::from(scale.is_some());
        text(&mut bytes, &name);
        bytes.extend(b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\0\x85C\x01btR(K\x01(");
        shape.iter().for_each(|&axis| {
            bytes.push(b'J');
            bytes.extend((axis as u32).to_le_bytes());
        });
        bytes.extend(b"tcnumpy\ndtype\n(X\x02\0\0\0f4K\0K\x01tR(K\x03X\x01\0\0\0<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb\x89B");
        let data = values(&name, &shape, seed);
        bytes.extend((4 * data.len() as u32).to_le_bytes());
        bytes.extend(data.iter().flat_map(|v| (v * scale.unwrap_or(1.0)).to_le_bytes()));
        bytes.extend(b"tb");
    }
    assert_eq!(used, scales.len(), "scales of unknown tensors");
    bytes.push(b'u');
    text(&mut bytes, "__author__");
    text(&mut bytes, "Detectron2 Model Zoo");
    bytes.extend(b"u.");
    WeightsFile::from_bytes(bytes, "model_final_f10217.pkl").unwrap()
}

/// What the file tells, and in it the settings of the golden, which are for the sake of a small test.
pub(super) fn config(file: &WeightsFile, metadata: &HashMap<String, String>) -> Config {
    let settings: Json = serde_json::from_str(&metadata["settings"]).unwrap();
    file.settings().unwrap().config.overridden(&settings).unwrap()
}

fn check(name: &str) {
    check_file(&path(&format!("tests/golden/detectron2_{name}.safetensors")), file, told);
}

/// All stages of a golden's network against it. `file` makes the file of its metadata, `told` looks at what that tells.
pub(super) fn check_file(
    path: &Path,
    file: impl Fn(&HashMap<String, String>) -> WeightsFile,
    told: impl FnOnce(&WeightsFile),
) {
    let golden = Golden::read(path);
    let name = golden.name.clone();
    let mut report = Report::default();
    let mut ours = Ours::run(&golden);
    // The resize is of whole numbers: bit for bit.
    let mut compared = 0;
    let names = golden.names().into_iter();
    let dense = |n: &String| {
        n.starts_with(['c', 'p']) && n.len() == 2 || ["transform", "rpn.logits", "rpn.deltas"].contains(&n.as_str())
    };
    for stage in names.filter(dense).filter(|n| ours.values.contains_key(n)) {
        let (got, want) = (ours.values[&stage].floats(), golden.floats(&stage));
        // Only what is not padding is sent, and the oracle's is padded as ours is.
        let stride = if want.len() == got.len() { 1 } else { got.len().div_ceil(golden.samples()) | 1 };
        let sampled: Vec<f32> = got.iter().copied().step_by(stride).collect();
        report.close(&stage, &sampled, &want, if stage == "transform" { 0.0 } else { LIMIT });
        compared += 1;
    }
    assert!(compared >= 5, "{compared} stages");
    stages::proposals(&mut report, &ours, &golden, 1e-2);
    // The heads on the oracle's own selections.
    ours.rerun("box.align", Some("box.softmax"), &golden, &["rpn.proposals", "rpn.proposals.count"]);
    for stage in ["box.logits", "box.deltas"] {
        let want = golden.floats(stage);
        report.close(stage, &ours.values[stage].floats()[..want.len()], &want, LIMIT);
    }
    let fed = ["box.logits", "box.deltas", "rpn.proposals", "rpn.proposals.count"];
    ours.rerun("box.softmax", Some("mask.align"), &golden, &fed);
    let pairs = stages::detections(&mut report, &ours, &golden);
    ours.rerun("mask.align", None, &golden, &["det.boxes", "det.labels", "det.count"]);
    let want = golden.floats("mask.probs");
    report.close("mask.probs", &ours.values["mask.probs"].floats()[..want.len()], &want, LIMIT);
    // The oracle's boxes in the image, clipped, and the masks pasted into it.
    report.pair("post.boxes", &ours.boxes("post.boxes"), &golden.boxes("post.boxes"), 1e-4);
    let in_order: Vec<usize> = (0..pairs.len()).collect();
    report.masks("post.masks", &ours.masks(), &golden.masks(), &in_order);
    // And as a user has it.
    let file = file(&golden.metadata());
    told(&file);
    let detector =
        Detector::builder().device(device()).weights_file(&file).config(golden.config.clone()).build().unwrap();
    full::matched(&mut report, &detector.detect(&golden.image).unwrap(), &golden, 0.99);
    report.finish(&name);
}

/// What is told of a file, and what is taken for granted.
fn told(file: &WeightsFile) {
    assert_eq!(file.family_name(), "detectron2");
    let settings = file.settings().unwrap();
    let (config, of) = (&settings.config, |name: &str| settings.origin(name));
    assert!(config.roi_aligned && config.transform.resize == Resize::Pillow);
    assert_eq!(config.backbone.stride_in_1x1, config.backbone.group_norm == 0);
    assert_eq!(of("transform.resize"), Some(Origin::Assumed));
    assert_eq!(of("neck"), Some(Origin::Inferred));
    assert_eq!(config.transform.size_divisible, if config.neck == Neck::Fpn { 32 } else { 1 });
}

#[test]
fn fpn() {
    check("fpn");
}

#[test]
fn c4() {
    check("c4");
}

#[test]
fn dilated_c5() {
    check("dc5");
}

#[test]
fn one_set_of_deltas_and_one_mask_for_all_classes() {
    check("agnostic");
}

#[test]
fn norms_throughout() {
    check("gn");
    check("syncbn");
}
