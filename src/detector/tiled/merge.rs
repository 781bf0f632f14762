//! What tiles found, as what is in the picture: each object once, and whole where a tile saw it whole.

use std::collections::BTreeMap;

use super::grid::Tile;
use crate::vision::{Detection, Mask};

/// Two masks are of one object where they share at least this much of the smaller one. What two tiles say of the same
/// nucleus is alike to 0.9 and more, and neighbours that touch share next to nothing, so that anything between does.
pub(super) const SAME: f64 = 0.5;

/// Columns and rows of the squares by which masks near each other are found.
const SQUARE: u32 = 256;

/// What was found in a tile, in pixels of the picture.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub item: Detection,
    /// The tile, by its number.
    pub tile: usize,
    /// Whether the tile's edge may cut it.
    pub cut: bool,
    /// What stands for the mask of what has none: its box.
    stand_in: Option<Mask>,
    area: u64,
}

impl Found {
    pub(super) fn new(item: Detection, tile: usize, cut: bool) -> Self {
        let area = item.mask.area();
        let stand_in = (area == 0).then(|| {
            let [x1, y1, x2, y2] = item.bbox.map(|v| v.round().max(0.0) as u32);
            Mask::filled(x1, y1, x2.saturating_sub(x1).max(1), y2.saturating_sub(y1).max(1))
        });
        let area = stand_in.as_ref().map_or(area, Mask::area);
        Self { item, tile, cut, stand_in, area }
    }

    /// Its pixels.
    pub(super) fn region(&self) -> &Mask {
        self.stand_in.as_ref().unwrap_or(&self.item.mask)
    }

    pub(super) fn area(&self) -> u64 {
        self.area
    }

    /// Pixels that it shares with another of its class.
    fn overlap(&self, other: &Self) -> u64 {
        if self.item.label == other.item.label { self.region().intersection(other.region()) } else { 0 }
    }

    /// Pixels that it shares with another of its class, another tile's.
    pub(super) fn shared(&self, other: &Self) -> u64 {
        if self.tile == other.tile { 0 } else { self.overlap(other) }
    }

    /// Both as one: the box and the mask around both, the better score.
    fn joined(self, other: &Self) -> Self {
        let (a, b) = (self.item.bbox, other.item.bbox);
        let bbox = [a[0].min(b[0]), a[1].min(b[1]), a[2].max(b[2]), a[3].max(b[3])];
        let mask = self.item.mask.union(&other.item.mask);
        let item = Detection { bbox, score: self.item.score.max(other.item.score), mask, ..self.item };
        Self::new(item, self.tile, true)
    }
}

/// Whether `shared` pixels are so much of `area`.
pub(super) fn mostly(shared: u64, area: u64) -> bool {
    shared > 0 && shared as f64 >= SAME * area as f64
}

/// Where in the picture what is.
#[derive(Default)]
pub(super) struct Squares(BTreeMap<(u32, u32), Vec<usize>>);

impl Squares {
    fn squares(mask: &Mask) -> impl Iterator<Item = (u32, u32)> + use<> {
        let [x0, y0, x1, y1] = mask.rectangle();
        let (right, bottom) = (x1.max(x0 + 1) - 1, y1.max(y0 + 1) - 1);
        (y0 / SQUARE..=bottom / SQUARE).flat_map(move |y| (x0 / SQUARE..=right / SQUARE).map(move |x| (x, y)))
    }

    pub(super) fn put(&mut self, i: usize, mask: &Mask) {
        Self::squares(mask).for_each(|at| self.0.entry(at).or_default().push(i));
    }

    /// Numbers of those that may touch a mask, rising.
    pub(super) fn near(&self, mask: &Mask) -> Vec<usize> {
        let mut near: Vec<usize> =
            Self::squares(mask).filter_map(|at| self.0.get(&at)).flat_map(|all| all.iter().copied()).collect();
        near.sort_unstable();
        near.dedup();
        near
    }
}

/// What is in the picture, by falling score, and how many findings went into others.
#[derive(Debug)]
pub(super) struct Merged {
    pub all: Vec<Found>,
    pub merged: usize,
}

/// Makes one of what several tiles found of the same object. Objects of different classes, and what one tile found apart, stay
/// apart.
///
/// - Of those that tiles saw whole, the one that scores best is kept.
/// - What an edge cut goes into the whole ones that cover most of it, whichever tile saw them: it is seen better elsewhere. Where
///   that is one of another tile, it gets the better score of the two.
/// - Pieces of what is whole nowhere are joined where they agree on what both tiles see; of one tile, one piece.
pub(super) fn merge(tiles: &[Tile], mut found: Vec<Found>) -> Merged {
    // Equal scores by place, so that the order in which tiles were done is of no matter.
    let key = |f: &Found| (tiles[f.tile].y, tiles[f.tile].x, f.item.bbox.map(f32::to_bits), f.item.label);
    found.sort_by(|a, b| b.item.score.total_cmp(&a.item.score).then_with(|| key(a).cmp(&key(b))));
    let before = found.len();
    let (cut, whole): (Vec<Found>, Vec<Found>) = found.into_iter().partition(|f| f.cut);

    let (mut kept, mut at) = (Vec::<Found>::with_capacity(whole.len()), Squares::default());
    for found in whole {
        let same = |&i: &usize| mostly(kept[i].shared(&found), kept[i].area().min(found.area()));
        if !at.near(found.region()).iter().any(same) {
            at.put(kept.len(), found.region());
            kept.push(found);
        }
    }
    let mut pieces = Vec::with_capacity(cut.len());
    for piece in cut {
        let near = at.near(piece.region());
        let covered = near.iter().map(|&i| kept[i].overlap(&piece)).sum();
        // The best score of those, which is the first.
        if let Some(&i) = near.iter().find(|&&i| mostly(kept[i].shared(&piece), piece.area())) {
            kept[i].item.score = kept[i].item.score.max(piece.item.score);
        } else if !mostly(covered, piece.area()) {
            pieces.push(piece);
        }
    }
    kept.extend(join(tiles, pieces));
    kept.sort_by(|a, b| b.item.score.total_cmp(&a.item.score).then_with(|| key(a).cmp(&key(b))));
    Merged { merged: before - kept.len(), all: kept }
}

/// Joins the pieces of one object, those that agree best first.
fn join(tiles: &[Tile], pieces: Vec<Found>) -> Vec<Found> {
    let mut at = Squares::default();
    pieces.iter().enumerate().for_each(|(i, piece)| at.put(i, piece.region()));
    let mut pairs = Vec::new();
    for (i, a) in pieces.iter().enumerate() {
        for j in at.near(a.region()).into_iter().filter(|&j| j > i) {
            pairs.extend(agreement(tiles, a, &pieces[j]).map(|share| (share, i, j)));
        }
    }
    pairs.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    // Which object each piece belongs to, by its first piece; and the pieces of each.
    let mut of: Vec<usize> = (0..pieces.len()).collect();
    let mut members: Vec<Vec<usize>> = (0..pieces.len()).map(|i| vec![i]).collect();
    for (_, i, j) in pairs {
        let (a, b) = (of[i].min(of[j]), of[i].max(of[j]));
        // What a tile sees apart is no one object.
        let apart = |&m: &usize| members[b].iter().any(|&n| pieces[m].tile == pieces[n].tile);
        if a == b || members[a].iter().any(apart) {
            continue;
        }
        let more = std::mem::take(&mut members[b]);
        more.iter().for_each(|&m| of[m] = a);
        members[a].extend(more);
    }
    let mut pieces: Vec<Option<Found>> = pieces.into_iter().map(Some).collect();
    let mut take = |i: usize| pieces[i].take();
    let objects =
        members.into_iter().filter_map(|members| members.into_iter().filter_map(&mut take).reduce(|a, b| a.joined(&b)));
    objects.collect()
}

/// How well two pieces agree where both tiles look, as intersection over union there; nothing where they are not of one
/// object. Beyond that, one sees what the other cannot.
fn agreement(tiles: &[Tile], a: &Found, b: &Found) -> Option<f64> {
    let shared = a.shared(b);
    let zone = tiles[a.tile].shared(&tiles[b.tile]).filter(|_| shared > 0)?;
    let (in_a, in_b) = (a.region().area_within(zone), b.region().area_within(zone));
    let smaller = in_a.min(in_b);
    mostly(shared, smaller).then(|| shared as f64 / (in_a + in_b - shared).max(1) as f64)
}
