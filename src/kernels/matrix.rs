//! Blocks of a product that matrix units multiply (`shaders/shared/matrix.wgsl`): factors of f16, sums of f32. Sizes,
//! and the choice among them. The weights lie as those of [`super::blocked`] do.

use super::{Caps, Matrix, Variant, blocked};

/// The blocks, largest first, for matrices of 16 and of 8: shares along pixels and along rows of weights, pixels and
/// rows of a share. A share's sums are 32 or 64 registers in each of 32 lanes.
const BLOCKS: [([&str; 2], [u32; 4]); 3] = [
    (["matrix-16-large", "matrix-8-large"], [4, 2, 32, 64]),
    (["matrix-16", "matrix-8"], [2, 2, 32, 32]),
    // For few rows.
    (["matrix-16-narrow", "matrix-8-narrow"], [4, 1, 32, 32]),
];

/// Channels of a step, by four.
const STEP: u32 = 8;

/// The subgroups that shares are made for where a device has several sizes: workgroups of 128 and 256 are whole
/// subgroups of any.
const USUAL_SUBGROUP: u32 = 32;

/// Rows of weights below which most of a matrix would be padding.
const LEAST_ROWS: usize = 16;

/// Whether the variant is one of those here.
pub(super) fn is(v: &Variant) -> bool {
    v.find("MATRIX").is_some()
}

/// Pixels of a block.
pub(super) fn pixels(v: &Variant) -> usize {
    (v.get("SP") * v.get("MP") * v.get("SIZE")) as usize
}

/// Rows of weights of a block.
pub(super) fn rows(v: &Variant) -> usize {
    (v.get("SK") * v.get("MK") * v.get("SIZE")) as usize
}

fn variant(matrix: Matrix, block: usize, quads: bool, caps: &Caps) -> Variant {
    let (names, [sp, sk, pixels, rows]) = BLOCKS[block];
    let wg = sp * sk * caps.subgroup.unwrap_or(USUAL_SUBGROUP);
    // Fours that a thread loads in a step.
    let (xl, wl) = ((sp * pixels * STEP).div_ceil(wg), (sk * rows * STEP).div_ceil(wg));
    let shares = [("SP", sp), ("SK", sk), ("MP", pixels / matrix.size), ("MK", rows / matrix.size)];
    let sizes =
        [("MATRIX", 1), ("HALVES", 1), ("SIZE", matrix.size), ("WG", wg), ("BC4", STEP), ("XL", xl), ("WL", wl)];
    let mut v = Variant::new(names[usize::from(matrix.size == 8)], &[sizes.as_slice(), &shares].concat());
    (v.subgroups, v.matrices, v.halves) = (true, true, true);
    v.flag("QUADS", quads)
}

/// Whether a device can run it. Each load of a step is of the whole workgroup.
fn fits(v: &Variant, caps: &Caps) -> bool {
    let (wg, step) = (v.get("WG"), v.get("BC4"));
    let whole = wg.is_multiple_of(step)
        && (pixels(v) as u32 * step).is_multiple_of(wg)
        && (rows(v) as u32 * step).is_multiple_of(wg);
    whole && wg <= caps.max_invocations && workgroup_bytes(v) <= caps.workgroup_bytes
}

/// Bytes of workgroup memory: x and weights with what pads their rows, a sum of each share, and a count.
fn workgroup_bytes(v: &Variant) -> u32 {
    let (pixels, rows, step) = (pixels(v) as u32, rows(v) as u32, 4 * v.get("BC4"));
    let halves = pixels * (step + 8) + step * (rows + 8);
    2 * halves + 4 * v.get("SP") * v.get("SK") * v.get("SIZE").pow(2) + 4
}

/// The variants that a device can run, best first, and whether the first is worth it.
pub(super) fn variants(n: usize, k: usize, quads: bool, caps: &Caps) -> (Vec<Variant>, bool) {
    let mut out = Vec::new();
    for matrix in caps.matrices.iter().filter(|m| m.f32_sums) {
        let blocks = (0..BLOCKS.len()).map(|block| variant(matrix, block, quads, caps));
        let mut blocks: Vec<Variant> = blocks.filter(|v| fits(v, caps)).collect();
        blocked::best_first(&mut blocks, n, k);
        out.extend(blocks);
    }
    // A CPU driver has no matrix units.
    let enough = |best: &Variant| k >= LEAST_ROWS && !blocked::is_tiny(best, n, k);
    let pays = !caps.cpu && out.first().is_some_and(enough);
    (out, pays)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::Matrices;

    fn caps(subgroup: Option<u32>) -> Caps {
        let matrices: Matrices = Matrix::ALL.into_iter().collect();
        Caps {
            subgroup,
            matrices,
            f16: true,
            halves: true,
            max_invocations: 1024,
            workgroup_bytes: 49152,
            ..Caps::MINIMUM
        }
    }

    fn first(n: usize, k: usize, caps: &Caps) -> Option<&'static str> {
        let (all, pays) = variants(n, k, true, caps);
        pays.then(|| all[0].name)
    }

    #[test]
    fn blocks_follow_the_product_and_the_device() {
        let nvidia = caps(Some(32));
        assert_eq!(first(128 * 200, 256, &nvidia), Some("matrix-16-large"));
        assert_eq!(first(50 * 80, 256, &nvidia), Some("matrix-16"));
        assert_eq!(first(1 << 16, 32, &nvidia), Some("matrix-16-narrow"));
        assert_eq!(first(1000, 2, &nvidia), None, "two rows fill no matrix");
        assert_eq!(first(70, 256, &nvidia), None, "too few blocks");
        assert_eq!(first(1 << 16, 256, &Caps { cpu: true, ..nvidia }), None);
        // What any device has.
        let least = Caps { workgroup_bytes: 16384, max_invocations: 256, ..caps(None) };
        assert_eq!(first(1 << 16, 256, &least), Some("matrix-16"));
        let exact_sums = |m: &Matrix| m.f32_sums;
        let only = |size: u32| Matrix::ALL.into_iter().filter(|m| exact_sums(m) && m.size == size).collect();
        assert_eq!(first(1 << 16, 256, &Caps { matrices: only(8), ..least }), Some("matrix-8"));
        let inexact = Matrix::ALL.into_iter().filter(|m| !exact_sums(m)).collect();
        assert_eq!(first(1 << 16, 256, &Caps { matrices: inexact, ..nvidia }), None);
    }

    #[test]
    fn sums_are_a_few_registers() {
        for (_, [_, _, pixels, rows]) in BLOCKS {
            assert!(pixels * rows / 32 <= 64);
        }
    }
}
