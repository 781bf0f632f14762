//! The whole network against the oracle's goldens (`tests/golden`), and what the detector promises.
//! `cargo test --test model -- --nocapture` shows the measured errors.

#[path = "../common/mod.rs"]
mod common;
mod compare;
mod detector;
mod full;
mod golden;
mod ours;
mod stages;

use golden::Golden;
use maskrcnn::Detector;

#[test]
fn scene_end_to_end() {
    stages::end_to_end("scene_small");
}

#[test]
fn scene_stage_by_stage() {
    stages::one_by_one("scene_small");
}

#[test]
fn flat_end_to_end() {
    stages::end_to_end("flat_small");
}

#[test]
fn flat_stage_by_stage() {
    stages::one_by_one("flat_small");
}

#[test]
fn blank_end_to_end() {
    stages::end_to_end("blank_small");
}

#[test]
fn blank_stage_by_stage() {
    stages::one_by_one("blank_small");
}

#[test]
fn small_detections() {
    for name in ["scene_small", "flat_small", "blank_small"] {
        let golden = Golden::open(name);
        let detector = Detector::with_config(common::device(), golden::file(), golden.config.clone()).unwrap();
        full::same_as_oracle(&detector, &golden);
    }
}

#[test]
fn nothing_is_found_in_a_blank_image() {
    let golden = Golden::open("blank_small");
    assert!(golden.boxes("det.boxes").is_empty());
    let detector = Detector::new(common::device(), golden::file()).unwrap();
    assert!(detector.detect(&golden.image).unwrap().is_empty());
}
