//! COCO's average precision: which results find what at ten IoUs, and the precision that is had at each recall.

use std::collections::BTreeMap;

use super::annotations::Truth;
use super::pair::{Paired, Prediction};
use super::region::box_iou;

/// IoUs that are asked for.
pub(super) const THRESHOLDS: usize = 10;
/// Recalls at which precision is told: 0, 0.01, … 1.
pub(super) const RECALLS: usize = 101;
/// Most results of an image and class that count, for COCO's numbers.
pub const MAX_DETS: [usize; 3] = [1, 10, 100];
/// Ranges of area in pixels, ends included: all, small, medium, large.
pub(super) const AREAS: [[f64; 2]; 4] = [[0.0, 1e10], [0.0, 1024.0], [1024.0, 9216.0], [9216.0, 1e10]];

/// One bit an IoU.
type Bits = u16;
const ALL: Bits = (1 << THRESHOLDS) - 1;

/// The ten IoUs that COCO averages over, 0.5 to 0.95.
pub fn iou_thresholds() -> [f64; THRESHOLDS] {
    // numpy's linspace, to the bit.
    let step = (0.95 - 0.5) / (THRESHOLDS - 1) as f64;
    let mut out = std::array::from_fn(|i| i as f64 * step + 0.5);
    out[THRESHOLDS - 1] = 0.95;
    out
}

/// What is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Boxes; COCO's tools say `bbox`.
    Boxes,
    /// Masks; COCO's tools say `segm`.
    Masks,
}

/// Precision and recall by IoU, class, area and number of results; -1 where there is nothing to be found.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// What was judged.
    pub kind: Kind,
    /// Most results of an image and class that count, rising.
    pub max_dets: [usize; 3],
    /// Of each class, in the annotations' order.
    pub(super) classes: Vec<Curves>,
    /// Scores of all results that count, the most that may, with whether each finds something at IoU 0.5; results that
    /// are ignored left out. In no order.
    pub scores: Vec<(f64, bool)>,
    /// Results that are beyond the most that count, and their images.
    pub left_out: (usize, usize),
}

/// A class's precision and recall, by area and number of results.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Curves {
    /// Precision at each recall, by IoU.
    pub precision: [[[[f64; RECALLS]; THRESHOLDS]; 3]; 4],
    /// The most that was found, by IoU.
    pub recall: [[[f64; THRESHOLDS]; 3]; 4],
}

/// The results and truths of one image and class.
struct Cell<'a> {
    truths: Vec<&'a Truth>,
    /// By falling score, equal ones in the results' order; as many as may count.
    found: Vec<&'a Prediction>,
    /// Of each result with each truth.
    ious: Vec<f64>,
}

/// What became of a result, at each IoU.
struct Judged {
    score: f64,
    matched: Bits,
    ignored: Bits,
}

/// Judges all results as pycocotools' `COCOeval` does. Of `max_dets`, which rise, the last is that of the precisions.
///
/// Masks are asked for only where [`Paired::has_masks`].
pub fn evaluate(paired: &Paired, kind: Kind, max_dets: [usize; 3]) -> Evaluation {
    let mut left_out = (0, 0);
    let mut by_class: Vec<Vec<Cell>> = (0..paired.annotations.categories.len()).map(|_| Vec::new()).collect();
    for ((class, _), (truths, found)) in grouped(paired) {
        let beyond = found.len().saturating_sub(max_dets[2]);
        left_out = (left_out.0 + beyond, left_out.1 + usize::from(beyond > 0));
        by_class[class].push(Cell::new(truths, found, kind, max_dets[2]));
    }
    let mut scores = Vec::new();
    let classes = by_class.iter().map(|cells| curves(cells, max_dets, &mut scores)).collect();
    Evaluation { kind, max_dets, classes, scores, left_out }
}

type Group<'a> = (Vec<&'a Truth>, Vec<&'a Prediction>);

/// What belongs together, by class and image; the images of a class rise, as their order decides between equal scores.
fn grouped(paired: &Paired) -> BTreeMap<(usize, usize), Group<'_>> {
    let mut out: BTreeMap<_, Group> = BTreeMap::new();
    for truth in &paired.annotations.truths {
        out.entry((truth.category, truth.image)).or_default().0.push(truth);
    }
    for prediction in &paired.predictions {
        out.entry((prediction.category, prediction.image)).or_default().1.push(prediction);
    }
    out
}

/// Stable, like numpy's mergesort of negated scores.
pub(super) fn by_falling_score<T>(items: &mut [T], score: impl Fn(&T) -> f64) {
    items.sort_by(|a, b| score(b).partial_cmp(&score(a)).unwrap_or(std::cmp::Ordering::Equal));
}

impl<'a> Cell<'a> {
    fn new(truths: Vec<&'a Truth>, mut found: Vec<&'a Prediction>, kind: Kind, most: usize) -> Self {
        by_falling_score(&mut found, |p| p.score);
        found.truncate(most);
        let pairs = found.iter().flat_map(|p| truths.iter().map(move |t| iou(p, t, kind)));
        Self { ious: pairs.collect(), truths, found }
    }

    /// What becomes of each result where objects of that area are asked for, and how many of them there are.
    fn judge(&self, area: [f64; 2]) -> (Vec<Judged>, usize) {
        let outside = |a: f64| a < area[0] || a > area[1];
        let ignored: Vec<bool> = self.truths.iter().map(|t| t.crowd || outside(t.area)).collect();
        let mut order: Vec<usize> = (0..self.truths.len()).collect();
        order.sort_by_key(|&t| ignored[t]);
        let judged = |p: &&Prediction| Judged { score: p.score, matched: 0, ignored: 0 };
        let mut out: Vec<Judged> = self.found.iter().map(judged).collect();
        for (i, threshold) in iou_thresholds().into_iter().enumerate() {
            let mut taken = vec![false; self.truths.len()];
            for (f, judged) in out.iter_mut().enumerate() {
                let Some(t) = self.best(f, &order, &ignored, &taken, threshold) else { continue };
                taken[t] = true;
                judged.ignored |= Bits::from(ignored[t]) << i;
                // To pycocotools, whose mark of a match is the truth's id, that of id 0 is none.
                judged.matched |= Bits::from(self.truths[t].id != 0) << i;
            }
        }
        for (judged, found) in out.iter_mut().zip(&self.found) {
            if outside(found.area) {
                judged.ignored |= !judged.matched & ALL;
            }
        }
        (out, ignored.iter().filter(|&&i| !i).count())
    }

    /// The truth that a result finds: of those not taken yet the one of the highest IoU, the last of equal ones; one that
    /// is ignored only where it finds no other. A crowd is never taken.
    fn best(&self, f: usize, order: &[usize], ignored: &[bool], taken: &[bool], threshold: f64) -> Option<usize> {
        let ious = &self.ious[f * self.truths.len()..][..self.truths.len()];
        let mut least = threshold.min(1.0 - 1e-10);
        let mut best = None;
        for &t in order {
            if taken[t] && !self.truths[t].crowd {
                continue;
            }
            if ignored[t] && best.is_some_and(|b: usize| !ignored[b]) {
                break;
            }
            if ious[t] >= least {
                (least, best) = (ious[t], Some(t));
            }
        }
        best
    }
}

/// The IoU of a result with a truth.
pub(super) fn iou(found: &Prediction, truth: &Truth, kind: Kind) -> f64 {
    match (kind, &found.mask, &truth.mask) {
        (Kind::Boxes, ..) => box_iou(&found.bbox, &truth.bbox, truth.crowd),
        (Kind::Masks, Some(a), Some(b)) => a.iou(b, truth.crowd),
        (Kind::Masks, ..) => 0.0,
    }
}

fn curves(cells: &[Cell], max_dets: [usize; 3], scores: &mut Vec<(f64, bool)>) -> Curves {
    let mut out = Curves { precision: [[[[-1.0; RECALLS]; THRESHOLDS]; 3]; 4], recall: [[[-1.0; THRESHOLDS]; 3]; 4] };
    for (a, area) in AREAS.into_iter().enumerate() {
        let (judged, counts): (Vec<Vec<Judged>>, Vec<usize>) = cells.iter().map(|cell| cell.judge(area)).unzip();
        let wanted: usize = counts.iter().sum();
        for (m, most) in max_dets.into_iter().enumerate() {
            let mut all: Vec<&Judged> = judged.iter().flat_map(|j| j.iter().take(most)).collect();
            by_falling_score(&mut all, |j| j.score);
            if (a, m) == (0, 2) {
                scores.extend(all.iter().filter(|j| j.ignored & 1 == 0).map(|j| (j.score, j.matched & 1 == 1)));
            }
            if wanted == 0 {
                continue;
            }
            for i in 0..THRESHOLDS {
                let (precision, recall) = (&mut out.precision[a][m][i], &mut out.recall[a][m][i]);
                *recall = curve(&all, i, wanted, precision);
            }
        }
    }
    out
}

/// Precision at each recall, of results by falling score at the i-th IoU, and the recall of them all. The precision at a
/// recall is the best that is had at it or any higher one.
fn curve(all: &[&Judged], i: usize, wanted: usize, out: &mut [f64; RECALLS]) -> f64 {
    let (mut right, mut wrong) = (0.0, 0.0);
    let mut points: Vec<(f64, f64)> = Vec::with_capacity(all.len());
    for judged in all {
        if judged.ignored >> i & 1 == 0 {
            let matched = judged.matched >> i & 1 == 1;
            (right, wrong) = if matched { (right + 1.0, wrong) } else { (right, wrong + 1.0) };
        }
        points.push((right / wanted as f64, right / (wrong + right + f64::EPSILON)));
    }
    let mut best = 0.0_f64;
    for point in points.iter_mut().rev() {
        best = best.max(point.1);
        point.1 = best;
    }
    let mut at = 0;
    for (r, precision) in out.iter_mut().enumerate() {
        // Not r / 100: numpy's linspace multiplies, which has other last bits.
        let recall = if r + 1 == RECALLS { 1.0 } else { r as f64 * 0.01 };
        while points.get(at).is_some_and(|p| p.0 < recall) {
            at += 1;
        }
        *precision = points.get(at).map_or(0.0, |p| p.1);
    }
    points.last().map_or(0.0, |p| p.0)
}
