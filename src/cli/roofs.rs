//! What is to be said of roofs.

use maskrcnn::engine::gpu::Roofs;

/// What it means that a step is faster than the roof of a copy.
pub(super) const CACHED: &str = "faster than the roof of a copy through memory: the tensors stayed in a cache, or not all were \
                          read. If many are, the roof was measured on a busy machine (--remeasure)";

/// Says so where others used the device while they were measured.
pub(super) fn warn_of_busy(roofs: &Roofs) {
    if !roofs.steady {
        note!(
            "warning: the machine was busy while its roofs were measured, so they may be too low, and the shares of \
             them too high. They are measured again next time, and the best is kept; --remeasure on a quiet machine \
             sets them right"
        );
    }
}

/// Says that `what` did more arithmetic than the roof allows.
pub(super) fn warn_of_passed(what: &str) {
    note!(
        "warning: {what} did more arithmetic than the roof of multiply-adds allows: the roofs were measured while the \
         machine was busy, and the shares of them are too high. --remeasure on a quiet machine sets them right"
    );
}
