//! The whole network against the oracle's goldens (`tests/golden`), and what the detector promises.
//! `cargo test --test gpu model:: -- --nocapture` shows the measured errors.

mod augmented;
mod bodies;
mod coco;
mod compare;
mod crops;
mod detector;
mod detectron2;
mod families;
mod full;
mod generated;
mod given;
mod golden;
mod large;
mod levels;
mod logged;
mod loss;
mod matterport;
mod ours;
mod pending;
mod precision;
mod slices;
mod stages;
mod suppression;

use crate::common::device;
use golden::Golden;
use maskrcnn::Detector;
use stages::NUCLEI;

#[test]
fn scene_end_to_end() {
    stages::end_to_end(&Golden::open("scene_small"), NUCLEI);
}

#[test]
fn scene_stage_by_stage() {
    stages::one_by_one(&Golden::open("scene_small"), NUCLEI);
}

#[test]
fn every_comparison_can_fail() {
    stages::every_comparison_can_fail("scene_small", NUCLEI);
}

#[test]
fn flat_end_to_end() {
    stages::end_to_end(&Golden::open("flat_small"), NUCLEI);
}

#[test]
fn flat_stage_by_stage() {
    stages::one_by_one(&Golden::open("flat_small"), NUCLEI);
}

#[test]
fn blank_end_to_end() {
    stages::end_to_end(&Golden::open("blank_small"), NUCLEI);
}

#[test]
fn blank_stage_by_stage() {
    stages::one_by_one(&Golden::open("blank_small"), NUCLEI);
}

#[test]
fn small_detections() {
    for name in ["scene_small", "flat_small", "blank_small"] {
        let golden = Golden::open(name);
        let detector = Detector::builder()
            .device(device())
            .weights_file(golden::file())
            .config(golden.config.clone())
            .build()
            .unwrap();
        full::same_as_oracle(&detector.detect(&golden.image).unwrap(), &golden);
    }
}

#[test]
fn nothing_is_found_in_a_blank_image() {
    let golden = Golden::open("blank_small");
    assert!(golden.boxes("det.boxes").is_empty());
    let detector = Detector::builder().device(device()).weights_file(golden::file()).build().unwrap();
    assert!(detector.detect(&golden.image).unwrap().is_empty());
}
