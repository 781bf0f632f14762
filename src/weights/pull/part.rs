//! The file that a download grows in, and the lock that keeps a second download out of it.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use fs4::{FileExt, TryLockError};

use super::published::{Check, shown_size};
use crate::error::{Error, Result};

/// `path` with `suffix` behind its name.
fn with(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// The unfinished file, open at its end.
pub(super) struct Part {
    path: PathBuf,
    file: File,
    len: u64,
}

impl Part {
    /// Opens or makes the one that shall become `target`.
    pub(super) fn open(target: &Path) -> Result<Self> {
        let path = with(target, ".part");
        let open = || {
            let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)?;
            let len = file.seek(SeekFrom::End(0))?;
            Ok((file, len))
        };
        match open() {
            Ok((file, len)) => Ok(Self { path, file, len }),
            Err(source) => Err(Error::Io { path, source }),
        }
    }

    /// Bytes that are there.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Throws away what is there.
    pub(super) fn restart(&mut self) -> Result<()> {
        if self.len > 0 {
            self.file.set_len(0).and_then(|()| self.file.rewind()).map_err(|source| self.error(source))?;
            self.len = 0;
        }
        Ok(())
    }

    /// Writes at the end. A disk that cannot take it is given back what the file took; `whole` is for the message.
    pub(super) fn append(&mut self, bytes: &[u8], whole: u64) -> Result<()> {
        match self.file.write_all(bytes) {
            Ok(()) => {
                self.len += bytes.len() as u64;
                Ok(())
            }
            Err(e) => {
                self.remove();
                let reason = format!("{e}: the file needs {} here; what had come is removed", shown_size(whole));
                Err(self.error(io::Error::new(e.kind(), reason)))
            }
        }
    }

    /// The hash of what is on the disk, not of what was sent there.
    pub(super) fn hash(&mut self, check: Check) -> Result<String> {
        // The read ends where the next write belongs.
        self.file.rewind().and_then(|()| check.of(&mut self.file)).map_err(|source| self.error(source))
    }

    /// Gives the whole file its name, once it is on the disk for good.
    pub(super) fn publish(self, target: &Path) -> Result<()> {
        let Self { path, file, .. } = self;
        let synced = file.sync_all();
        // Some systems rename no open file.
        drop(file);
        synced.and_then(|()| fs::rename(&path, target)).map_err(|source| Error::Io { path, source })
    }

    /// Deletes the file.
    pub(super) fn remove(&self) {
        // Called when something else has failed already: that is the error to tell.
        let _ = fs::remove_file(&self.path);
    }

    fn error(&self, source: io::Error) -> Error {
        Error::Io { path: self.path.clone(), source }
    }
}

/// Held while a file is downloaded. The system takes it back when the process ends, however it ends.
pub(super) struct Lock {
    path: PathBuf,
    _file: File,
}

impl Lock {
    /// Takes the lock for `target`, or says who has it.
    pub(super) fn take(target: &Path) -> Result<Self> {
        let path = with(target, ".lock");
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(|source| Error::Io { path: path.clone(), source })?;
        match FileExt::try_lock(&file) {
            Ok(()) => {}
            // Some network disks have no locks. The hash still judges the file that comes out.
            Err(TryLockError::Error(e)) if e.kind() == ErrorKind::Unsupported => {}
            Err(TryLockError::Error(source)) => return Err(Error::Io { path, source }),
            Err(TryLockError::WouldBlock) => {
                let reason = "another process is pulling this file: wait for it to end, then run the command again";
                return Err(Error::Io { path, source: io::Error::new(ErrorKind::WouldBlock, reason) });
            }
        }
        Ok(Self { path, _file: file })
    }

    /// Removes the lock file, after success only: whoever opened the old one meanwhile finds the download done, while
    /// after a failure two processes could hold two locks.
    pub(super) fn remove(self) {
        // An empty file left behind does no harm.
        let _ = fs::remove_file(&self.path);
    }
}

/// Refuses a file of `bytes` that the disk has no room for, where the disk tells.
pub(super) fn check_room(bytes: u64, part: &Part) -> Result<()> {
    let need = bytes.saturating_sub(part.len());
    let dir = part.path.parent().unwrap_or(Path::new("."));
    match fs4::statvfs(dir) {
        // Some network disks report a size of nothing.
        Ok(disk) if disk.total_space() > 0 && disk.available_space() < need => {
            let (need, free) = (shown_size(need), shown_size(disk.available_space()));
            let reason = format!("{need} are needed here and {free} are free: make room, or set MASKRCNN_CACHE");
            Err(Error::Io { path: dir.to_path_buf(), source: io::Error::new(ErrorKind::StorageFull, reason) })
        }
        _ => Ok(()),
    }
}
