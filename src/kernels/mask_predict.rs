//! The mask of the class that was found.

use crate::rng::Rng;
use super::{Case, Kernel, Launch, LiveGrid, Params as _, Tolerance, Variant, fold_grid};
use crate::ops::mask_predict::MaskPredict;
use crate::ops::Io;
use crate::params;
use crate::target::Target;
use crate::tensor::Value;

params! { total: u32, pixels: u32, c: u32, classes: u32, images_per_batch: u32, grid_x: u32 }

impl Kernel for MaskPredict {
    fn variants(&self, io: &Io, _: &Target) -> Vec<Variant> {
        let quads = io.dim(0, 3).is_multiple_of(4).then(|| Variant::own("quads", &[("QUADS", 1)]));
        quads.into_iter().chain([Variant::plain()]).collect()
    }

    fn f16_operands(&self, _: &Io) -> Vec<(usize, &'static str)> {
        vec![(0, "X_F16")]
    }

    fn launch(&self, io: &Io, variant: &Variant) -> Launch {
        let lanes = variant.find("QUADS").map_or(1, |_| 4);
        let x = io.inputs[0].shape;
        let total = io.outputs[0].shape.len();
        let grid = fold_grid(total.div_ceil(64));
        let params = P {
            total: total as u32,
            pixels: (x.dim(1) * x.dim(2)) as u32,
            c: (x.dim(3) / lanes) as u32,
            classes: io.dim(1, 0) as u32,
            images_per_batch: (x.dim(0) / io.inputs[4].shape.len()) as u32,
            grid_x: grid[0],
        };
        Launch { grid, params: params.bytes() }
    }

    fn live_grid(&self, io: &Io, _: &Variant) -> Option<LiveGrid> {
        let units = (io.dim(0, 1) * io.dim(0, 2)) as u32;
        let total = units * io.dim(0, 0) as u32;
        Some(LiveGrid { input: 4, axis: 0, rows: io.dim(0, 0) as u32, units, first: 0, total, block: 64 })
    }
}

/// The default model's shape, many classes, odd channels, one mask for all.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(14);
    let mut case = |name: &str, live: Vec<u32>, n: usize, m: usize, c: usize, k: usize| {
        let b = live.len();
        // Where one row of weights serves all, labels are what they are.
        let labels = (0..b * n).map(|_| rng.below(k.max(3)) as u32).map(|l| if k > 1 { l % k as u32 } else { l }).collect();
        let inputs = vec![
            rng.tensor([b * n, m, m, c]),
            rng.tensor([k, c]),
            rng.tensor([k]),
            Value::u32([b * n], labels),
            Value::u32([b], live),
        ];
        Case::new(name, MaskPredict, inputs, Tolerance::Close { absolute: 2e-6, relative: 2e-5 })
    };
    vec![
        case("default model", vec![3], 5, 28, 128, 2),
        case("91 classes, batch", vec![2, 1], 3, 14, 16, 91),
        case("odd channels", vec![2], 2, 5, 7, 3),
        case("one mask for all classes", vec![3], 4, 5, 8, 1),
        case("none live", vec![0], 2, 5, 8, 3),
    ]
}
