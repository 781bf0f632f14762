//! Gathering what a selection chose.

use crate::rng::Rng;
use super::{Case, Kernel, Launch, Params as _, Tolerance, Variant, fold_grid};
use crate::ops::collect::Collect;
use crate::ops::Io;
use crate::params;
use crate::target::Target;
use crate::tensor::Value;

params! { total: u32, k: u32, candidates: u32, group: u32, grid_x: u32 }

impl Kernel for Collect {
    fn variants(&self, _: &Io, _: &Target) -> Vec<Variant> {
        vec![Variant::plain()]
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
