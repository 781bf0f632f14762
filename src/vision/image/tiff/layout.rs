//! What the samples of a picture mean.

use super::ifd::{File, Ifd};
use super::pages::imagej;
use crate::vision::image::fault::Fault;
use crate::vision::image::reading::Channels;
use crate::vision::image::samples::{Colours, Data, Depth, Samples, check_channels};

/// How a sample's bits make a number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Format {
    Unsigned,
    Signed,
    Float,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Photometric {
    Grey { inverted: bool },
    Palette,
    Rgb,
    Cmyk,
    YCbCr,
}

/// Most samples that a pixel may have: more than any microscope's channels, and few enough for a row's memory.
const MOST_SAMPLES: u64 = 1024;

/// The tags of a picture that tell how to read it, checked.
pub(super) struct Layout {
    pub size: (u32, u32),
    pub bits: u32,
    pub format: Format,
    /// Samples of a pixel, with those that are no colours.
    pub samples: usize,
    /// Whether each sample has its own strips or tiles.
    pub planar: bool,
    pub compression: u64,
    /// 1: none. 2: differences of neighbours. 3: those of floating-point numbers' bytes.
    pub predictor: u64,
    photometric: Photometric,
    /// Whether the second sample of a grey picture is its opacity.
    opacity: bool,
}

impl Layout {
    pub(super) fn read(file: &File<'_>, ifd: &Ifd, size: (u32, u32)) -> Result<Self, Fault> {
        let tag = |tag, default| file.unsigned(ifd, tag).unwrap_or(default);
        let samples = tag(277, 1);
        if !(1..=MOST_SAMPLES).contains(&samples) {
            return Err(Fault::corrupt(format!("it has {samples} samples a pixel")));
        }
        let compression = tag(259, 1);
        super::codec::supported(compression)?;
        let same = |list: u16, default: u64, what: &str| match file.list(ifd, list).map_err(Fault::corrupt)? {
            Some(values) if values.len() > 0 => {
                let first = values.get(0).unwrap_or(default);
                let all: Vec<String> = values.iter().take(8).map(|v| v.to_string()).collect();
                if values.iter().take(samples as usize).all(|v| v == first) {
                    Ok(first)
                } else {
                    Err(Fault::Kind(format!("a TIFF whose samples differ in their {what} ({})", all.join(", "))))
                }
            }
            _ => Ok(default),
        };
        let bits = same(258, 1, "bits")?;
        let format = match same(339, 1, "format")? {
            1 | 4 => Format::Unsigned,
            2 => Format::Signed,
            3 => Format::Float,
            5 | 6 => return Err(Fault::Kind("a TIFF of complex numbers".into())),
            other => return Err(Fault::Kind(format!("a TIFF of sample format {other}"))),
        };
        let readable = match format {
            Format::Unsigned => (1..=32).contains(&bits),
            Format::Signed => matches!(bits, 8 | 16 | 32),
            Format::Float => matches!(bits, 16 | 32 | 64),
        };
        if !readable {
            let name = format!("{format:?}").to_lowercase();
            return Err(Fault::Kind(format!("a TIFF with {name} samples of {bits} bits")));
        }
        let bits = bits as u32;
        let photometric = photometric(file, ifd, samples as usize, compression)?;
        let colours = match photometric {
            Photometric::Rgb | Photometric::YCbCr => 3,
            Photometric::Cmyk => 4,
            Photometric::Grey { .. } | Photometric::Palette => 1,
        };
        let samples = samples as usize;
        if samples < colours {
            return Err(Fault::corrupt(format!(
                "its pixels have {samples} samples where their colours need {colours}"
            )));
        }
        if matches!(photometric, Photometric::Palette) && (bits > 8 || format != Format::Unsigned) {
            return Err(Fault::Kind(format!("a TIFF with a palette for {bits} bits")));
        }
        if matches!(photometric, Photometric::YCbCr) && (bits != 8 || format != Format::Unsigned) {
            return Err(Fault::Kind(format!("a TIFF of YCbCr with {bits} bits")));
        }
        let predictor = tag(317, 1);
        match (predictor, format) {
            (1, _) => {}
            (2, _) if matches!(bits, 8 | 16 | 32 | 64) => {}
            (3, Format::Float) => {}
            _ => return Err(Fault::Kind(format!("a TIFF with predictor {predictor} for samples of {bits} bits"))),
        }
        let opacity = samples == 2 && matches!(file.unsigned(ifd, 338), Some(1 | 2));
        let planar = samples > 1 && tag(284, 1) == 2;
        Ok(Self { size, bits, format, samples, planar, compression, predictor, photometric, opacity })
    }

    /// Whether the JPEGs inside hold YCbCr, to be read as RGB.
    pub(super) fn jpeg_ycbcr(&self) -> bool {
        self.photometric == Photometric::YCbCr
    }

    /// Whether values of few bits stay what they are instead of being stretched to 8.
    pub(super) fn indices(&self) -> bool {
        self.photometric == Photometric::Palette
    }

    /// Whether a grey picture has more samples than it needs.
    fn channels(&self) -> bool {
        matches!(self.photometric, Photometric::Grey { .. }) && self.samples > 1 && !self.opacity
    }

    /// The samples to read, and whether they are the channels that were asked for: what is no row of plain samples is
    /// decoded first.
    pub(super) fn taken(&self, channels: Channels) -> Result<(Vec<usize>, bool), Fault> {
        let plain = match self.photometric {
            Photometric::Rgb => true,
            Photometric::Grey { .. } => self.channels(),
            Photometric::YCbCr | Photometric::Cmyk | Photometric::Palette => false,
        };
        let wanted = match channels {
            Channels::Grey(one) if plain => vec![one],
            Channels::Rgb(all) if plain => all.to_vec(),
            _ => {
                let own = match self.photometric {
                    Photometric::Rgb | Photometric::YCbCr => 3,
                    Photometric::Cmyk => 4,
                    Photometric::Grey { .. } | Photometric::Palette => 1,
                };
                return Ok(((0..own).collect(), false));
            }
        };
        check_channels(&wanted, self.samples)?;
        Ok((wanted, true))
    }

    /// What to say of the channels that are not read.
    pub(super) fn left_out(&self, channels: Channels) -> Option<String> {
        (self.channels() && channels == Channels::Auto)
            .then(|| format!("is channel 0 of {}, counted from 0; the others were not looked at", self.samples))
    }

    /// What the samples' type says of their values.
    pub(super) fn depth(&self) -> Depth {
        match (self.format, self.bits) {
            (Format::Float, _) => Depth::Float,
            (Format::Signed, bits) => Depth::AtMost(bits - 1),
            (Format::Unsigned, ..=8) => Depth::Known(8),
            (Format::Unsigned, bits @ (16 | 32)) => Depth::AtMost(bits),
            (Format::Unsigned, bits) => Depth::Known(bits),
        }
    }

    /// Gives the samples their colours.
    pub(super) fn colour(&self, file: &File<'_>, ifd: &Ifd, data: Data) -> Result<Samples, Fault> {
        let mut samples = Samples {
            size: self.size,
            colours: Colours::Grey,
            data,
            depth: self.depth(),
            inverted: false,
            declared: declared(file, ifd, self),
        };
        match self.photometric {
            Photometric::Grey { inverted } => samples.inverted = inverted,
            Photometric::Rgb => samples.colours = Colours::Rgb,
            Photometric::Cmyk => samples.colours = Colours::Cmyk,
            Photometric::YCbCr => {
                samples.colours = Colours::Rgb;
                if let Data::U8(bytes) = &mut samples.data
                    && self.compression != 7
                {
                    bytes.as_chunks_mut::<3>().0.iter_mut().for_each(|p| *p = to_rgb(*p));
                }
            }
            Photometric::Palette => {
                let palette = palette(file, ifd, self.bits)?;
                samples.colours = Colours::Rgb;
                if let Data::U8(indices) = samples.data {
                    let mut out = crate::vision::image::fault::room(3 * indices.len())?;
                    indices.iter().for_each(|&i| out.extend(palette[usize::from(i)]));
                    samples.data = Data::U8(out);
                }
            }
        }
        Ok(samples)
    }
}

fn photometric(file: &File<'_>, ifd: &Ifd, samples: usize, compression: u64) -> Result<Photometric, Fault> {
    let name = match file.unsigned(ifd, 262) {
        Some(0) => return Ok(Photometric::Grey { inverted: true }),
        Some(1) => return Ok(Photometric::Grey { inverted: false }),
        Some(2) => return Ok(Photometric::Rgb),
        Some(3) => return Ok(Photometric::Palette),
        Some(5) => return Ok(Photometric::Cmyk),
        Some(6) => {
            let whole = file.list(ifd, 530).ok().flatten().is_some_and(|s| s.iter().eq([1, 1]));
            if compression == 7 || whole {
                return Ok(Photometric::YCbCr);
            }
            "YCbCr with fewer colours than pixels and without JPEG"
        }
        None if samples >= 3 => return Ok(Photometric::Rgb),
        None => return Ok(Photometric::Grey { inverted: false }),
        Some(4) => "a transparency mask",
        Some(8..=10) => "CIE L*a*b* colours",
        Some(32_803) => "a camera's raw colour filter array",
        Some(32_844 | 32_845) => "LogLuv colours",
        Some(34_892) => "a camera's raw colours",
        Some(other) => return Err(Fault::Kind(format!("a TIFF of photometric interpretation {other}"))),
    };
    Err(Fault::Kind(format!("a TIFF of {name}")))
}

/// What the file says is black and white. Only asked where its values do not use their type's range.
fn declared(file: &File<'_>, ifd: &Ifd, layout: &Layout) -> Option<(f64, f64, &'static str)> {
    let whole = 2_f64.powi(layout.bits as i32) - 1.0;
    let ordered = |low: f64, high: f64| low.is_finite() && high.is_finite() && low < high && high != whole;
    let text = file.data(ifd, 270).unwrap_or_default();
    if text.starts_with(b"ImageJ=") {
        let value = |key| imagej(text, key).and_then(|v| v.parse::<f64>().ok());
        if let (Some(low), Some(high)) = (value("min"), value("max"))
            && ordered(low, high)
        {
            return Some((low, high, "ImageJ's display range"));
        }
    }
    if layout.format != Format::Float {
        const KEY: &[u8] = b"SignificantBits=\"";
        let at = text.windows(KEY.len()).position(|w| w == KEY).map(|at| at + KEY.len());
        let digits = at.map(|at| text[at..].iter().take(3).take_while(|b| b.is_ascii_digit()));
        let bits = digits.map(|d| d.fold(0, |n, b| n * 10 + u32::from(b - b'0')));
        if let Some(bits) = bits.filter(|&b| (1..layout.bits).contains(&b)) {
            return Some((0.0, 2_f64.powi(bits as i32) - 1.0, "OME's significant bits"));
        }
    }
    if let (Some(low), Some(high)) = (file.real(ifd, 340), file.real(ifd, 341))
        && ordered(low, high)
    {
        return Some((low, high, "TIFF's SMinSampleValue and SMaxSampleValue"));
    }
    // By the standard this is but statistics, so it counts only where it names a depth.
    let high = file.unsigned(ifd, 281).filter(|&h| h > 255 && (h + 1).is_power_of_two() && (h as f64) < whole)?;
    (layout.format != Format::Float).then_some((0.0, high as f64, "TIFF's MaxSampleValue"))
}

/// The palette's colours, of which the upper 8 bits are taken, as Pillow and libtiff do.
fn palette(file: &File<'_>, ifd: &Ifd, bits: u32) -> Result<Vec<[u8; 3]>, Fault> {
    let map = file.list(ifd, 320).map_err(Fault::corrupt)?;
    let map = map.ok_or_else(|| Fault::corrupt("its palette is missing"))?;
    let len = 1_usize << bits;
    if map.len() < 3 * len {
        return Err(Fault::corrupt("its palette is too short"));
    }
    // Some writers give 8-bit values: then none is above 255.
    let shift = if map.iter().any(|v| v > 255) { 8 } else { 0 };
    let at = |i: usize| (map.get(i).unwrap_or(0) >> shift) as u8;
    let mut out: Vec<[u8; 3]> = (0..len).map(|i| [at(i), at(len + i), at(2 * len + i)]).collect();
    out.resize(256, [0; 3]);
    Ok(out)
}

/// By the coefficients of ITU-R BT.601, over the whole range.
fn to_rgb([y, cb, cr]: [u8; 3]) -> [u8; 3] {
    let (y, cb, cr) = (f32::from(y), f32::from(cb) - 128.0, f32::from(cr) - 128.0);
    [y + 1.402 * cr, y - 0.344_136 * cb - 0.714_136 * cr, y + 1.772 * cb].map(|v| v.round().clamp(0.0, 255.0) as u8)
}
