//! Shows that shaders are being compiled: a device's first image is late for it.

use std::io::IsTerminal as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use maskrcnn::Device;

/// Nanoseconds in which shaders were compiled.
static TIME: AtomicU64 = AtomicU64::new(0);

/// For how long shaders have been compiled so far.
pub(super) fn time() -> Duration {
    Duration::from_nanos(TIME.load(Ordering::Relaxed))
}

/// What is not over by then is shown.
const SOON: Duration = Duration::from_secs(1);

/// Tells of what the device compiles from now on, on standard error: `12 of 58` on a terminal, else a line where it takes
/// a while.
pub(super) fn show(device: &Device) {
    let name = device.name().to_string();
    let terminal = std::io::stderr().is_terminal();
    let state: Mutex<Option<(Instant, Option<ProgressBar>)>> = Mutex::new(None);
    device.watch_compiling(move |c| {
        let mut state = state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (begin, shown) = state.get_or_insert_with(|| (Instant::now(), None));
        if c.done == c.of {
            TIME.fetch_add(begin.elapsed().as_nanos() as u64, Ordering::Relaxed);
            if let Some(bar) = shown {
                bar.finish_and_clear();
                note!("compiled {} shaders in {:.1} s", c.of, begin.elapsed().as_secs_f64());
            }
            *state = None;
            return;
        }
        if shown.is_none() && begin.elapsed() >= SOON {
            let bar = super::say::bars().add(ProgressBar::new(c.of as u64));
            if let Ok(style) = ProgressStyle::with_template("compiling shaders: {pos} of {len} [{elapsed}]") {
                bar.set_style(style);
            }
            if !terminal {
                note!("compiling {} shaders for {name}: once, where the driver keeps them", c.of);
            }
            *shown = Some(bar);
        }
        if let Some(bar) = shown {
            bar.set_position(c.done as u64);
        }
    });
}
