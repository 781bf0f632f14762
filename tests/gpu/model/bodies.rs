//! Other bodies, necks and heads than torchvision's own models have, each against the same put together from torchvision's
//! parts (`tests/oracle/make_body_goldens.py`), stage by stage. Weights are made by formula, on both sides.

use std::collections::HashMap;

use maskrcnn::Detector;
use maskrcnn::engine::config::Config;
use maskrcnn::engine::tensor::HostTensor;
use maskrcnn::engine::weights::synth::{synthetic, to_safetensors};
use maskrcnn::engine::weights::{Origin, WeightsFile};
use safetensors::SafeTensors;
use serde_json::Value as Json;

use super::compare::Report;
use super::full;
use super::golden::{Golden, path};
use super::ours::Ours;
use super::stages;
use crate::common::device;

/// Relative error of a stage, from the pixels on or from the oracle's selections.
const LIMIT: f64 = 1e-4;

/// The weights of a golden by its metadata: our formula, times powers of two. Whether they say what they are of.
pub(super) fn file(config: &Config, metadata: &HashMap<String, String>, stated: bool) -> WeightsFile {
    let scales: HashMap<String, f32> = serde_json::from_str(&metadata["scales"]).unwrap();
    let mut used = 0;
    let scaled = |(name, HostTensor { shape, mut data }): (String, HostTensor)| {
        if let Some(scale) = scales.get(&name) {
            data.iter_mut().for_each(|v| *v *= scale);
            used += 1;
        }
        (name, HostTensor { shape, data })
    };
    let tensors = synthetic(config, metadata["seed"].parse().unwrap()).into_iter().map(scaled).collect();
    let json = config.to_json().unwrap();
    let bytes = to_safetensors(tensors, &json).unwrap();
    assert_eq!(used, scales.len(), "scales of unknown tensors");
    if stated {
        return WeightsFile::from_bytes(bytes, "stated").unwrap();
    }
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    WeightsFile::from_bytes(safetensors::serialize(tensors.tensors(), None).unwrap(), "bare").unwrap()
}

fn check(name: &str) {
    let file = path(&format!("tests/golden/body_{name}.safetensors"));
    let golden = Golden::read(&file);
    let mut report = Report::default();
    let mut ours = Ours::run(&golden);
    // Maps and the RPN's outputs, from the pixels on; of most a sample.
    let names = golden.names().into_iter();
    let dense =
        |n: &String| n.starts_with(['c', 'p']) && n.len() == 2 || ["rpn.logits", "rpn.deltas"].contains(&n.as_str());
    let mut compared = 0;
    for stage in names.filter(dense) {
        let (got, want) = (ours.values[&stage].floats(), golden.floats(&stage));
        // The oracle's: odd, so that it walks through all channels.
        let stride = if want.len() == got.len() { 1 } else { got.len().div_ceil(2048) | 1 };
        let sampled: Vec<f32> = got.iter().copied().step_by(stride).collect();
        report.close(&stage, &sampled, &want, LIMIT);
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
    stages::detections(&mut report, &ours, &golden);
    ours.rerun("mask.align", None, &golden, &["det.boxes", "det.labels", "det.count"]);
    let want = golden.floats("mask.probs");
    report.close("mask.probs", &ours.values["mask.probs"].floats()[..want.len()], &want, LIMIT);
    // And as a user has it, of a file that says nothing.
    let bytes = std::fs::read(&file).unwrap();
    let metadata = SafeTensors::read_metadata(&bytes).unwrap().1.metadata().clone().unwrap();
    let bare = self::file(&golden.config, &metadata, false);
    told(&bare, &golden.config);
    let detector =
        Detector::builder().device(device()).weights_file(&bare).config(golden.config.clone()).build().unwrap();
    full::matched(&mut report, &detector.detect(&golden.image).unwrap(), &golden, 0.9);
    report.finish(name);
}

/// What tensors tell of a network is found in them, and is what it is.
fn told(bare: &WeightsFile, config: &Config) {
    let settings = bare.settings().unwrap();
    let [found, due]: [Json; 2] =
        [&settings.config, config].map(|config| serde_json::from_str(&config.to_json().unwrap()).unwrap());
    let mut told = 0;
    for setting in ["neck", "fpn_norm", "fpn_channels", "num_classes"]
        .into_iter()
        .map(String::from)
        .chain(
            ["type", "layers", "block", "base_width", "inner_width", "groups", "first_level", "group_norm"]
                .map(|s| format!("backbone.{s}")),
        )
        .chain(["roi_size", "convs", "fc_layers", "class_agnostic"].map(|s| format!("box.{s}")))
        .chain(["layers", "norm", "dim_reduced", "class_agnostic", "output_size"].map(|s| format!("mask.{s}")))
    {
        let at = |json: &Json| setting.split('.').fold(json.clone(), |json, key| json[key].clone());
        assert_eq!(at(&found), at(&due), "{setting}");
        told += usize::from(settings.origin(&setting) == Some(Origin::Inferred));
    }
    assert!(told >= 16, "{told} settings are inferred");
    assert!(settings.epsilon.doubt.is_none_or(|doubt| doubt.channels > 0));
}

#[test]
fn c4() {
    check("c4");
}

#[test]
fn dilated_c5() {
    check("dc5");
    check("dc5_dilated_first");
}

#[test]
fn group_norm() {
    check("group_norm");
    check("group_norm_throughout");
}

#[test]
fn resnext50() {
    check("resnext50");
}

#[test]
fn mobilenet_v3_large() {
    check("mobilenet");
    check("mobilenet_from_8");
}

#[test]
fn wide_resnet50() {
    check("wide_resnet50");
}

#[test]
fn one_set_of_deltas_and_one_mask_for_all_classes() {
    check("class_agnostic");
}

#[test]
fn a_pyramid_from_stride_8_on() {
    check("returned_layers");
}

#[test]
fn strides_in_the_first_convolutions() {
    check("stride_in_1x1");
}
