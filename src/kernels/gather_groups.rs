//! Boxes of each group in a sorted order.

use super::case::Rng;
use super::{Caps, Case, Cost, Info, Io, Kernel, Launch, Params as _, Tolerance, Variant, fold_grid};
use crate::params;
use crate::tensor::{DType, Value};

params! { total: u32, k: u32, n: u32, grid_x: u32 }

/// `y[b,g,i] = boxes[b,g,indices[b,g,i]]`. Inputs: indices `[B,G,k]`, boxes `[B,G,n,4]`. Output `[B,G,k,4]`.
#[derive(Clone, Debug)]
pub struct GatherGroups;

impl Kernel for GatherGroups {
    fn name(&self) -> &'static str {
        "gather_groups"
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let [indices, boxes] = inputs else { return Err(format!("takes indices and boxes, not {inputs:?}")) };
        let (i, b) = (indices.shape, boxes.shape);
        let fits = i.rank() == 3 && b.rank() == 4 && b.dim(3) == 4 && (i.dim(0), i.dim(1)) == (b.dim(0), b.dim(1));
        if !fits || indices.dtype != DType::U32 || i.is_empty() {
            return Err(format!("takes indices [B,G,k] and boxes [B,G,n,4], not {inputs:?}"));
        }
        Ok(vec![Info::f32([i.dim(0), i.dim(1), i.dim(2), 4])])
    }

    fn integers(&self) -> Vec<usize> {
        vec![0]
    }

    fn variants(&self, _: &Io, _: &Caps) -> Vec<Variant> {
        vec![Variant::new("plain", &[])]
    }

    fn launch(&self, io: &Io, _: &Variant) -> Launch {
        let total = io.inputs[0].shape.len();
        let grid = fold_grid(total.div_ceil(64));
        let params = P { total: total as u32, k: io.dim(0, 2) as u32, n: io.dim(1, 2) as u32, grid_x: grid[0] };
        Launch { grid, params: params.bytes() }
    }

    fn cost(&self, io: &Io) -> Cost {
        Cost::of(io, 0.0)
    }

    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let (i, n) = (inputs[0].shape, inputs[1].shape.dim(2));
        let rows: Vec<&[f32]> = inputs[1].floats().chunks(4).collect();
        let groups = inputs[0].ints().chunks(i.dim(2)).zip(rows.chunks(n));
        let y = groups.flat_map(|(order, rows)| order.iter().flat_map(|&j| rows[j as usize]).copied().collect::<Vec<_>>());
        vec![Value::f32([i.dim(0), i.dim(1), i.dim(2), 4], y.collect())]
    }
}

/// Two images, and one of everything.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(17);
    let mut case = |name: &str, b: usize, g: usize, k: usize, n: usize| {
        let indices = (0..b * g * k).map(|_| rng.below(n) as u32).collect();
        let inputs = vec![Value::u32([b, g, k], indices), rng.tensor([b, g, n, 4])];
        Case::new(name, GatherGroups, inputs, Tolerance::Exact)
    };
    vec![case("batch", 2, 3, 40, 50), case("one", 1, 1, 1, 1)]
}
