//! Videos, which come in pieces and carry the mark in a last box that players pass over.

use std::io::{self, Write};
use std::path::Path;

use crc32fast::Hasher;

use super::mark::mark;
use crate::atomic;
use crate::error::Result;

/// Bytes of a box before what is in it: its length, its kind.
const HEAD: u32 = 8;

/// Writes an MP4 file through `fill`, marked: it is whole or as it was before.
///
/// # Errors
/// [`crate::Error::Io`] where it cannot be written, or `fill` fails.
pub fn save_mp4_atomic(path: impl AsRef<Path>, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
    atomic::write(path.as_ref(), |out| {
        let mut summed = Summed { out, sum: Hasher::new() };
        fill(&mut summed)?;
        // A mark is as long whatever the sum.
        let length = HEAD + mark(Hasher::new(), None).len() as u32;
        summed.write_all(&length.to_be_bytes())?;
        summed.write_all(b"free")?;
        let mark = mark(summed.sum, None);
        summed.out.write_all(mark.as_bytes())
    })
}

/// Passes on what is written, and sums it up.
struct Summed<'a> {
    out: &'a mut dyn Write,
    sum: Hasher,
}

impl Write for Summed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.sum.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
