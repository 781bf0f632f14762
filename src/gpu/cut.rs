//! How a run is cut into slices, and its steps into shares: by what each step takes, as far as that can be told.

use std::ops::Range;

/// Shares of a step: one that would need more is slow beyond use.
pub(super) const MOST_SHARES: u32 = 256;

/// Where steps were measured, cuts aim at this share of what is asked for: times vary.
pub(super) const AIM: f64 = 0.75;

/// A cut stays as it is while its longest slice is expected to take what is asked for, or no more than so many times what the
/// longest of a new one would: that binds steps anew.
const TOLERATED: f64 = 1.25;

/// … and while a new one would have no fewer slices than this share of it.
const FEWER: f64 = 0.75;

/// One dispatch of a run: a step, or a share of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dispatch {
    pub step: usize,
    /// Which of its shares, where it is cut.
    pub share: Option<usize>,
}

impl Dispatch {
    /// A step as a whole.
    pub(super) fn whole(step: usize) -> Self {
        Self { step, share: None }
    }
}

/// A part of a grid: its first workgroup, and how many along each axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Share {
    pub first: [u32; 3],
    pub grid: [u32; 3],
}

/// How a run is cut: in how many shares each step is done, and which dispatches go into each submit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Cut {
    dispatches: Vec<Dispatch>,
    slices: Vec<Range<usize>>,
}

impl Cut {
    /// Every step as a whole, in one submit.
    pub(super) fn none(steps: usize) -> Self {
        Self { dispatches: (0..steps).map(Dispatch::whole).collect(), slices: std::iter::once(0..steps).collect() }
    }

    /// Steps of so many seconds, so that no submit takes longer than `within` and no dispatch longer than half of it. A step
    /// can be cut in as many shares as `most` says.
    pub(super) fn within(within: f64, seconds: &[f64], most: &[u32]) -> Self {
        let (mut dispatches, mut slices) = (Vec::new(), Vec::new());
        let (mut begin, mut taken) = (0, 0.0);
        for (step, (&seconds, &most)) in seconds.iter().zip(most).enumerate() {
            let shares = ((seconds / (within / 2.0)).ceil() as usize).clamp(1, most.max(1) as usize);
            for share in 0..shares {
                let takes = seconds / shares as f64;
                if taken + takes > within && dispatches.len() > begin {
                    slices.push(begin..dispatches.len());
                    (begin, taken) = (dispatches.len(), 0.0);
                }
                taken += takes;
                dispatches.push(Dispatch { step, share: (shares > 1).then_some(share) });
            }
        }
        slices.push(begin..dispatches.len());
        Self { dispatches, slices }
    }

    /// The dispatches of each slice.
    pub(super) fn slices(&self) -> impl Iterator<Item = &[Dispatch]> {
        self.slices.iter().map(|slice| &self.dispatches[slice.clone()])
    }

    /// Slices that there are.
    pub(super) fn count(&self) -> usize {
        self.slices.len()
    }

    /// In how many shares a step is done.
    pub(super) fn shares_of(&self, step: usize) -> usize {
        self.dispatches.iter().filter(|d| d.step == step).count()
    }

    /// Seconds of each slice, where steps take so many.
    fn takes(&self, seconds: &[f64]) -> Vec<f64> {
        let shares = self.counts(seconds.len());
        let takes = |d: &Dispatch| seconds[d.step] / f64::from(shares[d.step]);
        self.slices.iter().map(|slice| self.dispatches[slice.clone()].iter().map(takes).sum()).collect()
    }

    /// In how many dispatches each step is done.
    fn counts(&self, steps: usize) -> Vec<u32> {
        let mut counts = vec![0; steps];
        self.dispatches.iter().for_each(|d| counts[d.step] += 1);
        counts
    }

    /// Seconds of each step, where slices took so long, and steps were expected to take `seconds`: what a slice took is its
    /// steps' by what was expected of them. Of a slice that was not measured, that stays.
    pub(super) fn shared_out(&self, took: &[f64], seconds: &[f64]) -> Vec<f64> {
        let shares = self.counts(seconds.len());
        let mut out = vec![0.0; seconds.len()];
        for (i, (slice, expected)) in self.slices.iter().zip(self.takes(seconds)).enumerate() {
            let factor = took.get(i).map_or(1.0, |took| took / expected.max(f64::MIN_POSITIVE));
            for d in &self.dispatches[slice.clone()] {
                out[d.step] += seconds[d.step] / f64::from(shares[d.step]) * factor;
            }
        }
        out
    }

    /// Whether to go on with this cut, though another would be made now.
    pub(super) fn does(&self, fresh: &Self, within: f64, seconds: &[f64]) -> bool {
        let longest = |cut: &Self| cut.takes(seconds).into_iter().fold(0.0, f64::max);
        // What cannot be cut finer is none the better for another cut.
        longest(self) <= within.max(TOLERATED * longest(fresh))
            && fresh.slices.len() as f64 >= FEWER * self.slices.len() as f64
    }

    /// Shares of each step that is cut.
    pub(super) fn shared(&self) -> impl Iterator<Item = (usize, usize)> {
        self.dispatches
            .chunk_by(|a, b| a.step == b.step)
            .filter(|all| all.len() > 1)
            .map(|all| (all[0].step, all.len()))
    }
}

/// The parts of a grid, cut along its longest axis.
pub(super) fn shares(grid: [u32; 3], count: usize) -> Vec<Share> {
    let axis = longest(grid);
    let at = |i: usize| (u64::from(grid[axis]) * i as u64 / count as u64) as u32;
    let share = |i| {
        let mut share = Share { first: [0; 3], grid };
        share.first[axis] = at(i);
        share.grid[axis] = at(i + 1) - at(i);
        share
    };
    (0..count).map(share).collect()
}

pub(super) fn longest(grid: [u32; 3]) -> usize {
    (0..3).max_by_key(|&axis| (grid[axis], 3 - axis)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_s_shares_are_the_grid() {
        for (grid, count) in [([7, 3, 1], 7), ([7, 3, 1], 2), ([2, 65535, 1], 9), ([1, 5, 5], 3)] {
            let all = shares(grid, count);
            let axis = all[0].grid.iter().zip(grid).position(|(a, b)| *a != b).unwrap();
            assert_eq!(grid[axis], *grid.iter().max().unwrap());
            let mut next = 0;
            for share in &all {
                assert!(share.grid[axis] > 0 && share.first[axis] == next, "{all:?}");
                assert!((0..3).all(|a| a == axis || (share.first[a], share.grid[a]) == (0, grid[a])), "{all:?}");
                next += share.grid[axis];
            }
            assert_eq!(next, grid[axis]);
        }
    }

    #[test]
    fn no_submit_is_longer_than_asked_for_where_steps_can_be_cut() {
        let (seconds, most) = ([0.1, 0.3, 1.1, 0.05, 0.2, 3.0], [1, 9, 100, 9, 9, 1]);
        let cut = Cut::within(0.5, &seconds, &most);
        let shares: Vec<(usize, usize)> = cut.shared().collect();
        assert_eq!(shares, [(1, 2), (2, 5)]);
        let takes = |d: &Dispatch| {
            let count = shares.iter().find(|(step, _)| *step == d.step).map_or(1, |s| s.1);
            seconds[d.step] / count as f64
        };
        let each: Vec<f64> = cut.slices.iter().map(|s| cut.dispatches[s.clone()].iter().map(takes).sum()).collect();
        // The last cannot be cut.
        let (last, others) = each.split_last().unwrap();
        assert!(others.iter().all(|&s| s <= 0.5 + 1e-9) && *last == 3.0, "{each:?}");
        assert_eq!(each.len(), 5, "no more submits than it takes: {each:?}");
        assert_eq!(cut.dispatches.len(), cut.slices.last().unwrap().end);
        assert_eq!(Cut::within(10.0, &seconds, &most), Cut::none(6));
    }

    #[test]
    fn what_slices_took_is_their_steps() {
        // The second step is three times as slow as expected, and the others as fast.
        let (expected, most) = ([0.1, 0.4, 0.1], [1, 9, 1]);
        let real = [0.1, 1.2, 0.1];
        let mut seconds = expected.to_vec();
        for _ in 0..4 {
            let cut = Cut::within(0.2, &seconds, &most);
            seconds = cut.shared_out(&cut.takes(&real), &seconds);
            assert!((seconds.iter().sum::<f64>() - 1.4).abs() < 1e-9, "no time is lost: {seconds:?}");
        }
        let cut = Cut::within(0.2, &seconds, &most);
        let longest = cut.takes(&real).into_iter().fold(0.0, f64::max);
        assert!(longest < 1.1 * 0.2, "{longest} by {seconds:?}");
        // What was not measured stays as it was.
        let cut = Cut::within(0.2, &expected, &most);
        assert_eq!(cut.shared_out(&[], &expected), expected);
    }

    #[test]
    fn a_cut_that_does_is_kept() {
        let most = [9; 4];
        let cut = Cut::within(0.2, &[0.1; 4], &most);
        let does = |seconds: [f64; 4]| cut.does(&Cut::within(0.2, &seconds, &most), 0.2, &seconds);
        assert!(does([0.1; 4]) && does([0.105, 0.09, 0.1, 0.09]));
        assert!(!does([0.1, 0.16, 0.1, 0.1]), "a slice of 0.26");
        assert!(!does([0.01; 4]), "one slice would do");
    }
}
