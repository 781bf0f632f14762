//! Image files to 8-bit RGB. A file is read whole or refused: a network would happily find things in a half-grey picture.

#[cfg(feature = "image")]
mod decode;
// Without decoders, little can be wrong.
#[cfg_attr(not(feature = "image"), allow(dead_code))]
mod fault;
#[cfg(feature = "image")]
mod formats;
#[cfg(feature = "image")]
mod frames;
#[cfg(feature = "image")]
mod jpeg;
#[cfg(feature = "image")]
mod piecewise;
#[cfg(feature = "image")]
mod reading;
#[cfg(feature = "image")]
mod samples;
#[cfg(feature = "image")]
mod tiff;

#[cfg(feature = "image")]
pub use self::decode::{HEAD_BYTES, is_decoding, is_image, read_file, read_stream};
use self::fault::Fault;
#[cfg(feature = "image")]
pub use self::piecewise::Piecewise;
#[cfg(feature = "image")]
pub use self::reading::{About, Channels, Normalize, Note, Pages, ReadOptions, Reading};
use crate::error::{Error, Result};

/// The most pixels that an image may have (128 Mi, a 384 MiB [`Image`]); a header that claims more is refused unread.
pub const MAX_PIXELS: u64 = 1 << 27;

/// The longest side that an image may have, in pixels.
pub const MAX_SIDE: u32 = 65_535;

/// An 8-bit RGB image, row-major, 3 bytes a pixel, never empty and never larger than [`MAX_PIXELS`].
#[derive(Clone, PartialEq, Eq)]
pub struct Image {
    width: u32,
    height: u32,
    rgb: Vec<u8>,
}

impl Image {
    /// Wraps `width * height * 3` bytes of row-major RGB.
    ///
    /// # Errors
    /// [`Error::Image`] where a side is 0, the image is too large, or `rgb` has another length.
    pub fn from_rgb8(width: u32, height: u32, rgb: Vec<u8>) -> Result<Self> {
        let name = "from RGB bytes";
        check_size(name, width, height)?;
        let need = u64::from(width) * u64::from(height) * 3;
        if rgb.len() as u64 != need {
            return Err(refuse(
                name,
                format!("{width}x{height} RGB pixels take {need} bytes, but {} were given", rgb.len()),
            ));
        }
        Ok(Self { width, height, rgb })
    }

    /// Whether an image may have this size; asked before memory is taken for it.
    pub(crate) fn check_size(width: u32, height: u32) -> Result<()> {
        check_size("of the size asked for", width, height)
    }

    /// Width in pixels, at least 1.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels, at least 1.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// The `width * height * 3` bytes, row-major.
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }

    /// The bytes themselves, row-major.
    pub fn into_rgb(self) -> Vec<u8> {
        self.rgb
    }

    /// The image with left and right changed.
    ///
    /// # Errors
    /// None that is known.
    pub fn mirrored(&self) -> Result<Self> {
        let row = self.width() as usize * 3;
        let turned = self.rgb().chunks_exact(row).flat_map(|row| row.chunks_exact(3).rev().flatten().copied());
        Self::from_rgb8(self.width(), self.height(), turned.collect())
    }

    /// The pixel in column `x` of row `y`, or `None` outside the image.
    pub fn pixel(&self, x: u32, y: u32) -> Option<[u8; 3]> {
        if x >= self.width || y >= self.height {
            return None;
        }
        let i = (y as usize * self.width as usize + x as usize) * 3;
        Some([self.rgb[i], self.rgb[i + 1], self.rgb[i + 2]])
    }
}

impl std::fmt::Debug for Image {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Image({}x{})", self.width, self.height)
    }
}

fn refuse(name: &str, reason: impl Into<String>) -> Error {
    Error::Image { name: name.to_string(), reason: reason.into() }
}

fn check_size(name: &str, width: u32, height: u32) -> Result<()> {
    match size_fault(width, height) {
        Some(fault) => Err(refuse(name, fault.of("image"))),
        None => Ok(()),
    }
}

fn size_fault(width: u32, height: u32) -> Option<Fault> {
    if width == 0 || height == 0 {
        return Some(Fault::Image(format!("is {width}x{height}: it has no pixels")));
    }
    let fits = width <= MAX_SIDE && height <= MAX_SIDE && u64::from(width) * u64::from(height) <= MAX_PIXELS;
    (!fits).then(|| too_large(&format!("is {width}x{height} pixels")))
}

/// What is wrong with the size of a picture that is read in pieces: pixels of its masks are counted in 32 bits.
#[cfg(feature = "image")]
fn side_fault(width: u32, height: u32) -> Option<Fault> {
    match size_fault(width.min(1), height.min(1)) {
        None if width.max(height) > MAX_SIDE => size_fault(width, height),
        fault => fault,
    }
}

fn too_large(what: &str) -> Fault {
    let cure = format!("a side may have {MAX_SIDE} and an image {} Mi; scale it down or cut it", MAX_PIXELS >> 20);
    Fault::Image(format!("{what}: {cure}"))
}

#[cfg(all(test, feature = "image"))]
#[path = "image_tests.rs"]
mod tests;
