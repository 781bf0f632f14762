//! Some rows of each image.

use crate::rng::Rng;
use super::{Case, Kernel, Launch, Params as _, Tolerance, Variant, fold_grid};
use crate::ops::take_rows::TakeRows;
use crate::ops::Io;
use crate::params;
use crate::target::Target;
use crate::tensor::{Shape, Value};

params! { total: u32, batches: u32, n: u32, first: u32, rows: u32, words: u32, grid_x: u32 }

impl Kernel for TakeRows {
    fn variants(&self, _: &Io, _: &Target) -> Vec<Variant> {
        vec![Variant::plain()]
    }

    fn launch(&self, io: &Io, _: &Variant) -> Launch {
        let (x, total) = (io.inputs[0].shape, io.outputs[0].shape.len());
        let grid = fold_grid(total.div_ceil(64));
        let params = P {
            total: total as u32,
            batches: x.dim(0) as u32,
            n: x.dim(1) as u32,
            first: self.first as u32,
            rows: self.rows as u32,
            words: (x.len() / (x.dim(0) * x.dim(1))) as u32,
            grid_x: grid[0],
        };
        Launch { grid, params: params.bytes() }
    }
}

/// The first, some and the last rows; all, some and none of them live; integers.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(24);
    let mut case = |name: &str, shape: &[usize], live: &[u32], (first, rows): (usize, usize), integers: bool| {
        let x = match integers {
            true => Value::u32(Shape::new(shape), (0..shape.iter().product()).map(|_| rng.bits() as u32).collect()),
            false => rng.tensor(Shape::new(shape)),
        };
        let inputs = vec![x, Value::u32([live.len(), 1], live.to_vec())];
        Case::new(name, TakeRows { first, rows, integers }, inputs, Tolerance::Exact)
    };
    vec![
        case("boxes", &[1, 300, 4], &[211], (200, 100), false),
        case("batch", &[3, 40, 4], &[40, 11, 0], (10, 20), false),
        case("labels", &[2, 90], &[90, 30], (60, 30), true),
        case("one", &[1, 1], &[1], (0, 1), true),
    ]
}
