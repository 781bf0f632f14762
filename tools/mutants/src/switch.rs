//! Which mutant is active: `MUTANT` in the environment. With `MUTANT_TRACE`, the numbers of those that are reached
//! are added to that file at the end.

use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

const UNKNOWN: u32 = u32::MAX;
const TRACED: u32 = u32::MAX - 1;
const NONE: u32 = u32::MAX - 2;
static ACTIVE: AtomicU32 = AtomicU32::new(UNKNOWN);
static SEEN: [AtomicBool; 1 << 16] = [const { AtomicBool::new(false) }; 1 << 16];

#[inline]
pub fn on(n: u32) -> bool {
    let active = ACTIVE.load(Relaxed);
    if active < TRACED {
        active == n
    } else {
        (active == UNKNOWN || !SEEN[n as usize].load(Relaxed)) && slowly(n)
    }
}

#[cold]
fn slowly(n: u32) -> bool {
    if ACTIVE.load(Relaxed) == UNKNOWN {
        let active = std::env::var("MUTANT").ok().and_then(|n| n.parse().ok()).unwrap_or(NONE);
        let traced = std::env::var_os("MUTANT_TRACE").is_some();
        ACTIVE.store(if traced { TRACED } else { active }, Relaxed);
        if traced {
            // SAFETY: a function without arguments that does not unwind.
            unsafe { atexit(write_trace) };
        }
    }
    SEEN[n as usize].store(true, Relaxed);
    ACTIVE.load(Relaxed) == n
}

unsafe extern "C" {
    fn atexit(then: extern "C" fn()) -> i32;
}

/// At the end alone: some tests bound what is allocated, and how long it takes.
extern "C" fn write_trace() {
    let Some(path) = std::env::var_os("MUTANT_TRACE") else { return };
    let Ok(mut file) = std::fs::OpenOptions::new().create(true).append(true).open(path) else { return };
    let seen = (0..SEEN.len()).filter(|&n| SEEN[n].load(Relaxed));
    let _ = seen.into_iter().try_for_each(|n| writeln!(file, "{n}"));
}
