//! Soft non-maximum suppression.

use super::{Case, Kernel, Launch, Params as _, Tolerance, Variant};
use crate::ops::Io;
use crate::ops::soft_nms::{Decay, SoftNms};
use crate::ops::topk::NONE;
use crate::params;
use crate::rng::Rng;
use crate::target::Target;
use crate::tensor::Value;

params! { k: u32, by: f32, least: f32 }

impl Kernel for SoftNms {
    fn variants(&self, _: &Io, _: &Target) -> Vec<Variant> {
        vec![Variant::own("one workgroup", &[]).flag("LINEAR", matches!(self.decay, Decay::Linear(_)))]
    }

    fn launch(&self, io: &Io, _: &Variant) -> Launch {
        let groups = io.inputs[2].shape.len();
        let (Decay::Linear(by) | Decay::Gaussian(by)) = self.decay;
        let params = P { k: (io.inputs[1].shape.len() / groups) as u32, by, least: self.least };
        Launch { grid: [groups as u32, 1, 1], params: params.bytes() }
    }
}

/// Both decays: the network's groups, a full house, empty ones, equal boxes and scores, boxes without area.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(15);
    let mut case = |name: &str, k: usize, counts: Vec<u32>, side: f32, holes: bool, decay: Decay| {
        let groups = counts.len();
        let boxes = rng.boxes(groups * k, side, side).into_iter().map(f32::round).collect();
        let mut scores: Vec<f32> = (0..groups * k).map(|_| rng.uniform(0.01, 1.0)).collect();
        scores.chunks_mut(k).for_each(|group| group.sort_by(|a, b| b.total_cmp(a)));
        if holes {
            scores.iter_mut().for_each(|s| *s = if rng.below(4) == 0 { NONE } else { *s });
        }
        let inputs =
            vec![Value::f32([groups, k, 4], boxes), Value::f32([groups, k], scores), Value::u32([groups], counts)];
        Case::new(name, SoftNms { decay, least: 0.05 }, inputs, Tolerance::Close { absolute: 1e-6, relative: 2e-5 })
    };
    let (linear, gaussian) = (Decay::Linear(0.3), Decay::Gaussian(0.5));
    let mut out = vec![
        case("classes, linear", 300, vec![12, 0, 300], 150.0, false, linear),
        case("classes, gaussian", 300, vec![12, 0, 300], 150.0, false, gaussian),
        case("crowded, linear", 500, vec![500, 70], 60.0, true, linear),
        case("crowded, gaussian", 500, vec![500, 70], 60.0, true, gaussian),
        case("points, linear", 100, vec![100], 3.0, false, linear),
        case("points, gaussian", 100, vec![100], 3.0, false, gaussian),
        case("one", 1, vec![1], 9.0, false, gaussian),
        case("none", 40, vec![0], 9.0, false, linear),
    ];
    // Of equal boxes the first is taken as it is, the next falls to 0 or by exp(-2).
    for (name, decay) in [("equals, linear", linear), ("equals, gaussian", gaussian)] {
        let boxes = [2.0, 3.0, 9.0, 8.0].repeat(5);
        let inputs = vec![Value::f32([1, 5, 4], boxes), Value::f32([1, 5], vec![0.75; 5]), Value::u32([1], vec![5])];
        let kernel = SoftNms { decay, least: 0.05 };
        out.push(Case::new(name, kernel, inputs, Tolerance::Close { absolute: 1e-6, relative: 2e-5 }));
    }
    out
}
