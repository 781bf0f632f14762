//! Files that are whole or not there.

mod staged;
mod stale;

#[cfg(test)]
mod tests;

use std::fs::{self, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use self::staged::Staged;
use crate::error::{Error, Result};

#[cfg(feature = "cli")]
pub(crate) use self::staged::Aside;
pub(crate) use self::stale::sweep;

/// Writes a file through `fill`: into a new one, which takes the place of `path` once all of it is on disk. A reader
/// sees the old content or the new, and a failure leaves the old. A device or pipe is written to as it is. What an
/// earlier call for the same path left when it was killed is removed.
///
/// # Errors
/// [`Error::Io`], naming `path`.
pub(crate) fn write(path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
    let pending = Unpublished::new(path, fill)?;
    let (folder, name) = (pending.target.parent(), pending.target.file_name().map(|n| n.to_string_lossy()));
    if let (Some(folder), Some(name)) = (folder, name) {
        sweep(folder, |other| other == name);
    }
    pending.publish()
}

/// A file that is on disk in whole, but does not have its name yet. Dropped before it has, it is gone.
pub(crate) struct Unpublished {
    /// As it was asked for.
    path: PathBuf,
    /// Links followed.
    target: PathBuf,
    /// None for what was written to as it is.
    staged: Option<Staged>,
}

impl Unpublished {
    /// Writes it through `fill`.
    ///
    /// # Errors
    /// [`Error::Io`], naming `path`.
    pub(crate) fn new(path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<Self> {
        Self::fill(path, fill).map_err(|source| Error::Io { path: path.to_path_buf(), source })
    }

    fn fill(path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<Self> {
        let target = match fs::metadata(path) {
            Ok(about) if about.is_dir() => return Err(io::Error::new(ErrorKind::IsADirectory, "is a directory")),
            // To rename over /dev/stdout would not print anything.
            Ok(about) if !about.is_file() => {
                let mut out = BufWriter::new(OpenOptions::new().write(true).open(path)?);
                fill(&mut out)?;
                out.flush()?;
                return Ok(Self { path: path.into(), target: path.into(), staged: None });
            }
            // Through a link, so that the link stays one.
            Ok(_) => fs::canonicalize(path)?,
            Err(_) => path.to_path_buf(),
        };
        if target.file_name().is_none() {
            return Err(io::Error::new(ErrorKind::InvalidInput, "is not the name of a file"));
        }
        let staged = Staged::new(&target)?;
        let mut out = BufWriter::new(staged.file());
        fill(&mut out)?;
        out.into_inner()?.sync_all()?;
        Ok(Self { path: path.into(), target, staged: Some(staged) })
    }

    /// Gives it its name, in the place of what had it.
    ///
    /// # Errors
    /// [`Error::Io`], naming the path.
    pub(crate) fn publish(self) -> Result<()> {
        let Self { path, target, staged } = self;
        staged.map_or(Ok(()), |s| s.publish(&target)).map_err(|source| Error::Io { path, source })
    }
}

/// Whether a file could be written into `folder`, which need not be there yet. Nothing is left there.
///
/// # Errors
/// [`Error::Io`], naming the folder or the one above it that stands in the way.
#[cfg(feature = "cli")]
pub(crate) fn check_folder(folder: &Path) -> Result<()> {
    let there = folder.ancestors().map(|a| if a.as_os_str().is_empty() { Path::new(".") } else { a });
    for path in there {
        let wrong = |source| Err(Error::Io { path: path.into(), source });
        return match fs::metadata(path) {
            Ok(about) if about.is_dir() => Staged::new(&path.join("probe")).map(drop).or_else(wrong),
            Ok(_) => wrong(io::Error::new(ErrorKind::NotADirectory, "is a file, and no folder")),
            Err(e) if e.kind() == ErrorKind::NotFound && path.symlink_metadata().is_err() => continue,
            // Below a file, or a folder that may not be entered: the one above says which.
            Err(e) if e.kind() == ErrorKind::NotADirectory => continue,
            Err(e) => wrong(e),
        };
    }
    Ok(())
}
