//! Candidates of each class from the box head's outputs.

use crate::rng::Rng;
use super::{Case, Kernel, Launch, Params as _, Tolerance, Variant, fold_grid};
use crate::ops::class_decode::ClassDecode;
use crate::ops::frame::Frame;
use crate::ops::rpn_decode::Coder;
use crate::ops::Io;
use crate::params;
use crate::target::Target;
use crate::tensor::Value;

params! {
    weights: [f32; 4], total: u32, n: u32, classes: u32, threshold: f32, min_size: f32, log_limit: f32, grid_x: u32,
    sets: u32, log_least: f32, short: f32, extent: f32, in_image: u32,
}

impl Kernel for ClassDecode {
    fn variants(&self, _: &Io, _: &Target) -> Vec<Variant> {
        vec![Variant::plain().flag("BEST", self.best)]
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
            log_limit: self.coder.most,
            grid_x: grid[0],
            // Sets of deltas of a RoI: one for all classes, or one for each.
            sets: (io.inputs[1].shape.len() / io.dim(0, 0) / 4) as u32,
            log_least: self.coder.least,
            short: self.short,
            extent: self.coder.extent,
            in_image: self.in_image.into(),
        };
        Launch { grid, params: params.bytes() }
    }
}

/// Two classes, many, batches, one set of deltas for all, none live.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(13);
    let mut with = |(coder, in_image): (Coder, bool), name: &str, live: Vec<u32>, n: usize, (k, sets): (usize, usize), spread: f32| {
        let b = live.len();
        let probabilities = (0..b * n * k).map(|_| rng.uniform(0.0, 0.2)).collect();
        let rois = rng.boxes(b * n, 100.0, 80.0);
        let deltas = (0..b * n * sets * 4).map(|_| rng.uniform(-spread, spread)).collect();
        let frames: Vec<Frame> = (0..b).map(|i| Frame::new((40, 50), (80, 100 - i as u32), 0)).collect();
        let inputs = vec![
            Value::f32([b * n, k], probabilities),
            Value::f32([b * n, 4 * sets], deltas),
            Value::f32([b, n, 4], rois),
            Value::u32([b], live),
            Frame::value(&frames),
        ];
        let weights = [10.0, 10.0, 5.0, 5.0];
        let kernel = ClassDecode { weights, threshold: 0.05, min_size: 1e-2, coder, short: 0.0, best: false, in_image };
        Case::new(name, kernel, inputs, Tolerance::Close { absolute: 2e-4, relative: 1e-5 })
    };
    let mut case = |name: &str, live, n, sets, spread| with((Coder::PLAIN, false), name, live, n, sets, spread);
    let mut cases = vec![
        case("two classes", vec![90], 100, (2, 2), 3.0),
        case("91 classes", vec![7], 9, (91, 91), 3.0),
        case("batch", vec![5, 9], 9, (4, 4), 40.0),
        case("deltas for all classes", vec![5, 9], 9, (4, 1), 3.0),
        case("none live", vec![0], 5, (2, 2), 1.0),
    ];
    cases.push(with((Coder::BOTH, false), "past both limits", vec![40], 40, (3, 3), 45.0));
    let wider = Coder { extent: 1.0, ..Coder::PLAIN };
    cases.push(with((wider, false), "a pixel wide at least", vec![30, 9], 30, (3, 3), 9.0));
    cases.push(with((wider, true), "a pixel of the image wide at least", vec![30, 9], 30, (3, 3), 9.0));
    let mut best = |name: &str, live: Vec<u32>, n: usize, (k, sets): (usize, usize), threshold: f32| {
        let mut case = with((Coder::PLAIN, false), name, live, n, (k, sets), 3.0);
        // Some on the threshold, and equal ones side by side: the first counts, and the background before all.
        let mut probabilities = case.inputs[0].floats().to_vec();
        probabilities.iter_mut().for_each(|p| *p = (*p * 20.0).round() / 20.0);
        case.inputs[0] = Value::f32(case.inputs[0].shape, probabilities);
        let frame = Frame { top: 9, left: 2, ..Frame::new((40, 50), (70, 90), 0) };
        case.inputs[4] = Frame::value(&vec![frame; case.inputs[3].shape.len()]);
        let weights = [10.0, 10.0, 5.0, 5.0];
        let kernel =
            ClassDecode { weights, threshold, min_size: 0.0, coder: Coder::FREE, short: 1.0, best: true, in_image: false };
        Case::new(name, kernel, case.inputs, Tolerance::Close { absolute: 2e-4, relative: 1e-5 })
    };
    cases.extend([
        best("best class", vec![90], 100, (3, 3), 0.15),
        best("best class, batch", vec![5, 9], 9, (91, 91), 0.0),
        best("best class, one set of deltas", vec![9], 9, (5, 1), 0.2),
    ]);
    cases
}
