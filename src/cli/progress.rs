//! How far a long run is, on a terminal.

use std::fmt::Write;

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

/// A bar below what is printed; nothing where standard error is no terminal.
pub(super) struct Progress(Option<ProgressBar>);

impl Progress {
    /// Of so many images; of one there is none.
    pub(super) fn new(count: usize) -> Self {
        let bar = (count > 1).then(|| super::say::bars().add(ProgressBar::new(count as u64)));
        let template = "{bar:32} {pos} of {len} images, {rate}, {eta} left";
        if let (Some(bar), Ok(style)) = (&bar, ProgressStyle::with_template(template)) {
            let rate = |state: &ProgressState, out: &mut dyn Write| {
                let _ = write!(out, "{:.2} images/s", state.per_sec());
            };
            bar.set_style(style.with_key("rate", rate));
        }
        Self(bar)
    }

    /// Of so many tiles of an image.
    pub(super) fn of_tiles(count: usize) -> Self {
        Self::of(count, "{bar:32} {pos} of {len} tiles, {eta} left")
    }

    fn of(count: usize, template: &str) -> Self {
        let bar = (count > 1).then(|| super::say::bars().add(ProgressBar::new(count as u64)));
        if let (Some(bar), Ok(style)) = (&bar, ProgressStyle::with_template(template)) {
            bar.set_style(style);
        }
        Self(bar)
    }

    /// Of so many passes of an image through the body.
    pub(super) fn of_passes(count: usize) -> Self {
        Self::of(count, "{bar:32} {pos} of {len} passes through the body, {eta} left")
    }

    /// So many are done.
    pub(super) fn at(&self, done: usize) {
        if let Some(bar) = &self.0 {
            bar.set_position(done as u64);
        }
    }

    /// One more is done.
    pub(super) fn step(&self) {
        if let Some(bar) = &self.0 {
            bar.inc(1);
        }
    }

    /// One more was done before: that says nothing of the time that others take.
    pub(super) fn skip(&self) {
        if let Some(bar) = &self.0 {
            bar.inc(1);
            bar.reset_eta();
        }
    }

    /// It goes away.
    pub(super) fn finish(self) {
        if let Some(bar) = self.0 {
            bar.finish_and_clear();
        }
    }
}
