//! How far a long run is, on a terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar below what is printed; nothing where standard error is no terminal.
pub(super) struct Progress(Option<ProgressBar>);

impl Progress {
    /// Of so many images; of one there is none.
    pub(super) fn new(count: usize) -> Self {
        let bar = (count > 1).then(|| super::say::bars().add(ProgressBar::new(count as u64)));
        let template = "{bar:32} {pos} of {len} images, {per_sec}, {eta} left";
        if let (Some(bar), Ok(style)) = (&bar, ProgressStyle::with_template(template)) {
            bar.set_style(style);
        }
        Self(bar)
    }

    /// One more is done.
    pub(super) fn step(&self) {
        if let Some(bar) = &self.0 {
            bar.inc(1);
        }
    }

    /// It goes away.
    pub(super) fn finish(self) {
        if let Some(bar) = self.0 {
            bar.finish_and_clear();
        }
    }
}
