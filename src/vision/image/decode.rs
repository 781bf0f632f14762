//! Image files and what the `image` crate holds, to 8-bit RGB (feature `image`).

use std::cell::Cell;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use image::{DynamicImage, ImageFormat};

use super::fault::Fault;
use super::{
    Image, MAX_PIXELS, Normalize, Note, Pages, ReadOptions, Reading, check_size, fault, formats, frames, refuse,
    samples, tiff,
};
use crate::error::{Error, Result};

/// The most bytes read from a file: eight a pixel, which is what 16-bit RGBA takes uncompressed.
pub(super) const MAX_FILE_BYTES: u64 = MAX_PIXELS * 8;

thread_local! {
    pub(super) static DECODING: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is inside an image decoder, whose panic [`Image::decode`] turns into an error: a program's panic
/// hook has nothing to print then.
pub fn is_decoding() -> bool {
    DECODING.get()
}

impl Image {
    /// Converts what the `image` crate holds, by the rules of [`Image::decode`].
    ///
    /// # Errors
    /// [`Error::Image`] for an empty or too large image, and for floating-point samples that are not between 0 and 1.
    pub fn from_dynamic(image: ::image::DynamicImage) -> Result<Self> {
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
}

/// How many of a file's first bytes tell whether it is an image ([`is_image`]).
pub const HEAD_BYTES: u64 = 64;

/// Whether a file that begins with these bytes is of a format that is read.
pub fn is_image(head: &[u8]) -> bool {
    format_of(head).is_some_and(formats::reads)
}

pub(super) fn open(path: &Path, options: &ReadOptions) -> Result<Reading> {
    decode(&read_file(path)?, &path.display().to_string(), options)
}

/// The bytes of an image file, to be decoded later: [`ReadOptions::open`] without the decoding.
///
/// # Errors
/// [`Error::Io`] for a file that is missing, unreadable or a directory; [`Error::Image`] for one that is larger than any
/// image may be.
pub fn read_file(path: impl AsRef<Path>) -> Result<Vec<u8>> {
    let path = path.as_ref();
    let io = |source| Error::Io { path: path.to_path_buf(), source };
    let file = File::open(path).map_err(io)?;
    let about = file.metadata().map_err(io)?;
    // Said here because systems word it differently, and some only when the directory is read.
    if about.is_dir() {
        return Err(io(std::io::Error::new(ErrorKind::IsADirectory, "is a directory, not an image file")));
    }
    let name = path.display().to_string();
    let bytes = fault::room(about.len().min(MAX_FILE_BYTES) as usize).map_err(|f| refuse(&name, f.of("image")))?;
    read_into(bytes, file, &name, io)
}

/// The bytes of an image that is read from elsewhere; `name` stands for it in errors.
///
/// # Errors
/// [`Error::Io`] where it cannot be read; [`Error::Image`] where it is larger than any image may be.
pub fn read_stream(stream: impl Read, name: &str) -> Result<Vec<u8>> {
    read_into(Vec::new(), stream, name, |source| Error::Io { path: name.into(), source })
}

/// The file may be a pipe or still growing, so the limit is on what is read.
fn read_into(mut bytes: Vec<u8>, from: impl Read, name: &str, io: impl Fn(std::io::Error) -> Error) -> Result<Vec<u8>> {
    from.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(refuse(name, format!("is larger than {} MiB; cut it into tiles", MAX_FILE_BYTES >> 20)));
    }
    Ok(bytes)
}

pub(super) fn decode(bytes: &[u8], name: &str, options: &ReadOptions) -> Result<Reading> {
    guarded(bytes, name, |format| {
        let mut notes = Vec::new();
        let (samples, orientation) = match format {
            ImageFormat::Tiff => tiff::decode(bytes, options, &mut notes)?,
            _ => {
                let (samples, orientation) = formats::decode(format, bytes, options, &mut notes)?;
                (samples.pick(options.channels)?, orientation)
            }
        };
        let image = finish(samples, orientation, options.normalize, &mut notes)?;
        Ok(Reading { image, notes })
    })
}

pub(super) fn pages(bytes: &[u8], name: &str) -> Result<Pages> {
    guarded(bytes, name, |format| match format {
        ImageFormat::Tiff => tiff::pages(bytes),
        _ => {
            let count = frames::count(format, bytes);
            Ok(Pages { count, whole: (1..=count).collect() })
        }
    })
}

/// What `read` makes of the bytes of a file, by its format.
pub(super) fn guarded<T>(bytes: &[u8], name: &str, read: impl FnOnce(ImageFormat) -> Result<T, Fault>) -> Result<T> {
    if bytes.is_empty() {
        return Err(refuse(name, "the file is empty (0 bytes); copy or export it again"));
    }
    let format = format_of(bytes).filter(|&f| formats::reads(f)).ok_or_else(|| match formats::unread(bytes) {
        Some(kind) => refuse(name, format!("is {kind}, which is not supported; convert it to PNG or TIFF")),
        None => refuse(name, "is not an image in a known format; give a PNG, JPEG, TIFF, BMP, WebP or GIF file"),
    })?;
    // A decoder that panics must not end the program.
    DECODING.set(true);
    // Nobody uses what it leaves half done.
    let read = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| read(format)));
    DECODING.set(false);
    let read = read.unwrap_or_else(|_| Err(Fault::State("is corrupt beyond reading".into())));
    read.map_err(|fault: Fault| refuse(name, fault.of(formats::name(format))))
}

/// Like the `image` crate, which does not know BigTIFF.
pub(super) fn format_of(bytes: &[u8]) -> Option<ImageFormat> {
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
