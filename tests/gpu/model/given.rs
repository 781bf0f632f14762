//! RoIs that come with the image: proposals from elsewhere, and boxes whose masks are wanted.

use maskrcnn::{Detections, Detector, Error, KnownBox, Result};

use super::detector::{own_device, picture, small};
use super::full;
use super::golden::{Golden, file};
use crate::common::device;

/// What a detector makes of the proposals that torchvision's RPN made of a golden's image: they are in the resized image
/// there, and in the image as it is here.
pub(super) fn by_proposals(detector: &Detector, golden: &Golden) -> Result<Detections> {
    let size = &golden.size;
    let by = |side: u32, resized: u32| side as f32 / resized as f32;
    let (y, x) = (by(size.input.0, size.resized.0), by(size.input.1, size.resized.1));
    let proposals: Vec<[f32; 4]> =
        golden.boxes("rpn.proposals").iter().map(|b| [b[0] * x, b[1] * y, b[2] * x, b[3] * y]).collect();
    assert!(proposals.len() >= 2, "{} proposals", proposals.len());
    detector.detect_proposals(&golden.image, &proposals)
}

/// Fast R-CNN on torchvision's own proposals finds what torchvision finds, with masks.
#[test]
fn the_oracle_s_proposals_become_its_detections() {
    for name in ["scene_small", "flat_small"] {
        let golden = Golden::open(name);
        let config = golden.config.clone();
        let detector = Detector::builder().device(device()).weights_file(file()).config(config).build().unwrap();
        full::same_as_oracle(&by_proposals(&detector, &golden).unwrap(), &golden);
    }
}

/// Nothing is proposed beside what was given: no more is found than that allows, and where nothing is, nothing.
#[test]
fn nothing_is_found_but_in_what_was_given() {
    let detector = Detector::builder().device(&own_device()).weights_file(file()).config(small()).build().unwrap();
    let image = picture(250, 200, 3);
    let all = detector.detect(&image).unwrap();
    assert!(all.len() >= 5, "{} found", all.len());
    for n in [1, 3, 0] {
        let given: Vec<[f32; 4]> = all.iter().take(n).map(|d| d.bbox).collect();
        let found = detector.detect_proposals(&image, &given).unwrap();
        assert!(found.len() == n && !found.crowded && found.left_out.is_empty(), "{} of {n}", found.len());
        for (a, b) in found.iter().zip(all.iter()) {
            assert!(a.label == b.label && a.mask.iou(&b.mask) > 0.8, "{a:?}");
        }
    }
    // Numbers of about that share a plan, and what was given before is not seen again.
    let before = detector.device().held();
    let few = detector.detect_proposals(&image, &[all.items[1].bbox]).unwrap();
    assert!(few.len() == 1 && few.items[0].mask.iou(&all.items[1].mask) > 0.8);
    assert_eq!(detector.device().held(), before);
    // The RPN's own way is as it was.
    assert!(detector.detect(&image).unwrap() == all);
}

/// The masks of what was found are found again, in any order, with the boxes, labels and scores as given.
#[test]
fn known_boxes_get_their_masks() {
    let detector = Detector::builder().device(device()).weights_file(file()).config(small()).build().unwrap();
    let image = picture(250, 200, 3);
    let found = detector.detect(&image).unwrap();
    // In no order of their scores.
    let score = |i: usize| [0.2, 0.9, 0.4, 0.6][i % 4];
    let known: Vec<KnownBox> = (found.iter().rev().enumerate())
        .map(|(i, d)| KnownBox { bbox: d.bbox, label: d.label, score: score(i) })
        .collect();
    let masks = detector.masks_of_boxes(&image, &known).unwrap();
    assert_eq!(masks.len(), found.len());
    for ((got, known), want) in masks.iter().zip(&known).zip(found.iter().rev()) {
        assert_eq!((got.bbox, got.label, got.score), (known.bbox, known.label, known.score));
        assert!(got.mask.iou(&want.mask) > 0.99, "{} pixels and {}", got.mask.area(), want.mask.area());
    }
    assert!(masks.left_out.is_empty() && !masks.crowded);
    assert!(detector.masks_of_boxes(&image, &[]).unwrap().is_empty());
}

/// One wrong box is an error that names it, and the detector goes on.
#[test]
fn what_is_no_box_is_an_error() {
    let detector = Detector::builder().device(device()).weights_file(file()).config(small()).build().unwrap();
    let image = picture(250, 200, 3);
    let good = [10.0, 10.0, 40.0, 40.0];
    for bad in [[5.0, 5.0, 5.0, 9.0], [300.0, 5.0, 320.0, 9.0], [f32::NAN, 5.0, 7.0, 9.0]] {
        let told = detector.detect_proposals(&image, &[good, bad]).unwrap_err();
        assert!(matches!(told, Error::GivenBox { index: 1, .. }), "{told}");
    }
    let no_class = KnownBox { bbox: good, label: 9, score: 1.0 };
    assert!(matches!(detector.masks_of_boxes(&image, &[no_class]), Err(Error::GivenBox { index: 0, .. })));
    let over = [[-20.0, -20.0, 260.0, 220.0]];
    detector.detect_proposals(&image, &over).unwrap();
}
