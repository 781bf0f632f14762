//! Videos, through `ffmpeg` and `ffprobe` where they are on the path: frame by frame in, and drawn over out.

mod frames;
mod out;
mod probe;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::io::{self, BufRead as _, BufReader, ErrorKind, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::JoinHandle;

pub(super) use self::frames::Frames;
pub(super) use self::out::VideoOut;
pub(super) use self::probe::Probe;

/// Endings of videos.
const ENDINGS: [&str; 13] =
    ["mp4", "m4v", "mov", "avi", "mkv", "webm", "mpg", "mpeg", "wmv", "flv", "ts", "mts", "ogv"];

/// Whether a file is a video by its name.
pub(super) fn is_video(path: &Path) -> bool {
    let ending = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase());
    ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str()))
}

/// Where the file's name goes among arguments.
const FILE: &str = "{file}";

/// A program of ffmpeg's, which ends with whoever asked for it.
struct Running {
    program: &'static str,
    child: Child,
    /// Reads what it complains of, so that it never waits to be heard; gives the last line.
    complaints: Option<JoinHandle<String>>,
}

impl Running {
    /// Starts it with these pipes; `file` takes the place of [`FILE`] among the arguments.
    ///
    /// # Errors
    /// In words, as a clause that goes on after a file's name, where it is not there.
    fn start(program: &'static str, args: &[&str], file: Option<&Path>, stdin: Stdio) -> Result<Self, String> {
        let mut command = Command::new(program);
        for arg in args {
            match file.filter(|_| *arg == FILE) {
                // A name that begins with a dash is no option, and one with a colon no address.
                Some(file) => {
                    let mut name = OsString::from("file:");
                    name.push(file);
                    command.arg(name)
                }
                None => command.arg(arg),
            };
        }
        let started = command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = started.map_err(|e| match e.kind() {
            ErrorKind::NotFound => {
                format!("is a video, and `{program}` is not on the path: install ffmpeg, 5.1 or later")
            }
            _ => format!("is a video, and `{program}` does not start: {e}"),
        })?;
        let complaints = child.stderr.take().map(|stderr| std::thread::spawn(|| last_line(stderr)));
        Ok(Self { program, child, complaints })
    }

    /// What it writes.
    fn stdout(&mut self) -> Result<ChildStdout, String> {
        self.child.stdout.take().ok_or_else(|| format!("{} has no output", self.program))
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// What it complained of last, where it failed.
    fn finish(&mut self) -> Result<(), String> {
        let program = self.program;
        let status = self.child.wait().map_err(|e| format!("{program}: {e}"))?;
        let said = self.complaints.take().and_then(|said| said.join().ok()).unwrap_or_default();
        match (status.success(), said.is_empty()) {
            (true, _) => Ok(()),
            (false, true) => Err(format!("{program} ended with {status}")),
            (false, false) => Err(format!("{program}: {said}")),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The last line that says something.
fn last_line(stream: impl Read) -> String {
    let mut last = String::new();
    for line in BufReader::new(stream).split(b'\n').map_while(io::Result::ok) {
        let line = String::from_utf8_lossy(&line).trim().to_string();
        if !line.is_empty() {
            last = line;
        }
    }
    last
}

fn invalid(reason: impl Into<String>) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, reason.into())
}
