//! A sample of so many on truths, and the rest on the background.

use super::{Case, Kernel, Launch, Params as _, Tolerance, Variant, fold_grid};
use crate::ops::Io;
use crate::ops::samples::Samples;
use crate::params;
use crate::rng::Rng;
use crate::target::Target;
use crate::tensor::Value;

params! { total: u32, k: u32, positives: u32, grid_x: u32 }

impl Kernel for Samples {
    fn variants(&self, _: &Io, _: &Target) -> Vec<Variant> {
        vec![Variant::plain()]
    }

    fn launch(&self, io: &Io, _: &Variant) -> Launch {
        let total = io.outputs[0].shape.len();
        let grid = fold_grid(total.div_ceil(64));
        let params = P {
            total: total as u32,
            k: io.dim(0, 2) as u32,
            positives: self.positives as u32,
            grid_x: grid[0],
        };
        Launch { grid, params: params.bytes() }
    }
}

/// Enough and too few of either.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(75);
    let mut case = |name: &str, k: usize, positives: usize, counts: &[u32]| {
        let b = counts.len() / 2;
        let indices = (0..2 * b * k).map(|_| rng.below(100_000) as u32).collect();
        let inputs = vec![Value::u32([b, 2, k], indices), Value::u32([b, 2], counts.to_vec())];
        Case::new(name, Samples { positives }, inputs, Tolerance::Exact)
    };
    vec![
        case("enough of both", 256, 128, &[256, 256]),
        case("few on truths", 256, 128, &[11, 256]),
        case("batch", 64, 16, &[64, 5, 0, 64, 3, 0, 0, 0]),
        case("one", 1, 0, &[1, 1]),
    ]
}
