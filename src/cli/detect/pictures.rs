//! The bytes of the pictures of a run, and their pages.

use std::collections::HashMap;
use std::io::{self, ErrorKind, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use maskrcnn::engine::vision::{Piecewise, read_file, read_stream};
use maskrcnn::{Error, Result};

use super::names::Page;
use crate::cli::reading::Reading;
use crate::cli::sources::Source;
use crate::cli::video::{Frames, Probe, is_video};

/// Files of several pages whose bytes are kept: where one ends and the next begins, both are read.
const HELD: usize = 2;

/// Reads pictures, standard input once.
pub(super) struct Pictures<'a> {
    reading: &'a Reading,
    stdin: OnceLock<Result<Arc<Vec<u8>>, String>>,
    held: Mutex<Vec<(PathBuf, Arc<Vec<u8>>)>>,
    videos: Mutex<HashMap<PathBuf, Arc<Video>>>,
}

/// A video whose frames are pictures of the run.
pub(super) struct Video {
    pub probe: Probe,
    frames: Frames,
}

impl<'a> Pictures<'a> {
    pub(super) fn new(reading: &'a Reading) -> Self {
        Self { reading, stdin: OnceLock::new(), held: Mutex::default(), videos: Mutex::default() }
    }

    /// The video that a picture is a frame of.
    pub(super) fn video(&self, source: &Source) -> Option<Arc<Video>> {
        self.videos.lock().unwrap_or_else(PoisonError::into_inner).get(source.path()).cloned()
    }

    /// A picture that nobody will ask for after all.
    pub(super) fn let_go(&self, source: &Source, page: Option<Page>) {
        if let (Some(video), Some(page)) = (self.video(source), page) {
            video.frames.let_go(page.number);
        }
    }

    /// A picture's file, and its page there: a frame of a video is a file of its own.
    ///
    /// # Errors
    /// As [`Pictures::bytes`].
    pub(super) fn file(&self, source: &Source, page: Option<Page>) -> Result<(Arc<Vec<u8>>, Option<usize>)> {
        match (self.video(source), page) {
            (Some(video), Some(page)) => {
                let wrong = |reason| Error::Image { name: source.path().display().to_string(), reason };
                Ok((video.frames.get(page.number).map_err(wrong)?, None))
            }
            _ => Ok((self.bytes(source, page.is_some())?, page.map(|page| page.number))),
        }
    }

    /// The bytes of a picture. Those of a file that is asked for page by page are kept for the next.
    ///
    /// # Errors
    /// As [`read_file`].
    fn bytes(&self, source: &Source, by_pages: bool) -> Result<Arc<Vec<u8>>> {
        source.check()?;
        match source {
            Source::Stdin => {
                let read = self.stdin.get_or_init(|| read_stdin().map(Arc::new));
                read.clone().map_err(|reason| Error::Image { name: source.path().display().to_string(), reason })
            }
            _ if !by_pages => read_file(source.path()).map(Arc::new),
            _ => {
                let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some((_, bytes)) = held.iter().find(|(path, _)| path == source.path()) {
                    return Ok(bytes.clone());
                }
                if held.len() >= HELD {
                    held.remove(0);
                }
                let bytes = Arc::new(read_file(source.path())?);
                held.push((source.path().into(), bytes.clone()));
                Ok(bytes)
            }
        }
    }

    /// A picture that is too large to be decoded at once, where it can be read in pieces; nothing for others.
    ///
    /// # Errors
    /// As [`Piecewise::open`].
    pub(super) fn pieces(&self, source: &Source, name: &str, page: Option<usize>) -> Result<Option<Piecewise>> {
        source.check()?;
        match source {
            _ if self.video(source).is_some() => Ok(None),
            Source::Stdin => self.reading.open_pieces(Err(self.bytes(source, false)?), name, page),
            _ => self.reading.open_pieces(Ok(source.path()), name, page),
        }
    }

    /// The pages that are asked for, of a file with several, and what to say of others. None of any other file. Of a video,
    /// all its frames where none are asked for.
    ///
    /// # Errors
    /// What stands for the source where it has none of them.
    pub(super) fn pages(&self, source: &Source) -> Result<(Vec<Page>, Option<String>), Source> {
        if let Source::File(path) = source
            && is_video(path)
        {
            let nothing = |reason| Source::Nothing { named: path.clone(), kind: ErrorKind::InvalidData, reason };
            return self.frames(path).map_err(nothing);
        }
        if !self.reading.wants_pages() || matches!(source, Source::Nothing { .. }) {
            return Ok((Vec::new(), None));
        }
        let name = source.path().display().to_string();
        let found = self.bytes(source, false).and_then(|bytes| self.reading.pages(&bytes, &name));
        let (count, numbers, notice) = found.map_err(|e| {
            let (kind, reason) = match e {
                Error::Io { source, .. } => (source.kind(), source.to_string()),
                Error::Image { reason, .. } => (ErrorKind::InvalidData, reason),
                other => (ErrorKind::Other, other.to_string()),
            };
            Source::Nothing { named: source.path().into(), kind, reason }
        })?;
        let pages = numbers.into_iter().map(|number| Page { number, count });
        Ok((if count > 1 { pages.collect() } else { Vec::new() }, notice))
    }

    fn frames(&self, path: &Path) -> Result<(Vec<Page>, Option<String>), String> {
        let probe = Probe::of(path)?;
        let asked = self.reading.frames(probe.frames, &path.display().to_string());
        let (numbers, notice) = asked.map_err(|e| match e {
            Error::Image { reason, .. } => reason,
            other => other.to_string(),
        })?;
        let count = probe.frames;
        let video = Video { probe, frames: Frames::new(path, numbers.iter().copied()) };
        self.videos.lock().unwrap_or_else(PoisonError::into_inner).insert(path.into(), Arc::new(video));
        Ok((numbers.into_iter().map(|number| Page { number, count }).collect(), notice))
    }
}

fn read_stdin() -> Result<Vec<u8>, String> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        return Err(
            "standard input is a terminal: send a picture into it, as in `maskrcnn detect - < picture.png`".into()
        );
    }
    read_stream(stdin.lock(), "stdin").map_err(|e| match e {
        Error::Image { reason, .. } => reason,
        Error::Io { source, .. } => source.to_string(),
        other => other.to_string(),
    })
}
