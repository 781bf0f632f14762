//! The only way to print. `println!` panics where nobody reads, or the disk is full; here the work goes on.
//!
//! - A reader that has seen enough, as `head` does, is no error: nothing more is printed.
//! - Where standard output cannot be written, that is said once, and the exit code is 1 in the end.
//! - What cannot be said on standard error cannot be said at all.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU8, Ordering};

use indicatif::MultiProgress;

/// Prints a line on standard output, as `println!` does.
macro_rules! say {
    () => { $crate::cli::say::line(format_args!("")) };
    ($($arg:tt)*) => { $crate::cli::say::line(format_args!($($arg)*)) };
}

/// Prints a line on standard error, as `eprintln!` does.
macro_rules! note {
    ($($arg:tt)*) => { $crate::cli::say::aside(format_args!($($arg)*)) };
}

const OPEN: u8 = 0;
const CLOSED: u8 = 1;
const FAILED: u8 = 2;

/// What became of standard output.
static STATE: AtomicU8 = AtomicU8::new(OPEN);

/// All bars, on standard error where that is a terminal: what is printed goes above them.
static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// Where to add a bar.
pub(super) fn bars() -> &'static MultiProgress {
    &BARS
}

/// A line on standard output.
pub(super) fn line(text: Arguments) {
    print(format!("{text}\n").as_bytes());
}

/// Text or bytes on standard output, as they are.
pub(super) fn print(bytes: &[u8]) {
    if STATE.load(Ordering::Relaxed) == OPEN {
        // What went wrong is said afterwards: nothing else can be while the bars are suspended.
        let printed = BARS.suspend(|| {
            let mut out = io::stdout().lock();
            out.write_all(bytes).and_then(|()| out.flush())
        });
        judge(printed);
    }
}

/// A line on standard error.
pub(super) fn aside(text: Arguments) {
    BARS.suspend(|| {
        let _ = io::stderr().lock().write_all(format!("{text}\n").as_bytes());
    });
}

/// Notes what became of standard output.
pub(super) fn judge(result: io::Result<()>) {
    let Err(e) = result else { return };
    let state = if e.kind() == ErrorKind::BrokenPipe { CLOSED } else { FAILED };
    if STATE.swap(state, Ordering::Relaxed) == OPEN && state == FAILED {
        note!("error: standard output: {e}");
    }
}

/// Whether something could not be printed that somebody waits for.
pub(super) fn has_failed() -> bool {
    STATE.load(Ordering::Relaxed) == FAILED
}
