//! Image files to 8-bit RGB. A file is read whole or refused: a network would happily find things in a half-grey picture.

mod fault;
mod formats;
mod frames;
mod jpeg;
mod reading;
mod samples;
mod tiff;

use std::cell::Cell;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use image::{DynamicImage, ImageFormat};

use self::fault::Fault;
pub use self::reading::{About, Normalize, Note, ReadOptions, Reading};
use crate::error::{Error, Result};

/// The most pixels that an image may have (128 Mi, a 384 MiB [`Image`]); a header that claims more is refused unread.
pub const MAX_PIXELS: u64 = 1 << 27;

/// The longest side that an image may have, in pixels.
pub const MAX_SIDE: u32 = 65_535;

/// The most bytes read from a file: eight a pixel, which is what 16-bit RGBA takes uncompressed.
const MAX_FILE_BYTES: u64 = MAX_PIXELS * 8;

thread_local! {
    static DECODING: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is inside an image decoder, whose panic [`Image::decode`] turns into an error: a program's panic
/// hook has nothing to print then.
pub fn is_decoding() -> bool {
    DECODING.get()
}

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

    /// Converts what the `image` crate holds, by the rules of [`Image::decode`].
    ///
    /// # Errors
    /// [`Error::Image`] for an empty or too large image, and for floating-point samples that are not between 0 and 1.
    pub fn from_dynamic(image: DynamicImage) -> Result<Self> {
        let name = "from memory";
        check_size(name, image.width(), image.height())?;
        let of = |fault: Fault| refuse(name, fault.of("image"));
        let samples = formats::from_dynamic(image).map_err(of)?;
        finish(samples, None, Normalize::Auto, &mut Vec::new()).map_err(of)
    }

    /// Reads and decodes a file, by the rules of [`Image::decode`].
    ///
    /// # Errors
    /// [`Error::Io`] for a file that is missing, unreadable or a directory; else as [`Image::decode`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Ok(ReadOptions::default().open(path)?.image)
    }

    /// Decodes the bytes of a PNG, JPEG, TIFF, BMP, WebP or GIF; the format is told from the content.
    /// `name` stands for the image in errors.
    ///
    /// As Pillow's `convert("RGB")`: grey is replicated, a palette looked up, CMYK converted, alpha dropped without
    /// compositing, and an animation gives its first frame. Unlike it, an EXIF orientation is applied; of a TIFF with
    /// several pages it is the first of full resolution; and samples of more than 8 bits are rounded to the nearest 8-bit
    /// one, of 16 bits `(v + 128) / 257`, full range to full range, where they use their range, and else by
    /// [`Normalize::Auto`]. [`ReadOptions`] can do otherwise, and tells what was done.
    ///
    /// # Errors
    /// [`Error::Image`] for bytes that are empty, truncated, damaged, no image, an image of no pixels or too many, of a
    /// kind that cannot be read, or of floating-point samples whose range nothing tells.
    pub fn decode(bytes: &[u8], name: &str) -> Result<Self> {
        Ok(ReadOptions::default().decode(bytes, name)?.image)
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

fn too_large(what: &str) -> Fault {
    let cure = format!("a side may have {MAX_SIDE} and an image {} Mi; scale it down or cut it", MAX_PIXELS >> 20);
    Fault::Image(format!("{what}: {cure}"))
}

fn open(path: &Path, options: &ReadOptions) -> Result<Reading> {
    let io = |source| Error::Io { path: path.to_path_buf(), source };
    let file = File::open(path).map_err(io)?;
    let about = file.metadata().map_err(io)?;
    // Said here because systems word it differently, and some only when the directory is read.
    if about.is_dir() {
        return Err(io(std::io::Error::new(ErrorKind::IsADirectory, "is a directory, not an image file")));
    }
    let name = path.display().to_string();
    let mut bytes = fault::room(about.len().min(MAX_FILE_BYTES) as usize).map_err(|f| refuse(&name, f.of("image")))?;
    // The file may be a pipe or still growing, so the limit is on what is read, not on what `about` says.
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(refuse(&name, format!("is larger than {} MiB; cut it into tiles", MAX_FILE_BYTES >> 20)));
    }
    decode(&bytes, &name, options)
}

fn decode(bytes: &[u8], name: &str, options: &ReadOptions) -> Result<Reading> {
    if bytes.is_empty() {
        return Err(refuse(name, "the file is empty (0 bytes); copy or export it again"));
    }
    let format = format_of(bytes).filter(|&f| formats::reads(f)).ok_or_else(|| match formats::unread(bytes) {
        Some(kind) => refuse(name, format!("is {kind}, which is not supported; convert it to PNG or TIFF")),
        None => refuse(name, "is not an image in a known format; give a PNG, JPEG, TIFF, BMP, WebP or GIF file"),
    })?;
    let called = formats::name(format);
    // A decoder that panics must not end the program.
    DECODING.set(true);
    let decoded = std::panic::catch_unwind(|| {
        let mut notes = Vec::new();
        let (samples, orientation) = match format {
            ImageFormat::Tiff => tiff::decode(bytes, options, &mut notes)?,
            _ => formats::decode(format, bytes, options, &mut notes)?,
        };
        let image = finish(samples, orientation, options.normalize, &mut notes)?;
        Ok(Reading { image, notes })
    });
    DECODING.set(false);
    let decoded = decoded.unwrap_or_else(|_| Err(Fault::State("is corrupt beyond reading".into())));
    decoded.map_err(|fault: Fault| refuse(name, fault.of(called)))
}

/// Like the `image` crate, which does not know BigTIFF.
fn format_of(bytes: &[u8]) -> Option<ImageFormat> {
    if bytes.starts_with(b"II+\0") || bytes.starts_with(b"MM\0+") {
        return Some(ImageFormat::Tiff);
    }
    image::guess_format(bytes).ok()
}

/// Eight bits, three channels, and turned as its EXIF orientation says.
fn finish(
    samples: samples::Samples,
    orientation: Option<u8>,
    normalize: Normalize,
    notes: &mut Vec<Note>,
) -> Result<Image, Fault> {
    let (width, height) = samples.size;
    let (rgb, note) = samples.into_rgb(normalize)?;
    notes.extend(note);
    let image = Image { width, height, rgb };
    match orientation.and_then(image::metadata::Orientation::from_exif) {
        None | Some(image::metadata::Orientation::NoTransforms) => Ok(image),
        Some(turn) => {
            let pixels = image::RgbImage::from_raw(width, height, image.rgb).unwrap_or_default();
            let mut pixels = DynamicImage::from(pixels);
            pixels.apply_orientation(turn);
            Ok(Image { width: pixels.width(), height: pixels.height(), rgb: pixels.into_rgb8().into_raw() })
        }
    }
}

#[cfg(test)]
#[path = "image_tests.rs"]
mod tests;
