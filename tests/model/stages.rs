//! Every stage of a small network: from the pixels on, and each alone on what the oracle's stage was given.

use crate::compare::{Found, Report, differing};
use crate::golden::Golden;
use crate::ours::Ours;

/// Everything before the first selection.
#[rustfmt::skip]
const DENSE: [&str; 20] = [
    "transform", "c2", "c3", "c4", "c5", "p2", "p3", "p4", "p5", "p6", "rpn.logits.0", "rpn.logits.1", "rpn.logits.2",
    "rpn.logits.3", "rpn.logits.4", "rpn.deltas.0", "rpn.deltas.1", "rpn.deltas.2", "rpn.deltas.3", "rpn.deltas.4",
];
const OF_PROPOSALS: [&str; 5] = ["box.features", "box.fc6", "box.fc7", "box.logits", "box.deltas"];
const OF_DETECTIONS: [&str; 4] = ["mask.features", "mask.conv", "mask.deconv", "mask.probs"];

/// Relative error of a stage computed from the pixels on. Lavapipe shows 4e-6 and, in an image of one colour, 8e-6
/// at worst (mask.conv); torch's own results differ by 5.5e-6 there with and without oneDNN.
const LIMIT: f64 = 5e-5;

/// The same of one stage alone; lavapipe shows 1.6e-6 (fc6) at worst.
const ALONE_LIMIT: f64 = 1e-5;

/// Logits nearer than this may change places.
const TIED: f32 = 1e-5;

/// The oracle sorts by sigmoid: where that saturates, near logits have one score, and no certain order.
const TIED_SCORES: f32 = 1.2e-7;

/// A golden's whole network, from the pixels on.
pub fn end_to_end(name: &str) {
    let golden = Golden::open(name);
    against(&Ours::run(&golden), &golden).finish(&format!("{name}, end to end"));
}

/// All that a run made against all that a golden says.
fn against(ours: &Ours, golden: &Golden) -> Report {
    let mut report = Report::default();
    for stage in DENSE {
        report.close(stage, &ours.as_torch(stage, &[]), &golden.floats(stage), LIMIT);
    }
    top_k(&mut report, ours, golden);
    let rows = proposals(&mut report, ours, golden, 1e-2);
    of_rois(&mut report, ours, golden, &OF_PROPOSALS, &rows, LIMIT);
    let pairs = detections(&mut report, ours, golden);
    of_rois(&mut report, ours, golden, &OF_DETECTIONS, &pairs, LIMIT);
    report.pair("post.boxes", &ours.boxes("post.boxes"), &golden.boxes("post.boxes"), 1e-3);
    report.masks("post.masks", &ours.masks(), &golden.masks(), &pairs);
    report
}

/// A comparison that cannot fail shows nothing: one wrong value in any tensor of a golden must be seen.
#[test]
fn every_comparison_can_fail() {
    let golden = Golden::open("scene_small");
    let mut ours = Ours::run(&golden);
    assert_eq!(against(&ours, &golden).failures, [""; 0]);
    // Not compared: what goes in, checked when the file is opened, and what `mask.probs` is made of.
    let names = golden.names().into_iter();
    for tensor in names.filter(|n| !["pixels", "transform.size", "mask.logits"].contains(&n.as_str())) {
        let report = against(&ours, &golden.tampered(&tensor));
        assert!(!report.failures.is_empty(), "a wrong value in {tensor} is not seen");
    }
    ours.rerun("paste.layout", &golden, &["det.boxes", "det.count", "mask.probs"]);
    for tensor in ["post.boxes", "post.masks"] {
        let mut report = Report::default();
        paste(&mut report, &ours, &golden.tampered(tensor));
        assert!(!report.failures.is_empty(), "a wrong value in {tensor} is not seen");
    }
}

/// A golden's network stage by stage: each gets the oracle's tensors and not those of our stage before it.
pub fn one_by_one(name: &str) {
    let golden = Golden::open(name);
    let mut ours = Ours::run(&golden);
    let mut report = Report::default();
    let found = golden.boxes("det.boxes").len();

    ours.rerun("stem", &golden, &["transform"]);
    for stage in ["c2", "c3", "c4", "c5"] {
        report.close(stage, &ours.as_torch(stage, &[]), &golden.floats(stage), LIMIT);
    }
    ours.rerun("lateral5", &golden, &["c2", "c3", "c4", "c5"]);
    for stage in ["p2", "p3", "p4", "p5", "p6"] {
        report.close(stage, &ours.as_torch(stage, &[]), &golden.floats(stage), ALONE_LIMIT);
    }
    ours.rerun("rpn.conv0 P2", &golden, &["p2", "p3", "p4", "p5", "p6"]);
    for stage in DENSE.into_iter().filter(|s| s.starts_with("rpn")) {
        report.close(stage, &ours.as_torch(stage, &[]), &golden.floats(stage), ALONE_LIMIT);
    }
    ours.rerun("rpn.topk", &golden, &["rpn.logits", "rpn.deltas"]);
    top_k(&mut report, &ours, &golden);
    proposals(&mut report, &ours, &golden, 1e-3);

    let rows: Vec<usize> = (0..golden.boxes("rpn.proposals").len()).collect();
    let pyramid = ["p2", "p3", "p4", "p5"];
    ours.rerun("box.align", &golden, &[&pyramid[..], &["rpn.proposals", "rpn.proposals.count"]].concat());
    of_rois(&mut report, &ours, &golden, &["box.features"], &rows, ALONE_LIMIT);
    let head = [("box.features", "box.fc6"), ("box.fc6", "box.fc7"), ("box.fc7", "box.logits")];
    for (fed, stage) in head {
        ours.rerun(stage, &golden, &[fed, "rpn.proposals.count"]);
        let stages = if stage == "box.logits" { &[stage, "box.deltas"][..] } else { &[stage] };
        for stage in stages {
            let want = golden.floats(stage);
            let got = ours.as_torch(stage, &rows[..golden.raw(fed).0[0]]);
            report.close(stage, &got, &want[..got.len()], ALONE_LIMIT);
        }
    }
    ours.rerun("box.softmax", &golden, &["box.logits", "box.deltas", "rpn.proposals", "rpn.proposals.count"]);
    detections(&mut report, &ours, &golden);

    let pairs: Vec<usize> = (0..found).collect();
    let live = ["det.boxes", "det.labels", "det.count"];
    for (step, fed, stage) in [
        ("mask.align", &pyramid[..], "mask.features"),
        ("mask.conv0", &["mask.features"], "mask.conv"),
        ("mask.deconv", &["mask.conv"], "mask.deconv"),
    ] {
        ours.rerun(step, &golden, &[fed, &live[..]].concat());
        of_rois(&mut report, &ours, &golden, &[stage], &pairs, ALONE_LIMIT);
    }
    ours.rerun("mask.predict", &golden, &[&["mask.deconv"], &live[..]].concat());
    let given = golden.raw("mask.deconv").0[0];
    let got = ours.as_torch("mask.probs", &pairs[..given]);
    report.close("mask.probs", &got, &golden.floats("mask.probs")[..got.len()], ALONE_LIMIT);

    ours.rerun("paste.layout", &golden, &[&["mask.probs"], &live[..]].concat());
    paste(&mut report, &ours, &golden);
    report.finish(&format!("{name}, stage by stage"));
}

/// The best anchors of each level, in the oracle's order or with tied ones in another.
fn top_k(report: &mut Report, ours: &Ours, golden: &Golden) {
    let indices = &ours.values["rpn.topk.indices"];
    let logits = golden.tap("rpn.logits");
    let mut others = 0;
    for level in 0..5 {
        let want = golden.ints(&format!("rpn.topk.indices.{level}"));
        let got = &indices.ints()[level * indices.shape.dim(2)..][..want.len()];
        let logit = |i: u32| logits.floats()[ours.level(level).0 + i as usize];
        for (place, (&g, &w)) in got.iter().zip(&want).enumerate() {
            others += (g != w) as usize;
            let what = format!("top {place} of P{} is anchor {g} instead of {w}", level + 2);
            report.holds(what, g == w || (logit(g) - logit(w)).abs() <= TIED);
        }
        let mut unique = got.to_vec();
        unique.sort_unstable();
        unique.dedup();
        report.holds(format!("P{}: an anchor is chosen twice", level + 2), unique.len() == got.len());
    }
    report.at_most("rpn.topk.indices in another order", others as f64, 20.0);
}

/// The proposals, paired; gives ours for each of the oracle's.
pub fn proposals(report: &mut Report, ours: &Ours, golden: &Golden, pixels: f64) -> Vec<usize> {
    let pairs = report.pair("rpn.proposals", &ours.boxes("rpn.proposals"), &golden.boxes("rpn.proposals"), pixels);
    let logits = ours.values["rpn.proposals.logits"].floats();
    let scores = golden.floats("rpn.scores");
    let sigmoid = |x: f32| 1.0 / (1.0 + (-x as f64).exp());
    let off = pairs.iter().zip(&scores).map(|(&i, &s)| (sigmoid(logits[i]) - s as f64).abs());
    report.at_most("rpn.scores", off.fold(0.0, f64::max), 1e-5);
    let tied = |a: usize, b: usize| {
        (logits[a] - logits[b]).abs() <= TIED || (sigmoid(logits[a]) - sigmoid(logits[b])).abs() <= TIED_SCORES as f64
    };
    report.order("rpn.proposals", &pairs, tied);
    pairs
}

/// Stages that have a row for each RoI; the file has the first of them.
fn of_rois(report: &mut Report, ours: &Ours, golden: &Golden, stages: &[&str], rows: &[usize], limit: f64) {
    for stage in stages {
        let rows = &rows[..golden.raw(stage).0[0].min(rows.len())];
        report.close(stage, &ours.as_torch(stage, rows), &golden.floats(stage), limit);
    }
}

/// The detections before they return to the original image.
pub fn detections(report: &mut Report, ours: &Ours, golden: &Golden) -> Vec<usize> {
    let found = |boxes: Vec<[f32; 4]>, scores: &[f32], labels: &[u32]| -> Vec<Found> {
        let each = boxes.into_iter().zip(scores).zip(labels);
        each.map(|((bbox, &score), &label)| Found { bbox, score, label }).collect()
    };
    let (scores, labels) = (&ours.values["det.scores"], &ours.values["det.labels"]);
    let got = found(ours.boxes("det.boxes"), scores.floats(), labels.ints());
    let want = found(golden.boxes("det.boxes"), &golden.floats("det.scores"), &golden.ints("det.labels"));
    report.detections("det", &got, &want, 1e-3, 1e-5)
}

/// Boxes and masks in the original image, made of the oracle's: no pixel differs but where the soft mask, enlarged,
/// touches the threshold.
fn paste(report: &mut Report, ours: &Ours, golden: &Golden) {
    let want = golden.boxes("post.boxes");
    report.holds("post.boxes are not bit-equal".into(), ours.boxes("post.boxes") == want);
    let threshold = golden.config.mask.as_ref().unwrap().threshold as f64;
    let (places, soft) = (ours.values["places"].ints(), golden.floats("mask.probs"));
    let (mut differ, mut farthest) = (0, 0.0f64);
    for (i, (got, want)) in ours.masks().iter().zip(&golden.masks()).enumerate() {
        for (x, y) in differing(got, want) {
            differ += 1;
            let v = enlarged(&soft[784 * i..][..784], &places[8 * i..][..8], x, y);
            farthest = farthest.max((v - threshold).abs());
        }
    }
    report.holds(format!("{} masks", ours.masks().len()), ours.masks().len() == want.len());
    report.at_most(
        &format!("post.masks: distance to the threshold of the {differ} pixels that differ"),
        farthest,
        1e-5,
    );
}

/// One pixel of a soft mask in its pasted box, in f64 (torchvision, `roi_heads.py: paste_mask_in_image`).
fn enlarged(soft: &[f32], place: &[u32], x: u32, y: u32) -> f64 {
    let side = 28i64;
    let at = |row: i64, column: i64| {
        // The border of one pixel is zero.
        let inside = (1..=side).contains(&row) && (1..=side).contains(&column);
        if inside { soft[((row - 1) * side + column - 1) as usize] as f64 } else { 0.0 }
    };
    let tap = |at: u32, low: u32, size: u32| {
        let d = at as i64 - low as i32 as i64;
        let s = ((d as f64 + 0.5) * (side + 2) as f64 / size as f64 - 0.5).max(0.0);
        (s as i64, s.fract())
    };
    let (column, fx) = tap(x, place[5], place[7] & 0xffff);
    let (row, fy) = tap(y, place[6], place[7] >> 16);
    let line = |row: i64| (1.0 - fx) * at(row, column) + fx * at(row, (column + 1).min(side + 1));
    (1.0 - fy) * line(row) + fy * line((row + 1).min(side + 1))
}
