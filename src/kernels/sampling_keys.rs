//! Chance for who is to be sampled.

use super::{Case, Kernel, Launch, Params as _, Tolerance, Variant, fold_grid};
use crate::ops::Io;
use crate::ops::sampling_keys::{SEED_WORDS, SamplingKeys};
use crate::params;
use crate::rng::Rng;
use crate::target::Target;
use crate::tensor::Value;

params! { total: u32, boxes: u32, stream: u32, grid_x: u32 }

impl Kernel for SamplingKeys {
    fn variants(&self, _: &Io, _: &Target) -> Vec<Variant> {
        vec![Variant::plain()]
    }

    fn launch(&self, io: &Io, _: &Variant) -> Launch {
        let total = io.inputs[0].shape.len();
        let grid = fold_grid(total.div_ceil(64));
        let params = P { total: total as u32, boxes: io.dim(0, 1) as u32, stream: self.stream, grid_x: grid[0] };
        Launch { grid, params: params.bytes() }
    }
}

/// Several images, seeds and streams; none to choose from.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(74);
    let mut case = |name: &str, stream: u32, seeds: &[[u32; SEED_WORDS]], n: usize, kinds: usize| {
        let matches = (0..seeds.len() * n).map(|_| rng.below(kinds) as u32).collect();
        let inputs = vec![
            Value::u32([seeds.len(), n], matches),
            Value::u32([seeds.len(), SEED_WORDS], seeds.concat()),
        ];
        Case::new(name, SamplingKeys { stream }, inputs, Tolerance::Exact)
    };
    vec![
        case("anchors", 0, &[[1, 0, 0, 0]], 1000, 7),
        case("large numbers", 1, &[[u32::MAX, 0x8765_4321, 0xfedc_ba98, 0]], 300, 3),
        case("batch", 1, &[[5, 6, 1, 0], [5, 6, 2, 0], [7, 6, 1, 0]], 70, 4),
        case("all are ignored", 0, &[[0; 4]], 40, 1),
    ]
}
