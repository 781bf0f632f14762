//! The frames of a video, one after the other, for readers that each want some of them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use super::{FILE, Running};

/// Most bytes of a frame: 16,384² pixels of three bytes.
const MOST: u32 = 3 << 28;

/// Bytes before a BMP's length is known.
const HEAD: usize = 6;

/// Reads a video through ffmpeg, once from its begin to its end. Its frames come as BMP files, each of which says how long it
/// is, turned upright.
pub(in crate::cli) struct Frames {
    path: PathBuf,
    state: Mutex<State>,
}

struct State {
    /// None before the first frame is asked for, and after the last one came.
    stream: Option<(Running, BufReader<ChildStdout>)>,
    /// The number of the next that comes, from 1.
    next: usize,
    /// Those that came before somebody asked for them.
    waiting: BTreeMap<usize, Arc<Vec<u8>>>,
    /// Those that somebody will ask for.
    wanted: BTreeSet<usize>,
    /// Why there are no more.
    ended: Option<String>,
}

impl Frames {
    /// Those of this file, of which the ones of these numbers, from 1, will be asked for, each once.
    pub(in crate::cli) fn new(path: &Path, wanted: impl IntoIterator<Item = usize>) -> Self {
        let wanted = wanted.into_iter().collect();
        let state = State { stream: None, next: 1, waiting: BTreeMap::new(), wanted, ended: None };
        Self { path: path.into(), state: Mutex::new(state) }
    }

    /// A frame as a BMP file. Whoever asks waits for those before it, which are kept for those who will ask for them: no
    /// more than there are askers, where these ask in order.
    ///
    /// # Errors
    /// As a clause that goes on after the file's name.
    pub(in crate::cli) fn get(&self, number: usize) -> Result<Arc<Vec<u8>>, String> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(frame) = state.waiting.remove(&number) {
                return Ok(frame);
            }
            if let Some(reason) = &state.ended {
                return Err(reason.clone());
            }
            if let Err(reason) = state.read_next(&self.path) {
                state.ended = Some(reason);
                state.stream = None;
            }
        }
    }

    /// A frame that nobody will ask for after all.
    pub(in crate::cli) fn let_go(&self, number: usize) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.wanted.remove(&number);
        state.waiting.remove(&number);
    }
}

impl State {
    fn read_next(&mut self, path: &Path) -> Result<(), String> {
        let (child, stdout) = match &mut self.stream {
            Some(stream) => stream,
            none => none.insert(open(path)?),
        };
        let Some(frame) = frame(stdout).map_err(|e| format!("frame {}: {e}", self.next))? else {
            let number = self.next;
            child.finish().map_err(|reason| format!("frame {number}: {reason}"))?;
            return Err(format!("ends after {} frames, before its container says so", number - 1));
        };
        if self.wanted.remove(&self.next) {
            self.waiting.insert(self.next, Arc::new(frame));
        }
        self.next += 1;
        Ok(())
    }
}

fn open(path: &Path) -> Result<(Running, BufReader<ChildStdout>), String> {
    // One for each that the file has: neither doubled nor left out to keep a rate.
    let args = [
        "-v",
        "error",
        "-nostdin",
        "-i",
        FILE,
        "-map",
        "0:v:0",
        "-fps_mode",
        "passthrough",
        "-f",
        "image2pipe",
        "-c:v",
        "bmp",
        "-pix_fmt",
        "bgr24",
        "-",
    ];
    let mut child = Running::start("ffmpeg", &args, Some(path), Stdio::null())?;
    let stdout = child.stdout()?;
    Ok((child, BufReader::with_capacity(1 << 20, stdout)))
}

/// The next BMP file of a stream; none where it ends before one.
pub(super) fn frame(stream: &mut impl Read) -> std::io::Result<Option<Vec<u8>>> {
    let mut head = [0; HEAD];
    let mut read = 0;
    while read < HEAD {
        match stream.read(&mut head[read..]) {
            Ok(0) if read == 0 => return Ok(None),
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(n) => read += n,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    let length = u32::from_le_bytes([head[2], head[3], head[4], head[5]]);
    if !head.starts_with(b"BM") || !(HEAD as u32..=MOST).contains(&length) {
        return Err(super::invalid(format!("ffmpeg sent no BMP file of up to {MOST} bytes")));
    }
    let mut frame = head.to_vec();
    let rest = u64::from(length) - HEAD as u64;
    stream.take(rest).read_to_end(&mut frame)?;
    match frame.len() as u64 == u64::from(length) {
        true => Ok(Some(frame)),
        false => Err(ErrorKind::UnexpectedEof.into()),
    }
}
