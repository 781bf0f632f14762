//! RoIs on every level of the pyramid, those of P4 and P5 among them: inputs of the other goldens are too small for such.

use super::compare::Report;
use super::golden::Golden;
use super::ours::Ours;
use super::stages::{self, NUCLEI};

/// How many boxes belong on P2 to P5, by torchvision's rule.
fn levels(boxes: &[[f32; 4]]) -> [usize; 4] {
    let mut on = [0; 4];
    for [x1, y1, x2, y2] in boxes.iter().map(|b| b.map(f64::from)) {
        let level = (4.0 + (((x2 - x1) * (y2 - y1)).sqrt() / 224.0).log2() + 1e-6).floor();
        on[(level.clamp(2.0, 5.0) - 2.0) as usize] += 1;
    }
    on
}

#[test]
fn rois_are_pooled_from_their_levels() {
    check("levels_small", &["p4", "p5"]);
}

/// RoIPool in the box head, the maximum of RoIAlign's samples in the mask head.
#[test]
fn rois_are_pooled_as_the_heads_are_set_to() {
    check("pooled_small", &[]);
}

fn check(name: &str, maps: &[&str]) {
    let golden = Golden::open(name);
    for (stage, least) in [("rpn.proposals", 15), ("det.boxes", 4)] {
        let on = levels(&golden.boxes(stage));
        assert!(on.iter().all(|&n| n >= least), "{stage}: {on:?} on P2 to P5");
    }
    let (mut report, limit) = (Report::default(), NUCLEI.end_to_end);
    let mut ours = Ours::run(&golden);
    for &stage in maps {
        report.close(stage, &ours.as_torch(stage, &[]), &golden.floats(stage), limit);
    }
    stages::proposals(&mut report, &ours, &golden, 1e-2);
    // The pyramid is ours, as the file has only half of it.
    for (step, until, stage, fed) in [
        ("box.align", "box.fc6", "box.features", &["rpn.proposals", "rpn.proposals.count"][..]),
        ("mask.align", "mask.conv0", "mask.features", &["det.boxes", "det.labels", "det.count"]),
    ] {
        ours.rerun(step, Some(until), &golden, fed);
        let rows: Vec<usize> = (0..golden.raw(stage).0[0]).collect();
        report.close(stage, &ours.as_torch(stage, &rows), &golden.floats(stage), limit);
    }
    report.finish(&format!("RoIs of every level, {name}"));
}
