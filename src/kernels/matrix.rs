//! Blocks of a product that matrix units multiply (`shaders/shared/matrix.wgsl`): factors of f16, sums of f32. Sizes,
//! and the choice among them. The weights lie as those of [`super::blocked`] do.

use super::schedule::{MATRIX_STEP, Schedule, Shares};
use super::{Variant, blocked};
use crate::target::{Caps, Matrix, Target};

/// The blocks, largest first: shares along pixels and along rows of weights, pixels and rows of a share. A share's sums
/// are 32 or 64 registers in each of 32 lanes.
const BLOCKS: [([u32; 2], [u32; 2]); 3] = [
    ([4, 2], [32, 64]),
    ([2, 2], [32, 32]),
    // For few rows.
    ([4, 1], [32, 32]),
];

/// The subgroups that shares are made for where a device has several sizes: workgroups of 128 and 256 are whole
/// subgroups of any.
const USUAL_SUBGROUP: u32 = 32;

fn shares(matrix: Matrix, (shares, of_one): ([u32; 2], [u32; 2]), can: &Caps) -> Shares {
    let threads = shares[0] * shares[1] * can.subgroup.unwrap_or(USUAL_SUBGROUP);
    Shares { size: matrix.size, threads, shares, matrices: of_one.map(|n| n / matrix.size) }
}

/// Whether a device can run it. Each load of a step is of the whole workgroup.
fn fits(block: &Shares, can: &Caps) -> bool {
    let of_all = |n: usize| (n as u32 * MATRIX_STEP).is_multiple_of(block.threads);
    let whole = block.threads.is_multiple_of(MATRIX_STEP) && block.extents().into_iter().all(of_all);
    whole && block.threads <= can.max_invocations && block.bytes() <= can.workgroup_bytes
}

/// The variants that a device can run, best first, and whether the first is worth it.
pub(super) fn variants(n: usize, k: usize, quads: bool, target: &Target) -> (Vec<Variant>, bool) {
    let (can, policy) = (&target.can, &target.pays.blocks);
    let mut out = Vec::new();
    for matrix in can.matrices.iter().filter(|m| m.f32_sums) {
        let blocks = BLOCKS.into_iter().map(|block| shares(matrix, block, can));
        let mut blocks: Vec<Shares> = blocks.filter(|block| fits(block, can)).collect();
        blocked::best_first(&mut blocks, Shares::extents, n, k, policy);
        out.extend(blocks.into_iter().map(variant).map(|v| v.flag("QUADS", quads)));
    }
    let enough = |best: &Variant, rows: usize| k >= rows && !blocked::is_tiny(best, n, k, policy);
    let pays = out.first().zip(policy.matrix_rows).is_some_and(|(best, rows)| enough(best, rows));
    (out, pays)
}

fn variant(shares: Shares) -> Variant {
    let schedule = Schedule::Matrix(shares);
    Variant { matrices: true, ..Variant::of(schedule).in_f16() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::{Factors, Matrices, policy};

    fn gpu(subgroup: Option<u32>) -> Target {
        let matrices: Matrices = Matrix::ALL.into_iter().collect();
        let can =
            Caps { subgroup, matrices, f16: true, max_invocations: 1024, workgroup_bytes: 49152, ..Caps::MINIMUM };
        Target { can, wants: Factors::F16, pays: &policy::GPU }
    }

    fn first(n: usize, k: usize, target: &Target) -> Option<&'static str> {
        let (all, pays) = variants(n, k, true, target);
        pays.then(|| all[0].name)
    }

    #[test]
    fn blocks_follow_the_product_and_the_device() {
        let nvidia = gpu(Some(32));
        assert_eq!(first(128 * 200, 256, &nvidia), Some("matrix-16-large"));
        assert_eq!(first(50 * 80, 256, &nvidia), Some("matrix-16"));
        assert_eq!(first(1 << 16, 32, &nvidia), Some("matrix-16-narrow"));
        assert_eq!(first(1000, 2, &nvidia), None, "two rows fill no matrix");
        assert_eq!(first(70, 256, &nvidia), None, "too few blocks");
        assert_eq!(first(1 << 16, 256, &Target { pays: &policy::WIDE_CPU, ..nvidia }), None);
        let with = |target: Target, matrices| Target { can: Caps { matrices, ..target.can }, ..target };
        // What any device has.
        let least = gpu(None);
        let least = Target { can: Caps { workgroup_bytes: 16384, max_invocations: 256, ..least.can }, ..least };
        assert_eq!(first(1 << 16, 256, &least), Some("matrix-16"));
        let exact_sums = |m: &Matrix| m.f32_sums;
        let only = |size: u32| Matrix::ALL.into_iter().filter(|m| exact_sums(m) && m.size == size).collect();
        assert_eq!(first(1 << 16, 256, &with(least, only(8))), Some("matrix-8"));
        let inexact = Matrix::ALL.into_iter().filter(|m| !exact_sums(m)).collect();
        assert_eq!(first(1 << 16, 256, &with(nvidia, inexact)), None);
    }

    #[test]
    fn sums_are_a_few_registers() {
        let nvidia = gpu(Some(32)).can;
        for block in BLOCKS {
            let shares = shares(Matrix { size: 16, f32_sums: true }, block, &nvidia);
            let [pixels, rows] = shares.extents();
            assert!(pixels * rows / shares.threads as usize <= 64);
        }
    }
}
