//! Soft-NMS in a whole network.

use maskrcnn::{Detector, Suppression};

use super::detector::{picture, small};
use super::golden::file;
use crate::common::device;

/// What hard NMS drops is still there, with less; the best of all has nothing to lose.
#[test]
fn soft_nms_lets_scores_fall_instead_of_boxes() {
    let image = picture(250, 200, 3);
    let found = |suppression: Suppression| {
        let mut config = small();
        (config.box_head.suppression, config.box_head.detections_per_img) = (suppression, 200);
        let detector = Detector::builder().device(device()).weights_file(file()).config(config);
        detector.build().unwrap().detect(&image).unwrap()
    };
    let hard = found(Suppression::Hard);
    for suppression in [Suppression::Linear, Suppression::Gaussian] {
        let soft = found(suppression);
        assert!(soft.len() > hard.len() && hard.len() >= 5, "{suppression:?}: {} and {}", soft.len(), hard.len());
        assert_eq!((soft.items[0].bbox, soft.items[0].score), (hard.items[0].bbox, hard.items[0].score));
        assert!(soft.iter().all(|d| d.score > small().box_head.score_thresh), "{suppression:?}");
        // A score of the soft ones is at most that of the same box before anything overlapped it.
        let same = |a: [f32; 4], b: [f32; 4]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-3);
        for d in &hard {
            let here = soft.iter().find(|s| same(s.bbox, d.bbox));
            assert!(here.is_none_or(|s| s.score <= d.score + 1e-6), "{suppression:?}: {:?}", d.bbox);
        }
    }
}
