//! Boxes of each group in a sorted order.

use crate::rng::Rng;
use super::{Case, Kernel, Launch, Params as _, Tolerance, Variant, fold_grid};
use crate::ops::gather_groups::GatherGroups;
use crate::ops::Io;
use crate::params;
use crate::target::Target;
use crate::tensor::Value;

params! { total: u32, k: u32, n: u32, grid_x: u32 }

impl Kernel for GatherGroups {
    fn variants(&self, _: &Io, _: &Target) -> Vec<Variant> {
        vec![Variant::plain()]
    }

    fn launch(&self, io: &Io, _: &Variant) -> Launch {
        let total = io.inputs[0].shape.len();
        let grid = fold_grid(total.div_ceil(64));
        let params = P { total: total as u32, k: io.dim(0, 2) as u32, n: io.dim(1, 2) as u32, grid_x: grid[0] };
        Launch { grid, params: params.bytes() }
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
