//! How a picture is to be read, and what was assumed, left out or changed on the way.

use std::fmt;
use std::path::Path;

use super::Image;
use crate::error::Result;

/// What becomes black and what white: a network sees 8 bits, and data of more say nothing of which.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub enum Normalize {
    /// By depth. 8-bit pictures, 16-bit ones that use their 16 bits, and files that name their depth (a TIFF of 12 bits a
    /// sample) are taken as they are. Where 16 or 32-bit integers use fewer bits, as cameras of 10, 12 or 14 bits write
    /// them, the bits in use count: 0 is black and 2^n - 1 is white; up to one value in 100,000 is set aside as hot.
    /// What the file itself says of this (OME's significant bits, ImageJ's display range, TIFF's least and greatest
    /// sample value) goes first. Floating-point values have to lie between 0 and 1, or the file has to name their range.
    #[default]
    Auto,
    /// The sample type's whole range, of floating-point ones 0 to 1.
    Full,
    /// The image's least and greatest value, over all channels.
    MinMax,
    /// These percentiles of the image's values, over all channels; `Percentiles(1.0, 99.0)` is cellpose's way.
    Percentiles(f64, f64),
    /// These values.
    Range(f64, f64),
}

/// Which of a file's channels become which colours; they are counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Channels {
    /// The file's colours; of channels that are no colours, the first is shown in grey.
    #[default]
    Auto,
    /// This one in grey.
    Grey(usize),
    /// These are red, green and blue.
    Rgb([usize; 3]),
}

/// The pictures in a file: the pages of a TIFF, the frames of an animation; 1 in any other.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pages {
    /// How many there are.
    pub count: usize,
    /// The numbers, from 1, of those that are no smaller version of another and no mask.
    pub whole: Vec<usize>,
}

impl Pages {
    /// So many, all of one kind: the frames of a video.
    pub fn alike(count: usize) -> Self {
        Self { count, whole: (1..=count).collect() }
    }

    /// Looks through the bytes of a file without decoding a pixel; `name` stands for it in errors.
    ///
    /// # Errors
    /// [`Error::Image`](crate::Error::Image) for what is no image, or a TIFF whose list of pages is cut.
    pub fn of(bytes: &[u8], name: &str) -> Result<Self> {
        super::decode::pages(bytes, name)
    }
}

/// How to read image files; [`Image::open`] and [`Image::decode`] are the default of it.
///
/// ```no_run
/// use maskrcnn::engine::vision::{Normalize, ReadOptions};
///
/// # fn main() -> maskrcnn::Result<()> {
/// let mut options = ReadOptions::default();
/// options.normalize = Normalize::Percentiles(1.0, 99.0);
/// options.page = Some(3);
/// let reading = options.open("stack.tif")?;
/// reading.notes.iter().for_each(|note| eprintln!("{note}"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub struct ReadOptions {
    /// What becomes black and what white.
    pub normalize: Normalize,
    /// The page of a TIFF or the frame of an animation, from 1. Without one it is the first page of full resolution.
    pub page: Option<usize>,
    /// Which channels become which colours.
    pub channels: Channels,
}

/// An image, with what was done to read it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reading {
    /// The image.
    pub image: Image,
    /// What was assumed, left out or changed; empty for an ordinary picture.
    pub notes: Vec<Note>,
}

/// Something that whoever looks at the result should know.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Note {
    /// What it is about.
    pub about: About,
    /// A sentence to follow the image's name and a colon.
    pub text: String,
}

/// What a [`Note`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum About {
    /// What became black and white: [`ReadOptions::normalize`].
    Range,
    /// Pages or frames that were not looked at: [`ReadOptions::page`].
    Page,
    /// Channels that were not looked at: [`ReadOptions::channels`].
    Channel,
    /// The file is readable, but not quite as it should be.
    Damage,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Note {
    pub(super) fn new(about: About, text: impl Into<String>) -> Self {
        Self { about, text: text.into() }
    }
}

impl ReadOptions {
    /// Reads and decodes a file; see [`Image::open`].
    ///
    /// # Errors
    /// As [`Image::open`], and [`Error::Image`](crate::Error::Image) for a page or channel that is not there.
    pub fn open(&self, path: impl AsRef<Path>) -> Result<Reading> {
        super::decode::open(path.as_ref(), self)
    }

    /// Decodes the bytes of a file; see [`Image::decode`].
    ///
    /// # Errors
    /// As [`Image::decode`], and [`Error::Image`](crate::Error::Image) for a page or channel that is not there.
    pub fn decode(&self, bytes: &[u8], name: &str) -> Result<Reading> {
        super::decode::decode(bytes, name, self)
    }
}
