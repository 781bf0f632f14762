//! What boxes should have been: deltas, labels and masks of the truths that they are matched with.

use super::frame::{FRAME_WORDS, Frame};
use super::live;
use super::matching::FIRST_TRUTH;
use super::{Cost, Info, Io, Op, Operand, Setting, settings, value};
use crate::tensor::Value;

/// The deltas that would turn boxes into their truths (torchvision, `_utils.py`: `encode_boxes`), zeros where there is none.
///
/// Inputs: boxes `[B,k,4]`, their matches `[B,k]` ([`super::matching`]), truths `[B,G,4]`, live `[B]`. Output `[B,k,4]`.
#[derive(Clone, Debug)]
pub struct BoxTargets {
    /// What deltas are multiplied by.
    pub weights: [f32; 4],
}

impl Op for BoxTargets {
    fn name(&self) -> &'static str {
        "box_targets"
    }

    fn operands(&self) -> Vec<Operand> {
        vec![Operand::f32("boxes", 3), Operand::u32("matches", 2), Operand::f32("truths", 3), Operand::LIVE]
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let (boxes, truths) = (inputs[0].shape, inputs[2].shape);
        let fits = boxes.dim(2) == 4 && truths.dim(2) == 4 && truths.dim(0) == boxes.dim(0);
        if !fits || inputs[1].shape.dims() != &boxes.dims()[..2] {
            return Err(format!("takes boxes [B,k,4], matches [B,k] and truths [B,G,4], not {inputs:?}"));
        }
        live::check(&inputs[3], boxes.dim(0) * boxes.dim(1), "boxes")?;
        Ok(vec![inputs[0]])
    }

    fn cost(&self, io: &Io) -> Cost {
        Cost::of(io, 20.0 * io.inputs[1].shape.len() as f64)
    }

    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let (k, g) = (inputs[0].shape.dim(1), inputs[2].shape.dim(1));
        let mut out = vec![f32::NAN; inputs[0].shape.len()];
        for (i, to) in out.chunks_mut(4).enumerate() {
            if !live::counts(Some(inputs[3].ints()), inputs[1].shape.len(), i) {
                continue;
            }
            to.fill(0.0);
            let Some(truth) = inputs[1].ints()[i].checked_sub(FIRST_TRUTH) else { continue };
            let at =
                |v: &Value, row: usize| -> [f64; 4] { std::array::from_fn(|c| f64::from(v.floats()[4 * row + c])) };
            let (from, true_box) = (at(&inputs[0], i), at(&inputs[2], i / k * g + truth as usize));
            for axis in 0..2 {
                let side = |b: [f64; 4]| b[axis + 2] - b[axis];
                let centre = |b: [f64; 4]| (b[axis] + b[axis + 2]) / 2.0;
                let weight = |c: usize| f64::from(self.weights[c]);
                to[axis] = (weight(axis) * (centre(true_box) - centre(from)) / side(from)) as f32;
                to[axis + 2] = (weight(axis + 2) * (side(true_box) / side(from)).ln()) as f32;
            }
        }
        vec![Value::f32(inputs[0].shape, out)]
    }

    fn settings(&self) -> Vec<Setting> {
        settings([("weights", value(self.weights.map(|w| w.to_string()).join(",")))])
    }
}

/// The labels of boxes: that of the truth, or 0, the background; and whether they are on a truth at all, 1 or 0.
///
/// Inputs: matches `[B,k]` ([`super::matching`]), the truths' labels `[B,G]`, live `[B]`. Outputs: labels `[B,k]`, objectness
/// `[B,k]` as floats.
#[derive(Clone, Debug)]
pub struct LabelTargets;

impl Op for LabelTargets {
    fn name(&self) -> &'static str {
        "label_targets"
    }

    fn operands(&self) -> Vec<Operand> {
        vec![Operand::u32("matches", 2), Operand::u32("labels", 2), Operand::LIVE]
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let (m, labels) = (inputs[0].shape, inputs[1].shape);
        if m.dim(0) != labels.dim(0) {
            return Err(format!("takes matches [B,k] and labels [B,G], not {inputs:?}"));
        }
        live::check(&inputs[2], m.len(), "matches")?;
        Ok(vec![inputs[0], Info::f32(m)])
    }

    fn cost(&self, io: &Io) -> Cost {
        Cost::of(io, 0.0)
    }

    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let (m, g) = (inputs[0].shape, inputs[1].shape.dim(1));
        let (mut labels, mut objectness) = (vec![u32::MAX; m.len()], vec![f32::NAN; m.len()]);
        for (i, &to) in inputs[0].ints().iter().enumerate() {
            if live::counts(Some(inputs[2].ints()), m.len(), i) {
                let truth = to.checked_sub(FIRST_TRUTH).map(|t| i / m.dim(1) * g + t as usize);
                labels[i] = truth.map_or(0, |t| inputs[1].ints()[t]);
                objectness[i] = f32::from(u8::from(truth.is_some()));
            }
        }
        vec![Value::u32(m, labels), Value::f32(m, objectness)]
    }
}

/// Words of a truth's mask's place: the rectangle's x, y, width and height in the image, its first word, and 0.
pub const PLACE_WORDS: usize = 6;

/// The truths' masks as RoIs should have them (torchvision, `roi_heads.py`: `project_masks_on_boxes`): RoIAlign of the mask,
/// brought to the network's size by nearest neighbour, with as many samples a bin as it has pixels. The mean of 0 and 1 stays
/// what it is: no threshold follows.
///
/// Inputs: places `[B,G,6]` and bits `[words]` (each row of a mask's rectangle from a whole word on, the leftmost pixel
/// lowest; nothing outside the rectangle), RoIs `[B,k,4]` in resized pixels, their matches `[B,k]`, live `[B]`, frames. Output
/// `[B,k,side²]`, zeros where a RoI is on no truth.
#[derive(Clone, Debug)]
pub struct MaskTargets {
    /// Pixels along each side.
    pub side: usize,
}

impl Op for MaskTargets {
    fn name(&self) -> &'static str {
        "mask_targets"
    }

    fn operands(&self) -> Vec<Operand> {
        vec![
            Operand::u32("places", 3),
            Operand::u32("bits", 1),
            Operand::f32("rois", 3),
            Operand::u32("matches", 2),
            Operand::LIVE,
            Operand::FRAMES,
        ]
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let (places, rois) = (inputs[0].shape, inputs[2].shape);
        let fits = places.dim(2) == PLACE_WORDS && rois.dim(2) == 4 && places.dim(0) == rois.dim(0);
        let framed = inputs[5].shape.len() == rois.dim(0) * FRAME_WORDS;
        if !fits || !framed || self.side == 0 || inputs[3].shape.dims() != &rois.dims()[..2] {
            return Err(format!("these do not fit together: {inputs:?}"));
        }
        live::check(&inputs[4], rois.dim(0) * rois.dim(1), "RoIs")?;
        Ok(vec![Info::f32([rois.dim(0), rois.dim(1), self.side * self.side])])
    }

    fn cost(&self, io: &Io) -> Cost {
        Cost::of(io, 40.0 * io.outputs[0].shape.len() as f64)
    }

    /// Of the whole resized mask, by the weights of rows and of columns apart.
    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let (k, g, side) = (inputs[2].shape.dim(1), inputs[0].shape.dim(1), self.side);
        let rows = inputs[3].shape.len();
        let mut out = vec![f32::NAN; rows * side * side];
        for (i, out) in out.chunks_mut(side * side).enumerate() {
            if !live::counts(Some(inputs[4].ints()), rows, i) {
                continue;
            }
            out.fill(0.0);
            let Some(truth) = inputs[3].ints()[i].checked_sub(FIRST_TRUTH) else { continue };
            let frame = Frame::of(&inputs[5], i / k);
            let place = &inputs[0].ints()[(i / k * g + truth as usize) * PLACE_WORDS..][..PLACE_WORDS];
            let mask = resized(place, inputs[1].ints(), &frame);
            let roi = &inputs[2].floats()[4 * i..4 * i + 4];
            let [h, w] = [frame.out_h as usize, frame.out_w as usize];
            let (ys, xs) = (weights(roi[1], roi[3], h, side), weights(roi[0], roi[2], w, side));
            for (to, (y, x)) in out.iter_mut().zip(ys.iter().flat_map(|y| xs.iter().map(move |x| (y, x)))) {
                let row = |&(r, wr): &(usize, f64)| {
                    x.iter().map(|&(c, wc)| if mask[r * w + c] { wr * wc } else { 0.0 }).sum::<f64>()
                };
                *to = y.iter().map(row).sum::<f64>() as f32;
            }
        }
        vec![Value::f32([inputs[2].shape.dim(0), k, side * side], out)]
    }

    fn settings(&self) -> Vec<Setting> {
        settings([("side", value(self.side))])
    }
}

/// For the twin: the mask in the resized image, row by row.
fn resized(place: &[u32], bits: &[u32], frame: &Frame) -> Vec<bool> {
    let from =
        |d: u32, input: u32, output: u32| ((d as f32 * (input as f32 / output as f32)).floor() as u32).min(input - 1);
    let pixel = |y: u32, x: u32| {
        let (y, x) = (from(y, frame.in_h, frame.out_h), from(x, frame.in_w, frame.out_w));
        let (Some(r), Some(c)) = (y.checked_sub(place[1]), x.checked_sub(place[0])) else { return false };
        let words_a_row = place[2].div_ceil(32);
        r < place[3] && c < place[2] && bits[(place[4] + r * words_a_row + c / 32) as usize] >> (c % 32) & 1 == 1
    };
    (0..frame.out_h).flat_map(|y| (0..frame.out_w).map(move |x| (y, x))).map(|(y, x)| pixel(y, x)).collect()
}

/// For the twin: of each bin along one axis, the pixels that it is made of, with their weights. Coordinates are f32 as in the
/// shader, for a sample may lie on the border of the rule "outside is zero".
fn weights(from: f32, to: f32, extent: usize, bins: usize) -> Vec<Vec<(usize, f64)>> {
    let bin = (to - from).max(1.0) / bins as f32;
    let samples = bin.ceil() as usize;
    let of_bin = |q: usize| {
        let mut sums = vec![0.0; extent];
        for s in 0..samples {
            let at = from + q as f32 * bin + (s as f32 + 0.5) * bin / samples as f32;
            if at >= -1.0 && at <= extent as f32 {
                let at = f64::from(at.clamp(0.0, (extent - 1) as f32));
                let low = at.floor() as usize;
                sums[low] += (1.0 - at.fract()) / samples as f64;
                sums[(low + 1).min(extent - 1)] += at.fract() / samples as f64;
            }
        }
        sums.into_iter().enumerate().filter(|s| s.1 > 0.0).collect()
    };
    (0..bins).map(of_bin).collect()
}
