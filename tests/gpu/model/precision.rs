//! What f16 changes in what is found.

use maskrcnn::engine::graph::Tuning;
use maskrcnn::engine::target::Factors;
use maskrcnn::{Detection, Detections, Detector, Error, Image, Precision};

use super::golden::{file, path};
use crate::common::device;

/// On any device the same arithmetic but for the order of sums: only how fast it is differs.
#[test]
fn halves_find_what_floats_find() {
    if !device().target().can.f16 {
        let error = Detector::builder().device(device()).weights_file(file()).precision(Precision::F16).build().err();
        assert!(matches!(error, Some(Error::Unsupported { .. })), "{error:?}");
        return;
    }
    let image = Image::open(path("assets/demo.png")).unwrap();
    let detect = |precision: Precision, names: &[&str]| {
        let builder = Detector::builder().device(device()).weights_file(file()).precision(precision);
        let detector = builder.tuning(Tuning::forced(names)).build().unwrap();
        assert_eq!(detector.precision(), precision);
        detector.detect(&image).unwrap().above(0.5)
    };
    let (exact, half) = (detect(Precision::F32, &[]), detect(Precision::F16, &[]));
    near(&exact, &half);
    // What GPUs without large matrices take: products of f32, from and to f16.
    near(&exact, &detect(Precision::F16, &["winograd-whole"]));
    if device().target().can.matrices.iter().any(|m| m.serves(Factors::F16)) {
        near(&exact, &detect(Precision::F16, &["winograd-matrix"]));
    }
}

/// Within what rounding to f16 may move.
fn near(exact: &Detections, half: &Detections) {
    assert!(exact.len().abs_diff(half.len()) <= 1, "{} and {} found", exact.len(), half.len());
    let (mut corner, mut score, mut overlap, mut alone) = (0.0f32, 0.0f32, 1.0f64, 0);
    for a in exact {
        let distance = |b: &Detection| (0..4).map(|i| (a.bbox[i] - b.bbox[i]).abs()).fold(0.0, f32::max);
        let Some(b) = half.iter().min_by(|x, y| distance(x).total_cmp(&distance(y))).filter(|b| distance(b) < 2.0)
        else {
            alone += 1;
            continue;
        };
        corner = corner.max(distance(b));
        score = score.max((a.score - b.score).abs());
        overlap = overlap.min(a.mask.iou(&b.mask));
    }
    eprintln!("{} found, {alone} alone; corner {corner}, score {score}, mask IoU {overlap}", exact.len());
    assert!(alone <= 1, "{alone} of {} have no partner", exact.len());
    assert!(corner > 0.0, "nothing was rounded");
    // On lavapipe 22.3.6: 45 and 45 found, 0.0041 pixels, 8e-5, 0.998.
    assert!(corner <= 0.05 && score <= 0.002 && overlap >= 0.98, "corner {corner}, score {score}, mask IoU {overlap}");
}
