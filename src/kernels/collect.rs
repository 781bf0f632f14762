//! Gathering what a selection chose.

use super::case::Rng;
use super::{Caps, Case, Cost, Info, Io, Kernel, Launch, Params as _, Tolerance, Variant, fold_grid};
use crate::params;
use crate::tensor::{DType, Value};

params! { total: u32, k: u32, candidates: u32, group: u32, grid_x: u32 }

/// Boxes of the chosen candidates, and the group that each came from.
///
/// Inputs: indices `[B,…]` among an image's candidates, boxes `[B,G,n,4]`. Outputs: boxes `[B,k,4]`, labels `[B,k]`:
/// 1 + the group, which for class groups is the class, background being 0.
#[derive(Clone, Debug)]
pub struct Collect;

impl Kernel for Collect {
    fn name(&self) -> &'static str {
        "collect"
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let [indices, boxes] = inputs else { return Err(format!("takes indices and boxes, not {inputs:?}")) };
        let (i, b) = (indices.shape, boxes.shape);
        if indices.dtype != DType::U32 || i.is_empty() || b.rank() != 4 || b.dim(3) != 4 || i.dim(0) != b.dim(0) {
            return Err(format!("takes indices [B,k] and boxes [B,G,n,4], not {inputs:?}"));
        }
        let k = i.len() / i.dim(0);
        Ok(vec![Info::f32([i.dim(0), k, 4]), Info::u32([i.dim(0), k])])
    }

    fn integers(&self) -> Vec<usize> {
        vec![0]
    }

    fn variants(&self, _: &Io, _: &Caps) -> Vec<Variant> {
        vec![Variant::new("plain", &[])]
    }

    fn launch(&self, io: &Io, _: &Variant) -> Launch {
        let (i, b) = (io.inputs[0].shape, io.inputs[1].shape);
        let grid = fold_grid(i.len().div_ceil(64));
        let params = P {
            total: i.len() as u32,
            k: (i.len() / i.dim(0)) as u32,
            candidates: (b.dim(1) * b.dim(2)) as u32,
            group: b.dim(2) as u32,
            grid_x: grid[0],
        };
        Launch { grid, params: params.bytes() }
    }

    fn cost(&self, io: &Io) -> Cost {
        Cost::of(io, 0.0)
    }

    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let b = inputs[1].shape;
        let per_image = b.dim(1) * b.dim(2);
        let k = inputs[0].shape.len() / b.dim(0);
        let rows: Vec<&[f32]> = inputs[1].floats().chunks(4).collect();
        let (mut boxes, mut labels) = (Vec::new(), Vec::new());
        for (image, chosen) in inputs[0].ints().chunks(k).enumerate() {
            for &index in chosen {
                boxes.extend(rows[image * per_image + index as usize]);
                labels.push(index / b.dim(2) as u32 + 1);
            }
        }
        vec![Value::f32([b.dim(0), k, 4], boxes), Value::u32([b.dim(0), k], labels)]
    }
}

/// One image, two, one candidate.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(11);
    let mut case = |name: &str, b: usize, k: usize, groups: usize, n: usize| {
        let indices = (0..b * k).map(|_| rng.below(groups * n) as u32).collect();
        let inputs = vec![Value::u32([b, 1, k], indices), rng.tensor([b, groups, n, 4])];
        Case::new(name, Collect, inputs, Tolerance::Exact)
    };
    vec![case("levels", 1, 100, 5, 60), case("batch", 2, 70, 3, 40), case("one", 1, 1, 1, 1)]
}
