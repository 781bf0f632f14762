//! Crops of an image, each warped to the same square.

use super::{Case, Kernel, Launch, Params as _, Tolerance, Variant, fold_grid};
use crate::ops::Io;
use crate::ops::preprocess::Preprocess;
use crate::ops::warp::{PLACE_WORDS, Warp};
use crate::params;
use crate::rng::Rng;
use crate::target::Target;
use crate::tensor::Value;

params! { pixels: u32, side: u32, grid_x: u32 }

impl Kernel for Warp {
    fn variants(&self, _: &Io, _: &Target) -> Vec<Variant> {
        vec![Variant::plain().flag("QUADS", true)]
    }

    fn f16_operands(&self, io: &Io) -> Vec<(usize, &'static str)> {
        vec![(io.inputs.len(), "Y_F16")]
    }

    fn launch(&self, io: &Io, _: &Variant) -> Launch {
        let pixels = io.dim(1, 0) * self.side * self.side;
        let grid = fold_grid(pixels.div_ceil(64));
        let params = P { pixels: pixels as u32, side: self.side as u32, grid_x: grid[0] };
        Launch { grid, params: params.bytes() }
    }
}

/// Squares with and without something beyond the image, of one crop and several, any neighbours of any weight.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(31);
    let mut case = |name: &str, (h, w): (usize, usize), crops: usize, side: usize| {
        let bytes: Vec<u32> = (0..(3 * h * w).div_ceil(4)).map(|_| rng.bits() as u32).collect();
        let mut places = Vec::with_capacity(crops * 2 * side * PLACE_WORDS);
        for i in 0..crops * 2 * side {
            // Rows begin where they do in the image.
            let (count, pitch) = if (i / side).is_multiple_of(2) { (h, w) } else { (w, 1) };
            let [low, high] = [0; 2].map(|_: i32| (rng.below(count) * pitch) as u32);
            let inside = u32::from(rng.below(5) > 0);
            places.extend([low, high, rng.uniform(0.0, 1.0).to_bits(), inside]);
        }
        let inputs = vec![
            Value::u32([bytes.len()], bytes),
            Value::u32([crops, 2 * side, PLACE_WORDS], places),
            Preprocess::table(1.0, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ];
        Case::new(name, Warp { side }, inputs, Tolerance::Close { absolute: 2e-4, relative: 1e-5 })
    };
    vec![
        case("one crop", (25, 31), 1, 32),
        case("crops", (37, 18), 3, 16),
        case("one pixel", (1, 1), 2, 5),
        case("no whole workgroup", (9, 40), 5, 7),
    ]
}
