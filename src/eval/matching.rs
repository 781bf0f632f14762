//! The matching metrics of the papers on nuclei, as StarDist computes them: results and objects paired one to one where
//! their IoU is at least a threshold, then true and false positives and misses counted over all images.

use std::collections::BTreeMap;

use super::annotations::Truth;
use super::assignment::assign;
use super::coco::{Kind, iou};
use super::pair::{Paired, Prediction};

/// IoUs that papers tell these for: 0.5, 0.55, … 0.9.
pub fn matching_thresholds() -> [f64; 9] {
    std::array::from_fn(|i| (50 + 5 * i) as f64 / 100.0)
}

/// What was counted at one IoU, over all images.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Matching {
    /// The IoU that a pair has at least.
    pub threshold: f64,
    /// Pairs: true positives.
    pub found: usize,
    /// Results without a partner: false positives.
    pub wrong: usize,
    /// Objects without a partner: false negatives.
    pub missed: usize,
    /// The sum of the pairs' IoUs.
    pub sum_iou: f64,
}

impl Matching {
    /// Pairs a result.
    pub fn precision(&self) -> f64 {
        ratio(self.found as f64, self.found + self.wrong)
    }

    /// Pairs an object.
    pub fn recall(&self) -> f64 {
        ratio(self.found as f64, self.found + self.missed)
    }

    /// Pairs over pairs, false positives and misses: what the Data Science Bowl calls precision, and some papers average
    /// precision.
    pub fn accuracy(&self) -> f64 {
        ratio(self.found as f64, self.found + self.wrong + self.missed)
    }

    /// The harmonic mean of precision and recall.
    pub fn f1(&self) -> f64 {
        ratio(2.0 * self.found as f64, 2 * self.found + self.wrong + self.missed)
    }

    /// The pairs' mean IoU.
    pub fn mean_iou(&self) -> f64 {
        ratio(self.sum_iou, self.found)
    }

    /// The pairs' mean IoU times F1.
    pub fn panoptic_quality(&self) -> f64 {
        ratio(2.0 * self.sum_iou, 2 * self.found + self.wrong + self.missed)
    }
}

/// 0 of nothing.
fn ratio(part: f64, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part / whole as f64 }
}

/// An image's pairs, as places in [`Paired::predictions`] and [`Annotations::truths`](super::Annotations::truths).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ImagePairs {
    /// Results with their objects.
    pub found: Vec<(usize, usize)>,
    /// Results that found nothing.
    pub wrong: Vec<usize>,
    /// Objects that nothing found.
    pub missed: Vec<usize>,
}

/// Pairs results that score `score` or more with objects of their class, at each of the thresholds, none of which is below
/// the first. As many pairs as there can be, and of those ways the one of the highest sum of IoUs; masks may overlap, which
/// label images cannot. Crowds are left out, and so are results that lie in one by half or more and find no object.
///
/// Also gives each image's pairs at the first threshold.
pub fn matching(paired: &Paired, kind: Kind, score: f64, thresholds: &[f64]) -> (Vec<Matching>, Vec<ImagePairs>) {
    let mut sums: Vec<Matching> =
        thresholds.iter().map(|&t| Matching { threshold: t, ..Matching::default() }).collect();
    let mut images = vec![ImagePairs::default(); paired.annotations.images.len()];
    let least = thresholds.first().copied().unwrap_or(0.5);
    for ((image, _), group) in grouped(paired, score) {
        let group = Overlaps::new(group, kind, least);
        for (i, sum) in sums.iter_mut().enumerate() {
            let pairs = group.pairs(sum.threshold);
            sum.found += pairs.found.len();
            sum.wrong += pairs.wrong.len();
            sum.missed += pairs.missed.len();
            sum.sum_iou += pairs.found.iter().map(|&(p, t)| group.iou(p, t)).sum::<f64>();
            if i == 0 {
                let (to, named) = (&mut images[image], group.named(pairs));
                to.found.extend(named.found);
                to.wrong.extend(named.wrong);
                to.missed.extend(named.missed);
            }
        }
    }
    (sums, images)
}

/// The results and truths of one image and class, with their places.
#[derive(Default)]
struct Group<'a> {
    found: Vec<(usize, &'a Prediction)>,
    truths: Vec<(usize, &'a Truth)>,
}

fn grouped(paired: &Paired, score: f64) -> BTreeMap<(usize, usize), Group<'_>> {
    let mut out: BTreeMap<_, Group> = BTreeMap::new();
    for (at, truth) in paired.annotations.truths.iter().enumerate() {
        out.entry((truth.image, truth.category)).or_default().truths.push((at, truth));
    }
    for (at, found) in paired.predictions.iter().enumerate().filter(|p| p.1.score >= score) {
        out.entry((found.image, found.category)).or_default().found.push((at, found));
    }
    out
}

/// A group's pairs that overlap enough to be asked for.
struct Overlaps<'a> {
    group: Group<'a>,
    /// Of each result: objects with their IoUs.
    near: Vec<Vec<(usize, f64)>>,
    /// Results that lie in a crowd.
    in_crowd: Vec<bool>,
}

impl<'a> Overlaps<'a> {
    fn new(mut group: Group<'a>, kind: Kind, least: f64) -> Self {
        let (crowds, truths): (Vec<_>, Vec<_>) = group.truths.iter().partition(|t| t.1.crowd);
        group.truths = truths;
        let near = |p: &Prediction| {
            let all = group.truths.iter().enumerate().map(|(i, t)| (i, iou(p, t.1, kind)));
            all.filter(|(_, iou)| *iou >= least).collect::<Vec<_>>()
        };
        let near = group.found.iter().map(|p| near(p.1)).collect();
        let in_crowd = |p: &Prediction| crowds.iter().any(|c| iou(p, c.1, kind) >= 0.5);
        let in_crowd = group.found.iter().map(|p| in_crowd(p.1)).collect();
        Self { near, in_crowd, group }
    }

    fn iou(&self, found: usize, truth: usize) -> f64 {
        self.near[found].iter().find(|n| n.0 == truth).map_or(0.0, |n| n.1)
    }

    /// The pairs at an IoU, by places in the group.
    fn pairs(&self, threshold: f64) -> ImagePairs {
        let mut out = ImagePairs::default();
        let near = |p: usize| self.near[p].iter().filter(move |n| n.1 >= threshold);
        let mut partner: Vec<Option<usize>> = vec![None; self.near.len()];
        for part in parts(self.near.len(), self.group.truths.len(), |p| near(p).map(|n| n.0).collect()) {
            // Any pair counts more than what all IoUs together can add.
            let most = 2.0 * part.0.len().min(part.1.len()) as f64;
            let weight = |p: usize, t: usize| near(p).find(|n| n.0 == t).map_or(0.0, |n| 1.0 + n.1 / most);
            let weights: Vec<Vec<f64>> =
                part.0.iter().map(|&p| part.1.iter().map(|&t| weight(p, t)).collect()).collect();
            for (&p, t) in part.0.iter().zip(assign(&weights)) {
                partner[p] = t.map(|t| part.1[t]);
            }
        }
        let mut taken = vec![false; self.group.truths.len()];
        for (p, partner) in partner.into_iter().enumerate() {
            match partner {
                Some(t) => {
                    taken[t] = true;
                    out.found.push((p, t));
                }
                None if self.in_crowd[p] => {}
                None => out.wrong.push(p),
            }
        }
        out.missed = (0..taken.len()).filter(|&t| !taken[t]).collect();
        out
    }

    /// The same by places among all.
    fn named(&self, pairs: ImagePairs) -> ImagePairs {
        let (found, truth) = (|p: usize| self.group.found[p].0, |t: usize| self.group.truths[t].0);
        ImagePairs {
            found: pairs.found.into_iter().map(|(p, t)| (found(p), truth(t))).collect(),
            wrong: pairs.wrong.into_iter().map(found).collect(),
            missed: pairs.missed.into_iter().map(truth).collect(),
        }
    }
}

/// Rows and columns that hang together, those with no neighbour left out.
fn parts(rows: usize, columns: usize, near: impl Fn(usize) -> Vec<usize>) -> Vec<(Vec<usize>, Vec<usize>)> {
    let of_row: Vec<Vec<usize>> = (0..rows).map(near).collect();
    let mut of_column: Vec<Vec<usize>> = vec![Vec::new(); columns];
    for (row, near) in of_row.iter().enumerate() {
        near.iter().for_each(|&c| of_column[c].push(row));
    }
    let (mut seen_row, mut seen_column) = (vec![false; rows], vec![false; columns]);
    let mut out = Vec::new();
    for start in (0..rows).filter(|&r| !of_row[r].is_empty()) {
        if seen_row[start] {
            continue;
        }
        seen_row[start] = true;
        let (mut part, mut next) = ((vec![start], Vec::new()), 0);
        while let Some(&row) = part.0.get(next) {
            next += 1;
            for &column in &of_row[row] {
                if std::mem::replace(&mut seen_column[column], true) {
                    continue;
                }
                part.1.push(column);
                for &other in &of_column[column] {
                    if !std::mem::replace(&mut seen_row[other], true) {
                        part.0.push(other);
                    }
                }
            }
        }
        out.push(part);
    }
    out
}
