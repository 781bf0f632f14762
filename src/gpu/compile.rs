//! Compiling all that a plan needs before its first run: on all cores, while weights are packed, and seen by whoever
//! watches.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::device::{Device, lock};
use super::pipeline::{Checks, Extent};
use crate::Result;
use crate::kernels::Variant;

/// Threads that compile; more share too little work, and each may need a good part of a gigabyte.
pub(super) const MOST_THREADS: usize = 8;

/// A shader that was compiled, and how far along its plan is.
#[derive(Clone, Copy, Debug)]
pub struct Compiled<'a> {
    /// The kernel's name; none before the first of a plan.
    pub kernel: &'a str,
    /// Its variant's name and constants.
    pub variant: &'a str,
    /// Shaders that are done …
    pub done: usize,
    /// … of those that the plan needs and the device had not yet.
    pub of: usize,
}

/// Hears of shaders that are compiled.
pub(super) type Watcher = Arc<dyn Fn(Compiled) + Send + Sync>;

/// A share of the work done: of each shader one for its pipeline, and where that is not all, one for its first dispatch.
pub(super) struct Progress {
    watcher: Option<Watcher>,
    shaders: usize,
    /// Turns of a shader.
    turns: usize,
    done: AtomicUsize,
}

impl Progress {
    /// Counts one turn of a shader.
    pub(super) fn one_more(&self, kernel: &str, variant: &Variant) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(told) = &self.watcher {
            told(Compiled { kernel, variant: &variant.to_string(), done: done / self.turns, of: self.shaders });
        }
    }
}

impl Device {
    /// Has `told` hear of each shader that is compiled for a plan from now on: how many are done, of how many that the
    /// plan needs and this device had not compiled yet. It is called from several threads, before the first as well.
    ///
    /// **Unstable**, as all of the [`engine`](crate::engine).
    pub fn watch_compiling(&self, told: impl Fn(Compiled) + Send + Sync + 'static) {
        *lock(&self.shared.watcher) = Some(Arc::new(told));
    }

    /// Compiles those of `wanted` that are not compiled yet, on all cores, and does `meanwhile` beside.
    pub(super) fn compile_all<T>(
        &self,
        wanted: &[(&'static str, &Variant)],
        checks: Checks,
        meanwhile: impl FnOnce() -> Result<T>,
    ) -> Result<(T, Progress)> {
        let missing: Vec<_> = wanted.iter().filter(|(kernel, v)| !self.is_compiled(kernel, v, checks)).collect();
        let progress = Progress {
            watcher: lock(&self.shared.watcher).clone(),
            shaders: missing.len(),
            turns: if self.compiles_late() { 2 } else { 1 },
            done: AtomicUsize::new(0),
        };
        if let Some(told) = progress.watcher.as_ref().filter(|_| progress.shaders > 0) {
            told(Compiled { kernel: "", variant: "", done: 0, of: progress.shaders });
        }
        let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let next = AtomicUsize::new(0);
        let work = || -> Result<()> {
            while let Some((kernel, variant)) = missing.get(next.fetch_add(1, Ordering::Relaxed)) {
                self.pipeline(kernel, variant, checks, Extent::Whole)?;
                progress.one_more(kernel, variant);
            }
            Ok(())
        };
        let beside = thread::scope(|s| {
            let threads = 1..cores.min(MOST_THREADS).min(missing.len());
            // A thread that the system refuses is work for the others.
            let threads: Vec<_> = threads.filter_map(|_| thread::Builder::new().spawn_scoped(s, work).ok()).collect();
            let beside = meanwhile().and_then(|beside| work().map(|()| beside));
            for thread in threads {
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            }
            beside
        })?;
        Ok((beside, progress))
    }

    /// Whether the driver compiles at a pipeline's first dispatch, as Mesa's lavapipe does.
    pub(super) fn compiles_late(&self) -> bool {
        self.shared.target.pays.compiles_late
    }
}
