//! Which mutant is active: `MUTANT` in the environment. With `MUTANT_TRACE`, the numbers of those that are reached are
//! added to that file.

use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

const UNKNOWN: u32 = u32::MAX;
const TRACED: u32 = u32::MAX - 1;
const NONE: u32 = u32::MAX - 2;
static ACTIVE: AtomicU32 = AtomicU32::new(UNKNOWN);
static SEEN: [AtomicBool; 16384] = [const { AtomicBool::new(false) }; 16384];

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
    let trace = std::env::var_os("MUTANT_TRACE");
    let active = std::env::var("MUTANT").ok().and_then(|n| n.parse().ok()).unwrap_or(NONE);
    ACTIVE.store(if trace.is_some() { TRACED } else { active }, Relaxed);
    if let (Some(path), false) = (trace, SEEN[n as usize].swap(true, Relaxed)) {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
        file.and_then(|mut f| f.write_all(format!("{n}\n").as_bytes())).expect("a trace");
    }
    active == n
}
