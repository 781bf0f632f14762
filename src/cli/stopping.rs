//! Ctrl-C: the first ends the work where that leaves nothing half done, the second at once.

use std::process;
use std::sync::atomic::{AtomicBool, Ordering};

/// What shells say of a program that Ctrl-C ended.
pub(super) const STATUS: u8 = 130;

static ASKED: AtomicBool = AtomicBool::new(false);

/// From now on Ctrl-C is [`asked`] for. Where the system does not let us know of it, it ends the program as ever.
pub(super) fn watch() {
    let set = ctrlc::set_handler(|| {
        if ASKED.swap(true, Ordering::SeqCst) {
            process::exit(STATUS.into());
        }
        note!("stopping after the image at hand; Ctrl-C again stops at once");
    });
    if let Err(e) = set {
        log::warn!("Ctrl-C ends the program at once: {e}");
    }
}

/// Whether the user wants it to end.
pub(super) fn asked() -> bool {
    ASKED.load(Ordering::SeqCst)
}
