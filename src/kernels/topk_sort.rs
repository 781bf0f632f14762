//! Runs of selected pairs, each in order.

use crate::rng::Rng;
use super::{Case, Kernel, Launch, Params as _, Tolerance, Variant};
use crate::ops::{Cost, Info, Io, Op, Operand};
use crate::params;
use crate::target::Target;
use crate::tensor::Value;

params! { room: u32 }

/// Pairs of a run: what a sort in 8 KiB of workgroup memory holds.
pub const CHUNK: usize = 1024;

/// Pairs sorted by falling key, ties by rising index, in runs of [`CHUNK`]: the second step after
/// [`super::topk_select::TopKSelect`].
///
/// Inputs: pairs `[…,room,2]`, counts `[…]` of those that are there. Output `[…,room,2]`: past the count, the last run
/// that is begun is filled with keys of 0, and others are not written.
#[derive(Clone, Debug)]
pub struct TopKSort;

impl Op for TopKSort {
    fn name(&self) -> &'static str {
        "topk_sort"
    }

    fn operands(&self) -> Vec<Operand> {
        vec![Operand::u32("pairs", 4), Operand::u32("counts", 0).of_any_rank()]
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let [pairs, counts] = inputs else { return Err(format!("takes pairs and counts, not {inputs:?}")) };
        let p = pairs.shape;
        let fits = p.dim(3) == 2 && p.dim(2).is_multiple_of(CHUNK);
        if !fits || counts.shape.len() != p.dim(0) * p.dim(1) {
            return Err(format!("takes pairs [B,S,{CHUNK}·m,2] and counts [B,S], not {inputs:?}"));
        }
        Ok(vec![*pairs])
    }

    fn cost(&self, io: &Io) -> Cost {
        // 55 rounds, two pairs each.
        Cost::of(io, 55.0 * io.inputs[0].shape.len() as f64)
    }

    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let room = inputs[0].shape.dim(2);
        let mut out = Vec::new();
        for (pairs, &n) in inputs[0].ints().chunks(2 * room).zip(inputs[1].ints()) {
            let mut there: Vec<(u32, u32)> = pairs.chunks(2).take(n as usize).map(|p| (p[0], p[1])).collect();
            let end = out.len() + 2 * room;
            for run in there.chunks_mut(CHUNK) {
                run.sort_by_key(|&(key, index)| (std::cmp::Reverse(key), index));
                out.extend(run.iter().flat_map(|&(key, index)| [key, index]));
                out.extend([0, u32::MAX].repeat(CHUNK - run.len()));
            }
            out.resize(end, u32::MAX);
        }
        vec![Value::u32(inputs[0].shape, out)]
    }
}

impl Kernel for TopKSort {
    fn variants(&self, _: &Io, _: &Target) -> Vec<Variant> {
        vec![Variant::own("bitonic", &[])]
    }

    fn launch(&self, io: &Io, _: &Variant) -> Launch {
        let room = io.dim(0, 2);
        let groups = io.inputs[1].shape.len();
        Launch { grid: [(room / CHUNK) as u32, groups as u32, 1], params: P { room: room as u32 }.bytes() }
    }
}

/// Whole runs, one that is begun, none; keys that tie.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(22);
    let mut case = |name: &str, room: usize, counts: Vec<u32>, keys: usize| {
        let pairs = (0..counts.len() * room).flat_map(|i| [1 + rng.below(keys) as u32, (i % room) as u32]).collect();
        let groups = counts.len();
        let inputs = vec![Value::u32([1, groups, room, 2], pairs), Value::u32([1, groups], counts)];
        Case::new(name, TopKSort, inputs, Tolerance::Exact)
    };
    vec![
        case("runs", 3 * CHUNK, vec![3072, 2500, 1024, 1, 0], 1 << 31),
        case("ties", 2 * CHUNK, vec![2048, 1999], 9),
        case("one run", CHUNK, vec![1000], 1 << 31),
    ]
}
