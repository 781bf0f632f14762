//! Candidates of each class from the box head's outputs.

use super::case::Rng;
use super::frame::{FRAME_WORDS, Frame};
use super::rpn_decode::{LOG_LIMIT, decode};
use super::topk::NONE;
use super::{Caps, Case, Cost, Info, Io, Kernel, Launch, Params as _, Tolerance, Variant, fold_grid};
use crate::params;
use crate::tensor::Value;

params! {
    weights: [f32; 4], total: u32, n: u32, classes: u32, threshold: f32, min_size: f32, log_limit: f32, grid_x: u32,
    spare: u32,
}

/// Box decoding for every class, the score threshold and the smallest side (torchvision, `roi_heads.py`).
///
/// Inputs: probabilities `[B·n,K]`, deltas `[B·n,4K]` (class-major), rois `[B,n,4]`, live `[B]`, frames. Outputs:
/// boxes `[B,K−1,n,4]`, scores `[B,K−1,n]`, [`NONE`] where there is no candidate.
#[derive(Clone, Debug)]
pub struct ClassDecode {
    /// What deltas are divided by.
    pub weights: [f32; 4],
    /// Scores must exceed this.
    pub threshold: f32,
    /// Smallest side, in resized pixels.
    pub min_size: f32,
}

impl Kernel for ClassDecode {
    fn name(&self) -> &'static str {
        "class_decode"
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let [probabilities, deltas, rois, live, frames] = inputs else {
            return Err(format!("takes probabilities, deltas, rois, live counts and frames, not {inputs:?}"));
        };
        let (p, r) = (probabilities.shape, rois.shape);
        let ok = p.rank() == 2
            && r.rank() == 3
            && p.dim(0) == r.dim(0) * r.dim(1)
            && p.dim(1) >= 2
            && deltas.shape.len() == p.len() * 4
            && live.shape.len() == r.dim(0)
            && frames.shape.len() == r.dim(0) * FRAME_WORDS;
        if !ok {
            return Err(format!("these do not fit together: {inputs:?}"));
        }
        let (b, k, n) = (r.dim(0), p.dim(1) - 1, r.dim(1));
        Ok(vec![Info::f32([b, k, n, 4]), Info::f32([b, k, n])])
    }

    fn integers(&self) -> Vec<usize> {
        vec![3, 4]
    }

    fn variants(&self, _: &Io, _: &Caps) -> Vec<Variant> {
        vec![Variant::new("plain", &[])]
    }

    fn launch(&self, io: &Io, _: &Variant) -> Launch {
        let total = io.outputs[1].shape.len();
        let grid = fold_grid(total.div_ceil(64));
        let params = P {
            weights: self.weights,
            total: total as u32,
            n: io.dim(2, 1) as u32,
            classes: io.dim(0, 1) as u32,
            threshold: self.threshold,
            min_size: self.min_size,
            log_limit: LOG_LIMIT,
            grid_x: grid[0],
            spare: 0,
        };
        Launch { grid, params: params.bytes() }
    }

    fn cost(&self, io: &Io) -> Cost {
        Cost::of(io, 30.0 * io.outputs[1].shape.len() as f64)
    }

    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let (b, n, k) = (inputs[2].shape.dim(0), inputs[2].shape.dim(1), inputs[0].shape.dim(1));
        let mut boxes = vec![0.0; b * (k - 1) * n * 4];
        let mut scores = vec![NONE; b * (k - 1) * n];
        for (row, roi) in inputs[2].floats().chunks(4).enumerate() {
            let (image, r) = (row / n, row % n);
            if r >= inputs[3].ints()[image] as usize {
                continue;
            }
            let f = Frame::of(&inputs[4], image);
            for class in 1..k {
                let from = std::array::from_fn(|c| roi[c] as f64);
                let d = &inputs[1].floats()[(row * k + class) * 4..][..4];
                let d = std::array::from_fn(|c| d[c] as f64 / self.weights[c] as f64);
                let limit = |c: usize| if c.is_multiple_of(2) { f.out_w } else { f.out_h } as f64;
                let decoded = decode(from, d);
                let out: [f32; 4] = std::array::from_fn(|c| decoded[c].clamp(0.0, limit(c)) as f32);
                let at = (image * (k - 1) + class - 1) * n + r;
                boxes[at * 4..at * 4 + 4].copy_from_slice(&out);
                let score = inputs[0].floats()[row * k + class];
                if score > self.threshold && out[2] - out[0] >= self.min_size && out[3] - out[1] >= self.min_size {
                    scores[at] = score;
                }
            }
        }
        vec![Value::f32([b, k - 1, n, 4], boxes), Value::f32([b, k - 1, n], scores)]
    }
}

/// Two classes, many, batches, none live.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(13);
    let mut case = |name: &str, live: Vec<u32>, n: usize, k: usize, spread: f32| {
        let b = live.len();
        let probabilities = (0..b * n * k).map(|_| rng.uniform(0.0, 0.2)).collect();
        let rois = rng.boxes(b * n, 100.0, 80.0);
        let deltas = (0..b * n * k * 4).map(|_| rng.uniform(-spread, spread)).collect();
        let frames: Vec<Frame> = (0..b).map(|i| Frame::new((40, 50), (80, 100 - i as u32), 0)).collect();
        let inputs = vec![
            Value::f32([b * n, k], probabilities),
            Value::f32([b * n, 4 * k], deltas),
            Value::f32([b, n, 4], rois),
            Value::u32([b], live),
            Frame::value(&frames),
        ];
        let kernel = ClassDecode { weights: [10.0, 10.0, 5.0, 5.0], threshold: 0.05, min_size: 1e-2 };
        Case::new(name, kernel, inputs, Tolerance::Close { absolute: 2e-4, relative: 1e-5 })
    };
    vec![
        case("two classes", vec![90], 100, 2, 3.0),
        case("91 classes", vec![7], 9, 91, 3.0),
        case("batch", vec![5, 9], 9, 4, 40.0),
        case("none live", vec![0], 5, 2, 1.0),
    ]
}
