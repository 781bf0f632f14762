//! Image files to 8-bit RGB. A file is read whole or refused: a network would happily find things in a half-grey picture.

use std::cell::Cell;
use std::fs::File;
use std::io::{Cursor, ErrorKind, Read};
use std::path::Path;

use image::error::LimitErrorKind;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};

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
    /// [`Error::Image`] for an empty or too large image, and for floating-point samples.
    pub fn from_dynamic(image: DynamicImage) -> Result<Self> {
        convert("from memory", image)
    }

    /// Reads and decodes a file, by the rules of [`Image::decode`].
    ///
    /// # Errors
    /// [`Error::Io`] for a file that is missing, unreadable or a directory; else as [`Image::decode`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let io = |source| Error::Io { path: path.to_path_buf(), source };
        let file = File::open(path).map_err(io)?;
        let about = file.metadata().map_err(io)?;
        // Said here because systems word it differently, and some only when the directory is read.
        if about.is_dir() {
            return Err(io(std::io::Error::new(ErrorKind::IsADirectory, "is a directory, not an image file")));
        }
        let name = path.display().to_string();
        let mut bytes = Vec::new();
        // The file may be a pipe or still growing, so the limit is on what is read, not on what `about` says.
        file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(io)?;
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(refuse(&name, format!("is larger than {} MiB; cut it into tiles", MAX_FILE_BYTES >> 20)));
        }
        Self::decode(&bytes, &name)
    }

    /// Decodes the bytes of a PNG, JPEG, TIFF, BMP, WebP or GIF; the format is told from the content.
    /// `name` stands for the image in errors.
    ///
    /// As Pillow's `convert("RGB")`: grey is replicated, a palette looked up, CMYK converted, alpha dropped without
    /// compositing, and an animation gives its first frame. Unlike it, an EXIF orientation is applied, and 16-bit
    /// samples are rounded to the nearest 8-bit one (`(v + 128) / 257`, full range to full range).
    ///
    /// # Errors
    /// [`Error::Image`] for bytes that are empty, truncated, corrupt, no image, an image of no pixels or too many, or
    /// one of floating-point samples (whose white is anyone's guess).
    pub fn decode(bytes: &[u8], name: &str) -> Result<Self> {
        if bytes.is_empty() {
            return Err(refuse(name, "the file is empty (0 bytes); copy or export it again"));
        }
        let format = image::guess_format(bytes).map_err(|_| {
            refuse(name, "is not an image in a known format; give a PNG, JPEG, TIFF, BMP, WebP or GIF file")
        })?;
        if !format.reading_enabled() {
            return Err(refuse(name, format!("is a {format:?} file, which is not supported; convert it to PNG")));
        }
        if !is_complete(format, bytes) {
            return Err(refuse(name, format!("the {format:?} file ends too early; copy or download it again")));
        }
        // A decoder that panics (tiff 0.10 does, on an empty list of sample formats) must not end the program.
        DECODING.set(true);
        let decoded = std::panic::catch_unwind(|| decode_as(format, bytes, name));
        DECODING.set(false);
        decoded.unwrap_or_else(|_| {
            Err(refuse(name, format!("the {format:?} file is corrupt beyond reading; copy or export it again")))
        })
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
    if width == 0 || height == 0 {
        return Err(refuse(name, format!("is {width}x{height}: it has no pixels")));
    }
    if width > MAX_SIDE || height > MAX_SIDE || u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(too_large(name, &format!("is {width}x{height} pixels")));
    }
    Ok(())
}

fn too_large(name: &str, what: &str) -> Error {
    let cure = format!("a side may have {MAX_SIDE} and an image {} Mi; scale it down or cut it", MAX_PIXELS >> 20);
    refuse(name, format!("{what}: {cure}"))
}

fn decode_as(format: ImageFormat, bytes: &[u8], name: &str) -> Result<Image> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits());
    let mut decoder = reader.into_decoder().map_err(|e| explain(name, format, e))?;
    let (width, height) = decoder.dimensions();
    check_size(name, width, height)?;
    // A mangled EXIF block is no reason to refuse the pixels.
    let orientation = decoder.orientation().unwrap_or(image::metadata::Orientation::NoTransforms);
    let mut pixels = DynamicImage::from_decoder(decoder).map_err(|e| explain(name, format, e))?;
    pixels.apply_orientation(orientation);
    convert(name, pixels)
}

/// The pixel count is checked apart, so this only bounds what decoders allocate besides.
fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_PIXELS * 8 + (64 << 20));
    limits
}

fn convert(name: &str, image: DynamicImage) -> Result<Image> {
    check_size(name, image.width(), image.height())?;
    if matches!(image, DynamicImage::ImageRgb32F(_) | DynamicImage::ImageRgba32F(_)) {
        return Err(float_samples(name));
    }
    let (width, height) = (image.width(), image.height());
    Ok(Image { width, height, rgb: image.into_rgb8().into_raw() })
}

fn float_samples(name: &str) -> Error {
    refuse(name, "has floating-point samples, of unknown range; save it with 8 or 16-bit integers")
}

/// One sentence of what is wrong, and one of what to do.
fn explain(name: &str, format: ImageFormat, error: ImageError) -> Error {
    match error {
        ImageError::Limits(e) => match e.kind() {
            LimitErrorKind::DimensionError => too_large(name, "is too large"),
            _ => too_large(name, "needs too much memory"),
        },
        ImageError::Unsupported(e) => {
            refuse(name, format!("uses a kind of {format:?} that is not supported ({e}); save it as an 8-bit PNG"))
        }
        ImageError::IoError(e) if e.kind() == ErrorKind::UnexpectedEof => {
            refuse(name, format!("the {format:?} file ends too early; copy or download it again"))
        }
        e => refuse(name, format!("the {format:?} file is corrupt ({e}); copy or export it again")),
    }
}

/// Whether the file reaches the end mark of its format, where there is one and the decoder would not miss it.
///
/// The JPEG decoder paints grey what a cut file lacks, and others stop reading after the last pixel they need.
fn is_complete(format: ImageFormat, bytes: &[u8]) -> bool {
    match format {
        ImageFormat::Jpeg => jpeg_ends(bytes),
        ImageFormat::Png => png_ends(bytes),
        ImageFormat::WebP => le32(bytes, 4).is_some_and(|size| u64::from(size) + 8 <= bytes.len() as u64),
        _ => true,
    }
}

fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// Walks the segments to the end-of-image marker. A search for its two bytes would not do: a thumbnail has its own,
/// and a file may go on after it (a phone's film, a second view).
fn jpeg_ends(bytes: &[u8]) -> bool {
    let mut at = 2;
    loop {
        // Up to the next marker: over what lies between segments, and over a scan's data, where FF is followed by 00.
        let Some(skip) = bytes.get(at..).and_then(|rest| rest.iter().position(|&b| b == 0xFF)) else { return false };
        at += skip + 1;
        match bytes.get(at) {
            None => return false,
            Some(0xD9) => return true,
            Some(0xFF) => {}                            // fill: this FF may itself start the marker
            Some(0x00 | 0x01 | 0xD0..=0xD8) => at += 1, // stuffed, or a marker without a segment
            Some(_) => match bytes.get(at + 1..at + 3) {
                Some(len) => at += 1 + usize::from(u16::from_be_bytes([len[0], len[1]])),
                None => return false,
            },
        }
    }
}

/// Walks the chunks to IEND.
fn png_ends(bytes: &[u8]) -> bool {
    let mut at = 8_usize;
    while let Some(head) = bytes.get(at..at.saturating_add(8)) {
        let len = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        at = at.saturating_add(len).saturating_add(12);
        if head[4..] == *b"IEND" {
            return at <= bytes.len();
        }
    }
    false
}

#[cfg(test)]
#[path = "image_tests.rs"]
mod tests;
