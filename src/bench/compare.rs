//! Now against before. On one device both are run again, in turn, so that whatever else the machine does falls on both
//! alike; of another device, only the figures that it recorded can be set beside ours.

use std::fmt;
use std::sync::Arc;

use super::measure::{Effort, Measured, Subject, alike};
use super::record::Entry;
use super::stats::Summary;
use super::work::Work;
use crate::Result;
use crate::gpu::Device;
use crate::tensor::Value;

/// A change is not told from none below this: clocks, caches and the order of allocations do as much.
const LEAST: f64 = 0.02;

/// Pairs of runs: an interval of fewer is about their whole range …
const LEAST_PAIRS: usize = 16;
/// … and more say little more.
const MOST_PAIRS: usize = 60;
/// An interval wider than this on either side of the median asks for further pairs.
const WIDE: f64 = 0.1;

/// What became of a launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
#[derive(Clone, Copy, Debug, PartialEq)]
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

    /// From the recorded figures alone.
    pub fn of_records(now: &Summary, before: &Summary) -> Self {
        let ratio = Summary {
            median: now.median / before.median,
            low: now.low / before.high,
            high: now.high / before.low,
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

/// What becomes of the time where `new` takes the place of `old`: both are run in turn.
///
/// # Errors
/// As [`Subject::sample`].
pub fn of_subjects(old: &mut Subject, new: &mut Subject, effort: Effort) -> Result<Change> {
    Ok(Change::new(ratio(old, new, effort)?, None))
}

/// Runs what `before` recorded and what was just measured in turn.
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
) -> Result<Change> {
    let (variant, launch) = before.frozen(&now.variant);
    let mut old = Subject::new(device, work, inputs, &variant, Some(launch))?;
    let mut new = Subject::new(device, work, inputs, &now.variant, Some(now.launch.clone()))?;
    let same = alike(&old.outputs()?, &new.outputs()?);
    let ratio = ratio(&mut old, &mut new, effort)?;
    Ok(Change::new(ratio, Some(same)))
}

/// Runs two in turn; gives the time of `new` over that of `old`. Many launches are judged at once, and few of those that
/// are equal may be called otherwise: the interval's confidence is 99 %.
fn ratio(old: &mut Subject, new: &mut Subject, effort: Effort) -> Result<Summary> {
    let time = |s: &mut Subject| s.sample().map(|r| r.gpu.filter(|_| !effort.wall).unwrap_or(r.wall));
    let begin = std::time::Instant::now();
    let mut ratios = Vec::new();
    // Pairs go on until they say something: on a machine with other work they differ by more than what is looked for.
    // Only the interval's width decides when to stop, never the side on which it lies.
    loop {
        let spent = begin.elapsed().as_secs_f64() / effort.seconds;
        let enough = ratios.len() >= LEAST_PAIRS && spent >= 2.0;
        let narrow = || Summary::sure(&ratios).spread() <= WIDE || spent >= 20.0;
        if ratios.len() >= MOST_PAIRS || (enough && narrow()) {
            break;
        }
        // Who goes first changes from pair to pair.
        let ratio = if ratios.len() % 2 == 0 {
            let a = time(old)?;
            time(new)? / a
        } else {
            let b = time(new)?;
            b / time(old)?
        };
        ratios.push(ratio);
    }
    Ok(Summary::sure(&ratios))
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let change = Change::of_records(&s(2.0), &s(1.0));
        assert_eq!(change.change, 1.0);
        assert_eq!(change.verdict(), Verdict::Slower);
        assert_eq!(Change::of_records(&s(1.05), &s(1.0)).verdict(), Verdict::Equal);
    }
}
