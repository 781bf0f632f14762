//! Files of any kind that a run writes, each with its mark where its kind has room for one.

use std::fs;
use std::io::{self, Error as IoError, ErrorKind, Write};
use std::path::Path;

use crc32fast::Hasher;

use super::{Obstacle, is_ours, mark};
use crate::atomic::Unpublished;
use crate::error::{Error, Result};

/// Where a kind of file carries the mark that tells it from files of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A JSON object that begins with `{` on a line of its own and ends likewise: one more key.
    Object,
    /// A PNG: a chunk.
    Png,
    /// HTML: a comment at the end.
    Markup,
    /// A TIFF whose last value is its `Software`, which is not there yet and takes [`Form::room`] bytes.
    Tiff,
    /// A zip whose comment, which is its end, is not there yet and takes [`Form::room`] bytes.
    Zip,
    /// An MP4 file: a last box that players pass over.
    Mp4,
    /// Text that has no room for a mark: who wrote it has to be known from elsewhere.
    Plain,
}

impl Form {
    /// Bytes that the mark of such a run takes at a file's end.
    pub fn room(self, run: &str) -> usize {
        let length = mark::mark(Hasher::new(), Some(run)).len();
        match self {
            Self::Tiff => length + 1,
            Self::Zip => length,
            _ => 0,
        }
    }

    /// What stands before a mark of so many bytes and is summed up with the rest.
    fn head(self, mark: usize) -> Vec<u8> {
        const HEAD: u32 = 8;
        match self {
            Self::Mp4 => [&(HEAD + mark as u32).to_be_bytes()[..], b"free"].concat(),
            _ => Vec::new(),
        }
    }

    /// Bytes at a file's end that stand behind its mark.
    fn held(self) -> usize {
        match self {
            Self::Object => b"\n}\n".len(),
            Self::Png => mark::END,
            _ => 0,
        }
    }
}

/// A file that is on disk in whole, and has no name yet.
pub struct Staged {
    file: Unpublished,
    /// The checksum (CRC-32) and the number of its bytes, where it has no mark.
    pub sum: (u32, u64),
}

impl Staged {
    /// Writes a file through `fill`, and makes its folder. The mark names `run`.
    ///
    /// # Errors
    /// [`Error::Io`], naming `path`.
    pub fn new(
        path: &Path,
        form: Form,
        run: &str,
        fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|source| Error::Io { path: folder.into(), source })?;
        }
        let mut sum = (0, 0);
        let file = Unpublished::new(path, |out| {
            let mut held = Held { out, keep: form.held(), sum: Hasher::new(), length: 0, tail: Vec::new() };
            fill(&mut held)?;
            let Held { out, sum: before, length, tail, .. } = held;
            sum = (before.clone().finalize(), length);
            // A mark is as long whatever the sum.
            let head = form.head(mark::mark(Hasher::new(), Some(run)).len());
            out.write_all(&head)?;
            let mut all = before;
            all.update(&head);
            all.update(&tail);
            let mark = mark::mark(all, Some(run));
            match form {
                Form::Object => write!(out, "{}{mark}\"", mark::KEY)?,
                Form::Png => mark::write_chunk(&mark, out)?,
                Form::Markup => write!(out, "{}{mark}{}", mark::COMMENT.0, mark::COMMENT.1)?,
                Form::Tiff => write!(out, "{mark}\0")?,
                Form::Zip | Form::Mp4 => write!(out, "{mark}")?,
                Form::Plain => {}
            }
            out.write_all(&tail)
        })?;
        Ok(Self { file, sum })
    }

    /// Gives it its name. What has that already is replaced where it is this program's, which `own` may know better than
    /// the file itself does, or with `overwrite`.
    ///
    /// # Errors
    /// [`Error::Io`], naming the file.
    pub fn publish(self, path: &Path, own: impl FnOnce(&Path) -> bool, overwrite: bool) -> Result<()> {
        let wrong = |kind, reason: &str| Err(Error::Io { path: path.into(), source: IoError::new(kind, reason) });
        match obstacle(path, own) {
            Some(Obstacle::Folder) => wrong(ErrorKind::IsADirectory, "is a folder"),
            Some(Obstacle::Foreign) if !overwrite => {
                wrong(ErrorKind::AlreadyExists, "is there, and was written or changed by somebody else")
            }
            _ => self.file.publish(),
        }
    }
}

/// What stands in a file's way. `own` says of a file that has no mark whether it is this program's.
pub fn obstacle(path: &Path, own: impl FnOnce(&Path) -> bool) -> Option<Obstacle> {
    match fs::metadata(path) {
        Ok(about) if about.is_dir() => Some(Obstacle::Folder),
        // Anything but a file would wait for a writer when read.
        Ok(about) if about.is_file() && (is_ours(path) || own(path)) => None,
        Ok(_) => Some(Obstacle::Foreign),
        // A link that leads nowhere is somebody's too.
        Err(_) => path.symlink_metadata().ok().map(|_| Obstacle::Foreign),
    }
}

/// The checksum (CRC-32) and the number of bytes of a file.
///
/// # Errors
/// Where it cannot be read.
pub fn sum_of(path: &Path) -> io::Result<(u32, u64)> {
    let mut held = Held { out: &mut io::sink(), keep: 0, sum: Hasher::new(), length: 0, tail: Vec::new() };
    io::copy(&mut fs::File::open(path)?, &mut held)?;
    Ok((held.sum.finalize(), held.length))
}

/// Passes on what it is given but for the last bytes, which are held back until the mark can be written before them.
struct Held<'a> {
    out: &'a mut dyn Write,
    keep: usize,
    sum: Hasher,
    length: u64,
    tail: Vec<u8>,
}

impl Write for Held<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.tail.extend(bytes);
        let pass = self.tail.len().saturating_sub(self.keep);
        self.sum.update(&self.tail[..pass]);
        self.out.write_all(&self.tail[..pass])?;
        self.tail.drain(..pass);
        self.length += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vision::results::run_of;

    /// A file of each form, and where a byte of it may be changed.
    fn body(form: Form) -> Vec<u8> {
        match form {
            Form::Object => b"{\n\"a\": [1, 2],\n\"b\": {\"c\": 3}\n}\n".to_vec(),
            Form::Markup => b"<!doctype html>\n<p>x</p>\n".to_vec(),
            Form::Tiff => b"II*\0\x08\0\0\0 and the rest".to_vec(),
            Form::Zip => b"PK\x03\x04 and the rest".to_vec(),
            Form::Mp4 => b"\0\0\0\x10ftypisomrest".to_vec(),
            Form::Plain => b"0 0.1 0.2\n".to_vec(),
            Form::Png => {
                let mut out = Vec::new();
                let picture = image::RgbaImage::from_pixel(3, 2, image::Rgba([1, 2, 3, 4]));
                picture.write_to(&mut io::Cursor::new(&mut out), image::ImageFormat::Png).unwrap();
                out
            }
        }
    }

    #[test]
    fn every_form_is_known_again_until_it_is_changed() {
        let dir = tempfile::tempdir().unwrap();
        for form in [Form::Object, Form::Png, Form::Markup, Form::Tiff, Form::Zip, Form::Mp4, Form::Plain] {
            let path = dir.path().join(format!("{form:?}"));
            let put = |own: bool, overwrite| {
                let staged =
                    Staged::new(&path, form, "r7", |out| body(form).chunks(5).try_for_each(|c| out.write_all(c)));
                staged.unwrap().publish(&path, |_| own, overwrite)
            };
            put(false, false).unwrap();
            let whole = fs::read(&path).unwrap();
            let marked = form != Form::Plain;
            assert_eq!((is_ours(&path), run_of(&path)), (marked, marked.then(|| "r7".to_string())), "{form:?}");
            assert_eq!(put(false, false).is_ok(), marked, "{form:?} over itself");
            assert!(put(true, false).is_ok() || marked, "{form:?} that is known from elsewhere");
            if matches!(form, Form::Tiff | Form::Zip) {
                assert_eq!(whole.len(), body(form).len() + form.room("r7"), "{form:?}");
            }
            for at in [5, whole.len() / 2, whole.len() - 2] {
                let mut changed = whole.clone();
                changed[at] ^= 1;
                fs::write(&path, &changed).unwrap();
                assert!(!is_ours(&path), "{form:?} with byte {at} changed");
                assert!(put(false, false).is_err(), "{form:?}");
                assert_eq!(fs::read(&path).unwrap(), changed);
            }
            put(false, true).unwrap();
            assert_eq!(fs::read(&path).unwrap(), whole);
        }
        let text = dir.path().join("Plain");
        assert_eq!(sum_of(&text).unwrap(), (crc32fast::hash(&body(Form::Plain)), 10));
        let folder = Staged::new(dir.path(), Form::Plain, "", |_| Ok(()));
        assert!(folder.is_err_and(|e| e.to_string().contains("directory")));
        assert_eq!(obstacle(dir.path(), |_| true), Some(Obstacle::Folder));
    }

    #[test]
    fn a_marked_object_is_json_still() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.json");
        let fill = |out: &mut dyn Write| out.write_all(&body(Form::Object));
        Staged::new(&path, Form::Object, "r", fill).unwrap().publish(&path, |_| false, false).unwrap();
        let read: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert_eq!(read["b"]["c"], 3);
        assert!(read["written_by"].as_str().unwrap().starts_with("maskrcnn "));
    }
}
