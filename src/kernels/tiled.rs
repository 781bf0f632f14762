//! What convolution, linear and transposed convolution share: one register-tiled core (`shaders/shared/tiled.wgsl`),
//! its parameters, its variants, and the order in which it reads weights.

use super::half_precision::{self, PACKED_F16, with_all};
use super::schedule::{Schedule, Tile};
use super::{LiveGrid, Variant, blocked, fold_grid};
use crate::ops::Io;
use crate::ops::levels::Levels;
use crate::params;
use crate::target::Target;
use crate::tensor::Value;

params! {
    levels: [[u32; 4]; Levels::MOST],
    pixels: u32, h: u32, w: u32, c: u32, k: u32, r: u32, s: u32, oh: u32, ow: u32,
    stride_h: u32, stride_w: u32, pad_h: u32, pad_w: u32, dilation_h: u32, dilation_w: u32,
    groups: u32, relu: u32, y_offset: u32, y_image_stride: u32, map_h: u32, map_w: u32, top_h: u32,
    top_w: u32, images_per_batch: u32, grid_x: u32,
}

/// What the choice of a tile depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Product {
    /// Pixels of y over all images, and all products of such a size that one launch makes.
    pub n: usize,
    /// Input channels; a multiple of 4.
    pub c: usize,
    /// Rows of weights.
    pub k: usize,
    /// Products that an element of x has a part in for each row of weights: the taps, about.
    pub taps: usize,
    /// Whether rows and places in y go by four.
    pub quads: bool,
    /// Whether it is of matrices as they are: no windows, no residual.
    pub plain: bool,
}

/// The tiled variants for a product, best first (measured: benches/NOTES.md).
pub(super) fn variants(product: Product, target: &Target) -> Vec<Variant> {
    let Product { n, c, k, taps, quads, plain } = product;
    let policy = &target.pays.tiles;
    let mut out = Vec::new();
    let tiled = |schedule: fn(Tile) -> Schedule, tile: Tile| {
        let [_, rows] = tile.extents();
        Variant::of(schedule(tile)).flag("QUADS", quads).flag("FULL", k.is_multiple_of(rows))
    };
    // What a CPU driver's lanes have in common is loaded by eights of rows, whatever their number.
    let common = policy.common_loads.then_some(8);
    if let Some(lanes) = common.or(target.can.subgroup.filter(|s| (4..=32).contains(s))) {
        // Of four channels a row of taps is written out, which is long as it is.
        let much = c > 4 && n.saturating_mul(c * k * taps) >= policy.worth_a_text;
        let rows = if plain || much { policy.product_rows } else { policy.shuffled_rows };
        let times = (k as u32).div_ceil(lanes).clamp(1, (rows / lanes).max(1));
        let pixels = match times * lanes {
            _ if !quads => policy.single_rows_pixels,
            ..=16 => policy.few_rows_pixels,
            _ => policy.shuffled_pixels,
        };
        let step = if c.is_multiple_of(8) { policy.step } else { 1 };
        let tile = Tile { threads: lanes.max(32), pixels, times, lanes, step };
        let loads = taps * k.div_ceil(tile.extents()[1]);
        let by_texels = |v: Variant| v.texture(0, "X_TEXTURE", loads >= policy.worth_a_copy);
        if common.is_some() {
            let v = tiled(Schedule::Common, tile);
            out.push(if target.reads_texels() { by_texels(v) } else { v });
        } else {
            if target.reads_texels() {
                out.push(by_texels(tiled(Schedule::Texels, tile)).texture(1, "W_TEXTURE", true));
            }
            out.push(tiled(Schedule::Shuffled, tile));
        }
    }
    let lanes = if k <= 4 { policy.few_rows } else { 8 };
    let registers = tiled(Schedule::Registers, Tile { threads: 64, pixels: policy.pixels, times: 1, lanes, step: 1 });
    let mut blocks = blocked::variants(n, k, quads, target);
    if target.pays.workgroup_memory {
        // Without a CPU's loop over lanes, loads at a common address are as cheap as a shuffle; where there is enough
        // to share, workgroup memory is cheaper than both (reasoned: no GPU was at hand).
        out.insert(0, registers);
        if blocks.first().is_some_and(|best| !blocked::is_tiny(best, n, k, &target.pays.blocks)) {
            out.insert(0, blocks.remove(0));
        }
    } else {
        out.push(registers);
    }
    out.extend(blocks);
    with_all(out, n, k, quads, target)
}

/// The operands that may be f16 in memory ([`Kernel::f16_operands`](super::Kernel::f16_operands)) of a product of so many
/// channels and rows of weights: what goes by four.
pub(super) fn f16_operands(io: &Io, c: usize, k: usize) -> Vec<(usize, &'static str)> {
    let (x, y) = ((0, "X_F16"), (io.inputs.len(), "Y_F16"));
    let by_four = [(c.is_multiple_of(4), x), (c.is_multiple_of(4) && k.is_multiple_of(4), y)];
    by_four.into_iter().filter(|(may, _)| *may).map(|(_, operand)| operand).collect()
}

/// The grid of a variant for so many pixels and rows of weights: blocks of both, or an element a thread.
pub(super) fn grid(pixels: usize, k: usize, variant: &Variant) -> [u32; 3] {
    match variant.schedule.extents() {
        None => fold_grid((pixels * k).div_ceil(64)),
        Some([of_block, rows]) => {
            let [x, y, _] = fold_grid(pixels.div_ceil(of_block));
            [x, y, k.div_ceil(rows) as u32]
        }
    }
}

/// Operations on so many pixels and rows of weights of length `len`, those on what fills up a variant's last blocks
/// included.
pub(super) fn executed(pixels: usize, k: usize, len: usize, variant: &Variant) -> f64 {
    let [block, rows] = variant.schedule.extents().unwrap_or([64, 1]);
    2.0 * (pixels.next_multiple_of(block) * k.next_multiple_of(rows) * len) as f64
}

/// How the grid of a tiled variant follows live count `input` of rows of so many pixels, `pixels` in all.
pub(super) fn live_grid(input: usize, units: usize, pixels: usize, variant: &Variant) -> Option<LiveGrid> {
    let [block, _] = variant.schedule.extents()?;
    let [units, total, rows, block] = [units, pixels, pixels / units, block].map(|n| n as u32);
    Some(LiveGrid { input, axis: 0, rows, units, first: 0, total, block })
}

/// The name of the order that [`pack_rows`] makes; none where weights are read as they are.
pub(super) fn weight_layout(variant: &Variant) -> Option<String> {
    let [_, rows] = variant.schedule.extents()?;
    let order = if matches!(variant.schedule, Schedule::Blocked(_)) { "columns" } else { "rows" };
    Some(format!("{order} by {rows}{}", if variant.f16 { PACKED_F16 } else { "" }))
}

/// `k` rows of `len` weights in blocks of a tile's rows, four columns of all rows of a block together:
/// `[k/tile, len/4, tile, 4]`, zero past row `k`. `len` is a multiple of 4. The blocked variants have their own order, but
/// for those of matrix units.
/// Variants of f16 have two elements in a word.
pub(super) fn pack_rows(rows: &[f32], k: usize, len: usize, variant: &Variant) -> Value {
    let floats = match variant.schedule.extents() {
        None => Value::f32([k, len], rows.to_vec()),
        Some([_, of_block]) if matches!(variant.schedule, Schedule::Blocked(_)) => {
            blocked::pack_rows(rows, k, len, of_block)
        }
        Some([_, of_tile]) => tiles(rows, k, len, of_tile),
    };
    if variant.f16 { half_precision::packed(&floats) } else { floats }
}

fn tiles(rows: &[f32], k: usize, len: usize, tile: usize) -> Value {
    let blocks = k.div_ceil(tile);
    let mut out = vec![0.0; blocks * tile * len];
    for (row, values) in rows.chunks_exact(len).enumerate() {
        let (block, lane) = (row / tile, row % tile);
        for (quad, four) in values.chunks_exact(4).enumerate() {
            let at = ((block * (len / 4) + quad) * tile + lane) * 4;
            out[at..at + 4].copy_from_slice(four);
        }
    }
    Value::f32([blocks * tile, len], out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::{Policy, policy};

    /// Rows of a block and steps of a turn that a convolution gets by shuffles of so many lanes.
    fn chosen(lanes: u32, pays: &'static Policy, [n, c, k, taps]: [usize; 4]) -> (usize, u32) {
        let mut target = Target { pays, ..Target::MINIMUM };
        target.can.subgroup = Some(lanes);
        let product = Product { n, c, k, taps, quads: true, plain: false };
        let found = variants(product, &target).into_iter().find(|v| matches!(v.schedule, Schedule::Shuffled(_)));
        let schedule = found.expect("a variant by shuffles").schedule;
        (schedule.extents().expect("blocks")[1], schedule.tile().expect("a tile").step)
    }

    /// A longer text is for what multiplies much, where lanes are many, and never has two steps beside.
    #[test]
    fn long_texts_are_for_large_convolutions() {
        let widest = |work| chosen(16, &policy::WIDEST_CPU, work);
        assert_eq!(widest([1 << 15, 256, 64, 1]), (64, 1));
        assert_eq!(widest([(1 << 15) - 1, 256, 64, 1]), (32, 1));
        assert_eq!(widest([1 << 12, 256, 64, 9]), (64, 1));
        assert_eq!(widest([1 << 20, 256, 32, 9]), (32, 1), "no more rows than there are");
        assert_eq!(widest([1 << 20, 4, 64, 49]), (32, 1), "taps written out");
        assert_eq!(chosen(8, &policy::WIDE_CPU, [1 << 20, 256, 64, 9]), (32, 2));
        assert_eq!(chosen(32, &policy::GPU, [1 << 20, 256, 64, 9]), (32, 1));
    }
}
