//! Medians and their uncertainty. Samples on shared machines have long tails: means would follow those.

use serde::{Deserialize, Serialize};

/// How often an interval may miss what it is of: one in twenty, a confidence of 95 %.
pub const MISS: f64 = 0.05;

/// A median, and between what values it lies with a confidence of 95 %, or what else was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The middle of the samples.
    pub median: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// How many samples.
    pub samples: usize,
}

impl Summary {
    /// Of at least one sample, with a confidence of 95 %.
    pub fn of(samples: &[f64]) -> Self {
        Self::missing(samples, MISS)
    }

    /// The same with an interval that misses the true median with a probability of at most `miss`.
    ///
    /// The interval's ends are samples: how many lie below the true median is binomial, whatever the samples'
    /// distribution is. Of fewer than [`least`] samples it is their whole range, with less confidence.
    pub fn missing(samples: &[f64], miss: f64) -> Self {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let n = sorted.len();
        let Some(last) = n.checked_sub(1) else {
            return Self { median: f64::NAN, low: f64::NAN, high: f64::NAN, samples: 0 };
        };
        let median = (sorted[last / 2] + sorted[n / 2]) / 2.0;
        let cut = cut(n, miss);
        Self { median, low: sorted[cut], high: sorted[last - cut], samples: n }
    }

    /// Half the interval over the median.
    pub fn spread(&self) -> f64 {
        (self.high - self.low) / 2.0 / self.median
    }
}

/// Samples that may be cut off at either end of n, so that the range of the others misses the median that rarely.
fn cut(n: usize, miss: f64) -> usize {
    // The probability that exactly `below` samples lie below the median, and that so many or fewer do.
    let mut exactly = 0.5f64.powi(n as i32);
    let mut at_most = exactly;
    let mut below = 0;
    while 2.0 * at_most <= miss && below + 1 < n.div_ceil(2) {
        exactly *= (n - below) as f64 / (below + 1) as f64;
        below += 1;
        at_most += exactly;
    }
    // With `below` of them or fewer below, the sample after those lies above: it is the first that may not be cut off.
    below.saturating_sub(1)
}

/// The fewest samples whose whole range misses the median no more often than that.
pub fn least(miss: f64) -> usize {
    (1.0 - miss.log2()).ceil() as usize
}

/// The confidence with which each of so many intervals is to hold, as the part that may miss, so that all of them hold
/// together with one of 95 %, however they depend on one another (Bonferroni).
pub fn each_of(count: usize) -> f64 {
    MISS / count.max(1) as f64
}

/// How much wider the interval of a normally distributed quantity is that misses it with a probability of `miss` than one
/// of 95 %.
pub fn wider(miss: f64) -> f64 {
    normal(miss) / normal(MISS)
}

/// Half the interval that misses a standard normal quantity that often (Abramowitz and Stegun, 26.2.22: within 0.003).
fn normal(miss: f64) -> f64 {
    let t = (-2.0 * (miss / 2.0).ln()).sqrt();
    t - (2.30753 + 0.27061 * t) / (1.0 + t * (0.99229 + 0.04481 * t))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_intervals() {
        let s = Summary::of(&[3.0, 1.0, 2.0]);
        assert_eq!((s.median, s.low, s.high, s.samples), (2.0, 1.0, 3.0, 3));
        assert_eq!(Summary::of(&[4.0, 1.0]).median, 2.5);
        assert_eq!(Summary::of(&[7.0]), Summary { median: 7.0, low: 7.0, high: 7.0, samples: 1 });
        let many: Vec<f64> = (1..=100).map(f64::from).collect();
        let s = Summary::of(&many);
        // Ranks 40 and 61 of 100 hold the median with 96.5 %, 41 and 60 with 94.3 %.
        assert_eq!((s.median, s.low, s.high), (50.5, 40.0, 61.0));
        assert!(Summary::of(&[]).median.is_nan());
        // One wild sample moves nothing.
        let mut wild = many.clone();
        wild[99] = 1e9;
        assert_eq!(Summary::of(&wild), s);
    }

    /// Ranks from tables of the sign test.
    #[test]
    fn as_many_are_cut_off_as_the_confidence_allows() {
        for (n, miss, left) in [
            (1, 0.05, 1),
            (5, 0.05, 5),
            (6, 0.05, 6),
            (8, 0.05, 8),
            (9, 0.05, 7),
            (20, 0.05, 10),
            (20, 0.01, 14),
            (50, 0.05, 16),
            (60, 0.01, 22),
            (16, 3.1e-5, 16),
        ] {
            assert_eq!(n - 2 * cut(n, miss), left, "{n} {miss}");
        }
        assert_eq!((least(0.05), least(0.01), least(0.05 / 64.0)), (6, 8, 12));
    }

    #[test]
    fn intervals_widen_as_the_normal_distribution_s() {
        for (miss, half) in [(0.05, 1.960), (0.01, 2.576), (0.001, 3.291), (0.05 / 64.0, 3.360)] {
            assert!((normal(miss) - half).abs() < 0.005, "{miss}: {}", normal(miss));
        }
        assert_eq!((wider(MISS), each_of(0), each_of(50)), (1.0, 0.05, 0.001));
    }
}
