//! TIFF and BigTIFF as cameras, microscopes and slide scanners write them: strips and tiles, planes, pyramids, stacks.
//!
//! The decompressors are crates; what lies between them and the pixels is here. The crate `tiff` was measured first: 0.10
//! panics in LZW tiles that reach over the image's edge, and neither it nor 0.11 reads palettes, 10 or 12-bit samples,
//! or a file one of whose directories it does not know.

mod chunks;
mod codec;
mod ifd;
mod layout;
mod pages;

use self::chunks::Chunks;
use self::ifd::File;
use self::layout::Layout;
use super::fault::Fault;
use super::reading::{About, Note, Pages, ReadOptions};
use super::samples::{Colours, Samples};

/// Decodes a page of a file; gives the EXIF orientation too.
///
/// # Errors
/// What is wrong with the file, or why it is not read.
pub(super) fn decode(
    bytes: &[u8],
    options: &ReadOptions,
    notes: &mut Vec<Note>,
) -> Result<(Samples, Option<u8>), Fault> {
    let (file, first) = File::open(bytes).ok_or_else(Fault::early)?;
    let page = pages::choose(&file, first, options.page, notes)?;
    let layout = Layout::read(&file, &page.ifd, page.size)?;
    let (taken, chosen) = layout.taken(options.channels)?;
    if let Some(note) = layout.left_out(options.channels) {
        notes.push(Note::new(About::Channel, note));
    }
    let chunks = Chunks::read(&file, &page, &layout)?;
    let mut samples = layout.colour(&file, &page.ifd, chunks.samples(&file, &layout, &taken)?)?;
    if chosen {
        samples.colours = if taken.len() == 3 { Colours::Rgb } else { Colours::Grey };
    } else {
        samples = samples.pick(options.channels)?;
    }
    notes.extend(chunks.left_out().map(|text| Note::new(About::Damage, text)));
    Ok((samples, file.unsigned(&page.ifd, 274).and_then(|o| u8::try_from(o).ok())))
}

/// The pages of a file.
///
/// # Errors
/// Where the list of them is cut, or there is none.
pub(super) fn pages(bytes: &[u8]) -> Result<Pages, Fault> {
    let (file, first) = File::open(bytes).ok_or_else(Fault::early)?;
    pages::all(&file, first)
}

#[cfg(test)]
#[path = "tiff_tests.rs"]
mod tests;
