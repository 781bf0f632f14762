//! Max-pooling, channels last.

use crate::rng::Rng;
use super::{Case, Kernel, Launch, Params as _, Tolerance, Variant, fold_grid};
use crate::ops::max_pool::MaxPool;
use crate::ops::Io;
use crate::params;
use crate::target::Target;

params! {
    total: u32, h: u32, w: u32, c: u32, oh: u32, ow: u32, kernel: u32, stride: u32, pad: u32, grid_x: u32,
}

impl Kernel for MaxPool {
    fn variants(&self, io: &Io, _: &Target) -> Vec<Variant> {
        let quads = io.dim(0, 3).is_multiple_of(4).then(|| Variant::own("quads", &[("QUADS", 1)]));
        quads.into_iter().chain([Variant::plain()]).collect()
    }

    fn f16_operands(&self, _: &Io) -> Vec<(usize, &'static str)> {
        vec![(0, "X_F16"), (1, "Y_F16")]
    }

    fn launch(&self, io: &Io, variant: &Variant) -> Launch {
        let lanes = variant.find("QUADS").map_or(1, |_| 4);
        let (x, y) = (io.inputs[0].shape, io.outputs[0].shape);
        let grid = fold_grid((y.len() / lanes).div_ceil(64));
        let params = P {
            total: (y.len() / lanes) as u32,
            h: x.dim(1) as u32,
            w: x.dim(2) as u32,
            c: (x.dim(3) / lanes) as u32,
            oh: y.dim(1) as u32,
            ow: y.dim(2) as u32,
            kernel: self.kernel as u32,
            stride: self.stride as u32,
            pad: self.pad as u32,
            grid_x: grid[0],
        };
        Launch { grid, params: params.bytes() }
    }
}

/// The stem's pool, P6, and ragged ones.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(5);
    let mut with = |name: &str, x: [usize; 4], op: MaxPool| Case::new(name, op, vec![rng.tensor(x)], Tolerance::Exact);
    let after = with("a border after alone", [1, 10, 18, 8], MaxPool { kernel: 3, stride: 2, pad: 0, after: 1 });
    let mut case = |name: &str, x: [usize; 4], kernel: usize, stride: usize, pad: usize| {
        with(name, x, MaxPool { kernel, stride, pad, after: pad })
    };
    vec![
        case("one by one by one", [1, 1, 1, 1], 1, 1, 0),
        case("stem 3x3 s2", [1, 21, 18, 32], 3, 2, 1),
        case("P6 of P5", [1, 25, 13, 128], 1, 2, 0),
        case("batch", [2, 6, 7, 4], 3, 2, 1),
        case("odd channels", [1, 9, 8, 5], 2, 2, 0),
        after,
    ]
}
