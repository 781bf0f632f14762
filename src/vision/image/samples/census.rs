//! What becomes black and white, by the values that there are: of a picture as one, or of one that comes in parts.

use super::{Data, Depth, Range};
use crate::vision::image::fault::Fault;
use crate::vision::image::reading::{About, Normalize, Note};

/// One value in this many may be set aside as hot when the bits in use are counted.
const HOT: usize = 100_000;

/// Bins of a histogram: of integers up to 16 bits one for each value, of others as fine as 8 bits need.
const BINS: usize = 65_536;

/// The values of a picture, counted.
pub(in crate::vision::image) struct Census {
    depth: Depth,
    declared: Option<(f64, f64, &'static str)>,
    /// The least and the greatest that are numbers.
    extremes: Option<Range>,
    /// How many values take how many bits, 0 to 32.
    bits: [usize; 33],
    total: usize,
    /// How many values are how high, from the value and by the scale beside them.
    bins: Vec<u64>,
    least: f64,
    scale: f64,
}

impl Census {
    /// Of values of this type; `declared` is what the file says is black and white.
    pub(in crate::vision::image) fn new(depth: Depth, declared: Option<(f64, f64, &'static str)>) -> Self {
        let (bits, bins) = ([0; 33], Vec::new());
        Self { depth, declared, extremes: None, bits, total: 0, bins, least: 0.0, scale: 1.0 }
    }

    /// How often all values have to be gone through before [`Census::range`] can tell.
    pub(in crate::vision::image) fn passes(depth: Depth, normalize: Normalize) -> usize {
        match (normalize, depth) {
            (Normalize::Auto, Depth::Known(_)) | (Normalize::Full | Normalize::Range(..), _) => 0,
            (Normalize::Auto | Normalize::MinMax, _) => 1,
            (Normalize::Percentiles(..), _) => 2,
        }
    }

    /// Counts a part of the values, in a pass counted from 0.
    pub(in crate::vision::image) fn take(&mut self, data: &Data, pass: usize) {
        if pass > 0 {
            return self.sort(data);
        }
        match data {
            Data::U8(values) => self.survey(values.iter().map(|&v| (f64::from(v), u32::from(v)))),
            Data::U16(values) => self.survey(values.iter().map(|&v| (f64::from(v), u32::from(v)))),
            Data::F32(values) => self.survey(values.iter().map(|&v| (f64::from(v), v as u32))),
        }
    }

    /// Extremes and bits.
    fn survey(&mut self, values: impl Iterator<Item = (f64, u32)>) {
        let (mut low, mut high) = self.extremes.unwrap_or((f64::INFINITY, f64::NEG_INFINITY));
        for (value, whole) in values {
            if value.is_finite() {
                (low, high) = (low.min(value), high.max(value));
            }
            self.bits[(32 - whole.leading_zeros()) as usize] += 1;
            self.total += 1;
        }
        self.extremes = (low <= high).then_some((low, high));
    }

    /// The histogram, once the extremes are known.
    fn sort(&mut self, data: &Data) {
        let Some((least, greatest)) = self.extremes else { return };
        if self.bins.is_empty() {
            self.bins = vec![0; BINS];
            self.least = least;
            self.scale = match data {
                Data::F32(_) if greatest > least => (BINS - 1) as f64 / (greatest - least),
                _ => 1.0,
            };
        }
        let (bins, scale) = (&mut self.bins, self.scale);
        let mut add = |v: f64| {
            if v.is_finite() {
                bins[((v - least) * scale) as usize] += 1;
            }
        };
        match data {
            Data::U8(values) => values.iter().for_each(|&v| add(f64::from(v))),
            Data::U16(values) => values.iter().for_each(|&v| add(f64::from(v))),
            Data::F32(values) => values.iter().for_each(|&v| add(f64::from(v))),
        }
    }

    /// What becomes black and white; `None` where the samples are 8 bits that stay as they are.
    ///
    /// # Errors
    /// Where nothing tells.
    pub(in crate::vision::image) fn range(&self, normalize: Normalize) -> Result<(Option<Range>, Option<Note>), Fault> {
        let told = |black: f64, white: f64, why: &str| {
            Note::new(About::Range, format!("{why}{} is black and {} is white", short(black), short(white)))
        };
        let full = match self.depth {
            Depth::Known(n) | Depth::AtMost(n) => greatest(n),
            Depth::Float => 1.0,
        };
        let (black, white, why) = match normalize {
            Normalize::Auto => match self.depth {
                Depth::Known(8) => return Ok((None, None)),
                Depth::Known(_) => return Ok((Some((0.0, full)), None)),
                Depth::AtMost(n) => match self.bits_in_use(n)? {
                    bits if bits >= n => return Ok((Some((0.0, full)), None)),
                    bits => match self.declared {
                        Some((black, white, who)) => (black, white, format!("by {who}, ")),
                        None => (0.0, greatest(bits), format!("{bits} of {n} bits are in use: ")),
                    },
                },
                Depth::Float => match (self.declared, self.extremes) {
                    (_, Some((low, high))) if low >= 0.0 && high <= 1.0 => return Ok((Some((0.0, 1.0)), None)),
                    (Some((black, white, who)), _) => (black, white, format!("by {who}, ")),
                    (_, extremes) => return Err(unknown_range(extremes)),
                },
            },
            Normalize::Full => return Ok((Some((0.0, full)), None)),
            Normalize::Range(black, white) => return Ok((Some((black, white)), None)),
            Normalize::MinMax => {
                let (low, high) = self.extremes.unwrap_or((0.0, full));
                (low, high, "by its least and greatest value, ".into())
            }
            Normalize::Percentiles(low, high) => {
                let (black, white) = self.percentiles(low, high);
                (black, white, format!("by its percentiles {low} and {high}, "))
            }
        };
        let white = if white > black { white } else { black + 1.0 };
        Ok((Some((black, white)), Some(told(black, white, &why))))
    }

    /// How many bits the values take, but for the hottest.
    fn bits_in_use(&self, most: u32) -> Result<u32, Fault> {
        if let Some(below) = self.extremes.filter(|e| e.0 < 0.0) {
            return Err(unknown_range(Some(below)));
        }
        let (mut bits, mut hot) = (32, 0);
        while bits > 1 {
            hot += self.bits[bits as usize];
            if hot > self.total / HOT {
                break;
            }
            bits -= 1;
        }
        Ok(bits.min(most))
    }

    /// The values below which so many percent of all are.
    pub(in crate::vision::image) fn percentiles(&self, low: f64, high: f64) -> (f64, f64) {
        if self.extremes.is_none() {
            return (0.0, 1.0);
        }
        let total: u64 = self.bins.iter().sum();
        let at = |percent: f64| {
            let wanted = (percent / 100.0 * total.saturating_sub(1) as f64).round() as u64;
            let mut seen = 0;
            let found = self.bins.iter().position(|&n| {
                seen += n;
                seen > wanted
            });
            self.least + found.unwrap_or(BINS - 1) as f64 / self.scale
        };
        (at(low), at(high))
    }
}

fn greatest(bits: u32) -> f64 {
    2_f64.powi(bits as i32) - 1.0
}

fn short(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e15 { format!("{value}") } else { format!("{value:.4}") }
}

fn unknown_range(extremes: Option<Range>) -> Fault {
    Fault::Image(match extremes {
        Some((low, high)) => format!(
            "has values from {} to {}, and nothing says which is black and which white; give them (--normalize minmax, \
             1%,99% or {},{})",
            short(low),
            short(high),
            short(low),
            short(high)
        ),
        None => "has no value that is a number; export it again".into(),
    })
}
