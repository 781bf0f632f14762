//! How the program knows its own files again: by a mark with a checksum of the rest of the file. Whoever changes such a
//! file makes it his own, as the checksum is not right any more. Where it is known, the mark also names the run: what was
//! read, by which model and settings.
//!
//! A PNG carries it as the text chunk `Software`, a COCO results file, which has to be a list of entries, as one more
//! key of the first entry. An empty list has no mark, and nothing that could be lost. SVG and HTML end with it, as a
//! comment; a TIFF does, as its `Software`, and a zip, as its comment; an MP4 does, in a box that
//! players pass over.

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
const RUN: &str = " run:";
const SUM: &str = " crc32:";

/// What every PNG begins with.
const SIGNATURE: [u8; 8] = *b"\x89PNG\r\n\x1a\n";
/// Bytes of a PNG's last chunk, which is empty.
pub(super) const END: usize = 12;
/// What a mark's chunk has between its length and the version.
const CHUNK: &[u8] = b"tEXtSoftware\0maskrcnn ";
/// What stands before the mark in a results file's first entry.
pub(super) const KEY: &str = ",\"written_by\":\"";
/// What stands around the mark at the end of a page or drawing.
pub(super) const COMMENT: (&str, &str) = ("<!-- ", " -->\n");
/// How an object begins, as this program writes it.
const OBJECT: &[u8] = b"{\n";
/// A results file without entries, as this program writes it.
const EMPTY: &[u8] = b"[\n]\n";
/// More than a mark with a PNG's last chunk takes.
const MOST: u64 = 256;

/// The mark for a file of which `sum` has seen the rest.
pub(super) fn mark(mut sum: Hasher, run: Option<&str>) -> String {
    let program = format!("{NAME}{VERSION}{}", run.map_or(String::new(), |run| format!("{RUN}{run}")));
    sum.update(program.as_bytes());
    format!("{program}{SUM}{:08x}", sum.finalize())
}

/// A file that this program wrote.
#[derive(Debug, Default, PartialEq, Eq)]
struct Own {
    run: Option<String>,
}

/// What a mark says, where it is right for a file of which `sum` has seen the rest.
fn read(mark: &[u8], mut sum: Hasher) -> Option<Own> {
    let (program, stated) = std::str::from_utf8(mark).ok()?.split_once(SUM)?;
    sum.update(program.as_bytes());
    let right = program.starts_with(NAME) && stated == format!("{:08x}", sum.finalize());
    right.then(|| Own { run: program.split_once(RUN).map(|(_, run)| run.to_string()) })
}

/// Writes a picture as PNG, marked as this program's ([`is_ours`]): the file is whole or as it was before.
///
/// # Errors
/// [`Error::Io`] where it cannot be written.
pub fn save_png_atomic(path: impl AsRef<Path>, picture: &RgbImage) -> Result<()> {
    atomic::write(path.as_ref(), |out| png(picture, None, out))
}

/// Writes entries as a COCO results file, marked: it is whole or as it was before.
///
/// # Errors
/// [`Error::Io`] where it cannot be written.
pub fn save_results_atomic(path: impl AsRef<Path>, results: &[CocoResult]) -> Result<()> {
    let text = coco::text(results).map_err(|source| Error::Io { path: path.as_ref().into(), source })?;
    atomic::write(path.as_ref(), |out| json(&text, None, out))
}

/// Writes an SVG drawing or an HTML page, marked: it is whole or as it was before.
///
/// # Errors
/// [`Error::Io`] where it cannot be written.
pub fn save_markup_atomic(path: impl AsRef<Path>, text: &str) -> Result<()> {
    let mut sum = Hasher::new();
    sum.update(text.as_bytes());
    let end = format!("{}{}{}", COMMENT.0, mark(sum, None), COMMENT.1);
    atomic::write(path.as_ref(), |out| out.write_all(text.as_bytes()).and_then(|()| out.write_all(end.as_bytes())))
}

/// Writes a marked PNG.
pub(super) fn png(picture: &RgbImage, run: Option<&str>, out: &mut dyn Write) -> io::Result<()> {
    let mut marked = Marked { out, sum: Hasher::new(), tail: Vec::new() };
    PngEncoder::new(&mut marked)
        .write_image(picture.as_raw(), picture.width(), picture.height(), ExtendedColorType::Rgb8)
        .map_err(|e| match e {
            image::ImageError::IoError(e) => e,
            other => io::Error::other(other),
        })?;
    marked.finish(run)
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
    fn finish(mut self, run: Option<&str>) -> io::Result<()> {
        self.sum.update(&self.tail);
        write_chunk(&mark(self.sum, run), self.out)?;
        self.out.write_all(&self.tail)
    }
}

/// A mark as a chunk of a PNG.
pub(super) fn write_chunk(mark: &str, out: &mut dyn Write) -> io::Result<()> {
    let text = [b"Software\0", mark.as_bytes()].concat();
    let body = [b"tEXt", &text[..]].concat();
    out.write_all(&(text.len() as u32).to_be_bytes())?;
    out.write_all(&body)?;
    out.write_all(&crc32fast::hash(&body).to_be_bytes())
}

/// Writes the text of a results file, or of a JSON object, marked.
pub(super) fn json(text: &[u8], run: Option<&str>, out: &mut dyn Write) -> io::Result<()> {
    let Some(at) = first_end(text) else { return out.write_all(text) };
    out.write_all(&text[..at])?;
    let mut sum = Hasher::new();
    sum.update(text);
    write!(out, "{KEY}{}\"", mark(sum, run))?;
    out.write_all(&text[at..])
}

/// Where the first entry of a results file ends, each being a line: at its last brace; or where an object does.
fn first_end(text: &[u8]) -> Option<usize> {
    if text.starts_with(OBJECT) {
        let brace = text.iter().rposition(|&b| b == b'}')?;
        return text[..brace].iter().rposition(|b| !b.is_ascii_whitespace()).map(|at| at + 1);
    }
    let line = text.strip_prefix(b"[\n{")?.iter().position(|&b| b == b'\n')? + 3;
    text[..line].iter().rposition(|&b| b == b'}')
}

/// Whether this program wrote the file, and nobody has changed it since. What cannot be read is not its own.
pub fn is_ours(path: &Path) -> bool {
    matches!(judge(path), Ok(Some(_)))
}

/// The run that wrote a file of this program's, if its mark names one: [`Pair::of_run`](super::Pair::of_run).
pub fn run_of(path: &Path) -> Option<String> {
    judge(path).ok().flatten()?.run
}

/// Whether it is a results file without entries, which has no room for a mark.
pub(super) fn is_empty_list(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|about| about.len() == EMPTY.len() as u64) && is_ours(path)
}

fn judge(path: &Path) -> io::Result<Option<Own>> {
    let mut file = File::open(path)?;
    let mut head = Vec::new();
    (&mut file).take(SIGNATURE.len() as u64).read_to_end(&mut head)?;
    if head == SIGNATURE {
        return judge_png(&mut file);
    }
    if head == EMPTY {
        return Ok(Some(Own::default()));
    }
    if head.starts_with(b"II*\0") {
        return judge_end(&mut file, b"\0");
    }
    // An MP4 file begins with a box of its kind, and ours ends with the mark in one that players pass over.
    if head.get(4..8) == Some(b"ftyp") {
        return judge_end(&mut file, b"");
    }
    if head.starts_with(b"PK") {
        return judge_end(&mut file, b"");
    }
    if head.starts_with(b"<") {
        file.read_to_end(&mut head)?;
        return Ok(judge_markup(&head));
    }
    // Most files of others end here, however large.
    if !head.starts_with(b"[\n{") && !head.starts_with(OBJECT) {
        return Ok(None);
    }
    file.read_to_end(&mut head)?;
    Ok(judge_json(&head))
}

fn judge_json(text: &[u8]) -> Option<Own> {
    let end = first_end(text)?;
    let key = text[..end].windows(KEY.len()).rposition(|w| w == KEY.as_bytes())?;
    let mark = text[key + KEY.len()..end].strip_suffix(b"\"")?;
    let mut sum = Hasher::new();
    sum.update(&text[..key]);
    sum.update(&text[end..]);
    read(mark, sum)
}

fn judge_markup(text: &[u8]) -> Option<Own> {
    let inside = text.strip_suffix(COMMENT.1.as_bytes())?;
    let at = inside.windows(COMMENT.0.len()).rposition(|w| w == COMMENT.0.as_bytes())?;
    let mut sum = Hasher::new();
    sum.update(&text[..at]);
    read(&inside[at + COMMENT.0.len()..], sum)
}

fn judge_png(file: &mut File) -> io::Result<Option<Own>> {
    let length = file.seek(SeekFrom::End(0))?;
    let from = length.saturating_sub(MOST);
    file.seek(SeekFrom::Start(from))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    let Some((begin, mark)) = find(&tail) else { return Ok(None) };
    file.rewind()?;
    let mut sum = Sum(Hasher::new());
    io::copy(&mut file.take(from + begin as u64), &mut sum)?;
    sum.0.update(&tail[tail.len() - END..]);
    Ok(read(mark, sum.0))
}

/// Judges a file that ends with its mark and `last`.
fn judge_end(file: &mut File, last: &[u8]) -> io::Result<Option<Own>> {
    let length = file.seek(SeekFrom::End(0))?;
    let from = length.saturating_sub(MOST);
    file.seek(SeekFrom::Start(from))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    let Some(inside) = tail.strip_suffix(last) else { return Ok(None) };
    let Some(at) = inside.windows(NAME.len()).rposition(|w| w == NAME.as_bytes()) else { return Ok(None) };
    file.rewind()?;
    let mut sum = Sum(Hasher::new());
    io::copy(&mut file.take(from + at as u64), &mut sum)?;
    Ok(read(&inside[at..], sum.0))
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
