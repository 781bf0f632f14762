//! Lowerings: ways to carry an op out by kernels. They are tried in order, and the first that can and pays is taken; a
//! tuner or a user names another.
//!
//! | lowering | what it makes of what |
//! |---|---|
//! | [`winograd_matrix`] | a 3×3 convolution on matrix units, with less than half of the multiplications |
//! | [`winograd_whole`] | the next in one launch |
//! | [`winograd`] | a 3×3 convolution as products of a quarter of the multiplications |
//! | [`split_k`] | a product of few blocks and long rows as parts that fill a GPU, and their sum |
//! | [`depthwise`] | a convolution of as many groups as channels, each column of the input read once for a row of taps |
//! | [`grouped`] | a convolution of several groups, group by group |
//! | [`by_tiles`] | a selection from many elements tile by tile |
//! | [`radix`] | a selection of more than one workgroup can sort, in three steps |
//! | [`in_pairs`] | the suppression of many boxes as all pairs at once and a sweep |
//! | [`direct`] | any op by the kernel whose shader does it |
//!
//! A new one is a file here and one line in `lowerings!` below.

use std::fmt;
use std::sync::Arc;

use crate::kernels::Kernel;
use crate::ops::{Info, Io, Op};
use crate::target::Target;

/// A way to carry an op out.
pub trait Lowering: fmt::Debug + Sync {
    /// Its name, to ask for it.
    fn name(&self) -> &'static str;

    /// The launches that, run in this order, write what the op writes; none where this is no way to do it.
    fn lower(&self, op: &dyn Op, io: &Io, target: &Target) -> Option<Lowered>;

    /// Whether it is thought the best way on such a device, of those from here on in [`ALL`].
    fn pays(&self, op: &dyn Op, io: &Io, target: &Target) -> bool;
}

macro_rules! lowerings {
    ($($name:ident: $lowering:ident,)*) => {
        $(pub mod $name;)*

        /// Every lowering, in the order in which they are tried.
        pub const ALL: &[&dyn Lowering] = &[$(&$name::$lowering),*];
    };
}

// The last does any op that has a kernel.
lowerings! {
    winograd_matrix: OnMatrices,
    winograd_whole: Whole,
    winograd: Winograd,
    split_k: InParts,
    depthwise: Depthwise,
    grouped: Grouped,
    by_tiles: ByTiles,
    radix: Radix,
    in_pairs: InPairs,
    direct: Direct,
}

/// An op as launches.
#[derive(Clone, Debug)]
pub struct Lowered {
    /// Tensors between them.
    pub scratch: Vec<Info>,
    /// What is run.
    pub launches: Vec<Launchable>,
}

/// A kernel with what it reads and writes.
#[derive(Clone, Debug)]
pub struct Launchable {
    /// The kernel with its settings.
    pub kernel: Arc<dyn Kernel>,
    /// What it reads.
    pub inputs: Vec<Link>,
    /// What it writes.
    pub outputs: Vec<Link>,
    /// What it does, for people; the layer's name stands before it. Nothing where it is all of the op.
    pub part: String,
}

/// A tensor of a launch, as the op has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// The op's input of that number.
    Input(usize),
    /// The op's output of that number.
    Output(usize),
    /// The scratch tensor of that number.
    Scratch(usize),
}

/// How to carry out `op`: by the first of `names` that names a lowering which can, or, with no names, by the first that can
/// and pays. Names of schedules alone leave the op whole, where its kernel takes it whole.
pub fn lower(op: &dyn Op, io: &Io, target: &Target, names: &[String]) -> Option<(&'static str, Lowered)> {
    let by = |l: &&'static dyn Lowering| Some((l.name(), l.lower(op, io, target)?));
    let find = |name: &String| ALL.iter().find(|l| l.name() == name).and_then(by);
    let best = || ALL.iter().filter(|l| l.pays(op, io, target)).find_map(by);
    let whole = || direct::Direct.lower(op, io, target).map(|lowered| (direct::Direct.name(), lowered));
    if names.is_empty() { best() } else { names.iter().find_map(find).or_else(whole).or_else(best) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::conv2d::Conv2d;
    use crate::ops::nms::Nms;
    use crate::ops::topk::TopK;
    use crate::target::{Caps, Factors, Matrix, policy};

    const GPU: Target = Target::MINIMUM;

    /// The lowering of an op, and its kernels.
    fn chosen(op: impl Op, inputs: &[Info], target: &Target, names: &[&str]) -> String {
        let outputs = crate::ops::check(&op, inputs).unwrap();
        let names: Vec<String> = names.iter().map(|n| n.to_string()).collect();
        let (name, lowered) = lower(&op, &Io { inputs, outputs: &outputs }, target, &names).unwrap();
        let kernels: Vec<&str> = lowered.launches.iter().map(|l| l.kernel.name()).collect();
        format!("{name}: {}", kernels.join(" "))
    }

    fn conv(x: [usize; 4], w: [usize; 4]) -> [Info; 3] {
        [Info::f32(x), Info::f32(w), Info::f32([w[0]])]
    }

    #[test]
    fn the_first_that_can_and_pays_is_taken() {
        let three = || Conv2d { pad: (1, 1), ..Conv2d::default() };
        let large = conv([1, 64, 64, 128], [128, 3, 3, 128]);
        assert_eq!(chosen(three(), &large, &GPU, &[]), "winograd: winograd_in winograd_gemm winograd_out");
        // In one launch where the device holds its points.
        let able =
            |pays| Target { can: Caps { max_invocations: 1024, workgroup_bytes: 32768, ..GPU.can }, pays, ..GPU };
        let (whole, parts) = ("winograd-whole: winograd_conv2d", "winograd: winograd_in winograd_gemm winograd_out");
        let (usual, narrow, many) = (able(&policy::GPU), able(&policy::NARROW_GPU), able(&policy::MATRIX_GPU));
        let wide = conv([1, 96, 96, 256], [256, 3, 3, 256]);
        for (x, target, want) in
            [(&large, &usual, parts), (&wide, &usual, whole), (&wide, &narrow, whole), (&wide, &many, whole)]
        {
            assert_eq!(chosen(three(), x, target, &[]), want);
        }
        assert_eq!(chosen(three(), &conv([1, 128, 128, 64], [64, 3, 3, 64]), &usual, &[]), parts);
        assert_eq!(chosen(three(), &conv([1, 200, 304, 64], [64, 3, 3, 64]), &usual, &[]), whole);
        assert_eq!(chosen(three(), &conv([1, 200, 304, 64], [64, 3, 3, 64]), &many, &[]), whole);
        assert_eq!(chosen(three(), &wide, &GPU, &[]), parts);
        // Narrow cuts do where subgroups have 64 lanes only, and registers are few.
        let old = Target { can: Caps { subgroup: Some(64), ..usual.can }, ..usual };
        let levels = crate::ops::levels::Levels::new(&[(96, 96), (48, 48)]);
        let joined = conv([1, 1, 96 * 96 + 48 * 48, 256], [256, 3, 3, 256]);
        assert_eq!(chosen(three(), &wide, &old, &[]), whole);
        assert_eq!(chosen(Conv2d { levels, ..three() }, &joined, &old, &[]), whole);
        assert_eq!(chosen(Conv2d { levels, ..three() }, &joined, &usual, &[]), whole);
        let few = conv([1, 7, 7, 512], [512, 3, 3, 512]);
        assert_eq!(chosen(three(), &few, &GPU, &[]), "split-k: split_product split_sum");
        assert_eq!(chosen(Conv2d::default(), &conv([1, 64, 64, 64], [256, 1, 1, 64]), &GPU, &[]), "direct: conv2d");
        let cpu = Target { pays: &crate::target::policy::CPU, ..GPU };
        assert_eq!(chosen(three(), &few, &cpu, &[]), "direct: conv2d");
    }

    #[test]
    fn matrices_take_large_ones_of_many_channels_where_f16_is_wanted() {
        let three = || Conv2d { pad: (1, 1), ..Conv2d::default() };
        let matrices = Matrix::ALL.into_iter().collect();
        let large = Caps { f16: true, matrices, max_invocations: 1024, workgroup_bytes: 49152, ..GPU.can };
        let able = |pays, wants| Target { can: Caps { subgroup: Some(32), ..large }, wants, pays };
        let (usual, many) = (able(&policy::GPU, Factors::F16), able(&policy::MATRIX_GPU, Factors::F16));
        let (points, blocks) = ("winograd-matrix: winograd_matrix", "direct: conv2d");
        let wide = conv([1, 96, 96, 256], [256, 3, 3, 256]);
        for (x, target, want) in [
            (&wide, &usual, points),
            (&wide, &many, blocks),
            (&conv([1, 200, 304, 64], [64, 3, 3, 64]), &usual, points),
            // Too few channels, rows or workgroups; channels that go by no sixteen.
            (&conv([1, 200, 304, 32], [64, 3, 3, 32]), &usual, blocks),
            (&conv([1, 24, 24, 256], [256, 3, 3, 256]), &usual, "split-k: split_product split_sum"),
            (&conv([1, 96, 96, 260], [256, 3, 3, 260]), &usual, blocks),
        ] {
            assert_eq!(chosen(three(), x, target, &[]), want);
        }
        let exact = able(&policy::GPU, Factors::F32);
        assert_ne!(chosen(three(), &wide, &exact, &[]), points);
        assert_eq!(chosen(three(), &wide, &many, &["winograd-matrix"]), points);
        assert_eq!(chosen(three(), &wide, &exact, &["winograd-matrix"]), blocks);
        assert_eq!(chosen(Conv2d { stride: (2, 2), ..three() }, &wide, &usual, &[]), blocks);
    }

    /// From and to f16, with products of f32, where matrix units would not make those of f16 faster.
    #[test]
    fn without_large_matrices_winograd_pays_where_f16_is_wanted_too() {
        let three = || Conv2d { pad: (1, 1), ..Conv2d::default() };
        let large = Caps { f16: true, max_invocations: 1024, workgroup_bytes: 32768, ..GPU.can };
        let able = |matrices, pays| Target {
            can: Caps { matrices, matrix_scalars: true, ..large },
            wants: Factors::F16,
            pays,
        };
        let eight = Matrix::ALL.into_iter().filter(|m| m.size == 8).collect();
        let (whole, blocks) = ("winograd-whole: winograd_conv2d", "direct: conv2d");
        let wide = conv([1, 96, 96, 256], [256, 3, 3, 256]);
        let few = conv([1, 64, 64, 128], [128, 3, 3, 128]);
        let none = crate::target::Matrices::NONE;
        for (x, target, want) in [
            (&wide, able(none, &policy::GPU), whole),
            (&wide, able(eight, &policy::NARROW_GPU), whole),
            // Parts would hand each other f32; and a CPU driver reads textures, which hold no halves.
            (&few, able(none, &policy::GPU), blocks),
            (&wide, able(none, &policy::WIDE_CPU), blocks),
        ] {
            assert_eq!(chosen(three(), x, &target, &[]), want, "{target:?}");
        }
    }

    /// Lanes by sixteen multiply what the turning of tiles with few channels would take.
    #[test]
    fn few_channels_are_direct_where_lanes_are_many() {
        use crate::target::policy;
        let three = || Conv2d { pad: (1, 1), ..Conv2d::default() };
        let square = |c| conv([1, 40, 40, c], [c, 3, 3, c]);
        let on = |pays| Target { can: Caps { texels: true, ..GPU.can }, pays, ..GPU };
        let (direct, turned) = ("direct: conv2d", "winograd: winograd_in winograd_gemm winograd_out");
        assert_eq!(chosen(three(), &square(124), &on(&policy::WIDEST_CPU), &[]), direct);
        assert_eq!(chosen(three(), &square(128), &on(&policy::WIDEST_CPU), &[]), turned);
        assert_eq!(chosen(three(), &square(32), &on(&policy::WIDE_CPU), &[]), turned);
    }

    #[test]
    fn groups_have_a_way_of_their_own() {
        let grouped = |groups| Conv2d { groups, pad: (1, 1), ..Conv2d::default() };
        let next = conv([1, 14, 14, 128], [128, 3, 3, 4]);
        assert_eq!(chosen(grouped(32), &next, &GPU, &[]), "grouped: grouped_conv2d");
        let depthwise = conv([1, 14, 14, 128], [128, 3, 3, 1]);
        assert_eq!(chosen(grouped(128), &depthwise, &GPU, &[]), "depthwise: depthwise_conv2d");
        // Whose columns are too many for a thread.
        let dilated = Conv2d { dilation: (8, 8), pad: (8, 8), ..grouped(128) };
        assert_eq!(chosen(dilated, &depthwise, &GPU, &[]), "grouped: grouped_conv2d");
        // Groups of three channels come by no four.
        assert_eq!(chosen(grouped(4), &conv([1, 14, 14, 12], [12, 3, 3, 3]), &GPU, &[]), "direct: conv2d");
    }

    #[test]
    fn a_name_is_followed_where_it_can_be() {
        let three = || Conv2d { pad: (1, 1), ..Conv2d::default() };
        let x = conv([1, 8, 8, 8], [8, 3, 3, 8]);
        assert_eq!(chosen(three(), &x, &GPU, &["winograd"]), "winograd: winograd_in winograd_gemm winograd_out");
        assert_eq!(chosen(three(), &x, &GPU, &["no such", "split-k"]), "split-k: split_product split_sum");
        let large = conv([1, 64, 64, 128], [128, 3, 3, 128]);
        assert_eq!(chosen(three(), &large, &GPU, &["direct"]), "direct: conv2d");
        // The name of a schedule leaves the op whole, and so does that of a lowering that cannot.
        assert_eq!(chosen(three(), &large, &GPU, &["plain"]), "direct: conv2d");
        let one = conv([1, 64, 64, 128], [128, 1, 1, 128]);
        assert_eq!(chosen(Conv2d::default(), &one, &GPU, &["winograd"]), "direct: conv2d");
    }

    #[test]
    fn what_one_workgroup_cannot_sort_takes_three_steps() {
        let inputs = [Info::f32([2, 9000]), Info::u32([1, 2])];
        let three = "radix: topk_select topk_sort topk_merge";
        assert_eq!(chosen(TopK { k: 1024 }, &inputs, &GPU, &[]), "direct: topk");
        assert_eq!(chosen(TopK { k: 1025 }, &inputs, &GPU, &[]), three);
        assert_eq!(chosen(TopK { k: 6000 }, &inputs, &GPU, &["plain"]), three);
        assert_eq!(chosen(TopK { k: 6 }, &inputs, &GPU, &["radix"]), three);
    }

    #[test]
    fn no_workgroup_walks_through_many_elements() {
        let inputs = |length: usize, segments: usize| [Info::f32([1, length]), Info::u32([segments, 2])];
        let by_tiles = "tiles: topk_tiles topk_join";
        assert_eq!(chosen(TopK { k: 1000 }, &inputs(242_991, 5), &GPU, &[]), by_tiles);
        assert_eq!(chosen(TopK { k: 100 }, &inputs(90_000, 1), &GPU, &[]), by_tiles);
        assert_eq!(chosen(TopK { k: 1000 }, &inputs(90_000, 90), &GPU, &[]), "direct: topk");
        assert_eq!(chosen(TopK { k: 9 }, &inputs(500, 5), &GPU, &["tiles"]), by_tiles);
        let cpu = Target { pays: &crate::target::policy::CPU, ..GPU };
        assert_eq!(chosen(TopK { k: 1000 }, &inputs(242_991, 5), &cpu, &[]), "direct: topk");
    }

    #[test]
    fn many_boxes_are_held_against_each_other_in_pairs() {
        let nms = || Nms { threshold: 0.5, any_corners: false };
        let inputs =
            |groups: usize, k: usize| [Info::f32([2, groups, k, 4]), Info::f32([2, groups, k]), Info::u32([2, groups])];
        let (pairs, one) = ("pairs: nms_pairs nms_sweep", "direct: nms");
        assert_eq!(chosen(nms(), &inputs(5, 1000), &GPU, &[]), pairs);
        assert_eq!(chosen(nms(), &inputs(90, 1000), &GPU, &[]), pairs);
        assert_eq!(chosen(nms(), &inputs(5, 256), &GPU, &[]), one);
        // Where all pairs are gone through: of levels, but not of classes, of which most are empty.
        let wide = Target { pays: &crate::target::policy::WIDE_CPU, ..GPU };
        assert_eq!(chosen(nms(), &inputs(5, 1000), &wide, &[]), pairs);
        assert_eq!(chosen(nms(), &inputs(90, 1000), &wide, &[]), one);
        assert_eq!(chosen(nms(), &inputs(5, 256), &wide, &[]), one);
        let cpu = Target { pays: &crate::target::policy::CPU, ..GPU };
        assert_eq!(chosen(nms(), &inputs(5, 1000), &cpu, &[]), one);
    }
}
