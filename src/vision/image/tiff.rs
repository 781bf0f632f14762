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
mod pieces;

use std::ops::Range;

use self::chunks::Chunks;
use self::ifd::File;
use self::layout::Layout;
use self::pages::Page;
pub(super) use self::pieces::Pieces;
use super::fault::Fault;
use super::reading::{About, Channels, Note, Pages, ReadOptions};
use super::samples::{Colours, Samples};
use super::size_fault;

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
    let page = pages::choose(&file, first, options.page, size_fault, notes)?;
    let picture = Picture::new(&file, page, options.channels, notes)?;
    let chunks = Chunks::read(&file, &picture.page, &picture.layout)?;
    let samples = picture.samples(&file, &chunks, 0..chunks.grid().1)?;
    notes.extend(chunks.left_out().map(|text| Note::new(About::Damage, text)));
    Ok((samples, picture.orientation))
}

/// A page of a file, and what is to be read of it.
struct Picture {
    page: Page,
    layout: Layout,
    channels: Channels,
    /// The samples to read of each pixel, and whether they are those that were asked for.
    taken: Vec<usize>,
    chosen: bool,
    orientation: Option<u8>,
}

impl Picture {
    fn new(file: &File<'_>, page: Page, channels: Channels, notes: &mut Vec<Note>) -> Result<Self, Fault> {
        let layout = Layout::read(file, &page.ifd, page.size)?;
        let (taken, chosen) = layout.taken(channels)?;
        if let Some(note) = layout.left_out(channels) {
            notes.push(Note::new(About::Channel, note));
        }
        let orientation = file.unsigned(&page.ifd, 274).and_then(|o| u8::try_from(o).ok());
        Ok(Self { page, layout, channels, taken, chosen, orientation })
    }

    /// The samples in these rows of its chunks.
    fn samples(&self, file: &File<'_>, chunks: &Chunks<'_>, rows: Range<usize>) -> Result<Samples, Fault> {
        let (each, height) = (chunks.grid().0, self.layout.size.1 as usize);
        let pixels = ((rows.end * each).min(height) - rows.start * each) as u32;
        let data = chunks.samples(file, &self.layout, &self.taken, rows)?;
        let size = (self.layout.size.0, pixels);
        let samples = Samples { size, ..self.layout.colour(file, &self.page.ifd, data)? };
        if self.chosen {
            let colours = if self.taken.len() == 3 { Colours::Rgb } else { Colours::Grey };
            return Ok(Samples { colours, ..samples });
        }
        samples.pick(self.channels)
    }
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
