//! Medians and their uncertainty. Samples on shared machines have long tails: means would follow those.

use serde::{Deserialize, Serialize};

/// A median, and between what values it lies with a confidence of 95 %.
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
    /// Of at least one sample.
    ///
    /// The interval's ends are samples: of n, those of rank n/2 ∓ 0.98 √n, since the number of samples below the true
    /// median is binomial. Below six samples it is their whole range, with less confidence.
    pub fn of(samples: &[f64]) -> Self {
        Self::with(samples, 0.98)
    }

    /// The same with a confidence of 99 %.
    pub fn sure(samples: &[f64]) -> Self {
        Self::with(samples, 1.29)
    }

    /// `half`: half the width of the normal distribution's interval, in standard deviations.
    fn with(samples: &[f64], half: f64) -> Self {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let n = sorted.len();
        let Some(last) = n.checked_sub(1) else {
            return Self { median: f64::NAN, low: f64::NAN, high: f64::NAN, samples: 0 };
        };
        let median = (sorted[last / 2] + sorted[n / 2]) / 2.0;
        let rank = (n as f64 / 2.0 - half * (n as f64).sqrt()).floor().max(0.0) as usize;
        Self { median, low: sorted[rank.min(last)], high: sorted[last - rank.min(last)], samples: n }
    }

    /// Half the interval over the median.
    pub fn spread(&self) -> f64 {
        (self.high - self.low) / 2.0 / self.median
    }
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
        // Ranks 41 and 60 of 100 hold the median with 95 %.
        assert_eq!((s.median, s.low, s.high), (50.5, 41.0, 60.0));
        assert!(Summary::of(&[]).median.is_nan());
        // One wild sample moves nothing.
        let mut wild = many.clone();
        wild[99] = 1e9;
        assert_eq!(Summary::of(&wild), s);
    }
}
