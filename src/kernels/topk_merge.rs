//! Sorted runs to one.

use crate::rng::Rng;
use super::topk_select::key;
use super::topk_sort::CHUNK;
use super::{Case, Kernel, Launch, Params as _, Tolerance, Variant, fold_grid};
use crate::ops::topk::NONE;
use crate::ops::{Cost, Info, Io, Op, Operand, Setting, settings, value};
use crate::params;
use crate::target::Target;
use crate::tensor::{DType, Value};

params! { total: u32, k: u32, room: u32, grid_x: u32 }

/// The runs of [`super::topk_sort::TopKSort`] as one: the last step of three.
///
/// Inputs: pairs `[B,S,room,2]`, counts `[B,S]`. Outputs: values `[B,S,k]` ([`NONE`] past the count), indices `[B,S,k]`
/// (0 past the count).
#[derive(Clone, Debug)]
pub struct TopKMerge {
    /// How many there can be.
    pub k: usize,
}

impl Op for TopKMerge {
    fn name(&self) -> &'static str {
        "topk_merge"
    }

    fn operands(&self) -> Vec<Operand> {
        vec![Operand::u32("pairs", 4), Operand::u32("counts", 0).of_any_rank()]
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let [pairs, counts] = inputs else { return Err(format!("takes pairs and counts, not {inputs:?}")) };
        let p = pairs.shape;
        let fits = p.dim(3) == 2 && p.dim(2) == self.k.next_multiple_of(CHUNK);
        if !fits || counts.shape.len() != p.dim(0) * p.dim(1) {
            return Err(format!("takes pairs [B,S,{CHUNK}·m,2] for {} and counts [B,S], not {inputs:?}", self.k));
        }
        let shape = [p.dim(0), p.dim(1), self.k];
        Ok(vec![Info::f32(shape), Info { shape: shape.into(), dtype: DType::U32 }])
    }

    fn cost(&self, io: &Io) -> Cost {
        let runs = (io.dim(0, 2) / CHUNK) as f64;
        Cost::of(io, 10.0 * runs * io.outputs[0].shape.len() as f64)
    }

    /// Sorts all over again.
    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let shape = inputs[0].shape;
        let (mut values, mut indices) = (Vec::new(), Vec::new());
        for (pairs, &n) in inputs[0].ints().chunks(2 * shape.dim(2)).zip(inputs[1].ints()) {
            let mut all: Vec<(u32, u32)> = pairs.chunks(2).take(n as usize).map(|p| (p[0], p[1])).collect();
            all.sort_by_key(|&(key, index)| (std::cmp::Reverse(key), index));
            let value = |k: u32| {
                let steps = i64::from(k) - (1 << 31);
                if steps < 0 { -f32::from_bits((-steps - 1) as u32) } else { f32::from_bits(steps as u32) }
            };
            let end = values.len() + self.k;
            values.extend(all.iter().map(|p| value(p.0)));
            indices.extend(all.iter().map(|p| p.1));
            values.resize(end, NONE);
            indices.resize(end, 0);
        }
        let shape = [shape.dim(0), shape.dim(1), self.k];
        vec![Value::f32(shape, values), Value::u32(shape, indices)]
    }

    fn settings(&self) -> Vec<Setting> {
        settings([("k", value(self.k))])
    }
}

impl Kernel for TopKMerge {
    fn variants(&self, _: &Io, _: &Target) -> Vec<Variant> {
        vec![Variant::own("by rank", &[])]
    }

    fn launch(&self, io: &Io, _: &Variant) -> Launch {
        let (room, total) = (io.dim(0, 2), io.inputs[0].shape.len() / 2);
        let grid = fold_grid(total.div_ceil(64));
        let params = P { total: total as u32, k: self.k as u32, room: room as u32, grid_x: grid[0] };
        Launch { grid, params: params.bytes() }
    }
}

/// Whole runs, one that is begun, one pair, none; values that tie across runs.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(23);
    let mut case = |name: &str, k: usize, counts: Vec<u32>, some: usize| {
        let room = k.next_multiple_of(CHUNK);
        let mut pairs = Vec::new();
        for &n in &counts {
            let mut all: Vec<(u32, u32)> =
                (0..n).map(|i| (key(rng.below(some) as f32 / 8.0 - 9.0), 3 * i + rng.below(3) as u32)).collect();
            all.chunks_mut(CHUNK).for_each(|run| run.sort_by_key(|&(key, index)| (std::cmp::Reverse(key), index)));
            let end = pairs.len() + 2 * room;
            pairs.extend(all.iter().flat_map(|&(key, index)| [key, index]));
            pairs.resize(end, u32::MAX);
        }
        let groups = counts.len();
        let inputs = vec![Value::u32([1, groups, room, 2], pairs), Value::u32([1, groups], counts)];
        Case::new(name, TopKMerge { k }, inputs, Tolerance::Exact)
    };
    vec![
        case("runs", 3000, vec![3000, 2500, 1024, 1, 0], 1 << 20),
        case("ties", 2048, vec![2048, 1999], 9),
        case("many runs", 12_000, vec![12_000, 4097], 1000),
        case("one run", 9, vec![9], 1 << 20),
    ]
}
