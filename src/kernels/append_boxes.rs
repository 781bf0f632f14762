//! Boxes after other boxes.

use super::{Case, Kernel, Launch, Params as _, Tolerance, Variant, fold_grid};
use crate::ops::Io;
use crate::ops::append_boxes::AppendBoxes;
use crate::params;
use crate::rng::Rng;
use crate::target::Target;
use crate::tensor::Value;

params! { total: u32, boxes: u32, more: u32, grid_x: u32 }

impl Kernel for AppendBoxes {
    fn variants(&self, _: &Io, _: &Target) -> Vec<Variant> {
        vec![Variant::plain()]
    }

    fn launch(&self, io: &Io, _: &Variant) -> Launch {
        let total = io.dim(0, 0) * (io.dim(0, 1) + io.dim(2, 1));
        let grid = fold_grid(total.div_ceil(64));
        let params =
            P { total: total as u32, boxes: io.dim(0, 1) as u32, more: io.dim(2, 1) as u32, grid_x: grid[0] };
        Launch { grid, params: params.bytes() }
    }
}

/// All, some and none of both.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(73);
    let mut case = |name: &str, n: usize, m: usize, live: &[u32], more: &[u32]| {
        let b = live.len();
        let inputs = vec![
            rng.tensor([b, n, 4]),
            Value::u32([b, 1], live.to_vec()),
            rng.tensor([b, m, 4]),
            Value::u32([b], more.to_vec()),
        ];
        Case::new(name, AppendBoxes, inputs, Tolerance::Exact)
    };
    vec![
        case("some", 200, 64, &[123], &[17]),
        case("batch", 30, 8, &[30, 0, 11, 0], &[8, 3, 0, 0]),
        case("one", 1, 1, &[1], &[1]),
    ]
}
