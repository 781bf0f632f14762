//! How the program knows its own files again: by a mark with a checksum of the rest of the file. Whoever changes such a
//! file makes it his own, as the checksum is not right any more.
//!
//! A PNG carries it as the text chunk `Software`, a COCO results file, which has to be a list of entries, as one more
//! key of the first entry. An empty list has no mark, and nothing that could be lost. SVG and HTML end with it, as a
//! comment.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use crc32fast::Hasher;
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder as _, RgbImage};

use crate::atomic;
use crate::error::{Error, Result};
use crate::vision::coco::{self, CocoResult};

const VERSION: &str = env!("CARGO_PKG_VERSION");
const NAME: &str = "maskrcnn ";
const SUM: &str = " crc32:";

/// What every PNG begins with.
const SIGNATURE: [u8; 8] = *b"\x89PNG\r\n\x1a\n";
/// Bytes of a PNG's last chunk, which is empty.
const END: usize = 12;
/// What a mark's chunk has between its length and the version.
const CHUNK: &[u8] = b"tEXtSoftware\0maskrcnn ";
/// What stands before the mark in a results file's first entry.
const KEY: &str = ",\"written_by\":\"";
/// What stands around the mark at the end of a page or drawing.
const COMMENT: (&str, &str) = ("<!-- ", " -->\n");
/// A results file without entries, as this program writes it.
const EMPTY: &[u8] = b"[\n]\n";
/// More than a mark with a PNG's last chunk takes.
const MOST: u64 = 256;

/// The mark for a file of which `sum` has seen the rest.
fn mark(mut sum: Hasher) -> String {
    let program = format!("{NAME}{VERSION}");
    sum.update(program.as_bytes());
    format!("{program}{SUM}{:08x}", sum.finalize())
}

/// Whether a mark is right for a file of which `sum` has seen the rest.
fn is_right(mark: &[u8], mut sum: Hasher) -> bool {
    let parts = || std::str::from_utf8(mark).ok()?.split_once(SUM).filter(|(program, _)| program.starts_with(NAME));
    let Some((program, stated)) = parts() else { return false };
    sum.update(program.as_bytes());
    stated == format!("{:08x}", sum.finalize())
}

/// Writes a picture as PNG, marked as this program's ([`is_ours`]): the file is whole or as it was before.
///
/// # Errors
/// [`Error::Io`] where it cannot be written.
pub fn save_png_atomic(path: impl AsRef<Path>, picture: &RgbImage) -> Result<()> {
    atomic::write(path.as_ref(), |out| png(picture, out))
}

/// Writes entries as a COCO results file, marked: it is whole or as it was before.
///
/// # Errors
/// [`Error::Io`] where it cannot be written.
pub fn save_results_atomic(path: impl AsRef<Path>, results: &[CocoResult]) -> Result<()> {
    let text = coco::text(results).map_err(|source| Error::Io { path: path.as_ref().into(), source })?;
    atomic::write(path.as_ref(), |out| json(&text, out))
}

/// Writes an SVG drawing or an HTML page, marked: it is whole or as it was before.
///
/// # Errors
/// [`Error::Io`] where it cannot be written.
pub fn save_markup_atomic(path: impl AsRef<Path>, text: &str) -> Result<()> {
    let mut sum = Hasher::new();
    sum.update(text.as_bytes());
    let end = format!("{}{}{}", COMMENT.0, mark(sum), COMMENT.1);
    atomic::write(path.as_ref(), |out| out.write_all(text.as_bytes()).and_then(|()| out.write_all(end.as_bytes())))
}

/// Writes a marked PNG.
pub(super) fn png(picture: &RgbImage, out: &mut dyn Write) -> io::Result<()> {
    let mut marked = Marked { out, sum: Hasher::new(), tail: Vec::new() };
    PngEncoder::new(&mut marked)
        .write_image(picture.as_raw(), picture.width(), picture.height(), ExtendedColorType::Rgb8)
        .map_err(|e| match e {
            image::ImageError::IoError(e) => e,
            other => io::Error::other(other),
        })?;
    marked.finish()
}

/// Passes on a PNG but for its last chunk, which is held back until the mark can be written before it.
struct Marked<'a> {
    out: &'a mut dyn Write,
    sum: Hasher,
    tail: Vec<u8>,
}

impl Write for Marked<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.tail.extend(bytes);
        let pass = self.tail.len().saturating_sub(END);
        self.sum.update(&self.tail[..pass]);
        self.out.write_all(&self.tail[..pass])?;
        self.tail.drain(..pass);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl Marked<'_> {
    fn finish(mut self) -> io::Result<()> {
        self.sum.update(&self.tail);
        let text = [b"Software\0", mark(self.sum).as_bytes()].concat();
        let body = [b"tEXt", &text[..]].concat();
        self.out.write_all(&(text.len() as u32).to_be_bytes())?;
        self.out.write_all(&body)?;
        self.out.write_all(&crc32fast::hash(&body).to_be_bytes())?;
        self.out.write_all(&self.tail)
    }
}

/// Writes the text of a results file, marked.
pub(super) fn json(text: &[u8], out: &mut dyn Write) -> io::Result<()> {
    let Some(at) = first_end(text) else { return out.write_all(text) };
    out.write_all(&text[..at])?;
    let mut sum = Hasher::new();
    sum.update(text);
    write!(out, "{KEY}{}\"", mark(sum))?;
    out.write_all(&text[at..])
}

/// Where the first entry of a results file ends, each being a line: at its last brace.
fn first_end(text: &[u8]) -> Option<usize> {
    let line = text.strip_prefix(b"[\n{")?.iter().position(|&b| b == b'\n')? + 3;
    text[..line].iter().rposition(|&b| b == b'}')
}

/// Whether this program wrote the file, and nobody has changed it since. What cannot be read is not its own.
pub fn is_ours(path: &Path) -> bool {
    judge(path).unwrap_or(false)
}

fn judge(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let mut head = Vec::new();
    (&mut file).take(SIGNATURE.len() as u64).read_to_end(&mut head)?;
    if head == SIGNATURE {
        return judge_png(&mut file);
    }
    if head == EMPTY {
        return Ok(true);
    }
    if head.starts_with(b"<") {
        file.read_to_end(&mut head)?;
        return Ok(judge_markup(&head).unwrap_or(false));
    }
    // Most files of others end here, however large.
    if !head.starts_with(b"[\n{") {
        return Ok(false);
    }
    file.read_to_end(&mut head)?;
    Ok(judge_json(&head).unwrap_or(false))
}

fn judge_json(text: &[u8]) -> Option<bool> {
    let end = first_end(text)?;
    let key = text[..end].windows(KEY.len()).rposition(|w| w == KEY.as_bytes())?;
    let mark = text[key + KEY.len()..end].strip_suffix(b"\"")?;
    let mut sum = Hasher::new();
    sum.update(&text[..key]);
    sum.update(&text[end..]);
    Some(is_right(mark, sum))
}

fn judge_markup(text: &[u8]) -> Option<bool> {
    let inside = text.strip_suffix(COMMENT.1.as_bytes())?;
    let at = inside.windows(COMMENT.0.len()).rposition(|w| w == COMMENT.0.as_bytes())?;
    let mut sum = Hasher::new();
    sum.update(&text[..at]);
    Some(is_right(&inside[at + COMMENT.0.len()..], sum))
}

fn judge_png(file: &mut File) -> io::Result<bool> {
    let length = file.seek(SeekFrom::End(0))?;
    let from = length.saturating_sub(MOST);
    file.seek(SeekFrom::Start(from))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    let Some((begin, mark)) = find(&tail) else { return Ok(false) };
    file.rewind()?;
    let mut sum = Sum(Hasher::new());
    io::copy(&mut file.take(from + begin as u64), &mut sum)?;
    sum.0.update(&tail[tail.len() - END..]);
    Ok(is_right(mark, sum.0))
}

/// Where the mark's chunk begins in a PNG's last bytes, and the mark.
fn find(tail: &[u8]) -> Option<(usize, &[u8])> {
    let kind = tail.windows(CHUNK.len()).rposition(|w| w == CHUNK)?;
    let begin = kind.checked_sub(4)?;
    let length = u32::from_be_bytes(tail[begin..kind].try_into().ok()?) as usize;
    let end = kind.checked_add(4)?.checked_add(length)?;
    let (body, rest) = (tail.get(kind..end)?, tail.get(end..)?);
    // The chunk's own checksum, and the last chunk.
    let sound = rest.len() == 4 + END && rest[..4] == crc32fast::hash(body).to_be_bytes();
    Some((begin, body.strip_prefix(b"tEXtSoftware\0")?)).filter(|_| sound)
}

/// Sums up what it is given.
struct Sum(Hasher);

impl Write for Sum {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
