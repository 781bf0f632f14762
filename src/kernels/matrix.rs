//! Blocks of a product that matrix units multiply (`shaders/shared/matrix.wgsl`): factors of f16 or, where the device has such, of f32;
//! sums of f32. Sizes, and the choice among them. The weights lie as those of [`super::tiled`] do.

use super::schedule::{Schedule, Shares};
use super::{Variant, blocked};
use crate::target::policy::Rounds;
use crate::target::{Caps, Factors, Matrix, Target};

/// Blocks, largest first: shares along pixels and along rows of weights, pixels and rows of a share.
type Blocks = [([u32; 2], [u32; 2]); 5];

/// For subgroups of up to 32 lanes: the sums of a share are 64 or 32 registers in each of them, and of the largest 128: of 512 threads
/// each has 128 on NVIDIA's GPUs, and some are for other things.
const BLOCKS: Blocks = [
    ([4, 2], [64, 64]),
    ([4, 2], [32, 64]),
    ([4, 1], [32, 64]),
    ([2, 2], [32, 32]),
    // For few rows.
    ([4, 1], [32, 32]),
];

/// For larger ones, whose shares are larger: fewer loads for as many products.
const WIDE_BLOCKS: Blocks =
    [([4, 2], [64, 64]), ([2, 2], [64, 64]), ([4, 1], [32, 64]), ([2, 1], [32, 64]), ([2, 1], [64, 32])];

/// The blocks for matrices of a size, by the lanes of a subgroup.
fn blocks(matrix: Matrix, can: &Caps) -> [Shares; 5] {
    let lanes = can.lanes_of_matrices();
    let blocks = if lanes > 32 { WIDE_BLOCKS } else { BLOCKS };
    blocks.map(|(shares, of_one)| {
        let threads = shares[0] * shares[1] * lanes;
        let matrices = of_one.map(|n| n / matrix.size);
        let least =
            Shares { wide: matrix.f32_factors, size: matrix.size, threads, shares, matrices, buffers: 1, held: 1 };
        // Each second buffer saves a barrier a step, and each doubling of what is held half of those at the end.
        let more = [(2, 4), (2, 2), (2, 1), (1, 4), (1, 2)].map(|(buffers, held)| Shares { buffers, held, ..least });
        let fits = |s: &Shares| matrices[1].is_multiple_of(s.held) && s.bytes() <= can.workgroup_bytes;
        more.into_iter().find(fits).unwrap_or(least)
    })
}

/// Whether a device can run it. Each load of a step is of the whole workgroup, and written out: too many are too long a text.
fn fits(block: &Shares, can: &Caps) -> bool {
    let of_all = |n: usize| (n as u32 * block.step()).is_multiple_of(block.threads);
    let whole = block.threads.is_multiple_of(block.step()) && block.extents().into_iter().all(of_all);
    let few = block.loads().into_iter().all(|n| n <= 32);
    whole && few && block.threads <= can.max_invocations && block.bytes() <= can.workgroup_bytes
}

/// Puts first what should take least: rounds of as many blocks as run at once, each of its products and of the loads of its
/// two sides. Small blocks leave less of a last round empty, large ones load less for a product.
fn best_first(blocks: &mut [Shares], n: usize, k: usize, rounds: &Rounds) {
    let cost = |block: &Shares| {
        let [pixels, rows] = block.extents();
        let count = n.div_ceil(pixels) * k.div_ceil(rows);
        count.div_ceil(rounds.at_once) * (pixels * rows + rounds.side * (pixels + rows))
    };
    if let Some(best) = (0..blocks.len()).min_by_key(|&i| cost(&blocks[i])) {
        blocks[..=best].rotate_right(1);
    }
}

/// The variants of such factors that a device can run, best first, and whether the first is worth it.
pub(super) fn variants(n: usize, k: usize, quads: bool, target: &Target, factors: Factors) -> (Vec<Variant>, bool) {
    let (can, policy) = (&target.can, &target.pays.blocks);
    let mut out = Vec::new();
    for matrix in can.matrices.iter().filter(|m| m.serves(factors)) {
        let roomy = |block: &Shares| block.sums() <= policy.matrix_sums;
        let able = |block: &Shares| roomy(block) && fits(block, can);
        let mut blocks: Vec<Shares> = blocks(matrix, can).into_iter().filter(able).collect();
        best_first(&mut blocks, n, k, policy.rounds_of(can));
        let flags = |v: Variant| v.flag("QUADS", quads).flag("SCALARS", can.matrix_scalars);
        out.extend(blocks.into_iter().map(variant).map(flags));
    }
    let enough = |best: &Variant, rows: usize| k >= rows && !blocked::is_tiny(best, n, k, policy);
    let pays = out.first().zip(policy.matrix_rows).is_some_and(|(best, rows)| enough(best, rows));
    (out, pays)
}

fn variant(shares: Shares) -> Variant {
    let variant = Variant { matrices: true, ..Variant::of(Schedule::Matrix(shares)) };
    if shares.wide { variant } else { variant.in_f16() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::{Matrices, policy};

    fn gpu(subgroup: Option<u32>) -> Target {
        let matrices: Matrices = Matrix::ALL.into_iter().collect();
        let can =
            Caps { subgroup, matrices, f16: true, max_invocations: 1024, workgroup_bytes: 49152, ..Caps::MINIMUM };
        Target { can, wants: Factors::F16, pays: &policy::GPU }
    }

    fn first(n: usize, k: usize, target: &Target) -> Option<&'static str> {
        let (all, pays) = variants(n, k, true, target, target.wants);
        pays.then(|| all[0].name)
    }

    #[test]
    fn blocks_follow_the_product_and_the_device() {
        let nvidia = gpu(Some(32));
        // Two rounds of 128 blocks, the last half full, where blocks of 128 × 128 are three and a bit.
        assert_eq!(first(128 * 200, 256, &nvidia), Some("matrix-16-256x128"));
        // Three rounds of these, which of the larger ones are two that are hardly more than half full.
        assert_eq!(first(14 * 14 * 100, 256, &nvidia), Some("matrix-16-large"));
        assert_eq!(first(50 * 80, 256, &nvidia), Some("matrix-16-128x64"));
        assert_eq!(first(25 * 38, 256, &nvidia), Some("matrix-16"));
        assert_eq!(first(1 << 16, 32, &nvidia), Some("matrix-16-narrow"));
        assert_eq!(first(1000, 2, &nvidia), None, "two rows fill no matrix");
        assert_eq!(first(70, 256, &nvidia), None, "too few blocks");
        assert_eq!(first(1 << 16, 256, &Target { pays: &policy::WIDE_CPU, ..nvidia }), None);
        let with = |target: Target, matrices| Target { can: Caps { matrices, ..target.can }, ..target };
        let nvidia_of_f16 = with(nvidia, Matrix::ALL.into_iter().filter(|m| !m.f32_factors).collect());
        // NVK's compiler has no registers for the largest.
        for pays in [&policy::NVK_GPU, &policy::NVK_MATRIX_GPU] {
            let nvk = Target { pays, ..nvidia };
            assert_eq!(first(128 * 200, 256, &nvk), Some("matrix-16-large"));
            assert!(variants(128 * 200, 256, true, &nvk, Factors::F16).0.iter().all(|v| v.name != "matrix-16-256x128"));
        }
        // What any device has.
        let least = gpu(None);
        let least = Target { can: Caps { workgroup_bytes: 16384, max_invocations: 256, ..least.can }, ..least };
        assert_eq!(first(1 << 16, 256, &least), Some("matrix-16"));
        let exact_sums = |m: &Matrix| m.serves(Factors::F16);
        let only = |size: u32| Matrix::ALL.into_iter().filter(|m| exact_sums(m) && m.size == size).collect();
        assert_eq!(first(1 << 16, 256, &with(least, only(8))), Some("matrix-8-128x64"));
        // Of f32, as Metal has them: a block's operands take twice the memory, of which each step has half the channels.
        let wide = Target { wants: Factors::F32, ..with(nvidia, [Matrix::F32].into_iter().collect()) };
        assert_eq!(first(1 << 16, 256, &wide), Some("matrix-8-256x128-f32"));
        let apple = Target { pays: &policy::NARROW_GPU, can: Caps { workgroup_bytes: 32768, ..wide.can }, ..wide };
        assert_eq!(first(1 << 16, 256, &apple), Some("matrix-8-large-f32"));
        assert_eq!(first(25 * 38, 256, &apple), Some("matrix-8-128x64-f32"));
        assert_eq!(first(1 << 16, 256, &Target { wants: Factors::F16, ..apple }), None, "no factors of f16");
        assert_eq!(first(1 << 16, 256, &Target { wants: Factors::F32, ..nvidia_of_f16 }), None, "no factors of f32");
        let inexact = Matrix::ALL.into_iter().filter(|m| !exact_sums(m)).collect();
        assert_eq!(first(1 << 16, 256, &with(nvidia, inexact)), None);
    }

    #[test]
    fn sums_are_a_few_registers() {
        let nvidia = gpu(Some(32)).can;
        for matrix_lanes in [None, Some(32), Some(64)] {
            let lanes = Caps { matrix_lanes, ..nvidia };
            for shares in [Matrix::of_f16(16), Matrix::F32].into_iter().flat_map(|m| blocks(m, &lanes)) {
                let [pixels, rows] = shares.extents();
                assert!(pixels * rows / shares.threads as usize <= if pixels == 256 { 128 } else { 64 });
                assert_eq!(shares.threads, shares.shares[0] * shares.shares[1] * matrix_lanes.unwrap_or(32));
                let two = shares.buffers == 2 || pixels == 256;
                assert!(shares.bytes() <= nvidia.workgroup_bytes && two, "{shares:?}");
            }
        }
    }
}
