//! matterport's networks against its inference in NumPy and torch (`tests/oracle/make_matterport_goldens.py`), stage by stage.
//! Weights are made by formula, on both sides, under Keras's names and in its layout.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use maskrcnn::Detector;
use maskrcnn::engine::config::{Config, Resize};
use maskrcnn::engine::weights::synth::values;
use maskrcnn::engine::weights::{Origin, WeightsFile};
use safetensors::tensor::{Dtype, TensorView};
use serde_json::Value as Json;

use super::compare::Report;
use super::full;
use super::golden::{Golden, path};
use super::ours::Ours;
use super::stages;
use crate::common::device;
use crate::skipped::skipped;

/// Relative error of a stage, from the pixels on or from the oracle's selections.
const LIMIT: f64 = 1e-4;

/// The share of the input's bytes that may be one more or less: where exact arithmetic makes a whole number, that of f64 in
/// scikit-image may stay just below, and is cut off.
const CUT: f64 = 0.02;

/// The file that a golden was made with, but for the container: its tensors are called and lie as in Keras's.
pub(super) fn file(metadata: &HashMap<String, String>) -> WeightsFile {
    let shapes: Vec<(String, Vec<usize>)> = serde_json::from_str(&metadata["matterport"]).unwrap();
    let scales: HashMap<String, f32> = serde_json::from_str(&metadata["scales"]).unwrap();
    let biases: HashMap<String, Vec<f32>> = serde_json::from_str(&metadata["biases"]).unwrap();
    let seed = metadata["seed"].parse().unwrap();
    let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = shapes
        .into_iter()
        .map(|(name, shape)| {
            let (layer, own) = name.split_once('/').unwrap();
            let end = match own {
                "kernel:0" | "gamma:0" => "weight",
                "moving_mean:0" => "running_mean",
                "moving_variance:0" => "running_var",
                _ => "bias",
            };
            let scale = scales.get(&name).copied().unwrap_or(1.0);
            let made = || values(&format!("{name}.{end}"), &shape, seed).iter().map(|v| v * scale).collect();
            let given = biases.get(layer).filter(|_| own == "bias:0").cloned();
            let data: Vec<f32> = given.unwrap_or_else(made);
            (name, shape, data.iter().flat_map(|v| v.to_le_bytes()).collect())
        })
        .collect();
    let views =
        tensors.iter().map(|(name, shape, data)| (name, TensorView::new(Dtype::F32, shape.clone(), data).unwrap()));
    WeightsFile::from_bytes(safetensors::serialize(views, None).unwrap(), "mask_rcnn_0030").unwrap()
}

/// What the file tells, and in it the settings of the golden, which are for the sake of a small test.
pub(super) fn config(file: &WeightsFile, metadata: &HashMap<String, String>) -> Config {
    let settings: Json = serde_json::from_str(&metadata["settings"]).unwrap();
    file.settings().unwrap().config.overridden(&settings).unwrap()
}

fn check(name: &str) {
    check_of(name, &path(&format!("tests/golden/matterport_{name}.safetensors")));
}

fn check_of(name: &str, golden: &Path) {
    let golden = Golden::read(golden);
    let mut report = Report::default();
    let mut ours = Ours::run(&golden);
    let sampled = |ours: &Ours, stage: &str| {
        let (got, want) = (ours.values[stage].floats().to_vec(), golden.floats(stage));
        let stride = if want.len() == got.len() { 1 } else { got.len().div_ceil(2048) | 1 };
        (got.into_iter().step_by(stride).collect::<Vec<f32>>(), want)
    };
    let (got, want) = sampled(&ours, "transform");
    let off: Vec<f32> = got.iter().zip(&want).map(|(a, b)| (a - b).abs()).filter(|d| *d > 1e-4).collect();
    assert!(off.iter().all(|d| (d - 1.0).abs() < 1e-3), "other than a byte's step: {off:?}");
    let share = off.len() as f64 / want.len() as f64;
    println!("{name}: {} of {} bytes of the input are cut off otherwise", off.len(), want.len());
    assert!(share <= CUT, "{share}");
    let dense = ["c2", "c3", "c4", "c5", "p2", "p3", "p4", "p5", "p6", "rpn.logits", "rpn.deltas"];
    for stage in dense {
        let (got, want) = sampled(&ours, stage);
        report.close(stage, &got, &want, if off.is_empty() { LIMIT } else { 1e-3 });
    }
    // Of thousands, some have one score in f32, of which TensorFlow takes the first, and we the one of the larger logit.
    if golden.boxes("rpn.proposals").len() < 1000 {
        stages::proposals(&mut report, &ours, &golden, 1e-2);
    } else {
        let (got, want) = (ours.boxes("rpn.proposals"), golden.boxes("rpn.proposals"));
        let near = |a: &[f32; 4], b: &[f32; 4]| a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-2);
        let others = want.iter().filter(|b| !got.iter().any(|a| near(a, b))).count();
        println!("{name}: {others} of {} proposals are others", want.len());
        assert!(others * 200 <= want.len(), "{others} of {} proposals are others", want.len());
    }
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
    // Whole pixels.
    report.pair("post.boxes", &ours.boxes("post.boxes"), &golden.boxes("post.boxes"), 0.0);
    let in_order: Vec<usize> = (0..pairs.len()).collect();
    report.masks("post.masks", &ours.masks(), &golden.masks(), &in_order);
    // And as a user has it.
    let file = self::file(&golden.metadata());
    told(&file);
    let detector =
        Detector::builder().device(device()).weights_file(&file).config(golden.config.clone()).build().unwrap();
    full::matched(&mut report, &detector.detect(&golden.image).unwrap(), &golden, 0.99);
    report.finish(name);
}

/// What is told of a file, and what is taken for granted.
fn told(file: &WeightsFile) {
    assert_eq!(file.family_name(), "matterport");
    let settings = file.settings().unwrap();
    let (config, of) = (&settings.config, |name: &str| settings.origin(name));
    let nucleus = config.num_classes == 2;
    assert_eq!(config.transform.resize, if nucleus { Resize::Pad64 } else { Resize::Square });
    assert_eq!((of("transform.resize"), of("box_rule")), (Some(Origin::Assumed), Some(Origin::Assumed)));
    assert_eq!((of("neck"), of("rpn.channels")), (Some(Origin::Inferred), Some(Origin::Inferred)));
}

/// A ResNet-101 of seven classes, in a square.
#[test]
fn coco() {
    check("coco");
}

/// A ResNet-50 of two classes, enlarged, with black on some sides.
#[test]
fn nucleus() {
    check("nucleus");
}

/// A ResNet-101 of 81 classes, as wide as matterport's, in a square of 1024.
#[test]
fn at_real_size() {
    let folder = std::env::var_os("MASKRCNN_GOLDENS").map(PathBuf::from);
    let Some(golden) = folder.map(|folder| folder.join("matterport_full.safetensors")).filter(|file| file.exists())
    else {
        return skipped(
            "matterport's network of real size is not compared",
            "set MASKRCNN_GOLDENS (tests/oracle/README.md)",
        );
    };
    check_of("full", &golden);
}
