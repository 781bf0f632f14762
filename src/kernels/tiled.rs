//! What convolution, linear and transposed convolution share: one register-tiled core (`shaders/shared/tiled.wgsl`),
//! its parameters, its variants, and the order in which it reads weights.

use super::{Caps, LiveGrid, Variant, blocked, fold_grid, halves};
use crate::ops::levels::Levels;
use crate::params;
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
}

/// Loads of an element from which on a texture pays that the element is copied to first.
const WORTH_A_COPY: usize = 3;

/// Whether the device is a CPU driver that compiles large texts in a second. SwiftShader (lanes by four) takes minutes
/// for a tile of lavapipe's, and had not compiled a stem whose taps are unrolled after sixteen, in 12 GB.
pub(super) fn is_wide(caps: &Caps) -> bool {
    caps.cpu && caps.subgroup.is_some_and(|s| s >= 8)
}

/// The tiled variants for a product, best first (measured: benches/NOTES.md).
pub(super) fn variants(product: Product, caps: &Caps) -> Vec<Variant> {
    let Product { n, c, k, taps, quads } = product;
    let mut out = Vec::new();
    let tiled = |name, wg: u32, tp: u32, tj: u32, tl: u32, step: u32| {
        let defines = [("WG", wg), ("TP", tp), ("TJ", tj), ("TL", tl), ("STEP", step)];
        Variant::new(name, &defines).flag("QUADS", quads).flag("FULL", k.is_multiple_of((tj * tl) as usize))
    };
    let wide = is_wide(caps);
    if let Some(lanes) = caps.subgroup.filter(|s| (4..=32).contains(s)) {
        // A CPU turns each shuffle into a move, so it pays to use one for many pixels, though the sums then
        // spill to its first cache; a GPU would lose its occupancy.
        let (rows, pixels) = if wide { (32, 4) } else { (lanes.max(16), 2) };
        let tj = (k as u32).div_ceil(lanes).clamp(1, (rows / lanes).max(1));
        // Where rows go one by one, twice the pixels are twice the stores, which take longest to compile.
        let tp = if wide && quads && tj * lanes <= 16 { 8 } else { pixels };
        // Each turn of a CPU driver's loop masks every sum once.
        let step = if wide && c.is_multiple_of(8) { 2 } else { 1 };
        let mut v = tiled("subgroup", lanes.max(32), tp, tj, lanes, step);
        v.subgroups = true;
        if caps.texels {
            let loads = taps * k.div_ceil((tj * lanes) as usize);
            let textures = v.clone().texture(0, "X_TEXTURE", loads >= WORTH_A_COPY).texture(1, "W_TEXTURE", true);
            out.push(Variant { name: "texels", ..textures });
        }
        out.push(v);
    }
    let (tp, tl) = if wide { (8, 8) } else { (4, if k <= 4 { 4 } else { 8 }) };
    let registers = tiled("registers", 64, tp, 1, tl, 1);
    let mut blocks = blocked::variants(n, k, quads, caps);
    if caps.cpu {
        out.push(registers);
    } else {
        // Without a CPU's loop over lanes, loads at a common address are as cheap as a shuffle; where there is enough
        // to share, workgroup memory is cheaper than both (reasoned: no GPU was at hand).
        out.insert(0, registers);
        if blocks.first().is_some_and(|best| !blocked::is_tiny(best, n, k)) {
            out.insert(0, blocks.remove(0));
        }
    }
    out.extend(blocks);
    halves::first(out, n, k, quads, caps)
}

/// The grid of a tiled variant for so many pixels and rows of weights.
pub(super) fn grid(pixels: usize, k: usize, variant: &Variant) -> [u32; 3] {
    let [x, y, _] = fold_grid(pixels.div_ceil(block(variant)));
    [x, y, k.div_ceil(tile(variant)) as u32]
}

/// Operations on so many pixels and rows of weights of length `len`, those on what fills up a variant's last blocks
/// included.
pub(super) fn executed(pixels: usize, k: usize, len: usize, variant: &Variant) -> f64 {
    let (block, tile) = match variant.name {
        "plain" => (64, 1),
        _ => (block(variant), tile(variant)),
    };
    2.0 * (pixels.next_multiple_of(block) * k.next_multiple_of(tile) * len) as f64
}

/// Pixels of a workgroup.
fn block(variant: &Variant) -> usize {
    if blocked::is(variant) { blocked::pixels(variant) } else { (variant.get("WG") * variant.get("TP")) as usize }
}

/// How the grid of a tiled variant follows live count `input` of rows of so many pixels, `pixels` in all.
pub(super) fn live_grid(input: usize, units: usize, pixels: usize, variant: &Variant) -> Option<LiveGrid> {
    let block = (variant.name != "plain").then(|| block(variant) as u32)?;
    let [units, total, rows] = [units, pixels, pixels / units].map(|n| n as u32);
    Some(LiveGrid { input, axis: 0, rows, units, first: 0, total, block })
}

/// Rows of weights of a workgroup.
pub(super) fn tile(variant: &Variant) -> usize {
    if blocked::is(variant) { blocked::rows(variant) } else { (variant.get("TJ") * variant.get("TL")) as usize }
}

/// The name of the order that [`pack_rows`] makes.
pub(super) fn form(variant: &Variant) -> String {
    let order = if blocked::is(variant) { blocked::form(variant) } else { format!("rows by {}", tile(variant)) };
    if variant.halves { order + ", f16" } else { order }
}

/// `k` rows of `len` weights in blocks of a tile's rows, four columns of all rows of a block together:
/// `[k/tile, len/4, tile, 4]`, zero past row `k`. `len` is a multiple of 4. The blocked variants have their own order.
/// Variants of f16 have two elements in a word.
pub(super) fn pack_rows(rows: &[f32], k: usize, len: usize, variant: &Variant) -> Value {
    let floats = match blocked::is(variant) {
        true => blocked::pack_rows(rows, k, len, variant),
        false => tiles(rows, k, len, tile(variant)),
    };
    if variant.halves { halves::packed(&floats) } else { floats }
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
