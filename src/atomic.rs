//! Files that are whole or not there.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::error::{Error, Result};

/// Writes a file through `fill`: into a new one beside it, renamed over `path` once all of it is on disk. A reader
/// sees the old content or the new, and a failure leaves the old. A device or pipe is written to as it is.
///
/// # Errors
/// [`Error::Io`], naming `path`.
pub(crate) fn write(path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
    try_write(path, fill).map_err(|source| Error::Io { path: path.to_path_buf(), source })
}

fn try_write(path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let target = match fs::metadata(path) {
        Ok(about) if about.is_dir() => return Err(io::Error::new(ErrorKind::IsADirectory, "is a directory")),
        // To rename over /dev/stdout would not print anything.
        Ok(about) if !about.is_file() => {
            let mut out = BufWriter::new(OpenOptions::new().write(true).open(path)?);
            fill(&mut out)?;
            return out.flush();
        }
        // Through a link, so that the link stays one.
        Ok(_) => fs::canonicalize(path)?,
        Err(_) => path.to_path_buf(),
    };
    let Some(name) = target.file_name() else {
        return Err(io::Error::new(ErrorKind::InvalidInput, "is not the name of a file"));
    };
    // The counter keeps apart the threads of a process, the process id programs.
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let mut temporary = std::ffi::OsString::from(".");
    temporary.push(name);
    temporary.push(format!(".{}.{}.part", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
    let temporary = target.with_file_name(temporary);

    let file = OpenOptions::new().write(true).create_new(true).open(&temporary)?;
    let done = fill_and_sync(file, fill).and_then(|()| fs::rename(&temporary, &target));
    if done.is_err() {
        // The first error is the one to tell.
        let _ = fs::remove_file(&temporary);
    }
    done
}

fn fill_and_sync(file: File, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut out = BufWriter::new(file);
    fill(&mut out)?;
    out.into_inner()?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_leaves_the_old_content_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.txt");
        write(&path, |out| out.write_all(b"old")).unwrap();
        let failed = write(&path, |out| {
            out.write_all(b"half")?;
            Err(io::Error::other("disk full"))
        });
        assert!(failed.unwrap_err().to_string().contains("a.txt"));
        assert_eq!(fs::read(&path).unwrap(), b"old");
        write(&path, |out| out.write_all(b"new")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn places_that_cannot_be_written_are_errors() {
        let dir = tempfile::tempdir().unwrap();
        for path in [dir.path().to_path_buf(), dir.path().join("none/a.txt"), "/".into(), "".into()] {
            assert!(matches!(write(&path, |_| Ok(())), Err(Error::Io { .. })), "{path:?}");
        }
    }
}
