//! Non-maximum suppression.

use crate::rng::Rng;
use super::{Case, Kernel, Launch, Params as _, Tolerance, Variant};
use crate::ops::nms::Nms;
use crate::ops::topk::NONE;
use crate::ops::Io;
use crate::params;
use crate::target::Target;
use crate::tensor::Value;

params! { k: u32, threshold: f32, any_corners: u32 }

impl Kernel for Nms {
    fn variants(&self, _: &Io, _: &Target) -> Vec<Variant> {
        vec![Variant::own("one workgroup", &[])]
    }

    fn launch(&self, io: &Io, _: &Variant) -> Launch {
        let groups = io.inputs[2].shape.len();
        let k = (io.inputs[1].shape.len() / groups) as u32;
        let params = P { k, threshold: self.threshold, any_corners: self.any_corners.into() };
        Launch { grid: [groups as u32, 1, 1], params: params.bytes() }
    }
}

/// The network's groups, a full house, empty ones, equal boxes, boxes without area.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(10);
    let mut case = |name: &str, k: usize, counts: Vec<u32>, side: f32, holes: bool, threshold: f32| {
        let groups = counts.len();
        let mut boxes = rng.boxes(groups * k, side, side);
        // Whole coordinates: products and sums are exact then, so that only a division can differ between devices.
        for v in &mut boxes {
            *v = v.round();
        }
        let mut scores = Vec::new();
        for _ in 0..groups {
            let mut s: Vec<f32> = (0..k).map(|_| rng.uniform(-9.0, 9.0)).collect();
            s.sort_by(|a, b| b.total_cmp(a));
            scores.extend(s);
        }
        if holes {
            scores.iter_mut().for_each(|s| *s = if rng.below(4) == 0 { NONE } else { *s });
        }
        let inputs =
            vec![Value::f32([groups, k, 4], boxes), Value::f32([groups, k], scores), Value::u32([groups], counts)];
        Case::new(name, Nms { threshold, any_corners: false }, inputs, Tolerance::Exact)
    };
    let mut all = vec![
        case("rpn", 1000, vec![1000, 1000, 700, 75], 300.0, true, 0.7),
        case("classes", 300, vec![12, 0, 300], 150.0, false, 0.5),
        case("crowded", 500, vec![500], 40.0, false, 0.3),
        case("thousands", 5000, vec![5000, 4100], 900.0, true, 0.5),
        case("points", 100, vec![100], 3.0, false, 0.5),
        case("one", 1, vec![1], 9.0, false, 0.5),
        case("none", 40, vec![0], 9.0, false, 0.5),
        case("threshold 1", 64, vec![64], 30.0, false, 1.0),
    ];
    // Every third box has its corners the other way along one axis, every fifth along the other.
    let mut turned = case("turned", 300, vec![300, 40], 60.0, true, 0.3).inputs;
    let mut boxes = turned[0].floats().to_vec();
    for (i, b) in boxes.chunks_mut(4).enumerate() {
        if i % 3 == 0 {
            b.swap(0, 2);
        }
        if i % 5 == 0 {
            b.swap(1, 3);
        }
    }
    turned[0] = Value::f32([2, 300, 4], boxes);
    for (name, any_corners) in [("turned", false), ("turned, any corners", true)] {
        all.push(Case::new(name, Nms { threshold: 0.3, any_corners }, turned.clone(), Tolerance::Exact));
    }
    all
}
