//! Chosen anchors and their deltas to proposals.

use crate::rng::Rng;
use super::{Case, Kernel, Launch, Params as _, Tolerance, Variant, fold_grid};
use crate::ops::frame::Frame;
use crate::ops::rpn_decode::{Coder, RpnDecode};
use crate::ops::topk::NONE;
use crate::ops::Io;
use crate::params;
use crate::target::Target;
use crate::tensor::Value;

params! {
    total: u32, segments: u32, k: u32, anchors: u32, ratios: u32, min_size: f32, log_limit: f32,
    min_logit: f32, grid_x: u32, log_least: f32, rows: u32, far_x: f32, far_y: f32, extent: f32,
}

impl Kernel for RpnDecode {
    fn variants(&self, _: &Io, _: &Target) -> Vec<Variant> {
        vec![Variant::plain()]
    }

    fn launch(&self, io: &Io, _: &Variant) -> Launch {
        let v = io.inputs[0].shape;
        let grid = fold_grid(v.len().div_ceil(64));
        let params = P {
            total: v.len() as u32,
            segments: v.dim(1) as u32,
            k: v.dim(2) as u32,
            anchors: io.dim(2, 1) as u32,
            ratios: (io.dim(3, 1) / 4 - 1) as u32,
            min_size: self.min_size,
            min_logit: self.min_logit,
            log_limit: self.coder.most,
            grid_x: grid[0],
            log_least: self.coder.least,
            rows: io.dim(3, 0) as u32,
            far_x: self.far.map_or(0.0, |far| far[0]),
            far_y: self.far.map_or(0.0, |far| far[1]),
            extent: self.coder.extent,
        };
        Launch { grid, params: params.bytes() }
    }
}

/// Two levels, two images, boxes outside the image and enlargements past the limit.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(9);
    let mut with = |coder: Coder, name: &str, batch: usize, k: usize, spread: f32, min_logit: f32| {
        let maps = [(6usize, 8usize, 8.0f32), (3, 4, 16.0)];
        let (mut first, mut levels) = (0, Vec::new());
        for (h, w, stride) in maps {
            levels.extend([first as f32, w as f32, stride, stride + 1.0]);
            levels.extend([-11.0, -23.0, 11.0, 23.0, -16.0, -16.0, 16.0, 16.0, -23.0, -11.0, 23.0, 11.0]);
            first += h * w * 3;
        }
        let (mut values, mut indices) = (Vec::new(), Vec::new());
        for _ in 0..batch {
            for (h, w, _) in maps {
                for _ in 0..k {
                    values.push(rng.uniform(-5.0, 5.0));
                    indices.push(rng.below(h * w * 3) as u32);
                }
            }
        }
        let deltas = (0..batch * first * 4).map(|_| rng.uniform(-spread, spread)).collect();
        let frames: Vec<Frame> = (0..batch).map(|b| Frame::new((50, 60), (48, 60 + b as u32), 0)).collect();
        let inputs = vec![
            Value::f32([batch, 2, k], values),
            Value::u32([batch, 2, k], indices),
            Value::f32([batch, first, 4], deltas),
            Value::f32([2, 16], levels),
            Frame::value(&frames),
        ];
        let kernel = RpnDecode { min_size: 1e-3, min_logit, coder, far: None };
        Case::new(name, kernel, inputs, Tolerance::Close { absolute: 2e-4, relative: 1e-5 })
    };
    let mut case = |name: &str, batch, k, spread, min_logit| with(Coder::PLAIN, name, batch, k, spread, min_logit);
    let mut cases = vec![
        case("as in the network", 1, 30, 0.5, NONE),
        case("batch", 2, 21, 1.0, -1.0),
        case("past the limit", 1, 40, 6.0, NONE),
        case("one", 1, 1, 0.1, NONE),
    ];
    cases.push(with(Coder::BOTH, "past both limits", 1, 40, 9.0, NONE));
    // One segment of both levels; boxes of a padded input, of which the image begins within.
    let mut joint = |name: &str, batch: usize, k: usize, kernel: RpnDecode| {
        let mut case = with(Coder::PLAIN, name, batch, k, 0.5, NONE);
        let total = case.inputs[2].shape.dim(1);
        case.inputs[0] = Value::f32([batch, 1, k], case.inputs[0].floats()[..batch * k].to_vec());
        // The last of the first level and the first of the next among them.
        let indices = (0..batch * k).map(|i| ((i * 37 + 143) % total) as u32).collect();
        case.inputs[1] = Value::u32([batch, 1, k], indices);
        let frames: Vec<Frame> = (0..batch).map(|_| Frame { top: 5, left: 3, ..Frame::new((50, 60), (40, 50), 0) }).collect();
        case.inputs[4] = Frame::value(&frames);
        Case::new(name, kernel, case.inputs, Tolerance::Close { absolute: 2e-4, relative: 1e-5 })
    };
    let wide = RpnDecode { min_size: 0.0, min_logit: NONE, coder: Coder::FREE, far: Some([63.0, 55.0]) };
    cases.extend([
        joint("all levels", 1, 150, wide.clone()),
        joint("all levels, batch", 2, 90, wide.clone()),
        joint("padded before the image", 1, 60, RpnDecode { far: None, ..wide }),
    ]);
    cases.push(with(Coder { extent: 1.0, ..Coder::PLAIN }, "a pixel wide at least", 2, 40, 2.0, NONE));
    cases
}
