//! Some rows of each image, put where they belong.

use crate::rng::Rng;
use super::{Case, Kernel, Launch, Params as _, Tolerance, Variant, fold_grid};
use crate::ops::put_rows::PutRows;
use crate::ops::Io;
use crate::params;
use crate::target::Target;
use crate::tensor::Shape;

params! { total: u32, part: u32, whole: u32, first: u32, grid_x: u32 }

impl Kernel for PutRows {
    fn variants(&self, _: &Io, _: &Target) -> Vec<Variant> {
        vec![Variant::plain()]
    }

    fn launch(&self, io: &Io, _: &Variant) -> Launch {
        let (total, whole) = (io.inputs[0].shape.len(), io.outputs[0].shape.len());
        let grid = fold_grid(total.div_ceil(64));
        let a_row = whole / (self.batch * self.n);
        let params = P {
            total: total as u32,
            part: (total / self.batch) as u32,
            whole: (whole / self.batch) as u32,
            first: (self.first * a_row) as u32,
            grid_x: grid[0],
        };
        Launch { grid, params: params.bytes() }
    }
}

/// The first, some and all rows; images one and several.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(25);
    let mut case = |name: &str, shape: &[usize], batch: usize, (first, n): (usize, usize)| {
        let inputs = vec![rng.tensor(Shape::new(shape))];
        Case::new(name, PutRows { batch, first, n }, inputs, Tolerance::Exact)
    };
    vec![
        case("masks", &[50, 28, 28], 1, (100, 170)),
        case("batch", &[60, 9], 3, (7, 40)),
        case("all", &[5, 2], 1, (0, 5)),
    ]
}
