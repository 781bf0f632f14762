//! The labels of boxes.

use super::box_targets::matches;
use super::{Case, Kernel, Launch, Params as _, Tolerance, Variant, fold_grid};
use crate::ops::Io;
use crate::ops::targets::LabelTargets;
use crate::params;
use crate::rng::Rng;
use crate::target::Target;
use crate::tensor::Value;

params! { total: u32, k: u32, truths: u32, grid_x: u32 }

impl Kernel for LabelTargets {
    fn variants(&self, _: &Io, _: &Target) -> Vec<Variant> {
        vec![Variant::plain()]
    }

    fn launch(&self, io: &Io, _: &Variant) -> Launch {
        let total = io.inputs[0].shape.len();
        let grid = fold_grid(total.div_ceil(64));
        let params =
            P { total: total as u32, k: io.dim(0, 1) as u32, truths: io.dim(1, 1) as u32, grid_x: grid[0] };
        Launch { grid, params: params.bytes() }
    }
}

/// All, some and none that count.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(78);
    let mut case = |name: &str, k: usize, truths: usize, live: &[u32]| {
        let b = live.len();
        let labels = (0..b * truths).map(|_| 1 + rng.below(90) as u32).collect();
        let inputs = vec![
            matches(&mut rng, b, k, truths),
            Value::u32([b, truths], labels),
            Value::u32([b, 1], live.to_vec()),
        ];
        Case::new(name, LabelTargets, inputs, Tolerance::Exact)
    };
    vec![case("RoIs", 512, 12, &[500]), case("batch", 30, 4, &[30, 0, 9]), case("one", 1, 1, &[1])]
}
