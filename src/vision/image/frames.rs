//! The frames of animated GIF, WebP and PNG files.

use std::io::Cursor;

use image::codecs::{gif::GifDecoder, png::PngDecoder, webp::WebPDecoder};
use image::{AnimationDecoder, ImageDecoder, ImageFormat};

use super::fault::Fault;
use super::formats::{explain, from_dynamic, limits};
use super::samples::Samples;
use super::size_fault;

/// How many frames a file has, of what its headers say: 1 where it is no animation.
pub(super) fn count(format: ImageFormat, bytes: &[u8]) -> usize {
    let count = match format {
        ImageFormat::Gif => gif(bytes),
        ImageFormat::WebP => webp(bytes),
        ImageFormat::Png => png(bytes),
        _ => None,
    };
    count.unwrap_or(1).max(1)
}

/// A frame as it is shown: over those before it.
pub(super) fn nth(format: ImageFormat, bytes: &[u8], n: usize) -> Result<Samples, Fault> {
    let bytes = Cursor::new(bytes);
    let frames = match format {
        ImageFormat::Gif => {
            let mut decoder = GifDecoder::new(bytes).map_err(explain)?;
            fits(&mut decoder)?;
            decoder.into_frames()
        }
        ImageFormat::WebP => {
            let mut decoder = WebPDecoder::new(bytes).map_err(explain)?;
            fits(&mut decoder)?;
            decoder.into_frames()
        }
        _ => {
            let mut decoder = PngDecoder::with_limits(bytes, limits(format)).map_err(explain)?;
            fits(&mut decoder)?;
            decoder.apng().map_err(explain)?.into_frames()
        }
    };
    for (i, frame) in frames.enumerate() {
        let frame = frame.map_err(explain)?;
        if i == n {
            return from_dynamic(frame.into_buffer().into());
        }
    }
    Err(Fault::early())
}

fn fits(decoder: &mut impl ImageDecoder) -> Result<(), Fault> {
    let (width, height) = decoder.dimensions();
    match size_fault(width, height) {
        Some(fault) => Err(fault),
        None => {
            let mut limits = limits(ImageFormat::Png);
            // A canvas, a frame and what is under it, of four bytes a pixel.
            limits.max_alloc = Some(12 * u64::from(width) * u64::from(height) + (1 << 20));
            decoder.set_limits(limits).map_err(explain)
        }
    }
}

/// Walks the blocks: pictures begin with 2C, extensions with 21.
fn gif(bytes: &[u8]) -> Option<usize> {
    let colours = |flags: u8| if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) };
    let mut at = 13 + colours(*bytes.get(10)?);
    let mut count = 0;
    loop {
        match bytes.get(at) {
            Some(0x2C) => {
                at += 11 + colours(*bytes.get(at + 9)?);
                count += 1;
            }
            Some(0x21) => at += 2,
            _ => return Some(count),
        }
        // Sub-blocks, up to an empty one.
        loop {
            let len = usize::from(*bytes.get(at)?);
            at += 1 + len;
            if len == 0 {
                break;
            }
        }
    }
}

fn webp(bytes: &[u8]) -> Option<usize> {
    let (mut at, mut count) = (12_usize, 0);
    while let Some(head) = bytes.get(at..at.checked_add(8)?) {
        let len = u32::from_le_bytes(head[4..8].try_into().ok()?) as usize;
        count += usize::from(&head[..4] == b"ANMF");
        at = at.checked_add(8 + len + len % 2)?;
    }
    Some(count)
}

/// What the animation control chunk says, which stands before the pixels. A picture that is none of the frames is
/// counted by nobody.
fn png(bytes: &[u8]) -> Option<usize> {
    let mut at = 8_usize;
    loop {
        let head = bytes.get(at..at.checked_add(12)?)?;
        match &head[4..8] {
            b"acTL" => return Some(u32::from_be_bytes(head[8..12].try_into().ok()?) as usize),
            b"IDAT" => return None,
            _ => at = at.checked_add(u32::from_be_bytes(head[..4].try_into().ok()?) as usize)?.checked_add(12)?,
        }
    }
}
