//! Candidates of each class from the box head's outputs.

use super::frame::{FRAME_WORDS, Frame};
use super::rpn_decode::Coder;
use super::topk::NONE;
use super::{Cost, Info, Io, Op, Operand, Setting, on, settings, unless, value};
use crate::tensor::Value;

/// Box decoding for every class, the score threshold and the smallest side (torchvision, `roi_heads.py`).
///
/// Inputs: probabilities `[B·n,K]`, deltas `[B·n,4K]` (class-major) or `[B·n,4]` for all classes, rois `[B,n,4]`, live `[B]`, frames. Outputs:
/// boxes `[B,K−1,n,4]`, scores `[B,K−1,n]`, [`NONE`] where there is no candidate.
#[derive(Clone, Debug)]
pub struct ClassDecode {
    /// What deltas are divided by.
    pub weights: [f32; 4],
    /// Scores must exceed this.
    pub threshold: f32,
    /// Smallest side, in resized pixels.
    pub min_size: f32,
    /// How deltas are read. RoIs are between their corners, and what comes out is as wide as its corners are apart.
    pub coder: Coder,
    /// How far before the image's border, right and below, boxes end.
    pub short: f32,
    /// A RoI is a candidate of its best class alone, of equal ones the first, if the score reaches the threshold.
    pub best: bool,
    /// Whether the coder's extent counts pixels of the image before its resize.
    pub in_image: bool,
}

impl Op for ClassDecode {
    fn name(&self) -> &'static str {
        "class_decode"
    }

    fn operands(&self) -> Vec<Operand> {
        vec![
            Operand::f32("probabilities", 2),
            Operand::f32("deltas", 0).of_any_rank(),
            Operand::f32("rois", 3),
            Operand::LIVE,
            Operand::FRAMES,
        ]
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let [probabilities, deltas, rois, live, frames] = inputs else {
            return Err(format!("takes probabilities, deltas, rois, live counts and frames, not {inputs:?}"));
        };
        let (p, r) = (probabilities.shape, rois.shape);
        let ok = p.dim(0) == r.dim(0) * r.dim(1)
            && p.dim(1) >= 2
            && [p.len() * 4, p.dim(0) * 4].contains(&deltas.shape.len())
            && live.shape.len() == r.dim(0)
            && frames.shape.len() == r.dim(0) * FRAME_WORDS;
        if !ok {
            return Err(format!("these do not fit together: {inputs:?}"));
        }
        let (b, k, n) = (r.dim(0), p.dim(1) - 1, r.dim(1));
        Ok(vec![Info::f32([b, k, n, 4]), Info::f32([b, k, n])])
    }

    fn cost(&self, io: &Io) -> Cost {
        Cost::of(io, 30.0 * io.outputs[1].shape.len() as f64)
    }

    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let (b, n, k) = (inputs[2].shape.dim(0), inputs[2].shape.dim(1), inputs[0].shape.dim(1));
        let shared = inputs[1].shape.len() == b * n * 4;
        let mut boxes = vec![0.0; b * (k - 1) * n * 4];
        let mut scores = vec![NONE; b * (k - 1) * n];
        for (row, roi) in inputs[2].floats().chunks(4).enumerate() {
            let (image, r) = (row / n, row % n);
            if r >= inputs[3].ints()[image] as usize {
                continue;
            }
            let f = Frame::of(&inputs[4], image);
            for class in 1..k {
                let by = |back: f32| f64::from(self.coder.extent) / if self.in_image { f64::from(back) } else { 1.0 };
                let extents = [by(f.back_x), by(f.back_y)];
                let from = std::array::from_fn(|c| roi[c] as f64 + if c < 2 { 0.0 } else { extents[c - 2] });
                let d = &inputs[1].floats()[if shared { row } else { row * k + class } * 4..][..4];
                let d = std::array::from_fn(|c| d[c] as f64 / self.weights[c] as f64);
                let decoded = self.coder.decode(from, d);
                let low = [f.left, f.top].map(f64::from);
                let high = [f.left + f.out_w, f.top + f.out_h].map(|end| f64::from(end) - f64::from(self.short));
                let out = Coder::clip(decoded, (low, high), extents).map(|v| v as f32);
                let at = (image * (k - 1) + class - 1) * n + r;
                boxes[at * 4..at * 4 + 4].copy_from_slice(&out);
                let score = inputs[0].floats()[row * k + class];
                let wanted = match self.best {
                    false => score > self.threshold,
                    true => {
                        let all = &inputs[0].floats()[row * k..][..k];
                        let most = all.iter().copied().fold(f32::MIN, f32::max);
                        score >= self.threshold && all.iter().position(|v| *v == most) == Some(class)
                    }
                };
                if wanted && out[2] - out[0] >= self.min_size && out[3] - out[1] >= self.min_size {
                    scores[at] = score;
                }
            }
        }
        vec![Value::f32([b, k - 1, n, 4], boxes), Value::f32([b, k - 1, n], scores)]
    }

    fn settings(&self) -> Vec<Setting> {
        let own = [
            ("weights", value(self.weights.map(|w| w.to_string()).join(","))),
            ("threshold", value(self.threshold)),
            ("min_size", value(self.min_size)),
            ("short", unless(0.0, self.short)),
            ("best", on(self.best)),
            ("in_image", on(self.in_image)),
        ];
        settings(own.into_iter().chain(self.coder.settings()))
    }
}
