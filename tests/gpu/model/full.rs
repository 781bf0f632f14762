//! The default model at its real size, on the demo picture.

use maskrcnn::{Detections, Detector, Image};

use super::compare::{Found, Report, norm};
use super::golden::{Golden, file, path};
use super::ours::Ours;
use super::stages;
use crate::common::device;

#[rustfmt::skip]
const STAGES: [&str; 31] = [
    "transform", "c2", "c3", "c4", "c5", "p2", "p3", "p4", "p5", "p6", "rpn.logits.0", "rpn.logits.1", "rpn.logits.2",
    "rpn.logits.3", "rpn.logits.4", "rpn.deltas.0", "rpn.deltas.1", "rpn.deltas.2", "rpn.deltas.3", "rpn.deltas.4",
    "box.features", "box.fc6", "box.fc7", "box.logits", "box.deltas", "det.boxes", "det.scores", "mask.features",
    "mask.conv", "mask.deconv", "mask.probs",
];

/// Relative error of a stage's sample, and of its norm; lavapipe shows 3.1e-6 (rpn.deltas) at worst.
const LIMIT: f64 = 3e-5;

/// Samples and norms of every stage; proposals whole.
#[test]
fn demo_samples() {
    let golden = Golden::open("demo_full");
    let ours = Ours::run(&golden);
    let mut report = Report::default();
    let rows = stages::proposals(&mut report, &ours, &golden, 1e-2);
    // The file samples the detections alone in the resized image: whole they are in the original one.
    let pairs = report.pair("post.boxes", &ours.boxes("post.boxes"), &golden.boxes("post.boxes"), 1e-3);
    for stage in STAGES {
        let rows = if stage.starts_with("box") { &rows } else { &pairs };
        let got = match stage {
            "det.boxes" => pairs.iter().flat_map(|&i| ours.boxes(stage)[i]).collect(),
            "det.scores" => pairs.iter().map(|&i| ours.values[stage].floats()[i]).collect(),
            _ => ours.as_torch(stage, rows),
        };
        let stride = got.len().div_ceil(2048) | 1;
        let sample: Vec<f32> = got.iter().step_by(stride).copied().collect();
        report.close(&format!("sample.{stage}"), &sample, &golden.floats(&format!("sample.{stage}")), LIMIT);
        let size = golden.floats(&format!("norm.{stage}"))[0] as f64;
        let ours = norm(got.iter().map(|&v| v as f64));
        report.at_most(&format!("norm.{stage}"), (ours - size).abs() / size, LIMIT);
    }
    report.masks("post.masks", &ours.masks(), &golden.masks(), &pairs);
    report.finish("demo, sampled");
}

/// What a user gets, from the file on.
#[test]
fn demo_detections() {
    let golden = Golden::open("demo_full");
    let image = Image::open(path("assets/demo.png")).unwrap();
    assert!(image == golden.image, "assets/demo.png is not the picture that the golden was made of");
    let detector = Detector::builder().device(device()).weights_file(file()).build().unwrap();
    // The diameter is a fact of the model's, which the golden does not know and nothing here depends on.
    let mut config = golden.config.clone();
    config.transform.diameter = detector.config().transform.diameter;
    assert_eq!(*detector.config(), config);
    same_as_oracle(&detector.detect(&image).unwrap(), &golden);
}

/// The share of detections, of a detector and of a golden, that have a partner one to one on the other side: of the
/// same class, corners within 0.5 pixels, scores within 0.005, mask IoU at least 0.98.
pub(super) fn matched(report: &mut Report, found: &Detections, golden: &Golden, least: f64) {
    let (want, masks) = (oracle(golden), golden.has("post.masks").then(|| golden.masks()));
    let mut free: Vec<usize> = (0..want.len()).collect();
    let mut partners = 0;
    for d in found {
        let fits = |&i: &usize| {
            let w = &want[i];
            let near = d.bbox.iter().zip(w.bbox).all(|(a, b)| (a - b).abs() <= 0.5);
            let alike = || masks.as_ref().is_none_or(|m| m[i].area() + d.mask.area() == 0 || d.mask.iou(&m[i]) >= 0.98);
            w.label == d.label && near && (d.score - w.score).abs() <= 0.005 && alike()
        };
        if let Some(at) = free.iter().position(fits) {
            free.remove(at);
            partners += 1;
        }
    }
    let all = found.len().max(want.len());
    report.holds(format!("{}: the oracle finds nothing", golden.name), !want.is_empty());
    report.at_most(
        &format!("{partners} of {all} detections matched; share of others"),
        1.0 - partners as f64 / all as f64,
        1.0 - least,
    );
}

/// What the oracle found.
fn oracle(golden: &Golden) -> Vec<Found> {
    // Small goldens hold scores and labels once, as `det`.
    let part =
        |name: &str| if golden.has(&format!("post.{name}")) { format!("post.{name}") } else { format!("det.{name}") };
    let (scores, labels) = (golden.floats(&part("scores")), golden.ints(&part("labels")));
    let boxes = golden.boxes("post.boxes").into_iter();
    boxes.zip(scores).zip(labels).map(|((bbox, score), label)| Found { bbox, score, label }).collect()
}

/// A detector's answer to a golden's image.
pub(super) fn same_as_oracle(found: &Detections, golden: &Golden) {
    let mut report = Report::default();
    let pairs = boxes_of_oracle(&mut report, found, golden);
    let masks: Vec<_> = found.iter().map(|d| d.mask.clone()).collect();
    report.masks("masks", &masks, &golden.masks(), &pairs);
    report.finish("detector");
}

/// Boxes, scores and classes of the same; gives ours for each of the oracle's.
pub(super) fn boxes_of_oracle(report: &mut Report, found: &Detections, golden: &Golden) -> Vec<usize> {
    assert_eq!((found.width, found.height), (golden.image.width(), golden.image.height()));
    let got: Vec<Found> = found.iter().map(|d| Found { bbox: d.bbox, score: d.score, label: d.label }).collect();
    report.detections("found", &got, &oracle(golden), 1e-3, 1e-5)
}
