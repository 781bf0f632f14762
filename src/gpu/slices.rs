//! A run in slices: several submits, so that none takes so long that the system takes the device for hung and ends it
//! (Windows does after two seconds, Linux and macOS after some), and so that others get their turn on the device. A step that
//! is too long by itself is cut along its grid.
//!
//! Before the first run, steps take what is predicted for a slow device of the kind; after it, what was measured.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::cut::{Aim, Cut, Dispatch};
use super::device::{Device, lock};
use super::pipeline::{Checks, Extent, Pipeline};
use super::runner::{BoundStep, Runner};
use super::spread::{MOST_SHARES, Share, Spread, share};
use crate::Result;
use crate::graph::Plan;
use crate::target::Speeds;

/// Seconds within which submits stay where nobody says otherwise: watchdogs wait for two, and predictions are rough.
const SUBMIT: f64 = 0.5;

/// A step that may once be cut takes more than this share of a slice, the reciprocal.
const SOON: f64 = 8.0;

/// What a slice takes that has nothing to do is no step's: the least that any took, and no more than this share of a slice.
const IDLE: f64 = 0.1;

/// Seconds that drawing a pixel takes on what is predicted for, of each of the two shaders that draw.
const PIXEL: f64 = 5e-9;

/// A drawing's grid, as it is cut: equal parts of it, whatever it is.
pub(super) const DRAWN: [u32; 3] = [MOST_SHARES, 1, 1];

/// Offsets into the buffer of first workgroups are multiples of this, which every device accepts.
pub(super) const ALIGN: usize = 256;

/// A step that is done in shares.
struct Shared {
    /// The step as it is bound for that.
    bound: BoundStep,
    shares: Vec<Share>,
    /// Where each share's first workgroup stands.
    first_at: Vec<u32>,
}

/// What drawing takes.
struct Drawn {
    /// Of so many pixels.
    pixels: u64,
    /// Each of the two shaders.
    takes: Vec<Spread>,
    /// It was measured, and not predicted.
    measured: bool,
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
    /// The grid of each step.
    grids: Vec<[u32; 3]>,
    /// What each step takes by what slices took, where they were measured one by one.
    learned: Option<Vec<Spread>>,
    /// How drawing is cut, which comes after the steps: ids, and their picture.
    pub drawing: Cut,
    drawn: Option<Drawn>,
    /// What cuts by measured times aim at.
    aim: Aim,
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
            grids: grids(plan),
            ratio: Arc::new(Mutex::new(1.0)),
            learned: None,
            drawing: Cut::none(2),
            drawn: None,
            aim: Aim::FIRST,
            cut_for: 0.0,
            cut: Cut::none(steps),
            shared: (0..steps).map(|_| None).collect(),
            firsts: None,
        }
    }

    /// The steps have changed.
    pub(super) fn replan(&mut self, plan: &Plan) {
        self.predicted = plan.predict(self.assumed).iter().map(|p| p.seconds).collect();
        self.grids = grids(plan);
        self.learned = None;
        self.cut_for = 0.0;
    }

    /// What each step takes, as far as times can be told.
    fn takes(&self, ratio: f64) -> Vec<Spread> {
        let even = |(&grid, &seconds): (&[u32; 3], &f64)| Spread::even(grid, seconds * ratio);
        self.learned.clone().unwrap_or_else(|| self.grids.iter().zip(&self.predicted).map(even).collect())
    }

    /// The slots have changed.
    pub(super) fn forget_bindings(&mut self) {
        self.shared.iter_mut().flatten().for_each(|s| s.bound.bind_group = None);
    }

    /// The dispatches of each submit.
    pub(super) fn slices(&self) -> impl Iterator<Item = &[Dispatch]> {
        self.cut.slices()
    }

    /// What hears how long a run took that begins now.
    pub(super) fn stopwatch(&self) -> Option<Stopwatch> {
        let predicted = self.predicted.iter().sum();
        self.within.map(|_| Stopwatch { begin: Instant::now(), predicted, ratio: self.ratio.clone() })
    }
}

fn grids(plan: &Plan) -> Vec<[u32; 3]> {
    plan.steps.iter().map(|step| step.launch.grid).collect()
}

/// What a step is thought to take after a run in which it took `now`. Whatever else is at the device makes it slower, and never faster:
/// it is believed at once that it takes less, and half of it that it takes more.
fn believed(before: &Spread, now: Spread) -> Spread {
    let (before, took) = (before.seconds(), now.seconds());
    if took > before { now.scaled((before + took) / (2.0 * took)) } else { now }
}

/// The same of several steps; what was predicted is no belief to hold them against.
fn all_believed(before: Option<&Vec<Spread>>, now: Vec<Spread>) -> Vec<Spread> {
    match before {
        Some(before) => before.iter().zip(now).map(|(before, now)| believed(before, now)).collect(),
        None => now,
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
            let all: f64 = learned.iter().map(Spread::seconds).sum();
            let factor = duration.as_secs_f64() / all.max(f64::MIN_POSITIVE);
            *learned = std::mem::take(learned).into_iter().map(|step| step.scaled(factor)).collect();
        }
    }

    /// Tells how long the device was at each slice of a run that somebody else submitted, and then at each of its drawing. A slice's
    /// time is shared out among its steps; the next run is cut by that, and no longer by predictions.
    pub fn slices_took(&mut self, durations: &[Duration]) {
        let ratio = *lock(&self.slicing.ratio);
        let takes = self.slicing.takes(ratio);
        let took = durations.iter().map(Duration::as_secs_f64);
        if let Some(within) = self.slicing.within.filter(|_| self.slicing.learned.is_some()) {
            self.slicing.aim.hears(&took.clone().collect::<Vec<_>>(), &self.slicing.cut.takes(&takes), within);
        }
        let least = took.clone().fold(f64::INFINITY, f64::min).min(IDLE * self.slicing.within.unwrap_or(SUBMIT));
        // Never nothing: what takes nothing today, as no RoI is live, would never be thought to take anything again.
        let took: Vec<f64> = took.map(|took| took - least.min(0.9 * took)).collect();
        let network = self.submits();
        if let (Some(drawn), Some(took)) = (&mut self.slicing.drawn, took.get(network..)) {
            let now = self.slicing.drawing.shared_out(took, &drawn.takes);
            let before = drawn.measured.then_some(&drawn.takes);
            drawn.takes = all_believed(before, now);
            drawn.measured = true;
        }
        let now = self.slicing.cut.shared_out(&took, &takes);
        self.slicing.learned = Some(all_believed(self.slicing.learned.as_ref(), now));
    }

    /// Cuts the drawing of so many pixels, of ids alone or of their picture too; says in how many slices.
    pub(super) fn cut_drawing(&mut self, pixels: u64, tints: bool, within: f64) -> usize {
        let ratio = *lock(&self.slicing.ratio);
        let even = || Spread::even(DRAWN, PIXEL * ratio * pixels as f64);
        let fresh = || Drawn { pixels, takes: vec![even(), even()], measured: false };
        let drawn = self.slicing.drawn.take().filter(|drawn| drawn.pixels == pixels).unwrap_or_else(fresh);
        let tint = if tints { drawn.takes[1].clone() } else { Spread::even(DRAWN, 0.0) };
        let both = [drawn.takes[0].clone(), tint];
        self.slicing.drawn = Some(drawn);
        let aim = self.slicing.aim;
        let cut = Cut::within(aim.of(within), &both);
        if !self.slicing.drawing.does(&cut, aim.tolerates(within), &both) {
            self.slicing.drawing = cut;
        }
        self.slicing.drawing.count()
    }

    /// Submits that a run takes.
    pub fn submits(&self) -> usize {
        self.slicing.cut.count()
    }

    /// Cuts runs anew where what was measured asks for it, and binds what is cut.
    pub(super) fn cut(&mut self) -> Result<()> {
        let Some(within) = self.slicing.within else { return Ok(()) };
        let ratio = *lock(&self.slicing.ratio);
        let slower = ratio > self.slicing.cut_for || ratio < 0.5 * self.slicing.cut_for;
        if slower || self.slicing.learned.is_some() {
            let takes = self.slicing.takes(ratio);
            let (aim, learned) = (self.slicing.aim, self.slicing.learned.is_some());
            let cut = Cut::within(if learned { aim.of(within) } else { within }, &takes);
            let known = learned && self.slicing.cut_for > 0.0;
            let stays = cut == self.slicing.cut || known && self.slicing.cut.does(&cut, aim.tolerates(within), &takes);
            self.slicing.cut_for = ratio;
            if !stays {
                self.take_up(cut)?;
                // So that later cuts have nothing to compile.
                let soon =
                    |i: &usize| self.slicing.grids[*i].iter().any(|&n| n > 1) && SOON * takes[*i].seconds() > within;
                (0..takes.len()).filter(soon).try_for_each(|i| self.share_pipeline(i).map(drop))?;
            }
        }
        self.bind_shares()
    }

    /// Compiles what a cut needs.
    fn take_up(&mut self, cut: Cut) -> Result<()> {
        self.ahead = None;
        let mut shared: Vec<Option<Shared>> = self.steps.iter().map(|_| None).collect();
        let mut firsts: Vec<u8> = Vec::new();
        for i in (0..self.steps.len()).filter(|&i| !cut.spans(i).is_empty()) {
            let pipeline = self.share_pipeline(i)?;
            let shares: Vec<Share> = cut.spans(i).iter().map(|span| share(self.slicing.grids[i], span)).collect();
            let mut first_at = Vec::with_capacity(shares.len());
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
