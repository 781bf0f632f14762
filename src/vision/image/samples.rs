//! Decoded samples of any depth, and their way to 8 bits.

use super::fault::{Fault, room};
use super::reading::{About, Channels, Normalize, Note};

/// One value in this many may be set aside as hot when the bits in use are counted.
const HOT: usize = 100_000;

/// What becomes black and white.
type Range = (f64, f64);

/// The samples of an image, channel by channel in each pixel.
pub(super) enum Data {
    U8(Vec<u8>),
    U16(Vec<u16>),
    /// Deeper integers and floating-point numbers.
    F32(Vec<f32>),
}

/// What colours the channels are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Colours {
    Grey,
    Rgb,
    Cmyk,
}

/// What the type of the samples says of their values.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Depth {
    /// Integers up to 2^n - 1 that the file says are of n bits, or that are of 8.
    Known(u32),
    /// Integers of n bits that may use fewer.
    AtMost(u32),
    Float,
}

/// A decoded image before it is 8-bit RGB.
pub(super) struct Samples {
    pub size: (u32, u32),
    pub colours: Colours,
    pub data: Data,
    pub depth: Depth,
    /// Whether the greatest value is black.
    pub inverted: bool,
    /// What the file says is black and white, and where it says so.
    pub declared: Option<(f64, f64, &'static str)>,
}

impl Samples {
    /// The samples of these channels alone.
    ///
    /// # Errors
    /// Where there is no such channel.
    pub(super) fn pick(self, channels: Channels) -> Result<Self, Fault> {
        let wanted: &[usize] = match &channels {
            Channels::Auto => return Ok(self),
            Channels::Grey(one) => std::slice::from_ref(one),
            Channels::Rgb(all) => all,
        };
        let each = match self.colours {
            Colours::Grey => 1,
            Colours::Rgb => 3,
            Colours::Cmyk => {
                return Err(Fault::Image(
                    "has four inks, which are no channels to choose from; leave --channels out".into(),
                ));
            }
        };
        check_channels(wanted, each)?;
        fn of<T: Copy>(values: &[T], each: usize, wanted: &[usize]) -> Result<Vec<T>, Fault> {
            let mut out = room(values.len() / each * wanted.len())?;
            values.chunks_exact(each).for_each(|pixel| out.extend(wanted.iter().map(|&c| pixel[c])));
            Ok(out)
        }
        let data = match &self.data {
            Data::U8(values) => Data::U8(of(values, each, wanted)?),
            Data::U16(values) => Data::U16(of(values, each, wanted)?),
            Data::F32(values) => Data::F32(of(values, each, wanted)?),
        };
        let colours = if wanted.len() == 3 { Colours::Rgb } else { Colours::Grey };
        Ok(Self { colours, data, ..self })
    }

    /// The bytes of 8-bit RGB, and what to say of them.
    ///
    /// # Errors
    /// Where nothing says what is black and white, and where there is no memory.
    pub(super) fn into_rgb(self, normalize: Normalize) -> Result<(Vec<u8>, Option<Note>), Fault> {
        let (range, note) = self.range(normalize)?;
        let Self { colours, data, inverted, size, .. } = self;
        let bytes = match (data, range) {
            (Data::U8(bytes), None) if !inverted => bytes,
            (Data::U8(mut bytes), range) => {
                let table = table(range.unwrap_or((0.0, 255.0)), inverted, 256);
                bytes.iter_mut().for_each(|v| *v = table[usize::from(*v)]);
                bytes
            }
            (Data::U16(values), range) => {
                let table = table(range.unwrap_or((0.0, 65_535.0)), inverted, 65_536);
                let mut out = room(values.len())?;
                out.extend(values.iter().map(|&v| table[usize::from(v)]));
                out
            }
            (Data::F32(values), range) => {
                let (black, white) = range.unwrap_or((0.0, 1.0));
                let mut out = room(values.len())?;
                out.extend(values.iter().map(|&v| eight_bits(f64::from(v), black, white, inverted)));
                out
            }
        };
        let pixels = size.0 as usize * size.1 as usize;
        Ok((rgb(bytes, colours, pixels)?, note))
    }

    /// What becomes black and white; `None` where the samples are 8 bits that stay as they are.
    fn range(&self, normalize: Normalize) -> Result<(Option<Range>, Option<Note>), Fault> {
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
                Depth::Float => match (self.declared, self.extremes()) {
                    (_, Some((low, high))) if low >= 0.0 && high <= 1.0 => return Ok((Some((0.0, 1.0)), None)),
                    (Some((black, white, who)), _) => (black, white, format!("by {who}, ")),
                    (_, extremes) => return Err(unknown_range(extremes)),
                },
            },
            Normalize::Full => return Ok((Some((0.0, full)), None)),
            Normalize::Range(black, white) => return Ok((Some((black, white)), None)),
            Normalize::MinMax => {
                let (low, high) = self.extremes().unwrap_or((0.0, full));
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

    /// The least and the greatest value; `None` where no value is a number.
    fn extremes(&self) -> Option<(f64, f64)> {
        fn of<T: Copy + PartialOrd + Into<f64>>(mut values: impl Iterator<Item = T>) -> Option<(f64, f64)> {
            let first = values.next()?;
            let (low, high) = values.fold((first, first), |(low, high), v| {
                (if v < low { v } else { low }, if v > high { v } else { high })
            });
            Some((low.into(), high.into()))
        }
        match &self.data {
            Data::U8(values) => of(values.iter().copied()),
            Data::U16(values) => of(values.iter().copied()),
            Data::F32(values) => of(values.iter().copied().filter(|v| v.is_finite())),
        }
    }

    /// How many bits the values take, but for the hottest.
    fn bits_in_use(&self, most: u32) -> Result<u32, Fault> {
        if let Some((low, _)) = self.extremes().filter(|e| e.0 < 0.0) {
            return Err(unknown_range(Some((low, self.extremes().map_or(0.0, |e| e.1)))));
        }
        let (mut above, total) = match &self.data {
            Data::U8(values) => (count(values.iter().map(|&v| u32::from(v))), values.len()),
            Data::U16(values) => (count(values.iter().map(|&v| u32::from(v))), values.len()),
            Data::F32(values) => (count(values.iter().map(|&v| v as u32)), values.len()),
        };
        let mut bits = 32;
        let mut hot = 0;
        while bits > 1 {
            hot += std::mem::take(&mut above[bits as usize]);
            if hot > total / HOT {
                break;
            }
            bits -= 1;
        }
        Ok(bits.min(most))
    }

    fn percentiles(&self, low: f64, high: f64) -> (f64, f64) {
        let Some((least, greatest)) = self.extremes() else { return (0.0, 1.0) };
        const BINS: usize = 65_536;
        // Of integers a bin is a value; of others it is as fine as 8 bits need.
        let scale = match &self.data {
            Data::F32(_) if greatest > least => (BINS - 1) as f64 / (greatest - least),
            _ => 1.0,
        };
        let mut bins = vec![0_u64; BINS];
        let mut add = |v: f64| {
            if v.is_finite() {
                bins[((v - least) * scale) as usize] += 1;
            }
        };
        match &self.data {
            Data::U8(values) => values.iter().for_each(|&v| add(f64::from(v))),
            Data::U16(values) => values.iter().for_each(|&v| add(f64::from(v))),
            Data::F32(values) => values.iter().for_each(|&v| add(f64::from(v))),
        }
        let total: u64 = bins.iter().sum();
        let at = |percent: f64| {
            let wanted = (percent / 100.0 * total.saturating_sub(1) as f64).round() as u64;
            let mut seen = 0;
            let found = bins.iter().position(|&n| {
                seen += n;
                seen > wanted
            });
            least + found.unwrap_or(BINS - 1) as f64 / scale
        };
        (at(low), at(high))
    }
}

/// Refuses channels that a picture of so many does not have.
pub(super) fn check_channels(wanted: &[usize], there: usize) -> Result<(), Fault> {
    let Some(n) = wanted.iter().find(|&&n| n >= there) else { return Ok(()) };
    let has = if there == 1 { "channel 0 alone".into() } else { format!("channels 0 to {}", there - 1) };
    Err(Fault::Image(format!("has no channel {n}: it has {has}; give --channels of those")))
}

/// How many values take how many bits, 0 to 32.
fn count(values: impl Iterator<Item = u32>) -> [usize; 33] {
    let mut out = [0; 33];
    values.for_each(|v| out[(32 - v.leading_zeros()) as usize] += 1);
    out
}

fn greatest(bits: u32) -> f64 {
    2_f64.powi(bits as i32) - 1.0
}

fn short(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e15 { format!("{value}") } else { format!("{value:.4}") }
}

fn unknown_range(extremes: Option<(f64, f64)>) -> Fault {
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

/// The 8-bit value of each value.
fn table((black, white): (f64, f64), inverted: bool, len: usize) -> Vec<u8> {
    (0..len).map(|v| eight_bits(v as f64, black, white, inverted)).collect()
}

/// Rounded to the nearest, halves up. Not a number is black.
fn eight_bits(value: f64, black: f64, white: f64, inverted: bool) -> u8 {
    let scaled = ((value - black) * 255.0 / (white - black)).clamp(0.0, 255.0);
    let scaled = if inverted { 255.0 - scaled } else { scaled };
    (scaled + 0.5) as u8
}

/// Three bytes a pixel out of as many as the colours have.
fn rgb(bytes: Vec<u8>, colours: Colours, pixels: usize) -> Result<Vec<u8>, Fault> {
    match colours {
        Colours::Rgb => Ok(bytes),
        Colours::Grey => {
            let mut out = room(3 * pixels)?;
            bytes.iter().for_each(|&v| out.extend([v; 3]));
            Ok(out)
        }
        Colours::Cmyk => {
            let mut out = room(3 * pixels)?;
            // What Pillow computes: ink on white, and black over it.
            let mix = |ink: u8, black: u8| {
                let product = u32::from(255 - ink) * u32::from(255 - black) + 128;
                ((product + (product >> 8)) >> 8) as u8
            };
            bytes.chunks_exact(4).for_each(|p| out.extend([mix(p[0], p[3]), mix(p[1], p[3]), mix(p[2], p[3])]));
            Ok(out)
        }
    }
}

#[cfg(test)]
#[path = "samples_tests.rs"]
mod tests;
