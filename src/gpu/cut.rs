//! How a run is cut into slices, and its steps into shares: by what each step takes, as far as that can be told.

use std::ops::Range;

use super::spread::{Span, Spread};

/// The share of what a slice may take that cuts aim at, where steps were measured: times scatter, on a CPU twofold. It falls with each
/// slice that took longer than it may, and rises with each other, so that about one in a hundred is too long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Aim(f64);

impl Aim {
    /// That of the first cut, when nobody knows yet.
    pub(super) const FIRST: Self = Self(0.6);
    const LEAST: f64 = 0.4;
    const MOST: f64 = 0.9;
    /// What a slice that was too long lowers it by, and any other raises it by.
    const LOWERS: f64 = 0.05;
    const RAISES: f64 = 0.0005;
    /// The most that one run lowers it by: if all were too long, that is not their scatter.
    const AT_ONCE: f64 = 0.2;
    /// Slices of an earlier cut may be longer than what is aimed at now, but no longer than they may.
    const LENIENT: f64 = 4.0 / 3.0;

    /// Seconds to cut for, where slices may take `within`.
    pub(super) fn of(self, within: f64) -> f64 {
        self.0 * within
    }

    /// Seconds that slices of an earlier cut may take.
    pub(super) fn tolerates(self, within: f64) -> f64 {
        within.min(Self::LENIENT * self.of(within))
    }

    /// Hears what slices took, and what was expected. What cannot be cut as fine as is asked for tells nothing.
    pub(super) fn hears(&mut self, took: &[f64], expected: &[f64], within: f64) {
        let (mut fit, mut over) = (0, 0);
        for (took, _) in took.iter().zip(expected).filter(|(_, expected)| **expected <= within) {
            if *took > within { over += 1 } else { fit += 1 }
        }
        let change = (1.0 - Self::LOWERS).powi(over) * (1.0 + Self::RAISES).powi(fit);
        self.0 = (self.0 * change.max(1.0 - Self::AT_ONCE)).clamp(Self::LEAST, Self::MOST);
    }
}

/// A cut stays as it is while its slices take no more than this share of a slice longer, all together, than they may.
const TOLERATED: f64 = 0.25;

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

/// How a run is cut: in which shares each step is done, and which dispatches go into each submit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Cut {
    dispatches: Vec<Dispatch>,
    slices: Vec<Range<usize>>,
    /// The shares of each step; none where it is done as a whole.
    spans: Vec<Vec<Span>>,
}

impl Cut {
    /// Every step as a whole, in one submit.
    pub(super) fn none(steps: usize) -> Self {
        Self {
            dispatches: (0..steps).map(Dispatch::whole).collect(),
            slices: std::iter::once(0..steps).collect(),
            spans: vec![Vec::new(); steps],
        }
    }

    /// Steps that take so long, so that no submit takes longer than `within` and no dispatch longer than half of it, where they can
    /// be cut that fine.
    pub(super) fn within(within: f64, steps: &[Spread]) -> Self {
        let mut cut = Self::default();
        let (mut begin, mut taken) = (0, 0.0);
        for (step, spread) in steps.iter().enumerate() {
            let spans = spread.cut(within / 2.0);
            let shares = match spans.is_empty() {
                true => vec![(None, spread.seconds())],
                false => spans.iter().enumerate().map(|(i, span)| (Some(i), spread.of(span))).collect(),
            };
            for (share, takes) in shares {
                if taken + takes > within && cut.dispatches.len() > begin {
                    cut.slices.push(begin..cut.dispatches.len());
                    (begin, taken) = (cut.dispatches.len(), 0.0);
                }
                taken += takes;
                cut.dispatches.push(Dispatch { step, share });
            }
            cut.spans.push(spans);
        }
        cut.slices.push(begin..cut.dispatches.len());
        cut
    }

    /// The dispatches of each slice.
    pub(super) fn slices(&self) -> impl Iterator<Item = &[Dispatch]> {
        self.slices.iter().map(|slice| &self.dispatches[slice.clone()])
    }

    /// Slices that there are.
    pub(super) fn count(&self) -> usize {
        self.slices.len()
    }

    /// The shares in which a step is done; none where it is done as a whole.
    pub(super) fn spans(&self, step: usize) -> &[Span] {
        &self.spans[step]
    }

    /// Seconds of a dispatch, where steps take so long.
    fn dispatch_takes(&self, steps: &[Spread], d: &Dispatch) -> f64 {
        let spread = &steps[d.step];
        d.share.map_or_else(|| spread.seconds(), |share| spread.of(&self.spans[d.step][share]))
    }

    /// Seconds of each slice.
    pub(super) fn takes(&self, steps: &[Spread]) -> Vec<f64> {
        self.slices().map(|slice| slice.iter().map(|d| self.dispatch_takes(steps, d)).sum()).collect()
    }

    /// What each step takes, where slices took so long, and steps were expected to take `steps`: what a slice took is its
    /// dispatches' by what was expected of them. Of a slice that was not measured, that stays.
    pub(super) fn shared_out(&self, took: &[f64], steps: &[Spread]) -> Vec<Spread> {
        let mut by_step: Vec<Vec<f64>> = vec![Vec::new(); steps.len()];
        for (i, (slice, expected)) in self.slices().zip(self.takes(steps)).enumerate() {
            let factor = took.get(i).map_or(1.0, |took| took / expected.max(f64::MIN_POSITIVE));
            slice.iter().for_each(|d| by_step[d.step].push(factor * self.dispatch_takes(steps, d)));
        }
        let step = |((spread, spans), took): ((&Spread, &Vec<Span>), Vec<f64>)| match spans.is_empty() {
            true => spread.clone().scaled(took.iter().sum::<f64>() / spread.seconds().max(f64::MIN_POSITIVE)),
            false => spread.measured(&spans.iter().cloned().zip(took).collect::<Vec<_>>()),
        };
        steps.iter().zip(&self.spans).zip(by_step).map(step).collect()
    }

    /// Whether to go on with this cut, though another would be made now: what slices take longer than they may is not much more than
    /// with that one, where some steps cannot be cut, nor has it far fewer slices. Another cut binds steps anew.
    pub(super) fn does(&self, fresh: &Self, within: f64, steps: &[Spread]) -> bool {
        let over = |cut: &Self| cut.takes(steps).iter().map(|took| (took - within).max(0.0)).sum::<f64>();
        over(self) <= over(fresh) + TOLERATED * within && fresh.slices.len() as f64 >= FEWER * self.slices.len() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Steps of so many seconds, in so many rows.
    fn even(steps: &[(f64, u32)]) -> Vec<Spread> {
        steps.iter().map(|&(seconds, rows)| Spread::even([rows, 1, 1], seconds)).collect()
    }

    fn longest(all: &[f64]) -> f64 {
        all.iter().copied().fold(0.0, f64::max)
    }

    #[test]
    fn no_submit_is_longer_than_asked_for_where_steps_can_be_cut() {
        let steps = even(&[(0.1, 1), (0.3, 9), (1.1, 100), (0.05, 9), (0.2, 9), (3.0, 1)]);
        let cut = Cut::within(0.5, &steps);
        let shares: Vec<usize> = cut.spans.iter().map(Vec::len).collect();
        assert_eq!(shares, [0, 2, 5, 0, 0, 0]);
        let each = cut.takes(&steps);
        // The last cannot be cut.
        let (last, others) = each.split_last().unwrap();
        assert!(others.iter().all(|&s| s <= 0.5 + 1e-9) && *last == 3.0, "{each:?}");
        assert_eq!(each.len(), 5, "no more submits than it takes: {each:?}");
        assert_eq!(cut.dispatches.len(), cut.slices.last().unwrap().end);
        assert_eq!(Cut::within(10.0, &steps), Cut::none(6));
    }

    /// Of slices whose times scatter about what is expected, few are too long in the end, however far they scatter.
    #[test]
    fn few_slices_are_too_long_however_they_scatter() {
        let within = 8e-3;
        // Three of a hundred take twice, a third more, or hardly more than is expected.
        for (longest, want) in [(2.0, 0.5), (4.0 / 3.0, 0.75), (1.02, Aim::MOST), (9.0, Aim::LEAST)] {
            let mut aim = Aim::FIRST;
            for _ in 0..100 {
                let expected = [aim.of(within); 100];
                let took: Vec<f64> = (1..=100).map(|i| expected[0] * if i > 97 { longest } else { 0.9 }).collect();
                aim.hears(&took, &expected, within);
            }
            assert!((aim.0 - want).abs() < 0.12 * want, "{aim:?} where {want} would do");
        }
        // What cannot be cut is no reason to cut others finer, nor is one slow run.
        let mut aim = Aim::FIRST;
        aim.hears(&[0.02; 50], &[0.02; 50], within);
        assert_eq!(aim, Aim::FIRST);
        aim.hears(&[0.02; 50], &[5e-3; 50], within);
        assert!(aim.0 >= 0.8 * Aim::FIRST.0 - 1e-9, "{aim:?}");
        assert!(Aim(0.9).tolerates(within) <= within && aim.tolerates(within) < 0.7 * within);
    }

    #[test]
    fn what_slices_took_is_their_steps() {
        // The second step is three times as slow as expected, and the others as fast.
        let expected = even(&[(0.1, 1), (0.4, 90), (0.1, 1)]);
        let real = even(&[(0.1, 1), (1.2, 90), (0.1, 1)]);
        let mut steps = expected.clone();
        for _ in 0..4 {
            let cut = Cut::within(0.2, &steps);
            steps = cut.shared_out(&cut.takes(&real), &steps);
            let all: f64 = steps.iter().map(Spread::seconds).sum();
            assert!((all - 1.4).abs() < 1e-9, "no time is lost: {steps:?}");
        }
        let longest = longest(&Cut::within(0.2, &steps).takes(&real));
        assert!(longest < 1.1 * 0.2, "{longest} by {steps:?}");
        // What was not measured stays as it was.
        let cut = Cut::within(0.2, &expected);
        let after = cut.shared_out(&[], &expected);
        let both = |a: &Spread, b: &Spread| (a.seconds() - b.seconds()).abs() < 1e-9;
        assert!(after.iter().zip(&expected).all(|(a, b)| both(a, b)), "{after:?}");
    }

    #[test]
    fn a_cut_that_does_is_kept() {
        let four = |seconds: [f64; 4]| even(&seconds.map(|s| (s, 9)));
        let cut = Cut::within(0.2, &four([0.1; 4]));
        let does = |seconds: [f64; 4]| cut.does(&Cut::within(0.2, &four(seconds)), 0.2, &four(seconds));
        assert!(does([0.1; 4]) && does([0.105, 0.09, 0.1, 0.09]));
        assert!(!does([0.1, 0.16, 0.1, 0.1]), "a slice of 0.26");
        assert!(!does([0.01; 4]), "one slice would do");
    }

    /// One step that nobody can cut is no excuse for others that can be.
    #[test]
    fn a_cut_is_not_kept_for_a_step_that_cannot_be_cut() {
        let steps = |second: f64| even(&[(0.8, 1), (second, 50)]);
        let cut = Cut::within(0.2, &steps(0.2));
        let does = |second: f64| cut.does(&Cut::within(0.2, &steps(second)), 0.2, &steps(second));
        assert!(does(0.2));
        assert!(!does(0.8), "slices of up to 0.4");
    }
}
