//! Which pictures are meant by what was named: files, folders, patterns, lists and standard input.

mod folder;
mod list;
mod short;

#[cfg(test)]
mod tests;

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use maskrcnn::{Error, Result};

use self::folder::LeftOut;
pub(super) use self::short::with_command;

/// What stands for standard input.
const STDIN: &str = "-";

/// Where a picture comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// A file, which need not be there.
    File(PathBuf),
    /// Standard input.
    Stdin,
    /// What was named stands for no picture.
    Nothing {
        /// As it was named.
        named: PathBuf,
        /// What is wrong.
        kind: ErrorKind,
        /// The same in words.
        reason: String,
    },
}

impl Source {
    fn nothing(named: &Path, kind: ErrorKind, reason: impl Into<String>) -> Self {
        Self::Nothing { named: named.into(), kind, reason: reason.into() }
    }

    /// What to call it: a file's path.
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::File(path) | Self::Nothing { named: path, .. } => path,
            Self::Stdin => Path::new("stdin"),
        }
    }

    /// The same, or nothing where there is no such file now.
    pub(super) fn settled(self) -> Self {
        match self.check() {
            Err(Error::Io { path, source }) => Self::nothing(&path, source.kind(), source.to_string()),
            _ => self,
        }
    }

    /// Whether there is a picture to be had.
    ///
    /// # Errors
    /// [`Error::Io`] where there is not, in words that say what to do where it is plain what was meant.
    pub(super) fn check(&self) -> Result<()> {
        let (path, kind, reason) = match self {
            Self::Stdin => return Ok(()),
            Self::Nothing { named, kind, reason } => (named, *kind, reason.clone()),
            Self::File(path) => match path.metadata() {
                Ok(_) => return Ok(()),
                Err(e) if is_address(&path.to_string_lossy()) => {
                    let reason = "is an address, and nothing is downloaded; download it, and name the file";
                    (path, e.kind(), reason.into())
                }
                Err(e) => (path, e.kind(), e.to_string()),
            },
        };
        Err(Error::Io { path: path.clone(), source: io::Error::new(kind, reason) })
    }
}

/// The pictures of a run, in the order in which they were named, a folder's in the order of their names, numbers by
/// their value.
#[derive(Debug, Default)]
pub(super) struct Sources {
    /// The pictures, and what stands for none.
    pub all: Vec<Source>,
    /// What to tell the user: what was left out.
    pub notices: Vec<String>,
}

impl Sources {
    /// What is meant by `named`; with `recursive`, folders below those that are named are looked into.
    pub(super) fn find(named: &[PathBuf], recursive: bool) -> Self {
        let mut out = Self::default();
        named.iter().for_each(|name| out.add(name, recursive));
        out
    }

    fn add(&mut self, name: &Path, recursive: bool) {
        let text = name.to_string_lossy();
        if text == STDIN {
            return self.all.push(Source::Stdin);
        }
        if let Some(list) = text.strip_prefix('@').filter(|_| !name.exists()) {
            return match list::read(Path::new(list)) {
                Ok(paths) => paths.iter().for_each(|path| self.add_path(path, recursive)),
                Err((kind, reason)) => self.all.push(Source::nothing(name, kind, reason)),
            };
        }
        self.add_path(name, recursive);
    }

    /// A file, a folder or a pattern.
    fn add_path(&mut self, path: &Path, recursive: bool) {
        let text = path.to_string_lossy();
        // A file of that very name is no pattern.
        if path.symlink_metadata().is_err() && is_pattern(&text) && !is_address(&text) {
            return self.add_pattern(path, &text, recursive);
        }
        if !path.is_dir() {
            return self.all.push(Source::File(path.into()));
        }
        let mut left = LeftOut::default();
        let found = folder::pictures(path, recursive, &mut left);
        self.notices.extend(left.told(path));
        if found.is_empty() {
            let below = if left.folders > 0 { "; --recursive looks into the folders in it" } else { "" };
            let reason = format!("is a directory without images{below}");
            return self.all.push(Source::nothing(path, ErrorKind::NotFound, reason));
        }
        self.all.extend(found);
    }

    fn add_pattern(&mut self, path: &Path, text: &str, recursive: bool) {
        let mut left = LeftOut::default();
        match folder::matches(text, recursive, &mut left) {
            Err(reason) => {
                let reason = format!("no such file, and no pattern: {reason}");
                self.all.push(Source::nothing(path, ErrorKind::InvalidInput, reason));
            }
            Ok(found) if found.is_empty() => {
                let reason = match left.any() {
                    true => "matches no image",
                    false => "no such file, and as a pattern it matches none",
                };
                self.notices.extend(left.told(path));
                self.all.push(Source::nothing(path, ErrorKind::NotFound, reason));
            }
            Ok(found) => {
                self.notices.extend(left.told(path));
                self.all.extend(found);
            }
        }
    }
}

fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

fn is_address(text: &str) -> bool {
    let scheme = text.split_once("://").map(|s| s.0);
    scheme.is_some_and(|s| !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'-'))
}
