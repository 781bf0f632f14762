//! Non-maximum suppression.

use super::case::Rng;
use super::topk::NONE;
use super::{Caps, Case, Cost, Info, Io, Kernel, Launch, Params as _, Tolerance, Variant};
use crate::params;
use crate::tensor::{DType, Value};

params! { k: u32, threshold: f32 }

/// Greedy NMS in each group (torchvision, `nms_kernel.cpp`): box j falls if an earlier kept box i has
/// `inter / (area_i + area_j − inter) > threshold`; 0/0 never suppresses.
///
/// Inputs: boxes `[…,k,4]`, scores `[…,k]` by falling value with [`NONE`] allowed anywhere, counts `[…]` (nothing from
/// there on). Output: the scores, [`NONE`] where suppressed.
#[derive(Clone, Debug)]
pub struct Nms {
    /// The IoU above which a box falls.
    pub threshold: f32,
}

impl Kernel for Nms {
    fn name(&self) -> &'static str {
        "nms"
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let [boxes, scores, counts] = inputs else {
            return Err(format!("takes boxes, scores and counts, not {inputs:?}"));
        };
        let k = scores.shape.dims().last().copied().unwrap_or(0) as usize;
        let fits = boxes.shape.len() == scores.shape.len() * 4 && counts.dtype == DType::U32;
        if k == 0 || !fits || counts.shape.len() * k != scores.shape.len() {
            return Err(format!("these do not fit together: {inputs:?}"));
        }
        Ok(vec![*scores])
    }

    fn integers(&self) -> Vec<usize> {
        vec![2]
    }

    fn variants(&self, _: &Io, _: &Caps) -> Vec<Variant> {
        vec![Variant::new("one workgroup", &[])]
    }

    fn launch(&self, io: &Io, _: &Variant) -> Launch {
        let groups = io.inputs[2].shape.len();
        let params = P { k: (io.inputs[1].shape.len() / groups) as u32, threshold: self.threshold };
        Launch { grid: [groups as u32, 1, 1], params: params.bytes() }
    }

    fn cost(&self, io: &Io) -> Cost {
        let groups = io.inputs[2].shape.len() as f64;
        let k = io.inputs[1].shape.len() as f64 / groups;
        // All pairs: what it takes where nothing falls.
        Cost::of(io, 14.0 * groups * k * k / 2.0)
    }

    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let (boxes, scores) = (inputs[0].floats(), inputs[1].floats());
        let k = scores.len() / inputs[2].shape.len();
        let mut out = vec![NONE; scores.len()];
        for (g, &n) in inputs[2].ints().iter().enumerate() {
            let mut kept: Vec<&[f32]> = Vec::new();
            for i in g * k..g * k + (n as usize).min(k) {
                let b = &boxes[4 * i..4 * i + 4];
                let falls = kept.iter().any(|a| iou(a, b) > self.threshold);
                if scores[i] > NONE && !falls {
                    kept.push(b);
                    out[i] = scores[i];
                }
            }
        }
        vec![Value::f32(inputs[1].shape, out)]
    }
}

/// IoU in f32, as the selection must agree on which side of the threshold a pair lies.
fn iou(a: &[f32], b: &[f32]) -> f32 {
    let side = |lo: usize, hi: usize| (a[hi].min(b[hi]) - a[lo].max(b[lo])).max(0.0);
    let both = side(0, 2) * side(1, 3);
    let area = |r: &[f32]| (r[2] - r[0]) * (r[3] - r[1]);
    both / (area(a) + area(b) - both)
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
        Case::new(name, Nms { threshold }, inputs, Tolerance::Exact)
    };
    vec![
        case("rpn", 1000, vec![1000, 1000, 700, 75], 300.0, true, 0.7),
        case("classes", 300, vec![12, 0, 300], 150.0, false, 0.5),
        case("crowded", 500, vec![500], 40.0, false, 0.3),
        case("thousands", 5000, vec![5000, 4100], 900.0, true, 0.5),
        case("points", 100, vec![100], 3.0, false, 0.5),
        case("one", 1, vec![1], 9.0, false, 0.5),
        case("none", 40, vec![0], 9.0, false, 0.5),
        case("threshold 1", 64, vec![64], 30.0, false, 1.0),
    ]
}
