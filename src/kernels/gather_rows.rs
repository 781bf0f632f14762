//! Chosen rows of each image.

use super::{Case, Kernel, Launch, Params as _, Tolerance, Variant, fold_grid};
use crate::ops::Io;
use crate::ops::gather_rows::GatherRows;
use crate::params;
use crate::rng::Rng;
use crate::target::Target;
use crate::tensor::{Shape, Value};

params! { total: u32, n: u32, k: u32, words: u32, grid_x: u32 }

impl Kernel for GatherRows {
    fn variants(&self, _: &Io, _: &Target) -> Vec<Variant> {
        vec![Variant::plain()]
    }

    fn launch(&self, io: &Io, _: &Variant) -> Launch {
        let (x, total) = (io.inputs[0].shape, io.outputs[0].shape.len());
        let grid = fold_grid(total.div_ceil(64));
        let params = P {
            total: total as u32,
            n: x.dim(1) as u32,
            k: io.dim(1, 1) as u32,
            words: (x.len() / (x.dim(0) * x.dim(1))) as u32,
            grid_x: grid[0],
        };
        Launch { grid, params: params.bytes() }
    }
}

/// Boxes, logits, integers; all, some and none of them.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(76);
    let mut case = |name: &str, shape: &[usize], k: usize, live: &[u32], integers: bool| {
        let x = match integers {
            true => Value::u32(Shape::new(shape), (0..shape.iter().product()).map(|_| rng.bits() as u32).collect()),
            false => rng.tensor(Shape::new(shape)),
        };
        let indices = (0..live.len() * k).map(|_| rng.below(shape[1]) as u32).collect();
        let inputs = vec![x, Value::u32([live.len(), k], indices), Value::u32([live.len(), 1], live.to_vec())];
        Case::new(name, GatherRows { integers }, inputs, Tolerance::Exact)
    };
    vec![
        case("boxes", &[1, 900, 4], 256, &[211], false),
        case("logits", &[1, 900], 256, &[256], false),
        case("batch", &[3, 40, 4], 20, &[20, 11, 0], false),
        case("matches", &[2, 90], 30, &[30, 7], true),
        case("one", &[1, 1], 1, &[1], true),
    ]
}
