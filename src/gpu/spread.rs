//! How a step's time is spread over its grid. Rows that are dead take none, and levels of a pyramid differ: shares that are to take
//! alike are not alike in size.

use std::ops::Range;

/// Shares of a step: one that would need more is slow beyond use.
pub(super) const MOST_SHARES: u32 = 256;

/// What took nothing in the last run may take something in the next: it counts as this share of what takes most.
const LEAST: f64 = 1.0 / 8.0;

/// A part of a grid: its first workgroup, and how many along each axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Share {
    pub first: [u32; 3],
    pub grid: [u32; 3],
}

/// Cells of a grid in order: rows along its longest axis, and in each the cells along the next one. A span has whole rows, or cells
/// of one row.
pub(super) type Span = Range<u64>;

/// Seconds of a step, by where they go.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Spread {
    rows: u64,
    /// Of a row.
    cells: u64,
    /// Where each piece ends, and what it takes; evenly, as far as is known.
    pieces: Vec<(u64, f64)>,
}

impl Spread {
    /// The same everywhere.
    pub(super) fn even(grid: [u32; 3], seconds: f64) -> Self {
        let (row, cell) = axes(grid);
        let [rows, cells] = [row, cell].map(|axis| u64::from(grid[axis].max(1)));
        Self { rows, cells, pieces: vec![(rows * cells, seconds)] }
    }

    /// In all.
    pub(super) fn seconds(&self) -> f64 {
        self.pieces.iter().map(|piece| piece.1).sum()
    }

    /// All of it, so many times as long.
    pub(super) fn scaled(mut self, by: f64) -> Self {
        self.pieces.iter_mut().for_each(|piece| piece.1 *= by);
        self
    }

    /// Of a span.
    pub(super) fn of(&self, span: &Span) -> f64 {
        self.ranges()
            .map(|(range, seconds)| {
                let both = range.end.min(span.end).saturating_sub(range.start.max(span.start));
                seconds * both as f64 / (range.end - range.start) as f64
            })
            .sum()
    }

    /// By what its spans, in order, have taken.
    pub(super) fn measured(&self, took: &[(Span, f64)]) -> Self {
        let dense = took.iter().map(|(span, seconds)| seconds / (span.end - span.start) as f64).fold(0.0, f64::max);
        let least = |span: &Span| LEAST * dense * (span.end - span.start) as f64;
        let pieces = took.iter().map(|(span, seconds)| (span.end, seconds.max(least(span)))).collect();
        Self { pieces, ..*self }
    }

    /// Spans that take no longer than `most` each, where cells are fine enough for that; none where it need not be cut.
    pub(super) fn cut(&self, most: f64) -> Vec<Span> {
        let seconds = self.seconds();
        if seconds <= most || self.rows * self.cells == 1 {
            return Vec::new();
        }
        // Two spans side by side take longer than `most`, so that there are few enough of them.
        let most = most.max(2.0 * seconds / f64::from(MOST_SHARES - 1));
        let mut spans: Vec<Span> = Vec::new();
        let mut taken = 0.0;
        for row in 0..self.rows {
            let span = row * self.cells..(row + 1) * self.cells;
            let takes = self.of(&span);
            let parts = ((takes / most).ceil() as u64).clamp(1, self.cells);
            match spans.last_mut().filter(|_| parts == 1 && taken + takes <= most) {
                Some(last) => {
                    last.end = span.end;
                    taken += takes;
                }
                None => {
                    let at = |part: u64| span.start + self.cells * part / parts;
                    spans.extend((0..parts).map(|part| at(part)..at(part + 1)));
                    // Nothing is joined to a part of a row.
                    taken = if parts == 1 { takes } else { f64::INFINITY };
                }
            }
        }
        spans
    }

    fn ranges(&self) -> impl Iterator<Item = (Span, f64)> {
        let begins = std::iter::once(0).chain(self.pieces.iter().map(|piece| piece.0));
        begins.zip(&self.pieces).map(|(begin, &(end, seconds))| (begin..end, seconds))
    }
}

/// A span's part of the grid.
pub(super) fn share(grid: [u32; 3], span: &Span) -> Share {
    let (row, cell) = axes(grid);
    let cells = u64::from(grid[cell].max(1));
    let mut share = Share { first: [0; 3], grid };
    share.first[row] = (span.start / cells) as u32;
    if span.start.is_multiple_of(cells) && span.end.is_multiple_of(cells) {
        share.grid[row] = ((span.end - span.start) / cells) as u32;
    } else {
        share.grid[row] = 1;
        share.first[cell] = (span.start % cells) as u32;
        share.grid[cell] = (span.end - span.start) as u32;
    }
    share
}

/// The same part of another grid, along its longest axis: spans in order are parts in order.
pub(super) fn share_of(of: [u32; 3], span: &Span, grid: [u32; 3]) -> Share {
    let (longest, next) = axes(of);
    let all = u64::from(of[longest]) * u64::from(of[next]);
    let (row, _) = axes(grid);
    let [begin, end] = [span.start, span.end].map(|at| (u64::from(grid[row]) * at / all) as u32);
    let mut share = Share { first: [0; 3], grid };
    share.first[row] = begin;
    share.grid[row] = end - begin;
    share
}

/// The longest axis, and the next.
fn axes(grid: [u32; 3]) -> (usize, usize) {
    let mut axes = [0, 1, 2];
    axes.sort_by_key(|&axis| (std::cmp::Reverse(grid[axis]), axis));
    (axes[0], axes[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every workgroup of a share.
    fn workgroups(share: &Share) -> Vec<[u32; 3]> {
        let [x, y, z] = [0, 1, 2].map(|a| share.first[a]..share.first[a] + share.grid[a]);
        let mut all = Vec::new();
        for z in z {
            for y in y.clone() {
                all.extend(x.clone().map(|x| [x, y, z]));
            }
        }
        all
    }

    #[test]
    fn spans_are_the_grid_and_take_no_longer_than_they_may() {
        for grid in [[7, 3, 1], [2, 300, 1], [8, 1, 8], [3, 5, 5], [1, 1, 1], [9, 2, 4]] {
            for most in [2.0, 0.4, 0.1, 0.03] {
                let spread = Spread::even(grid, 1.0);
                let spans = spread.cut(most);
                let shares: Vec<Share> = spans.iter().map(|span| share(grid, span)).collect();
                if shares.is_empty() {
                    assert!(most >= 1.0 || grid == [1; 3], "{grid:?} within {most}");
                    continue;
                }
                let mut all: Vec<[u32; 3]> = shares.iter().flat_map(workgroups).collect();
                let count = all.len();
                all.sort_unstable();
                all.dedup();
                let want = grid.iter().product::<u32>() as usize;
                assert_eq!((count, all.len()), (want, want), "{grid:?} {shares:?}");
                // The same, where it is parts of another grid.
                let others: Vec<Share> = spans.iter().map(|span| share_of(grid, span, [1, 700, 2])).collect();
                assert_eq!(others.iter().map(|share| share.grid[1]).sum::<u32>(), 700, "{others:?}");
                assert!(others.windows(2).all(|w| w[0].first[1] + w[0].grid[1] == w[1].first[1]), "{others:?}");
                // A cell of the two longest axes is the finest that there is.
                let cell = 1.0 / (spread.rows * spread.cells) as f64;
                let longest = spans.iter().map(|span| spread.of(span)).fold(0.0, f64::max);
                assert!(longest <= most + cell, "{grid:?}: {longest} where {most} is allowed");
            }
        }
    }

    #[test]
    fn dead_rows_are_not_cut_as_fine_as_living_ones() {
        let grid = [4, 300, 1];
        // Of 300 rows, the first 30 take all.
        let real = |span: &Span| (span.end.min(120) - span.start.min(120)) as f64 / 120.0;
        let mut spread = Spread::even(grid, 1.0);
        for _ in 0..6 {
            let took: Vec<(Span, f64)> = spread.cut(0.1).into_iter().map(|span| (span.clone(), real(&span))).collect();
            assert!(took.iter().map(|t| t.1).sum::<f64>() > 0.999);
            spread = spread.measured(&took);
        }
        let spans = spread.cut(0.1);
        let longest = spans.iter().map(real).fold(0.0, f64::max);
        assert!(longest < 0.15, "{longest} of {spans:?}");
        assert!(spans.len() < 40, "{} spans", spans.len());
        // Were all of them to live at once, no span would take beyond use.
        assert!(spans.iter().all(|span| span.end - span.start <= 120), "{spans:?}");
    }

    #[test]
    fn few_enough_shares() {
        for grid in [[65_535, 1, 1], [40, 40, 1]] {
            let spans = Spread::even(grid, 100.0).cut(1e-3);
            assert!(spans.len() <= MOST_SHARES as usize && spans.len() > 100, "{} of {grid:?}", spans.len());
        }
    }
}
