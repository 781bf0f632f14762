//! The formats that the `image` crate decodes, with what it would miss: where a file ends too early, is damaged or has
//! more than one picture.

use std::io::{Cursor, ErrorKind};

use image::error::LimitErrorKind;
use image::{ColorType, DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};

use super::decode::DECODING;
use super::fault::{Fault, room};
use super::reading::{About, Note, ReadOptions};
use super::samples::{Colours, Data, Depth, Samples};
use super::{MAX_PIXELS, MAX_SIDE, frames, jpeg, size_fault, too_large};

/// The most bytes of what a picture carries besides pixels: a PNG of 1 MB can hold a colour profile of 1 GiB.
const MAX_EXTRAS: u64 = 64 << 20;

/// Files up to this long are checked before they are decoded: starting a thread takes as long as checking 10 kB.
const WORTH_A_THREAD: usize = 1 << 16;

/// Whether files of this format are read at all.
pub(super) fn reads(format: ImageFormat) -> bool {
    use ImageFormat::{Bmp, Gif, Jpeg, Png, Tiff, WebP};
    matches!(format, Png | Jpeg | Tiff | Bmp | WebP | Gif)
}

/// What people call a format that is read.
pub(super) fn name(format: ImageFormat) -> &'static str {
    match format {
        ImageFormat::Png => "PNG",
        ImageFormat::Jpeg => "JPEG",
        ImageFormat::Tiff => "TIFF",
        ImageFormat::WebP => "WebP",
        ImageFormat::Gif => "GIF",
        ImageFormat::Bmp => "BMP",
        _ => "image",
    }
}

/// What a file is that is not read: other pictures, and what microscopes write.
pub(super) fn unread(bytes: &[u8]) -> Option<&'static str> {
    const BEGINNINGS: [(&[u8], &str); 14] = [
        (b"\0\0\0\x0cjP  \r\n", "a JPEG 2000 file"),
        (b"\xff\x4f\xff\x51", "a JPEG 2000 file"),
        (b"\0\0\0\x0cJXL ", "a JPEG XL file"),
        (b"\xff\x0a", "a JPEG XL file"),
        (b"ZISRAWFILE", "a Zeiss CZI file"),
        (b"\xda\xce\xbe\x0a", "a Nikon ND2 file"),
        (b"\x89HDF\r\n", "an HDF5 file"),
        (b"\x93NUMPY", "a NumPy file"),
        (b"SIMPLE  =", "a FITS file"),
        (b"%PDF-", "a PDF file"),
        (b"<svg", "an SVG drawing"),
        (b"8BPS", "a Photoshop file"),
        (b"PK\x03\x04", "a ZIP archive"),
        (b"\x1f\x8b", "a gzip archive"),
    ];
    let begins = BEGINNINGS.iter().find(|(begin, _)| bytes.starts_with(begin)).map(|b| b.1);
    let brand = bytes.get(4..12).filter(|b| b.starts_with(b"ftyp")).map(|b| &b[4..]);
    let boxed = match brand {
        Some(b"heic" | b"heix" | b"mif1" | b"hevc") => Some("a HEIC file"),
        Some(b"avif" | b"avis") => Some("an AVIF file"),
        Some(_) => Some("a film"),
        None => None,
    };
    let dicom = (bytes.get(128..132) == Some(b"DICM")).then_some("a DICOM file");
    begins.or(boxed).or(dicom).or(match image::guess_format(bytes) {
        Ok(ImageFormat::Pnm) => Some("a PNM file"),
        Ok(ImageFormat::Tga) => Some("a TGA file"),
        Ok(ImageFormat::Ico) => Some("an icon"),
        Ok(ImageFormat::Hdr) => Some("an HDR file"),
        Ok(ImageFormat::Dds) => Some("a DDS file"),
        Ok(ImageFormat::Qoi) => Some("a QOI file"),
        Ok(ImageFormat::OpenExr) => Some("an OpenEXR file"),
        Ok(ImageFormat::Farbfeld) => Some("a farbfeld file"),
        _ => None,
    })
}

/// Decodes a file; gives the EXIF orientation too.
///
/// # Errors
/// What is wrong with the file, or why it is not read.
pub(super) fn decode(
    format: ImageFormat,
    bytes: &[u8],
    options: &ReadOptions,
    notes: &mut Vec<Note>,
) -> Result<(Samples, Option<u8>), Fault> {
    if format == ImageFormat::Jpeg {
        return jpeg_file(bytes, options, notes);
    }
    if !reaches_its_end(format, bytes) {
        return Err(Fault::early());
    }
    pictures(format, bytes, options, notes)
}

/// A JPEG is decoded while all of it is checked: the check takes half as long as the decoder.
fn jpeg_file(bytes: &[u8], options: &ReadOptions, notes: &mut Vec<Note>) -> Result<(Samples, Option<u8>), Fault> {
    jpeg::progressive(bytes)?;
    let (whole, decoded) = std::thread::scope(|s| {
        let check = move || {
            DECODING.set(true);
            jpeg::check(bytes)
        };
        let beside = (bytes.len() > WORTH_A_THREAD).then(|| std::thread::Builder::new().spawn_scoped(s, check));
        match beside {
            Some(Ok(thread)) => {
                let decoded = pictures(ImageFormat::Jpeg, bytes, options, notes);
                (thread.join().unwrap_or_else(|_| Err(Fault::corrupt("its data make no sense"))), Some(decoded))
            }
            _ => (jpeg::check(bytes), None),
        }
    });
    let whole = whole?;
    let decoded = decoded.unwrap_or_else(|| pictures(ImageFormat::Jpeg, bytes, options, notes))?;
    if whole.stray > 0 {
        let text = format!(
            "has {} bytes among its data that belong to no pixel; if it looks wrong, copy it again",
            whole.stray
        );
        notes.push(Note::new(About::Damage, text));
    }
    if whole.coarse {
        let text = "is a progressive JPEG without its last scans; if it looks coarse, copy it again";
        notes.push(Note::new(About::Damage, text));
    }
    Ok(decoded)
}

/// The picture that is asked for, of those that the file has.
fn pictures(
    format: ImageFormat,
    bytes: &[u8],
    options: &ReadOptions,
    notes: &mut Vec<Note>,
) -> Result<(Samples, Option<u8>), Fault> {
    let count = frames::count(format, bytes);
    match options.page {
        None if count > 1 => {
            notes.push(Note::new(About::Page, format!("is frame 1 of {count}; the others were not looked at")));
        }
        Some(n) if n == 0 || n > count => {
            return Err(Fault::Image(format!("has no page {n}: it has {count}; give one of them")));
        }
        Some(n) if n > 1 => return Ok((frames::nth(format, bytes, n - 1)?, None)),
        _ => {}
    }
    // The JPEG decoder copies the file.
    drop(room::<u8>(bytes.len() + (1 << 20))?);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits(format));
    let mut decoder = reader.into_decoder().map_err(explain)?;
    let (width, height) = decoder.dimensions();
    if let Some(fault) = size_fault(width, height) {
        return Err(fault);
    }
    // A mangled EXIF block is no reason to refuse the pixels.
    let orientation = decoder.orientation().ok().map(image::metadata::Orientation::to_exif);
    let own = match format {
        ImageFormat::Jpeg if jpeg::progressive(bytes)? => 6,
        ImageFormat::WebP => 4,
        _ => 0,
    };
    Ok((samples(decoder, own)?, orientation))
}

/// The pixel count is checked apart, so this only bounds what decoders allocate besides: of PNG it is the extras alone.
pub(super) fn limits(format: ImageFormat) -> Limits {
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    let pixels = if format == ImageFormat::Png { 0 } else { MAX_PIXELS * 8 };
    limits.max_alloc = Some(pixels + MAX_EXTRAS);
    limits
}

/// `own`: bytes a pixel that the decoder takes for itself.
fn samples(decoder: impl ImageDecoder, own: usize) -> Result<Samples, Fault> {
    let (size, colour) = (decoder.dimensions(), decoder.color_type());
    let pixels = size.0 as usize * size.1 as usize;
    let len = pixels * usize::from(colour.channel_count());
    // A decoder that gets no memory ends the program: see first whether there is some.
    let later = if matches!(colour, ColorType::Rgb8 | ColorType::Rgba8) { 0 } else { 3 };
    drop(room::<u8>(pixels * (own + usize::from(colour.bytes_per_pixel()) + later) + (1 << 20))?);
    let data = match colour {
        ColorType::L8 | ColorType::La8 | ColorType::Rgb8 | ColorType::Rgba8 => {
            let mut bytes: Vec<u8> = room(len)?;
            bytes.resize(len, 0);
            decoder.read_image(&mut bytes).map_err(explain)?;
            Data::U8(bytes)
        }
        ColorType::L16 | ColorType::La16 | ColorType::Rgb16 | ColorType::Rgba16 => {
            let mut values: Vec<u16> = room(len)?;
            values.resize(len, 0);
            decoder.read_image(bytemuck::cast_slice_mut(&mut values)).map_err(explain)?;
            Data::U16(values)
        }
        other => return Err(Fault::Kind(format!("a file of {other:?} samples"))),
    };
    Ok(without_alpha(size, data, colour.channel_count()))
}

/// What the `image` crate holds.
pub(super) fn from_dynamic(image: DynamicImage) -> Result<Samples, Fault> {
    let size = (image.width(), image.height());
    let channels = image.color().channel_count();
    let data = match image {
        DynamicImage::ImageLuma8(i) => Data::U8(i.into_raw()),
        DynamicImage::ImageLumaA8(i) => Data::U8(i.into_raw()),
        DynamicImage::ImageRgb8(i) => Data::U8(i.into_raw()),
        DynamicImage::ImageRgba8(i) => Data::U8(i.into_raw()),
        DynamicImage::ImageLuma16(i) => Data::U16(i.into_raw()),
        DynamicImage::ImageLumaA16(i) => Data::U16(i.into_raw()),
        DynamicImage::ImageRgb16(i) => Data::U16(i.into_raw()),
        DynamicImage::ImageRgba16(i) => Data::U16(i.into_raw()),
        DynamicImage::ImageRgb32F(i) => Data::F32(i.into_raw()),
        DynamicImage::ImageRgba32F(i) => Data::F32(i.into_raw()),
        other => return Err(Fault::Kind(format!("an image of {:?} samples", other.color()))),
    };
    Ok(without_alpha(size, data, channels))
}

fn without_alpha(size: (u32, u32), data: Data, channels: u8) -> Samples {
    fn drop_last<T: Copy>(values: &mut Vec<T>, channels: usize) {
        let pixels = values.len() / channels;
        for i in 1..pixels {
            values.copy_within(i * channels..(i + 1) * channels - 1, i * (channels - 1));
        }
        values.truncate(pixels * (channels - 1));
    }
    let (colours, alpha) = match channels {
        1 | 2 => (Colours::Grey, channels == 2),
        _ => (Colours::Rgb, channels == 4),
    };
    let each = usize::from(channels);
    let (data, depth) = match data {
        Data::U8(mut values) => {
            if alpha {
                drop_last(&mut values, each);
            }
            (Data::U8(values), Depth::Known(8))
        }
        Data::U16(mut values) => {
            if alpha {
                drop_last(&mut values, each);
            }
            (Data::U16(values), Depth::AtMost(16))
        }
        Data::F32(mut values) => {
            if alpha {
                drop_last(&mut values, each);
            }
            (Data::F32(values), Depth::Float)
        }
    };
    Samples { size, colours, data, depth, inverted: false, declared: None }
}

/// What is wrong, of an error of the `image` crate.
pub(super) fn explain(error: ImageError) -> Fault {
    match error {
        ImageError::Limits(e) => match e.kind() {
            LimitErrorKind::DimensionError => too_large("is too large"),
            _ => too_large("needs too much memory"),
        },
        ImageError::Unsupported(e) => Fault::Kind(format!("a kind of file that the decoder does not know ({e})")),
        ImageError::IoError(e) if e.kind() == ErrorKind::UnexpectedEof => Fault::early(),
        e => Fault::corrupt(e),
    }
}

/// Whether a file reaches the end mark of its format, where there is one and the decoder would not miss it: some stop
/// reading after the last pixel they need.
fn reaches_its_end(format: ImageFormat, bytes: &[u8]) -> bool {
    match format {
        ImageFormat::Png => png_ends(bytes),
        ImageFormat::WebP => le32(bytes, 4).is_some_and(|size| u64::from(size) + 8 <= bytes.len() as u64),
        _ => true,
    }
}

fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
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
