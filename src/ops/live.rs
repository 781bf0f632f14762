//! Live counts: of each batch's rows the first so many are real. Rows past them are neither computed nor written.

use super::Info;

/// Whether so many rows come in as many batches as there are counts.
pub(crate) fn check(live: &Info, rows: usize, of: &str) -> Result<(), String> {
    match live.shape.len() {
        batches if batches > 0 && rows.is_multiple_of(batches) => Ok(()),
        _ => Err(format!("live counts {live:?} do not divide the {rows} {of}")),
    }
}

/// For twins: whether row `row` of `rows` counts; all do where there are no counts.
pub(crate) fn counts(live: Option<&[u32]>, rows: usize, row: usize) -> bool {
    live.is_none_or(|live| {
        let capacity = rows / live.len();
        row % capacity < live[row / capacity] as usize
    })
}
