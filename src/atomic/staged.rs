//! A file before it has its name.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use fs4::{FileExt, TryLockError};

/// Where a file's content grows: on Linux in a file without a name, which is gone with the process however that ends,
/// and elsewhere in a hidden one beside the target.
pub(super) struct Staged {
    file: File,
    named: Option<Temporary>,
}

/// A hidden file's path. Dropped, the file is removed.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // It is not there any more where it was renamed, and what cannot be removed now is swept by the next run.
        let _ = fs::remove_file(&self.0);
    }
}

/// A name that no other thread or program uses, in the target's folder: `.<name>.<process>.<count>.part`.
fn hidden(target: &Path) -> PathBuf {
    // The counter keeps apart the threads of a process, the process id programs.
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let mut name = OsString::from(".");
    name.push(target.file_name().unwrap_or_default());
    name.push(format!(".{}.{}.part", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
    target.with_file_name(name)
}

/// Names tried before giving up.
const TRIES: usize = 100;

impl Staged {
    /// An empty one for `target`.
    pub(super) fn new(target: &Path) -> io::Result<Self> {
        #[cfg(target_os = "linux")]
        // Not every file system has such files.
        if let Ok(file) = linux::unnamed(target) {
            hold(&file);
            return Ok(Self { file, named: None });
        }
        Self::with_name(target)
    }

    /// One with a hidden name, held by a lock so that nobody takes it for what a dead process left.
    pub(super) fn with_name(target: &Path) -> io::Result<Self> {
        for _ in 0..TRIES {
            let path = hidden(target);
            let file = match OpenOptions::new().read(true).write(true).create_new(true).open(&path) {
                // That of a dead process with this one's number.
                Err(e) if e.kind() == ErrorKind::AlreadyExists => continue,
                other => other?,
            };
            let path = Temporary(path);
            // A sweeping process may have been here between the making and the lock.
            if hold(&file) && path.0.exists() {
                return Ok(Self { file, named: Some(path) });
            }
        }
        Err(io::Error::new(ErrorKind::AlreadyExists, "no free name for a temporary file was found beside it"))
    }

    /// To be written to.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Gives the file its name, in the place of what had it.
    pub(super) fn publish(self, target: &Path) -> io::Result<()> {
        if let Some(path) = &self.named {
            return fs::rename(&path.0, target);
        }
        #[cfg(target_os = "linux")]
        return linux::publish(self.file, target);
        #[cfg(not(target_os = "linux"))]
        Err(io::Error::new(ErrorKind::Unsupported, "a file without a name cannot be kept"))
    }
}

/// Locks a file for as long as it is open; false where somebody else has it.
fn hold(file: &File) -> bool {
    // A disk without locks has nobody to keep out by them.
    !matches!(FileExt::try_lock(file), Err(TryLockError::WouldBlock))
}

/// Whether nobody has the file of that path open to write it.
pub(super) fn is_free(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| FileExt::try_lock(&file).is_ok())
}

/// A file that was moved out of the way. Dropped, it is removed.
#[cfg(feature = "cli")]
pub(crate) struct Aside {
    home: PathBuf,
    now: Option<Temporary>,
}

#[cfg(feature = "cli")]
impl Aside {
    /// Moves it to a hidden name beside it; nothing where there is none.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let Ok(home) = fs::canonicalize(path) else { return Ok(Self { home: path.into(), now: None }) };
        if !home.is_file() {
            return Ok(Self { home, now: None });
        }
        let now = hidden(&home);
        match fs::rename(&home, &now) {
            Ok(()) => Ok(Self { home, now: Some(Temporary(now)) }),
            // Another run of the program was faster.
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(Self { home, now: None }),
            Err(e) => Err(e),
        }
    }

    /// Moves it back.
    pub(crate) fn restore(self) {
        if let Some(now) = self.now {
            // Something else has failed already: that is the error to tell.
            let _ = fs::rename(&now.0, &self.home);
        }
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs::{self, File};
    use std::io::{self, ErrorKind, Seek};
    use std::os::fd::AsRawFd;
    use std::path::Path;

    use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat, open};

    use super::{Staged, Temporary, hidden};

    /// A file without a name in the target's folder.
    pub(super) fn unnamed(target: &Path) -> io::Result<File> {
        let folder = target.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        Ok(File::from(open(folder, flags, Mode::from_raw_mode(0o666))?))
    }

    /// Gives it a name. One that is taken is taken over by way of a hidden name, as only a rename replaces.
    pub(super) fn publish(mut file: File, target: &Path) -> io::Result<()> {
        match link(&file, target) {
            Ok(()) => return Ok(()),
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {
                let path = Temporary(hidden(target));
                if link(&file, &path.0).is_ok() {
                    return fs::rename(&path.0, target);
                }
            }
            Err(_) => {}
        }
        // Without /proc a file cannot be given a name later.
        let named = Staged::with_name(target)?;
        file.rewind()?;
        io::copy(&mut file, &mut named.file())?;
        named.file().sync_all()?;
        named.publish(target)
    }

    fn link(file: &File, path: &Path) -> io::Result<()> {
        let open = format!("/proc/self/fd/{}", file.as_raw_fd());
        Ok(linkat(CWD, open, CWD, path, AtFlags::SYMLINK_FOLLOW)?)
    }
}
