//! The deltas that would turn boxes into their truths.

use super::{Case, Kernel, Launch, Params as _, Tolerance, Variant, fold_grid};
use crate::ops::Io;
use crate::ops::matching::FIRST_TRUTH;
use crate::ops::targets::BoxTargets;
use crate::params;
use crate::rng::Rng;
use crate::target::Target;
use crate::tensor::Value;

params! { weights: [f32; 4], total: u32, k: u32, truths: u32, grid_x: u32 }

impl Kernel for BoxTargets {
    fn variants(&self, _: &Io, _: &Target) -> Vec<Variant> {
        vec![Variant::plain()]
    }

    fn launch(&self, io: &Io, _: &Variant) -> Launch {
        let total = io.inputs[1].shape.len();
        let grid = fold_grid(total.div_ceil(64));
        let params = P {
            weights: self.weights,
            total: total as u32,
            k: io.dim(1, 1) as u32,
            truths: io.dim(2, 1) as u32,
            grid_x: grid[0],
        };
        Launch { grid, params: params.bytes() }
    }
}

/// Matches of boxes, every kind of them.
pub(super) fn matches(rng: &mut Rng, batch: usize, k: usize, truths: usize) -> Value {
    Value::u32([batch, k], (0..batch * k).map(|_| rng.below(FIRST_TRUTH as usize + truths) as u32).collect())
}

/// Both coders, several images, none that counts.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(77);
    let mut case = |name: &str, weights: [f32; 4], k: usize, truths: usize, live: &[u32]| {
        let b = live.len();
        let inputs = vec![
            Value::f32([b, k, 4], rng.boxes(b * k, 400.0, 300.0)),
            matches(&mut rng, b, k, truths),
            Value::f32([b, truths, 4], rng.boxes(b * truths, 400.0, 300.0)),
            Value::u32([b, 1], live.to_vec()),
        ];
        Case::new(name, BoxTargets { weights }, inputs, Tolerance::Close { absolute: 2e-5, relative: 2e-5 })
    };
    vec![
        case("anchors", [1.0; 4], 256, 9, &[200]),
        case("RoIs", [10.0, 10.0, 5.0, 5.0], 100, 30, &[100]),
        case("batch", [10.0, 10.0, 5.0, 5.0], 20, 3, &[20, 7, 0]),
        case("one", [1.0; 4], 1, 1, &[1]),
    ]
}
