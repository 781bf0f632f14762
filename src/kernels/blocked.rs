//! Blocks of a product that pass through workgroup memory (`shaders/shared/blocked.wgsl`): what GPUs want, whose
//! workgroups share loads of both operands. Sizes, the choice among them, and the order of the weights.

use super::{Caps, Variant, matrix};
use crate::tensor::Value;

/// The blocks, largest first: name, threads along pixels and along rows, and fours of both a thread.
const BLOCKS: [(&str, [u32; 4]); 3] = [
    ("blocked-128", [16, 16, 2, 2]),
    ("blocked-64", [16, 16, 1, 1]),
    // For few rows.
    ("blocked-32", [32, 8, 1, 1]),
];

/// Channels of a step, by four.
pub(super) const STEP: u32 = 4;

/// Workgroups that keep a GPU of 64 cores busy, two on each.
pub(crate) const FILLS: usize = 128;

/// Below so many of the small blocks, threads that share nothing spread wider.
const FEW: usize = 16;

/// Pixels of a block.
pub(super) fn pixels(v: &Variant) -> usize {
    if matrix::is(v) {
        return matrix::pixels(v);
    }
    4 * (v.get("LP") * v.get("TG")) as usize
}

/// Rows of weights of a block.
pub(super) fn rows(v: &Variant) -> usize {
    if matrix::is(v) {
        return matrix::rows(v);
    }
    4 * (v.get("LK") * v.get("TH")) as usize
}

/// Whether the variant is one of those here, or of [`matrix`].
pub(super) fn is(v: &Variant) -> bool {
    v.find("BLOCKED").is_some() || matrix::is(v)
}

/// Workgroups for so many pixels and rows.
fn count(v: &Variant, n: usize, k: usize) -> usize {
    n.div_ceil(pixels(v)) * k.div_ceil(rows(v))
}

/// The variants that a device can run, best first.
pub(super) fn variants(n: usize, k: usize, quads: bool, caps: &Caps) -> Vec<Variant> {
    let variant = |(name, [lp, lk, tg, th]): (&'static str, [u32; 4])| {
        let sizes = [("BLOCKED", 1), ("LP", lp), ("LK", lk), ("TG", tg), ("TH", th), ("BC4", STEP)];
        Variant::new(name, &sizes).flag("QUADS", quads)
    };
    let fits = |v: &Variant| {
        let bytes = 16 * STEP as usize * (pixels(v) + rows(v));
        v.get("LP") * v.get("LK") <= caps.max_invocations && bytes <= caps.workgroup_bytes as usize
    };
    let mut out: Vec<Variant> = BLOCKS.into_iter().map(variant).filter(fits).collect();
    best_first(&mut out, n, k);
    out
}

/// Puts first, of blocks from the largest to the smallest, the largest that fills the device, of those that are neither
/// half padding nor made for fewer rows; where none does, the smallest of these.
pub(super) fn best_first(blocks: &mut [Variant], n: usize, k: usize) {
    let suits = |v: &Variant| k > rows(v) / 2 && (k <= rows(v) || pixels(v) <= rows(v));
    let fills = |v: &Variant| suits(v) && count(v, n, k) >= FILLS;
    let best = blocks.iter().position(fills).or_else(|| blocks.iter().rposition(suits));
    if let Some(best) = best.or(blocks.len().checked_sub(1)) {
        blocks[..=best].rotate_right(1);
    }
}

/// Whether the best of several blocks has too few blocks to be worth it.
pub(super) fn is_tiny(best: &Variant, n: usize, k: usize) -> bool {
    count(best, n, k) < FEW
}

/// The name of the order that [`pack_rows`] makes.
pub(super) fn form(variant: &Variant) -> String {
    format!("columns by {}", rows(variant))
}

/// `k` rows of `len` weights in blocks of so many rows, of each block one column after the other:
/// `[k/rows, len, rows]`, zero past row `k`.
pub(super) fn pack_rows(weights: &[f32], k: usize, len: usize, variant: &Variant) -> Value {
    let rows = rows(variant);
    let blocks = k.div_ceil(rows);
    let mut out = vec![0.0; blocks * rows * len];
    for (row, values) in weights.chunks_exact(len).enumerate() {
        let first = row / rows * len * rows + row % rows;
        values.iter().enumerate().for_each(|(column, &w)| out[first + column * rows] = w);
    }
    Value::f32([blocks * rows, len], out)
}
