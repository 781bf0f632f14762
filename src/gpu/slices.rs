//! A run in slices: several submits, so that none takes so long that the system takes the device for hung and ends it
//! (Windows does after two seconds, Linux and macOS after some), and so that others get their turn on the device. A step that
//! is too long by itself is cut along its grid.
//!
//! Before the first run, steps take what is predicted for a slow device of the kind; after it, what was measured.

use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::device::{Device, lock};
use super::pipeline::{Checks, Extent, Pipeline};
use super::runner::{BoundStep, Runner};
use crate::Result;
use crate::graph::Plan;
use crate::target::Speeds;

/// Seconds within which submits stay where nobody says otherwise: watchdogs wait for two, and predictions are rough.
const SUBMIT: f64 = 0.5;

/// Shares of a step: one that would need more is slow beyond use.
const MOST_SHARES: u32 = 256;

/// A cut stays as it is while its longest slice is expected to take no more than so many times what is asked for: each new one
/// binds steps anew, and times vary.
const TOLERATED: f64 = 1.25;

/// A step that may once be cut takes more than this share of a slice, the reciprocal.
const SOON: f64 = 8.0;

/// … and while a new one would have no fewer slices than this share of it.
const FEWER: f64 = 0.75;

/// Offsets into the buffer of first workgroups are multiples of this, which every device accepts.
const ALIGN: usize = 256;

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
struct Share {
    first: [u32; 3],
    grid: [u32; 3],
}

/// How a run is cut: in how many shares each step is done, and which dispatches go into each submit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Cut {
    dispatches: Vec<Dispatch>,
    slices: Vec<Range<usize>>,
}

impl Cut {
    /// Every step as a whole, in one submit.
    fn none(steps: usize) -> Self {
        Self { dispatches: (0..steps).map(Dispatch::whole).collect(), slices: std::iter::once(0..steps).collect() }
    }

    /// Steps of so many seconds, so that no submit takes longer than `within` and no dispatch longer than half of it. A step
    /// can be cut in as many shares as `most` says.
    fn within(within: f64, seconds: &[f64], most: &[u32]) -> Self {
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
    fn shared_out(&self, took: &[f64], seconds: &[f64]) -> Vec<f64> {
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
    fn does(&self, fresh: &Self, within: f64, seconds: &[f64]) -> bool {
        let longest = |cut: &Self| cut.takes(seconds).into_iter().fold(0.0, f64::max);
        // What cannot be cut finer is none the better for another cut.
        longest(self) <= TOLERATED * within.max(longest(fresh))
            && fresh.slices.len() as f64 >= FEWER * self.slices.len() as f64
    }

    /// Shares of each step that is cut.
    fn shared(&self) -> impl Iterator<Item = (usize, usize)> {
        self.dispatches
            .chunk_by(|a, b| a.step == b.step)
            .filter(|all| all.len() > 1)
            .map(|all| (all[0].step, all.len()))
    }
}

/// The parts of a grid, cut along its longest axis.
fn shares(grid: [u32; 3], count: usize) -> Vec<Share> {
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

fn longest(grid: [u32; 3]) -> usize {
    (0..3).max_by_key(|&axis| (grid[axis], 3 - axis)).unwrap_or(0)
}

/// A step that is done in shares.
struct Shared {
    /// The step as it is bound for that.
    bound: BoundStep,
    shares: Vec<Share>,
    /// Where each share's first workgroup stands.
    first_at: Vec<u32>,
}

/// How a runner's runs are cut.
pub(super) struct Slicing {
    /// Seconds of a submit, where runs are cut at all.
    within: Option<f64>,
    assumed: &'static Speeds,
    /// Seconds of each step by the speeds that are assumed.
    predicted: Vec<f64>,
    /// Measured seconds to predicted ones.
    ratio: Arc<Mutex<f64>>,
    /// Seconds of each step by what slices took, where they were measured one by one.
    learned: Option<Vec<f64>>,
    /// The ratio for which `cut` was made; 0 for none.
    cut_for: f64,
    cut: Cut,
    shared: Vec<Option<Shared>>,
    firsts: Option<wgpu::Buffer>,
}

impl Slicing {
    pub(super) fn new(device: &Device, plan: &Plan) -> Self {
        let steps = plan.steps.len();
        let assumed = device.shared.assumed;
        Self {
            within: device.shared.target.pays.watchdog.then_some(SUBMIT),
            assumed,
            predicted: plan.predict(assumed).iter().map(|p| p.seconds).collect(),
            ratio: Arc::new(Mutex::new(1.0)),
            learned: None,
            cut_for: 0.0,
            cut: Cut::none(steps),
            shared: (0..steps).map(|_| None).collect(),
            firsts: None,
        }
    }

    /// The steps have changed.
    pub(super) fn replan(&mut self, plan: &Plan) {
        self.predicted = plan.predict(self.assumed).iter().map(|p| p.seconds).collect();
        self.learned = None;
        self.cut_for = 0.0;
    }

    /// Seconds of each step, as far as times can be told.
    fn seconds(&self, ratio: f64) -> Vec<f64> {
        let predicted = || self.predicted.iter().map(|s| s * ratio).collect();
        self.learned.clone().unwrap_or_else(predicted)
    }

    /// The slots have changed.
    pub(super) fn forget_bindings(&mut self) {
        self.shared.iter_mut().flatten().for_each(|s| s.bound.bind_group = None);
    }

    /// The dispatches of each submit.
    pub(super) fn slices(&self) -> impl Iterator<Item = &[Dispatch]> {
        self.cut.slices.iter().map(|slice| &self.cut.dispatches[slice.clone()])
    }

    /// What hears how long a run took that begins now.
    pub(super) fn stopwatch(&self) -> Option<Stopwatch> {
        let predicted = self.predicted.iter().sum();
        self.within.map(|_| Stopwatch { begin: Instant::now(), predicted, ratio: self.ratio.clone() })
    }
}

/// Runs while a run does.
pub(super) struct Stopwatch {
    begin: Instant,
    predicted: f64,
    ratio: Arc<Mutex<f64>>,
}

impl Stopwatch {
    /// The run is over.
    pub(super) fn stop(self) {
        measured(&self.ratio, self.begin.elapsed(), self.predicted);
    }
}

/// Holds a run's time against what was predicted. One that had little to do says little of the next: a ratio falls slowly, but
/// for the first, which was assumed.
fn measured(ratio: &Mutex<f64>, took: Duration, predicted: f64) {
    let measured = took.as_secs_f64() / predicted.max(f64::MIN_POSITIVE);
    let mut ratio = lock(ratio);
    *ratio = if *ratio == 1.0 { measured } else { measured.max(0.9 * *ratio) };
}

impl Runner {
    /// Cuts later runs into submits that take no longer than `within`, as far as times can be told, and into dispatches that
    /// take no longer than half of it. Results are the same to the bit.
    pub fn slice(&mut self, within: Duration) {
        let within = Some(within.as_secs_f64());
        if self.slicing.within != within {
            self.slicing.within = within;
            self.slicing.cut_for = 0.0;
        }
    }

    /// Tells how long the device was at a run that somebody else submitted.
    pub fn took(&mut self, duration: Duration) {
        measured(&self.slicing.ratio, duration, self.slicing.predicted.iter().sum());
        if let Some(learned) = &mut self.slicing.learned {
            let factor = duration.as_secs_f64() / learned.iter().sum::<f64>().max(f64::MIN_POSITIVE);
            learned.iter_mut().for_each(|s| *s *= factor);
        }
    }

    /// Tells how long the device was at each slice of a run that somebody else submitted. A slice's time is shared out among its
    /// steps; the next run is cut by that, and no longer by predictions.
    pub fn slices_took(&mut self, durations: &[Duration]) {
        let took: Vec<f64> = durations.iter().map(Duration::as_secs_f64).collect();
        let ratio = *lock(&self.slicing.ratio);
        let mut seconds = self.slicing.cut.shared_out(&took, &self.slicing.seconds(ratio));
        // One run may be disturbed; several in a row are not.
        if let Some(before) = &self.slicing.learned {
            seconds.iter_mut().zip(before).for_each(|(s, before)| *s = (*s + before) / 2.0);
        }
        self.slicing.learned = Some(seconds);
    }

    /// Submits that a run takes.
    pub fn submits(&self) -> usize {
        self.slicing.cut.slices.len()
    }

    /// Cuts runs anew where what was measured asks for it, and binds what is cut.
    pub(super) fn cut(&mut self) -> Result<()> {
        let Some(within) = self.slicing.within else { return Ok(()) };
        let ratio = *lock(&self.slicing.ratio);
        let slower = ratio > self.slicing.cut_for || ratio < 0.5 * self.slicing.cut_for;
        if slower || self.slicing.learned.is_some() {
            let seconds = self.slicing.seconds(ratio);
            let most: Vec<u32> =
                self.plan.steps.iter().map(|s| s.launch.grid[longest(s.launch.grid)].min(MOST_SHARES)).collect();
            let cut = Cut::within(within, &seconds, &most);
            let known = self.slicing.learned.is_some() && self.slicing.cut_for > 0.0;
            let stays = cut == self.slicing.cut || known && self.slicing.cut.does(&cut, within, &seconds);
            self.slicing.cut_for = ratio;
            if !stays {
                self.take_up(cut)?;
                // So that later cuts have nothing to compile.
                let soon = |i: &usize| most[*i] > 1 && SOON * seconds[*i] > within;
                (0..seconds.len()).filter(soon).try_for_each(|i| self.share_pipeline(i).map(drop))?;
            }
        }
        self.bind_shares()
    }

    /// Compiles what a cut needs.
    fn take_up(&mut self, cut: Cut) -> Result<()> {
        self.ahead = None;
        let mut shared: Vec<Option<Shared>> = self.steps.iter().map(|_| None).collect();
        let mut firsts: Vec<u8> = Vec::new();
        for (i, count) in cut.shared() {
            let pipeline = self.share_pipeline(i)?;
            let shares = shares(self.plan.steps[i].launch.grid, count);
            let mut first_at = Vec::with_capacity(count);
            for share in &shares {
                first_at.push(firsts.len() as u32);
                firsts.extend_from_slice(bytemuck::cast_slice(&share.first));
                firsts.resize(firsts.len().next_multiple_of(ALIGN), 0);
            }
            let bound = BoundStep { pipeline, bind_group: None, params_at: self.steps[i].params_at };
            shared[i] = Some(Shared { bound, shares, first_at });
        }
        let usage = wgpu::BufferUsages::UNIFORM;
        self.slicing.firsts =
            if firsts.is_empty() { None } else { Some(self.device.filled("first workgroups", &firsts, usage)?) };
        self.slicing.shared = shared;
        self.slicing.cut = cut;
        Ok(())
    }

    /// What does step `i` in shares.
    fn share_pipeline(&self, i: usize) -> Result<Arc<Pipeline>> {
        let step = &self.plan.steps[i];
        let kernel = self.plan.graph.nodes[step.op].op.name();
        self.device.pipeline(kernel, &step.variant, Checks::Off, Extent::Share)
    }

    fn bind_shares(&mut self) -> Result<()> {
        let unbound = |s: &Shared| s.bound.bind_group.is_none();
        if !self.slicing.shared.iter().flatten().any(unbound) {
            return Ok(());
        }
        let pool = self.pool.clone();
        let slots = lock(&pool.slots);
        for i in 0..self.steps.len() {
            let Some(shared) = &self.slicing.shared[i] else { continue };
            let pipeline: Arc<Pipeline> = shared.bound.pipeline.clone();
            let group = self.bind(&slots, i, &pipeline, self.slicing.firsts.as_ref())?;
            if let Some(shared) = &mut self.slicing.shared[i] {
                shared.bound.bind_group = Some(group);
            }
        }
        Ok(())
    }

    /// A share of a step. Rows that are dead are seen to be so: the grid is the whole's, whatever is live.
    pub(super) fn dispatch_share(&self, pass: &mut wgpu::ComputePass, step: usize, share: usize) {
        let Some(Shared { bound, shares, first_at }) = &self.slicing.shared[step] else { return };
        pass.set_pipeline(&bound.pipeline.pipeline);
        pass.set_bind_group(0, bound.bind_group.as_ref(), &[bound.params_at, first_at[share]]);
        let [x, y, z] = shares[share].grid;
        pass.dispatch_workgroups(x, y, z);
    }
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
        assert!(does([0.1; 4]) && does([0.12, 0.11, 0.1, 0.08]));
        assert!(!does([0.1, 0.16, 0.1, 0.1]), "a slice of 0.26");
        assert!(!does([0.01; 4]), "one slice would do");
    }
}
