//! Decoded samples of any depth, and their way to 8 bits.

mod census;

pub(super) use self::census::Census;
use super::fault::{Fault, room};
use super::reading::{Channels, Normalize, Note};

/// What becomes black and white.
pub(super) type Range = (f64, f64);

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
        Ok((self.into_rgb_of(range)?, note))
    }

    /// The bytes of 8-bit RGB where it is known what becomes black and white ([`Census::range`]).
    ///
    /// # Errors
    /// Where there is no memory.
    pub(super) fn into_rgb_of(self, range: Option<Range>) -> Result<Vec<u8>, Fault> {
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
        rgb(bytes, colours, pixels)
    }

    /// What becomes black and white; `None` where the samples are 8 bits that stay as they are.
    fn range(&self, normalize: Normalize) -> Result<(Option<Range>, Option<Note>), Fault> {
        let mut census = Census::new(self.depth, self.declared);
        for pass in 0..Census::passes(self.depth, normalize) {
            census.take(&self.data, pass);
        }
        census.range(normalize)
    }
}

/// Refuses channels that a picture of so many does not have.
pub(super) fn check_channels(wanted: &[usize], there: usize) -> Result<(), Fault> {
    let Some(n) = wanted.iter().find(|&&n| n >= there) else { return Ok(()) };
    let has = if there == 1 { "channel 0 alone".into() } else { format!("channels 0 to {}", there - 1) };
    Err(Fault::Image(format!("has no channel {n}: it has {has}; give --channels of those")))
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
