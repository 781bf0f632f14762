//! Non-maximum suppression.

use super::topk::NONE;
use super::{Cost, Info, Io, Op, Operand, Setting, on, settings, value};
use crate::tensor::Value;

/// Greedy NMS in each group (torchvision, `nms_kernel.cpp`): box j falls if an earlier kept box i has
/// `inter / (area_i + area_j − inter) > threshold`; 0/0 never suppresses.
///
/// Inputs: boxes `[…,k,4]`, scores `[…,k]` by falling value with [`NONE`] allowed anywhere, counts `[…]` (nothing from
/// there on). Output: the scores, [`NONE`] where suppressed.
#[derive(Clone, Debug)]
pub struct Nms {
    /// The IoU above which a box falls.
    pub threshold: f32,
    /// Whether corners may be any two that face each other, as ONNX's `NonMaxSuppression` has it: overlaps are of the box between
    /// them. Otherwise a box whose far corner comes first overlaps nothing.
    pub any_corners: bool,
}

impl Op for Nms {
    fn name(&self) -> &'static str {
        "nms"
    }

    fn operands(&self) -> Vec<Operand> {
        operands()
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        infer(inputs)
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
            let mut kept: Vec<[f32; 4]> = Vec::new();
            for i in g * k..g * k + (n as usize).min(k) {
                let b = compared(&boxes[4 * i..], self.any_corners);
                let falls = kept.iter().any(|a| iou(a, &b) > self.threshold);
                if scores[i] > NONE && !falls {
                    kept.push(b);
                    out[i] = scores[i];
                }
            }
        }
        vec![Value::f32(inputs[1].shape, out)]
    }

    fn settings(&self) -> Vec<Setting> {
        settings([("threshold", value(self.threshold)), ("any_corners", on(self.any_corners))])
    }
}

/// Boxes, scores, counts.
pub(super) fn operands() -> Vec<Operand> {
    vec![
        Operand::f32("boxes", 0).of_any_rank(),
        Operand::f32("scores", 0).of_any_rank(),
        Operand::u32("counts", 0).of_any_rank(),
    ]
}

/// Scores, of boxes, scores and counts that fit together.
pub(super) fn infer(inputs: &[Info]) -> Result<Vec<Info>, String> {
    let [boxes, scores, counts] = inputs else {
        return Err(format!("takes boxes, scores and counts, not {inputs:?}"));
    };
    let k = scores.shape.dims().last().copied().unwrap_or(0) as usize;
    if boxes.shape.len() != scores.shape.len() * 4 || counts.shape.len() * k != scores.shape.len() {
        return Err(format!("these do not fit together: {inputs:?}"));
    }
    Ok(vec![*scores])
}

/// The first of `boxes` as it is held against others.
pub(crate) fn compared(boxes: &[f32], any_corners: bool) -> [f32; 4] {
    let b: [f32; 4] = std::array::from_fn(|i| boxes[i]);
    if !any_corners {
        return b;
    }
    let (x, y) = ((b[0].min(b[2]), b[0].max(b[2])), (b[1].min(b[3]), b[1].max(b[3])));
    [x.0, y.0, x.1, y.1]
}

/// IoU in f32, as the selection must agree on which side of the threshold a pair lies.
pub(crate) fn iou(a: &[f32], b: &[f32]) -> f32 {
    let side = |lo: usize, hi: usize| (a[hi].min(b[hi]) - a[lo].max(b[lo])).max(0.0);
    let both = side(0, 2) * side(1, 3);
    let area = |r: &[f32]| (r[2] - r[0]) * (r[3] - r[1]);
    both / (area(a) + area(b) - both)
}
