//! A picture whose rows are decoded when they are wanted.

use std::ops::Range;

use super::chunks::Chunks;
use super::ifd::File;
use super::{Picture, pages};
use crate::vision::image::fault::Fault;
use crate::vision::image::reading::{About, Note, ReadOptions};
use crate::vision::image::samples::{self, Census};
use crate::vision::image::{MAX_PIXELS, side_fault};

/// A page of a file of which some rows are decoded. The file's bytes are given with each call.
pub(in crate::vision::image) struct Pieces {
    picture: Picture,
    range: Option<samples::Range>,
    /// The rows that are decoded, 8-bit RGB, and the first of them.
    rgb: Vec<u8>,
    top: u32,
}

impl Pieces {
    /// Width and height of the page that is asked for.
    pub(in crate::vision::image) fn size(bytes: &[u8], options: &ReadOptions) -> Result<(u32, u32), Fault> {
        let (file, first) = File::open(bytes).ok_or_else(Fault::early)?;
        Ok(pages::choose(&file, first, options.page, side_fault, &mut Vec::new())?.size)
    }

    /// Opens the page that is asked for. Where its values have to be counted to know what is black and white, all of it is
    /// decoded, a row of chunks at a time; `done` is called after each.
    pub(in crate::vision::image) fn open(
        bytes: &[u8],
        options: &ReadOptions,
        notes: &mut Vec<Note>,
        mut done: impl FnMut(),
    ) -> Result<Self, Fault> {
        let (file, first) = File::open(bytes).ok_or_else(Fault::early)?;
        let page = pages::choose(&file, first, options.page, side_fault, notes)?;
        let picture = Picture::new(&file, page, options.channels, notes)?;
        if picture.orientation.is_some_and(|o| (2..=8).contains(&o)) {
            return Err(Fault::Image(format!(
                "is to be turned (its tag 274 says so), which is done with pictures of up to {} Mi pixels; save it upright",
                MAX_PIXELS >> 20
            )));
        }
        let chunks = Chunks::read(&file, &picture.page, &picture.layout)?;
        let (each, count) = chunks.grid();
        let (width, name) = (picture.layout.size.0, chunks.name());
        if width as u64 * each as u64 > MAX_PIXELS {
            return Err(Fault::Image(format!(
                "has {name}s of {each} rows, and {width}x{each} pixels are too many to be decoded at once; save it in tiles"
            )));
        }
        chunks.count_left_out();
        notes.extend(chunks.left_out().map(|text| Note::new(About::Damage, text)));
        let one = picture.samples(&file, &chunks, 0..1)?;
        let mut census = Census::new(one.depth, one.declared);
        for pass in 0..Census::passes(one.depth, options.normalize) {
            for row in 0..count {
                census.take(&picture.samples(&file, &chunks, row..row + 1)?.data, pass);
                done();
            }
        }
        let (range, note) = census.range(options.normalize)?;
        notes.extend(note);
        Ok(Self { picture, range, rgb: Vec::new(), top: 0 })
    }

    /// What is decoded.
    pub(in crate::vision::image) fn rgb(&self) -> &[u8] {
        &self.rgb
    }

    /// Decodes these rows, which are the picture's; gives where they are in what is decoded. Those before are forgotten.
    pub(in crate::vision::image) fn rows(&mut self, bytes: &[u8], rows: Range<u32>) -> Result<Range<usize>, Fault> {
        let (file, _) = File::open(bytes).ok_or_else(Fault::early)?;
        let chunks = Chunks::read(&file, &self.picture.page, &self.picture.layout)?;
        let each = chunks.grid().0 as u32;
        let row = 3 * self.picture.layout.size.0 as usize;
        let bottom = self.top + (self.rgb.len() / row) as u32;
        if rows.start < self.top || rows.start > bottom {
            self.rgb.clear();
            self.top = rows.start / each * each;
        }
        let held = (rows.start.saturating_sub(self.top) as usize * row).min(self.rgb.len());
        self.rgb.drain(..held);
        self.top += (held / row) as u32;
        loop {
            let bottom = self.top + (self.rgb.len() / row) as u32;
            if bottom >= rows.end {
                break;
            }
            // What is held ends where a row of chunks ends.
            let at = (bottom / each) as usize;
            let samples = self.picture.samples(&file, &chunks, at..at + 1)?;
            self.rgb.extend(samples.into_rgb_of(self.range)?);
        }
        let from = (rows.start - self.top) as usize * row;
        Ok(from..from + rows.len() * row)
    }
}
