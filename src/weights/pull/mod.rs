//! Downloads of the weights that projects publish.
//!
//! [`pull`] brings one of [`PUBLISHED`] into a folder, and [`cache_dir`] names the usual one. A file gets its name
//! only once its length and hash are right; until then it is a `.part` that a later call goes on with.

mod catalogue;
mod http;
mod part;
mod published;

#[cfg(test)]
mod tests;

use std::fs;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::thread;

pub use catalogue::{PUBLISHED, TORCHVISION};
pub(super) use published::published_as;
pub use published::{Check, Project, Published, cache_dir, cached, shown_size};

use crate::error::{Error, Result};
use http::{Client, Failure, Patience};
use part::{Lock, Part, check_room};
use published::sound;

/// How far a [`pull`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the file that are on the disk.
    pub done: u64,
    /// Bytes of the whole file; `None` until the server has told, where nobody else does.
    pub total: Option<u64>,
    /// Bytes that an earlier call had left.
    pub resumed_from: u64,
    /// How often the connection has broken.
    pub cuts: u32,
}

/// Brings the file `p` from the folder `origin` of a server (usually its [project's](Project::origin)) into the folder `dir`, which is made
/// if need be, and returns its path. A file that is there and sound is not downloaded again. `progress` hears of every
/// piece that has come.
///
/// A call that fails on the network leaves what it has, and the next one goes on from there. The proxy variables of
/// the environment (`HTTPS_PROXY`, `NO_PROXY` and so on) count.
///
/// # Errors
/// [`Error::Download`] if the server cannot be reached or does not send the file; [`Error::Io`] if it cannot be kept in
/// `dir`, or if another process is downloading it there; [`Error::Config`] if `origin` is no address.
pub fn pull(p: &Published, origin: &str, dir: &Path, progress: &mut dyn FnMut(Progress)) -> Result<PathBuf> {
    pull_with(p, origin, dir, Patience::USUAL, progress)
}

fn pull_with(
    p: &Published,
    origin: &str,
    dir: &Path,
    patience: Patience,
    progress: &mut dyn FnMut(Progress),
) -> Result<PathBuf> {
    let mut client = Client::new(p, origin, patience)?;
    // Before anything is written: the folder may be one that others fill.
    if let Some(path) = sound(p, dir) {
        return Ok(path);
    }
    fs::create_dir_all(dir).map_err(|source| Error::Io { path: dir.to_path_buf(), source })?;
    let target = dir.join(p.file());
    let lock = Lock::take(&target)?;
    // Another process may have finished meanwhile.
    if let Some(path) = sound(p, dir) {
        lock.remove();
        return Ok(path);
    }
    let mut part = Part::open(&target)?;
    // Where no hash would tell, nothing is put together of two calls' pieces.
    if p.check == Check::Untold || p.bytes.is_some_and(|bytes| part.len() > bytes) {
        part.restart()?;
    }
    let room = p.bytes.map_or(Ok(()), |bytes| check_room(bytes, &part));
    if let Err(e) = room.and_then(|()| fill(p, &mut client, &mut part, progress)) {
        if part.len() == 0 {
            part.remove();
        }
        return Err(e);
    }
    part.publish(&target)?;
    lock.remove();
    Ok(target)
}

/// Brings every byte, and judges them.
fn fill(p: &Published, client: &mut Client, part: &mut Part, progress: &mut dyn FnMut(Progress)) -> Result<()> {
    let mut run = Run::new(client, part);
    run.finish(progress)?;
    let pieced = run.pieced;
    let mut got = part.hash(p.check)?;
    if pieced && !p.check.passes(&got) {
        // The first piece may be damaged, or of another file: once more from the start.
        part.restart()?;
        Run::new(client, part).finish(progress)?;
        got = part.hash(p.check)?;
    }
    if !p.check.passes(&got) {
        part.remove();
        return Err(client.wrong_hash(&got));
    }
    Ok(())
}

/// What it takes to fill one part file.
struct Run<'a, 'p> {
    client: &'a mut Client<'p>,
    part: &'a mut Part,
    resumed_from: u64,
    cuts: u32,
    /// Whether the bytes are of more than one request.
    pieced: bool,
    /// Whether to ask for the rest alone.
    ranges: bool,
}

impl<'a, 'p> Run<'a, 'p> {
    fn new(client: &'a mut Client<'p>, part: &'a mut Part) -> Self {
        let resumed_from = part.len();
        Self { client, part, resumed_from, cuts: 0, pieced: resumed_from > 0, ranges: true }
    }

    /// Asks until every byte is there, and again after a pause if the connection breaks.
    fn finish(&mut self, progress: &mut dyn FnMut(Progress)) -> Result<()> {
        let pauses = self.client.pauses();
        let mut left = pauses.iter();
        // The most that there has ever been: a server that begins anew each time must not keep us forever.
        let mut most = self.part.len();
        let mut etag = None;
        self.tell(progress);
        while self.client.total().is_none_or(|total| self.part.len() < total) {
            let reason = match self.stream(&mut etag, progress) {
                Ok(()) => continue,
                Err(Failure::Final(e)) => return Err(e),
                Err(Failure::NoRanges) => {
                    self.ranges = false;
                    continue;
                }
                Err(Failure::Cut(reason)) => reason,
            };
            self.cuts += 1;
            // A line that breaks often and still brings much deserves patience.
            let much = self.client.total().unwrap_or(u64::MAX) / 16;
            if self.part.len() > most.saturating_add(much) {
                left = pauses.iter();
                most = self.part.len();
            }
            let Some(&pause) = left.next() else {
                return Err(self.client.given_up(&reason, self.part.len()));
            };
            self.tell(progress);
            thread::sleep(pause);
        }
        Ok(())
    }

    /// One request, and all that comes of it.
    fn stream(&mut self, etag: &mut Option<String>, progress: &mut dyn FnMut(Progress)) -> Result<(), Failure> {
        let from = if self.ranges { self.part.len() } else { 0 };
        let mut answer = self.client.ask(from, etag.as_deref())?;
        let total = answer.total;
        self.pieced = answer.start > 0;
        if !self.pieced {
            self.resumed_from = 0;
            self.part.restart()?;
        }
        if self.client.is_told_by_server() {
            check_room(total, self.part)?;
        }
        *etag = answer.etag.take();
        let mut buffer = vec![0; 1 << 16];
        loop {
            let read = match answer.body.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => &buffer[..n],
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(e) => return Err(self.client.cut(e)),
            };
            if read.len() as u64 > total.saturating_sub(self.part.len()) {
                self.part.remove();
                return Err(self.client.too_long().into());
            }
            self.part.append(read, total)?;
            self.tell(progress);
        }
        match self.part.len() < total {
            true => Err(Failure::Cut("the server ended early".into())),
            false => Ok(()),
        }
    }

    fn tell(&self, progress: &mut dyn FnMut(Progress)) {
        let (done, total) = (self.part.len(), self.client.total());
        progress(Progress { done, total, resumed_from: self.resumed_from, cuts: self.cuts });
    }
}
