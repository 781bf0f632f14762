//! Regions joined with their neighbours, the two that are most alike first, until one is left: the hierarchy of
//! Uijlings et al. (2013), algorithm 1.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::regions::{Measure, Regions};
use super::segment::Segmentation;

/// Which regions touch: pairs of their numbers, the lower one first, each pair once and in order. Pixels have eight
/// neighbours, as where they are joined to regions.
pub(super) fn neighbours(segmentation: &Segmentation, width: usize) -> Vec<(u32, u32)> {
    let labels = &segmentation.labels;
    let mut out: Vec<(u32, u32)> = Vec::new();
    for (y, row) in labels.chunks_exact(width).enumerate() {
        let below = labels.get((y + 1) * width..(y + 2) * width).unwrap_or(&[]);
        for (x, &a) in row.iter().enumerate() {
            let around = [row.get(x + 1), x.checked_sub(1).and_then(|x| below.get(x)), below.get(x), below.get(x + 1)];
            for &b in around.into_iter().flatten().filter(|&&b| b != a) {
                let pair = (a.min(b), a.max(b));
                if out.last() != Some(&pair) {
                    out.push(pair);
                }
            }
        }
    }
    out.sort_unstable();
    out.dedup();
    out
}

/// Two regions, most alike first; of pairs that are equally alike that of the lowest numbers. What is alike is never
/// negative, so that its bits are in its order.
type Candidate = (u32, Reverse<u32>, Reverse<u32>);

fn candidate(regions: &Regions, slots: &[u32], (a, b): (u32, u32), measure: Measure) -> Candidate {
    let alike = regions.alike(slots[a as usize] as usize, slots[b as usize] as usize, measure);
    (alike.max(0.0).to_bits(), Reverse(a.min(b)), Reverse(a.max(b)))
}

/// Joins regions of which `pairs` touch. Gives the boxes of those that were there, by their numbers, and of the joined ones in
/// their order, which are numbered on from there. Where all hang together, the last box is round all.
pub(super) fn group(mut regions: Regions, pairs: &[(u32, u32)], measure: Measure) -> Vec<[u32; 4]> {
    let n = regions.len();
    let mut boxes = regions.bbox.clone();
    // Where the features of each number are: a joined region has those of the first that it was made of.
    let mut slots: Vec<u32> = (0..n as u32).collect();
    let mut alive = vec![true; n];
    let mut touching = vec![Vec::new(); n];
    for &(a, b) in pairs {
        touching[a as usize].push(b);
        touching[b as usize].push(a);
    }
    let mut queue: BinaryHeap<Candidate> =
        pairs.iter().map(|&pair| candidate(&regions, &slots, pair, measure)).collect();
    // Pairs that were left when those of joined regions were last thrown out.
    let mut kept = queue.len();
    while let Some((_, Reverse(a), Reverse(b))) = queue.pop() {
        let (i, j) = (a as usize, b as usize);
        if !(alive[i] && alive[j]) {
            continue;
        }
        let new = boxes.len() as u32;
        (alive[i], alive[j]) = (false, false);
        regions.merge(slots[i] as usize, slots[j] as usize);
        boxes.push(regions.bbox[slots[i] as usize]);
        slots.push(slots[i]);
        alive.push(true);
        let mut others = std::mem::take(&mut touching[i]);
        others.append(&mut touching[j]);
        others.retain(|&other| alive[other as usize]);
        others.sort_unstable();
        others.dedup();
        for &other in &others {
            let theirs = &mut touching[other as usize];
            // What is gone makes room before memory does: a background has thousands of neighbours, and joins them one by one.
            if theirs.len() == theirs.capacity() {
                theirs.retain(|&other| alive[other as usize]);
            }
            theirs.push(new);
            queue.push(candidate(&regions, &slots, (other, new), measure));
        }
        touching.push(others);
        if queue.len() > 2 * kept + 1024 {
            queue.retain(|&(_, Reverse(a), Reverse(b))| alive[a as usize] && alive[b as usize]);
            kept = queue.len();
        }
    }
    boxes
}

#[cfg(test)]
mod tests {
    use super::super::regions::FEATURES;
    use super::*;

    /// A row of regions, each a square of 10 pixels a side, with colours in these bins.
    fn row(colours: &[usize], sizes: &[u32]) -> Regions {
        let n = colours.len();
        let mut histograms = vec![0.0; n * FEATURES];
        colours.iter().enumerate().for_each(|(i, bin)| histograms[i * FEATURES + bin] = 1.0);
        let bbox = (0..n as u32).map(|i| [10 * i, 0, 10 * i + 10, 10]).collect();
        Regions { pixels: 1000.0, size: sizes.to_vec(), bbox, histograms }
    }

    /// The boxes of joined ones, which tell who joined whom: first and last column.
    fn joined(regions: Regions, pairs: &[(u32, u32)], measure: Measure) -> Vec<[u32; 2]> {
        let (n, before) = (regions.len(), regions.bbox.clone());
        let boxes = group(regions, pairs, measure);
        assert_eq!(boxes[..n], before);
        boxes[n..].iter().map(|b| [b[0], b[2]]).collect()
    }

    #[test]
    fn the_most_alike_go_first() {
        let (all, texture) = (Measure::ColourTexture, Measure::Texture);
        // 0 and 1 differ in colour, 1 and 2 do not: 0.8 + 1 against 1 + 0.8 + 1. Then 0 with both.
        let pairs = [(0, 1), (1, 2)];
        assert_eq!(joined(row(&[1, 2, 2], &[100; 3]), &pairs, all), [[10, 30], [0, 30]]);
        // Without colours all are as alike: the lowest numbers go first.
        assert_eq!(joined(row(&[1, 2, 2], &[100; 3]), &pairs, texture), [[0, 20], [0, 30]]);
        // 0 and 2 touch as well, round 1, but their box has room for more: 0.8 + 0.9 against 0.8 + 1.
        let pairs = [(0, 1), (0, 2), (1, 2)];
        assert_eq!(joined(row(&[1, 1, 1], &[100; 3]), &pairs, all), [[0, 20], [0, 30]]);
        // Unless its colour is the same: 1 + 0.8 + 0.9.
        assert_eq!(joined(row(&[1, 2, 1], &[100; 3]), &pairs, all), [[0, 30], [0, 30]]);
    }

    #[test]
    fn a_joined_region_touches_what_its_parts_did() {
        // Four in a row; the middle ones first. Then 0 and 3 are as alike to both, 0.7 + 1: the lower number goes first.
        let found = joined(row(&[1, 2, 2, 3], &[100; 4]), &[(0, 1), (1, 2), (2, 3)], Measure::ColourTexture);
        assert_eq!(found, [[10, 30], [0, 30], [0, 40]]);
        // 1 and 2 have 4's colour, and keep it together: 4 comes next (1 + 0.7 + 0.9), though 0 and 3 have lower numbers.
        let found = joined(row(&[3, 2, 2, 9, 2], &[100; 5]), &[(0, 1), (1, 2), (2, 3), (2, 4)], Measure::ColourTexture);
        assert_eq!(found[0], [10, 30]);
        assert_eq!(found[1], [10, 50]);
        // Two pairs, and then these: what 2 joined touches what 1 did before.
        let found = joined(row(&[1, 1, 2, 2], &[100; 4]), &[(0, 1), (1, 2), (2, 3)], Measure::ColourTexture);
        assert_eq!(found, [[0, 20], [20, 40], [0, 40]]);
        // A background with more specks than pairs are kept of what is gone: all are joined.
        let specks: Vec<(u32, u32)> = (1..=1500).map(|i| (0, i)).collect();
        let found = joined(row(&[1; 1501], &[1; 1501]), &specks, Measure::Texture);
        assert_eq!((found.len(), found[1499]), (1500, [0, 15010]));
        // What touches nothing stays as it is.
        assert!(joined(row(&[1, 2], &[100; 2]), &[], Measure::ColourTexture).is_empty());
    }

    #[test]
    fn neighbours_are_found_on_all_sides() {
        // 0 0 1
        // 2 0 1
        // 2 3 3: 2 touches 0 and 3; 1 touches 0 and 3, not 2.
        let labels = vec![0, 0, 1, 2, 0, 1, 2, 3, 3];
        let pairs = neighbours(&Segmentation { labels, count: 4 }, 3);
        assert_eq!(pairs, [(0, 1), (0, 2), (0, 3), (1, 3), (2, 3)]);
        // Corners touch; the ends of rows do not.
        let pairs = neighbours(&Segmentation { labels: vec![0, 1, 2, 3, 4, 5], count: 6 }, 3);
        assert_eq!(pairs, [(0, 1), (0, 3), (0, 4), (1, 2), (1, 3), (1, 4), (1, 5), (2, 4), (2, 5), (3, 4), (4, 5)]);
    }
}
