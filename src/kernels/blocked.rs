//! Blocks of a product that pass through workgroup memory (`shaders/shared/blocked.wgsl`): what GPUs want, whose
//! workgroups share loads of both operands. Sizes, the choice among them, and the order of the weights.

use super::Variant;
use super::schedule::{Block, Schedule};
use crate::target::Target;
use crate::target::policy::Blocks;
use crate::tensor::Value;

/// The blocks, largest first.
const BLOCKS: [Block; 4] = [
    Block { threads: [16, 16], fours: [2, 2] },
    Block { threads: [16, 16], fours: [2, 1] },
    Block { threads: [16, 16], fours: [1, 1] },
    // For few rows.
    Block { threads: [32, 8], fours: [1, 1] },
];

/// Workgroups for so many pixels and rows, in blocks of such extents.
fn count([pixels, rows]: [usize; 2], n: usize, k: usize) -> usize {
    n.div_ceil(pixels) * k.div_ceil(rows)
}

/// The variants that a device can run, best first.
pub(super) fn variants(n: usize, k: usize, quads: bool, target: &Target) -> Vec<Variant> {
    let can = &target.can;
    let fits = |block: &Block| {
        block.threads[0] * block.threads[1] <= can.max_invocations && block.bytes() <= can.workgroup_bytes as usize
    };
    let spills = |block: &Block| 16 * block.fours[0] * block.fours[1] > target.pays.blocks.sums;
    let mut blocks: Vec<Block> = BLOCKS.into_iter().filter(fits).collect();
    // Stable: those that spill come last, for whoever asks for them.
    blocks.sort_by_key(spills);
    let fast = blocks.iter().take_while(|block| !spills(block)).count();
    best_first(&mut blocks[..fast], Block::extents, n, k, &target.pays.blocks);
    blocks.into_iter().map(|block| Variant::of(Schedule::Blocked(block)).flag("QUADS", quads)).collect()
}

/// Puts first, of blocks from the largest to the smallest, the largest that fills the device, of those that are neither
/// half padding nor made for fewer rows; where none does, the smallest of these.
pub(super) fn best_first<B>(blocks: &mut [B], extents: fn(&B) -> [usize; 2], n: usize, k: usize, policy: &Blocks) {
    let suits = |block: &B| {
        let [pixels, rows] = extents(block);
        k > rows / 2 && (k <= rows || pixels <= rows)
    };
    let fills = |block: &B| suits(block) && count(extents(block), n, k) >= policy.fills;
    let best = blocks.iter().position(fills).or_else(|| blocks.iter().rposition(suits));
    if let Some(best) = best.or(blocks.len().checked_sub(1)) {
        blocks[..=best].rotate_right(1);
    }
}

/// Whether the best of several blocks has too few blocks to be worth it.
pub(super) fn is_tiny(best: &Variant, n: usize, k: usize, policy: &Blocks) -> bool {
    best.schedule.extents().is_none_or(|extents| count(extents, n, k) < policy.few)
}

/// `k` rows of `len` weights in blocks of so many rows, of each block one column after the other:
/// `[k/rows, len, rows]`, zero past row `k`.
pub(super) fn pack_rows(weights: &[f32], k: usize, len: usize, rows: usize) -> Value {
    let blocks = k.div_ceil(rows);
    let mut out = vec![0.0; blocks * rows * len];
    for (row, values) in weights.chunks_exact(len).enumerate() {
        let first = row / rows * len * rows + row % rows;
        values.iter().enumerate().for_each(|(column, &w)| out[first + column * rows] = w);
    }
    Value::f32([blocks * rows, len], out)
}
