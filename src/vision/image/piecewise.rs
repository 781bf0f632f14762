//! Pictures too large for memory, of which some rows are read at a time (feature `image`).

use std::fs::File;
use std::io::Read as _;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use image::ImageFormat;
use memmap2::Mmap;

use super::decode::{format_of, guarded};
use super::tiff::Pieces;
use super::{HEAD_BYTES, Note, ReadOptions};
use crate::error::{Error, Result};
use crate::vision::rows::{RowSource, outside};

/// A picture in a TIFF file whose strips or tiles are decoded when their rows are wanted: a row of them is in memory
/// at a time, and those that were asked for. What is black and white in it is what it would be in an
/// [`Image`](super::Image) of it.
pub struct Piecewise {
    bytes: Bytes,
    name: String,
    size: (u32, u32),
    pieces: Pieces,
}

/// Where the file's bytes are.
enum Bytes {
    Mapped(Mmap),
    Held(Arc<Vec<u8>>),
}

impl Bytes {
    fn get(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Held(bytes) => bytes,
        }
    }

    /// Lets go of what was read: what is mapped counts as the program's memory as long as there is plenty.
    fn release(&self) {
        #[cfg(unix)]
        if let Self::Mapped(map) = self {
            // Of a file that is only read nothing is lost: it is read again where it is wanted.
            let done = unsafe { map.unchecked_advise(memmap2::UncheckedAdvice::DontNeed) };
            if let Err(e) = done {
                log::debug!("what was read of a picture stays in memory: {e}");
            }
        }
    }
}

impl Piecewise {
    /// Opens a picture of more than `above` pixels, or in a file that is too long to be read at once. Nothing for a smaller
    /// one and for what is no TIFF: [`ReadOptions::open`] is for these. What was assumed comes with it.
    ///
    /// # Errors
    /// As [`ReadOptions::open`]; [`Error::Image`] too for what can be read in no pieces: one strip for all rows, or an
    /// orientation other than upright.
    pub fn open(path: impl AsRef<Path>, options: &ReadOptions, above: u64) -> Result<Option<(Self, Vec<Note>)>> {
        let path = path.as_ref();
        let io = |source| Error::Io { path: path.to_path_buf(), source };
        // What is no file, such as a pipe, is opened and read once, and not here.
        if !path.metadata().map_err(io)?.is_file() {
            return Ok(None);
        }
        let mut file = File::open(path).map_err(io)?;
        let mut head = Vec::new();
        file.by_ref().take(HEAD_BYTES).read_to_end(&mut head).map_err(io)?;
        if format_of(&head) != Some(ImageFormat::Tiff) {
            return Ok(None);
        }
        // As with weights: who cuts a file while it is read may end the program.
        let map = unsafe { Mmap::map(&file) }.map_err(io)?;
        Self::new(Bytes::Mapped(map), &path.display().to_string(), options, above)
    }

    /// The same of the bytes of a file; `name` stands for it in errors.
    ///
    /// # Errors
    /// As [`Piecewise::open`].
    pub fn of(bytes: Arc<Vec<u8>>, name: &str, options: &ReadOptions, above: u64) -> Result<Option<(Self, Vec<Note>)>> {
        match format_of(&bytes) {
            Some(ImageFormat::Tiff) => Self::new(Bytes::Held(bytes), name, options, above),
            _ => Ok(None),
        }
    }

    fn new(bytes: Bytes, name: &str, options: &ReadOptions, above: u64) -> Result<Option<(Self, Vec<Note>)>> {
        let all = bytes.get();
        // What is wrong with it is told by who decodes it.
        let size = guarded(all, name, |_| Pieces::size(all, options));
        let Ok(size) = size else { return Ok(None) };
        let fits = u64::from(size.0) * u64::from(size.1) <= above && all.len() as u64 <= super::decode::MAX_FILE_BYTES;
        if fits {
            return Ok(None);
        }
        let mut notes = Vec::new();
        let pieces = guarded(all, name, |_| Pieces::open(all, options, &mut notes, || bytes.release()))?;
        Ok(Some((Self { name: name.into(), size, pieces, bytes }, notes)))
    }

    /// Bytes of the file, and their CRC-32.
    pub fn checksum(&self) -> (usize, u32) {
        let all = self.bytes.get();
        let mut sum = crc32fast::Hasher::new();
        for part in all.chunks(1 << 24) {
            sum.update(part);
            self.bytes.release();
        }
        (all.len(), sum.finalize())
    }
}

impl RowSource for Piecewise {
    fn width(&self) -> u32 {
        self.size.0
    }

    fn height(&self) -> u32 {
        self.size.1
    }

    fn rows(&mut self, rows: Range<u32>) -> Result<&[u8]> {
        if rows.start > rows.end || rows.end > self.size.1 {
            return Err(outside(&rows, self.size.1));
        }
        let Self { bytes, name, pieces, .. } = self;
        let all = bytes.get();
        let read = guarded(all, name, |_| pieces.rows(all, rows))?;
        bytes.release();
        Ok(&pieces.rgb()[read])
    }
}
