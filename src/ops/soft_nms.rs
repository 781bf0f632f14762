//! Soft non-maximum suppression.

use super::nms::{self, iou};
use super::topk::NONE;
use super::{Cost, Info, Io, Op, Operand, Setting, on, settings, value};
use crate::tensor::Value;

/// How a box's score falls beside a better one that it overlaps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Decay {
    /// Above this IoU, by `1 − IoU`.
    Linear(f32),
    /// By `exp(−IoU² / σ)`, whatever the IoU: this is σ.
    Gaussian(f32),
}

/// Soft-NMS in each group (Bodla et al., arXiv:1704.04503): the best box is taken, the others' scores fall by how much they
/// overlap it, and so on, until none scores more than `least`. Of boxes that score the same, the first is taken.
///
/// Inputs: boxes `[…,k,4]`, scores `[…,k]` above 0, or [`NONE`], counts `[…]` (nothing from there on). Output: the score that
/// each had when it was taken, [`NONE`] for those that were not.
#[derive(Clone, Debug)]
pub struct SoftNms {
    /// How scores fall.
    pub decay: Decay,
    /// Boxes that come to score so little are dropped; at least 0.
    pub least: f32,
}

impl Op for SoftNms {
    fn name(&self) -> &'static str {
        "soft_nms"
    }

    fn operands(&self) -> Vec<Operand> {
        nms::operands()
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        if self.least < 0.0 {
            return Err(format!("takes scores above 0, not above {}", self.least));
        }
        nms::infer(inputs)
    }

    /// All pairs: what it takes where no score falls below the least.
    fn cost(&self, io: &Io) -> Cost {
        let groups = io.inputs[2].shape.len() as f64;
        let k = io.inputs[1].shape.len() as f64 / groups;
        Cost::of(io, 18.0 * groups * k * k / 2.0)
    }

    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let (boxes, scores) = (inputs[0].floats(), inputs[1].floats());
        let k = scores.len() / inputs[2].shape.len();
        let mut out = vec![NONE; scores.len()];
        for (g, &n) in inputs[2].ints().iter().enumerate() {
            let there = (g * k..g * k + (n as usize).min(k)).filter(|&i| scores[i] > NONE);
            let mut left: Vec<(usize, f64)> = there.map(|i| (i, f64::from(scores[i]))).collect();
            // `max_by` gives the last of equals.
            while let Some(at) = (0..left.len()).rev().max_by(|&a, &b| left[a].1.total_cmp(&left[b].1)) {
                let (best, score) = left.remove(at);
                if score <= f64::from(self.least) {
                    break;
                }
                out[best] = score as f32;
                for (i, score) in &mut left {
                    let iou = iou(&boxes[4 * best..4 * best + 4], &boxes[4 * *i..4 * *i + 4]);
                    *score *= match self.decay {
                        Decay::Linear(threshold) if iou > threshold => 1.0 - f64::from(iou),
                        // Two boxes without area have no IoU, and leave each other alone.
                        Decay::Gaussian(sigma) if !iou.is_nan() => (-f64::from(iou).powi(2) / f64::from(sigma)).exp(),
                        _ => 1.0,
                    };
                }
            }
        }
        vec![Value::f32(inputs[1].shape, out)]
    }

    fn settings(&self) -> Vec<Setting> {
        let (linear, by) = match self.decay {
            Decay::Linear(threshold) => (true, threshold),
            Decay::Gaussian(sigma) => (false, sigma),
        };
        settings([("linear", on(linear)), ("by", value(by)), ("least", value(self.least))])
    }
}
