//! Every stage of a small network: from the pixels on, and each alone on what the oracle's stage was given.

use super::compare::{Found, Report, differing};
use super::golden::Golden;
use super::ours::Ours;

/// Everything before the first selection.
#[rustfmt::skip]
const DENSE: [&str; 20] = [
    "transform", "c2", "c3", "c4", "c5", "p2", "p3", "p4", "p5", "p6", "rpn.logits.0", "rpn.logits.1", "rpn.logits.2",
    "rpn.logits.3", "rpn.logits.4", "rpn.deltas.0", "rpn.deltas.1", "rpn.deltas.2", "rpn.deltas.3", "rpn.deltas.4",
];
const OF_PROPOSALS: [&str; 6] = ["box.features", "box.conv", "box.fc6", "box.fc7", "box.logits", "box.deltas"];
const OF_DETECTIONS: [&str; 4] = ["mask.features", "mask.conv", "mask.deconv", "mask.probs"];

/// What a network's results may differ by.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// Relative error of a stage computed from the pixels on.
    pub end_to_end: f64,
    /// The same of one stage alone.
    pub alone: f64,
}

/// Of the default model. From the pixels on, lavapipe shows 4e-6 and, in an image of one colour, 8e-6 at worst
/// (mask.conv); torch's own results differ by 5.5e-6 there with and without oneDNN. Alone it shows 1.6e-6 (fc6).
pub(super) const NUCLEI: Limits = Limits { end_to_end: 5e-5, alone: 1e-5 };

/// The share of anchors or proposals that may be others than the oracle's, where they are tied with those.
const STRAYS: f64 = 1e-3;

/// Logits nearer than this may change places.
const TIED: f32 = 1e-5;

/// The oracle sorts by sigmoid: where that saturates, near logits have one score, and no certain order.
const TIED_SCORES: f32 = 1.2e-7;

/// A golden's whole network, from the pixels on.
pub(super) fn end_to_end(golden: &Golden, limits: Limits) {
    against(&Ours::run(golden), golden, limits).finish(&format!("{}, end to end", golden.name));
}

/// The stages before the first selection, from the pixels on.
pub(super) fn dense(report: &mut Report, ours: &Ours, golden: &Golden, limit: f64) {
    for stage in DENSE.into_iter().filter(|s| golden.has(s)) {
        report.close(stage, &ours.as_torch(stage, &[]), &golden.floats(stage), limit);
    }
}

/// All that a run made against all that a golden says.
fn against(ours: &Ours, golden: &Golden, limits: Limits) -> Report {
    let mut report = Report::default();
    dense(&mut report, ours, golden, limits.end_to_end);
    top_k(&mut report, ours, golden);
    let rows = proposals(&mut report, ours, golden, 1e-2);
    of_rois(&mut report, ours, golden, &OF_PROPOSALS, &rows, limits.end_to_end);
    let pairs = detections(&mut report, ours, golden);
    of_rois(&mut report, ours, golden, &OF_DETECTIONS, &pairs, limits.end_to_end);
    report.pair("post.boxes", &ours.boxes("post.boxes"), &golden.boxes("post.boxes"), 1e-3);
    if golden.has("post.masks") {
        report.masks("post.masks", &ours.masks(), &golden.masks(), &pairs);
    }
    report
}

/// A comparison that cannot fail shows nothing: one wrong value in any tensor of a golden must be seen.
pub(super) fn every_comparison_can_fail(name: &str, limits: Limits) {
    let golden = Golden::open(name);
    let mut ours = Ours::run(&golden);
    assert_eq!(against(&ours, &golden, limits).failures, [""; 0]);
    // Not compared: what goes in, checked when the file is opened, and what `mask.probs` is made of.
    let names = golden.names().into_iter();
    for tensor in names.filter(|n| !["pixels", "transform.size", "mask.logits"].contains(&n.as_str())) {
        let report = against(&ours, &golden.tampered(&tensor), limits);
        assert!(!report.failures.is_empty(), "a wrong value in {tensor} is not seen");
    }
    ours.rerun("paste.layout", None, &golden, &["det.boxes", "det.count", "mask.probs"]);
    for tensor in ["post.boxes", "post.masks"] {
        let mut report = Report::default();
        paste(&mut report, &ours, &golden.tampered(tensor));
        assert!(!report.failures.is_empty(), "a wrong value in {tensor} is not seen");
    }
}

/// A golden's network stage by stage: each gets the oracle's tensors and not those of our stage before it.
pub(super) fn one_by_one(golden: &Golden, limits: Limits) {
    let mut ours = Ours::run(golden);
    each_alone(&mut ours, golden, limits).finish(&format!("{}, stage by stage", golden.name));
}

/// As [`one_by_one`], after a run from the pixels on.
pub(super) fn each_alone(ours: &mut Ours, golden: &Golden, limits: Limits) -> Report {
    let mut report = Report::default();
    if golden.has("c2") {
        ours.rerun("stem", Some("lateral5"), golden, &["transform"]);
        for stage in ["c2", "c3", "c4", "c5"] {
            report.close(stage, &ours.as_torch(stage, &[]), &golden.floats(stage), limits.end_to_end);
        }
        ours.rerun("lateral5", Some("rpn.conv0"), golden, &["c2", "c3", "c4", "c5"]);
        for stage in ["p2", "p3", "p4", "p5", "p6"] {
            report.close(stage, &ours.as_torch(stage, &[]), &golden.floats(stage), limits.alone);
        }
    }
    ours.rerun("rpn.conv0", Some("rpn.topk"), golden, &["p2", "p3", "p4", "p5", "p6"]);
    for stage in DENSE.into_iter().filter(|s| s.starts_with("rpn")) {
        report.close(stage, &ours.as_torch(stage, &[]), &golden.floats(stage), limits.alone);
    }
    ours.rerun("rpn.topk", Some("box.align"), golden, &["rpn.logits", "rpn.deltas"]);
    top_k(&mut report, ours, golden);
    proposals(&mut report, ours, golden, 1e-3);
    box_head(&mut report, ours, golden, limits.alone);
    if golden.has("mask.features") {
        mask_head(&mut report, ours, golden, limits.alone);
        ours.rerun("paste.layout", None, golden, &["mask.probs", "det.boxes", "det.labels", "det.count"]);
        paste(&mut report, ours, golden);
    } else {
        ours.rerun("paste.layout", None, golden, &["det.boxes", "det.labels", "det.count"]);
        report.holds("post.boxes are not bit-equal".into(), ours.boxes("post.boxes") == golden.boxes("post.boxes"));
    }
    report
}

const PYRAMID: [&str; 4] = ["p2", "p3", "p4", "p5"];

fn box_head(report: &mut Report, ours: &mut Ours, golden: &Golden, limit: f64) {
    let rows: Vec<usize> = (0..golden.boxes("rpn.proposals").len()).collect();
    let first = if golden.has("box.conv") { "box.conv0" } else { "box.fc6" };
    ours.rerun("box.align", Some(first), golden, &[&PYRAMID[..], &["rpn.proposals", "rpn.proposals.count"]].concat());
    of_rois(report, ours, golden, &["box.features"], &rows, limit);
    let mut fed = "box.features";
    let second = if golden.has("box.fc7") { "box.fc7" } else { "box.predict" };
    for (step, until, stages) in [
        ("box.conv0", "box.fc6", &["box.conv"][..]),
        ("box.fc6", second, &["box.fc6"]),
        ("box.fc7", "box.predict", &["box.fc7"]),
        ("box.predict", "box.softmax", &["box.logits", "box.deltas"]),
    ] {
        // The versions of the head differ in their layers.
        if !golden.has(stages[0]) {
            continue;
        }
        ours.rerun(step, Some(until), golden, &[fed, "rpn.proposals.count"]);
        for stage in stages {
            let given = golden.raw(fed).0[0].min(golden.raw(stage).0[0]);
            let got = ours.as_torch(stage, &rows[..given]);
            report.close(stage, &got, &golden.floats(stage)[..got.len()], limit);
        }
        fed = stages[0];
    }
    let until = if golden.has("mask.features") { "mask.align" } else { "paste.layout" };
    ours.rerun(
        "box.softmax",
        Some(until),
        golden,
        &["box.logits", "box.deltas", "rpn.proposals", "rpn.proposals.count"],
    );
    detections(report, ours, golden);
}

fn mask_head(report: &mut Report, ours: &mut Ours, golden: &Golden, limit: f64) {
    let pairs: Vec<usize> = (0..golden.boxes("det.boxes").len()).collect();
    let live = ["det.boxes", "det.labels", "det.count"];
    for (step, until, fed, stage) in [
        ("mask.align", "mask.conv0", &PYRAMID[..], "mask.features"),
        ("mask.conv0", "mask.deconv", &["mask.features"], "mask.conv"),
        ("mask.deconv", "mask.predict", &["mask.conv"], "mask.deconv"),
    ] {
        ours.rerun(step, Some(until), golden, &[fed, &live[..]].concat());
        let given = if step == "mask.align" { pairs.len() } else { golden.raw(fed[0]).0[0] };
        of_rois(report, ours, golden, &[stage], &pairs[..given], limit);
    }
    ours.rerun("mask.predict", Some("paste.layout"), golden, &[&["mask.deconv"], &live[..]].concat());
    let given = golden.raw("mask.deconv").0[0];
    let got = ours.as_torch("mask.probs", &pairs[..given]);
    report.close("mask.probs", &got, &golden.floats("mask.probs")[..got.len()], limit);
}

/// The best anchors of each level, in the oracle's order or with tied ones in another.
fn top_k(report: &mut Report, ours: &Ours, golden: &Golden) {
    let indices = &ours.values["rpn.topk.indices"];
    let logits = golden.tap("rpn.logits");
    let (mut all, mut places, mut strays) = (0, 0, 0);
    for level in 0..5 {
        let want = golden.ints(&format!("rpn.topk.indices.{level}"));
        let got = &indices.ints()[level * indices.shape.dim(2)..][..want.len()];
        let logit = |i: u32| logits.floats()[ours.level(level).0 + i as usize];
        for (place, (&g, &w)) in got.iter().zip(&want).enumerate() {
            places += (g != w) as usize;
            let what = format!("top {place} of P{} is anchor {g} instead of {w}", level + 2);
            report.holds(what, g == w || (logit(g) - logit(w)).abs() <= TIED);
        }
        let mut unique = got.to_vec();
        unique.sort_unstable();
        unique.dedup();
        report.holds(format!("P{}: an anchor is chosen twice", level + 2), unique.len() == got.len());
        strays += want.iter().filter(|w| unique.binary_search(w).is_err()).count();
        all += want.len();
    }
    report.at_most(
        &format!("rpn.topk.indices: {places} of {all} in another order; share of others"),
        strays as f64 / all as f64,
        STRAYS,
    );
}

/// The proposals, paired; gives ours for each of the oracle's.
pub(super) fn proposals(report: &mut Report, ours: &Ours, golden: &Golden, pixels: f64) -> Vec<usize> {
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
    for stage in stages.iter().filter(|s| golden.has(s)) {
        let rows = &rows[..golden.raw(stage).0[0].min(rows.len())];
        report.close(stage, &ours.as_torch(stage, rows), &golden.floats(stage), limit);
    }
}

/// The detections before they return to the original image.
pub(super) fn detections(report: &mut Report, ours: &Ours, golden: &Golden) -> Vec<usize> {
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
