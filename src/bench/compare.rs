//! Now against before. On one device both are run again, in turn, so that whatever else the machine does falls on both
//! alike; of another device, only the figures that it recorded can be set beside ours.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::measure::{Effort, Measured, Subject, alike};
use super::record::Entry;
use super::stats::{self, Summary};
use super::work::Work;
use crate::Result;
use crate::gpu::Device;
use crate::tensor::Value;

/// A change is not told from none below this: clocks, caches and the order of allocations do as much.
const LEAST: f64 = 0.02;

/// Pairs of runs: an interval of fewer is about their whole range, and that of several launches together needs more …
const LEAST_PAIRS: usize = 16;
/// … and more say little more.
const MOST_PAIRS: usize = 60;
/// An interval wider than this on either side of the median asks for further pairs.
const WIDE: f64 = 0.1;

/// What became of a launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Takes longer, beyond the uncertainty.
    Slower,
    /// Takes less, beyond the uncertainty.
    Faster,
    /// Neither can be told.
    Equal,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Slower => "slower",
            Self::Faster => "faster",
            Self::Equal => "equal",
        })
    }
}

/// Time now over time before, less 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// The median.
    pub change: f64,
    /// Lower end of what it may truly be.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Whether both compute the same; unknown where only one was run.
    pub same_result: Option<bool>,
}

impl Change {
    fn new(ratio: Summary, same_result: Option<bool>) -> Self {
        let change = ratio.median - 1.0;
        let (low, high) = ((ratio.low - 1.0).min(change - LEAST), (ratio.high - 1.0).max(change + LEAST));
        Self { change, low, high, same_result }
    }

    /// Of the same shader in the same launch, which need not be run to be told equal.
    pub fn none() -> Self {
        Self::new(Summary { median: 1.0, low: 1.0, high: 1.0, samples: 0 }, Some(true))
    }

    /// From the recorded figures alone. `miss`: how often the interval may be wrong; the recorded ones of 95 % are made
    /// wider for it as those of a normal distribution would be.
    pub fn of_records(now: &Summary, before: &Summary, miss: f64) -> Self {
        let wider = stats::wider(miss);
        let end = |of: &Summary, end: f64| of.median * (end / of.median).powf(wider);
        let ratio = Summary {
            median: now.median / before.median,
            low: end(now, now.low) / end(before, before.high),
            high: end(now, now.high) / end(before, before.low),
            samples: now.samples.min(before.samples),
        };
        Self::new(ratio, None)
    }

    /// What it means.
    pub fn verdict(&self) -> Verdict {
        match () {
            () if self.low > 0.0 => Verdict::Slower,
            () if self.high < 0.0 => Verdict::Faster,
            () => Verdict::Equal,
        }
    }

    /// Whether it is slower by more than `limit`, beyond the uncertainty.
    pub fn fails(&self, limit: f64) -> bool {
        self.low > limit
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |v: f64| format!("{:+.1} %", 100.0 * v);
        write!(f, "{} ({} to {})", percent(self.change), percent(self.low), percent(self.high))
    }
}

/// What becomes of the time where `new` takes the place of `old`: both are run in turn. `miss`: how often the interval may
/// be wrong.
///
/// # Errors
/// As [`Subject::sample`].
pub fn of_subjects(old: &mut Subject, new: &mut Subject, effort: Effort, miss: f64) -> Result<Change> {
    Ok(Change::new(ratio(old, new, effort, miss)?, None))
}

/// Runs what `before` recorded and what was just measured in turn. `miss`: how often the interval may be wrong.
///
/// # Errors
/// [`crate::Error::Shader`] where the recorded text does not compile here; otherwise as [`Subject::new`].
pub fn in_turn(
    device: &Device,
    work: &Work,
    inputs: &[Arc<Value>],
    now: &Measured,
    before: &Entry,
    effort: Effort,
    miss: f64,
) -> Result<Change> {
    let (variant, launch) = before.frozen(&now.variant);
    let mut old = Subject::new(device, work, inputs, &variant, Some(launch))?;
    let mut new = Subject::new(device, work, inputs, &now.variant, Some(now.launch.clone()))?;
    let same = alike(&old.outputs()?, &new.outputs()?);
    let ratio = ratio(&mut old, &mut new, effort, miss)?;
    Ok(Change::new(ratio, Some(same)))
}

/// Runs two in turn; gives the time of `new` over that of `old`.
fn ratio(old: &mut Subject, new: &mut Subject, effort: Effort, miss: f64) -> Result<Summary> {
    let time = |s: &mut Subject| s.sample().map(|r| r.gpu.filter(|_| !effort.wall).unwrap_or(r.wall));
    let begin = std::time::Instant::now();
    // Who goes first changes from pair to pair.
    let pair = |old_first: bool| -> Result<f64> {
        if old_first {
            let a = time(old)?;
            Ok(time(new)? / a)
        } else {
            let b = time(new)?;
            Ok(b / time(old)?)
        }
    };
    in_pairs(pair, || begin.elapsed().as_secs_f64() / effort.seconds, miss)
}

/// The ratios of pairs, as many as it takes. `spent` tells how much of the effort is.
fn in_pairs(mut pair: impl FnMut(bool) -> Result<f64>, mut spent: impl FnMut() -> f64, miss: f64) -> Result<Summary> {
    let (least, mut ratios) = (LEAST_PAIRS.max(stats::least(miss)), Vec::new());
    // Pairs go on until they say something: on a machine with other work they differ by more than what is looked for.
    // Only the interval's width decides when to stop, never the side on which it lies.
    loop {
        let spent = spent();
        let enough = ratios.len() >= least && spent >= 2.0;
        let narrow = || Summary::missing(&ratios, miss).spread() <= WIDE || spent >= 20.0;
        if ratios.len() >= MOST_PAIRS.max(least) || (enough && narrow()) {
            break;
        }
        ratios.push(pair(ratios.len().is_multiple_of(2))?);
    }
    Ok(Summary::missing(&ratios, miss))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    fn of(median: f64, low: f64, high: f64) -> Change {
        Change::new(Summary { median, low, high, samples: 9 }, None)
    }

    #[test]
    fn verdicts_respect_the_uncertainty() {
        assert_eq!(of(1.10, 1.05, 1.15).verdict(), Verdict::Slower);
        assert_eq!(of(0.90, 0.85, 0.95).verdict(), Verdict::Faster);
        assert_eq!(of(1.10, 0.95, 1.25).verdict(), Verdict::Equal);
        assert_eq!(of(1.01, 1.009, 1.011).verdict(), Verdict::Equal, "too small to be told");
        assert!(of(1.10, 1.08, 1.12).fails(0.05) && !of(1.10, 1.04, 1.16).fails(0.05));
        assert_eq!(of(1.5, 1.4, 1.6).to_string(), "+50.0 % (+40.0 % to +60.0 %)");
    }

    #[test]
    fn records_of_two_devices() {
        let s = |median: f64| Summary { median, low: 0.9 * median, high: 1.1 * median, samples: 7 };
        let change = Change::of_records(&s(2.0), &s(1.0), stats::MISS);
        assert_eq!(change.change, 1.0);
        assert_eq!(change.verdict(), Verdict::Slower);
        assert_eq!(Change::of_records(&s(1.05), &s(1.0), stats::MISS).verdict(), Verdict::Equal);
        // What is surely slower alone may be chance among many.
        let (now, before) = (s(1.25), s(1.0));
        assert_eq!(Change::of_records(&now, &before, stats::MISS).verdict(), Verdict::Slower);
        assert_eq!(Change::of_records(&now, &before, stats::each_of(100)).verdict(), Verdict::Equal);
    }

    /// A machine that others use: work comes and goes, and every sample has a tail. Gives the ratio of two samples of
    /// the same launch.
    fn busy(rng: &mut Rng) -> impl FnMut(bool) -> Result<f64> {
        let mut load = 1.0f64;
        move |old_first| {
            let mut sample = || {
                if rng.uniform(0.0, 1.0) < 0.15 {
                    load = 1.0 + 1.5 * f64::from(rng.uniform(0.0, 1.0));
                }
                let tail = f64::from(rng.uniform(0.0, 1.0)).max(0.02);
                load * (1.0 + 0.05 / tail)
            };
            let (first, second) = (sample(), sample());
            Ok(if old_first { second / first } else { first / second })
        }
    }

    /// Of 60 launches that did not change, how many runs of 60 find one that did.
    fn alarms(miss: f64) -> usize {
        let mut rng = Rng::new(3);
        let mut run = || {
            (0..60).any(|_| {
                let mut pairs = 0.0;
                let spent = || {
                    pairs += 0.05;
                    pairs
                };
                let ratio = in_pairs(busy(&mut rng), spent, miss).unwrap();
                Change::new(ratio, None).verdict() != Verdict::Equal
            })
        };
        (0..60).filter(|_| run()).count()
    }

    #[test]
    fn what_did_not_change_is_called_equal_on_a_busy_machine() {
        let (alone, together) = (alarms(stats::MISS), alarms(stats::each_of(60)));
        assert!(alone > 20, "the noise is too tame to show anything: {alone} of 60 runs with a false alarm");
        assert!(together <= 3, "{together} of 60 runs with a false alarm");
        assert_eq!(Change::none().verdict(), Verdict::Equal);
    }

    /// A change that is there is still found.
    #[test]
    fn what_did_change_is_found_among_many() {
        let mut rng = Rng::new(4);
        let found = (0..60).filter(|_| {
            let mut noise = busy(&mut rng);
            let ratio = in_pairs(|old_first| Ok(1.5 * noise(old_first)?), || 30.0, stats::each_of(60)).unwrap();
            Change::new(ratio, None).verdict() == Verdict::Slower
        });
        assert!(found.count() > 30);
    }
}
