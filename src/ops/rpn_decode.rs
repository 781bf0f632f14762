//! Chosen anchors and their deltas to proposals.

use super::frame::{FRAME_WORDS, Frame};
use super::topk::NONE;
use super::{Cost, Info, Io, Op, Operand, Setting, settings, unless, value};
use crate::tensor::Value;

/// ln(1000 / 16): the largest log enlargement that the box coder allows (torchvision, `_utils.py`).
pub const LOG_LIMIT: f32 = 4.135_166_6;

/// What projects' box coders differ in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Coder {
    /// The smallest logarithm by which a side may shrink.
    pub least: f32,
    /// The largest by which it may grow.
    pub most: f32,
    /// How much more than the difference of its corners a side is. Boxes come and go as wide as their corners are apart, so
    /// that this is seen where they are cut at the image's border alone: the far corners lie at least this far in it, the near
    /// ones no further than this before its end.
    pub extent: f32,
}

impl Coder {
    /// torchvision's and detectron2's: a side may shrink to nothing.
    pub const PLAIN: Self = Self { least: f32::MIN, most: LOG_LIMIT, extent: 0.0 };
    /// MMDetection's: it shrinks no further than it grows.
    pub const BOTH: Self = Self { least: -LOG_LIMIT, ..Self::PLAIN };
    /// matterport's: there is no limit.
    pub const FREE: Self = Self { most: f32::MAX, ..Self::PLAIN };

    /// What tells one from another.
    pub(super) fn settings(self) -> [(&'static str, Option<String>); 2] {
        let Self { least, most, extent } = self;
        let limits = Self { extent: 0.0, ..self } != Self::PLAIN;
        [("coder", limits.then(|| format!("{least},{most}"))), ("extent", unless(0.0, extent))]
    }

    /// A box between two corners, for the twins: sides are at least `extents`.
    pub(super) fn clip(box_: [f64; 4], (low, high): ([f64; 2], [f64; 2]), extents: [f64; 2]) -> [f64; 4] {
        let [x, y] = [0, 1].map(|axis| {
            let (start, end, extent) = (low[axis], high[axis], extents[axis]);
            [box_[axis].max(start).min(end - extent), box_[axis + 2].max(start + extent).min(end)]
        });
        [x[0], y[0], x[1], y[1]]
    }

    /// Decodes in f64: what the twins of both decoders use.
    pub(super) fn decode(self, from: [f64; 4], d: [f64; 4]) -> [f64; 4] {
        let (w, h) = (from[2] - from[0], from[3] - from[1]);
        let (cx, cy) = (from[0] + w / 2.0 + d[0] * w, from[1] + h / 2.0 + d[1] * h);
        let most = if self.most == LOG_LIMIT { (1000.0f64 / 16.0).ln() } else { self.most.into() };
        let grown = |side: f64, by: f64| side * by.clamp(self.least.into(), most).exp();
        let (w, h) = (grown(w, d[2]), grown(h, d[3]));
        [cx - w / 2.0, cy - h / 2.0, cx + w / 2.0, cy + h / 2.0]
    }
}

/// Anchors, box decoding, clipping, and the smallest side.
///
/// Inputs: values and indices `[B,S,k]` as [`super::topk::TopK`] gives them, deltas `[B,anchors,4]`, levels
/// `[L, 4 + 4A]` (first anchor, width of the map, stride x, stride y, A cell anchors), frames. Outputs: boxes
/// `[B,S,k,4]` in resized pixels; scores `[B,S,k]`, [`NONE`] where a side is too small. There is a segment for each level, or
/// one for all, whose indices count from the first level's first anchor.
#[derive(Clone, Debug)]
pub struct RpnDecode {
    /// Smallest side that is kept, in resized pixels.
    pub min_size: f32,
    /// Smallest logit that is kept.
    pub min_logit: f32,
    /// How deltas are read.
    pub coder: Coder,
    /// Where boxes end, right and below, if not at the image's border: proposals may then begin at 0.
    pub far: Option<[f32; 2]>,
}

impl Op for RpnDecode {
    fn name(&self) -> &'static str {
        "rpn_decode"
    }

    fn operands(&self) -> Vec<Operand> {
        vec![
            Operand::f32("values", 3),
            Operand::u32("indices", 3),
            Operand::f32("deltas", 3),
            Operand::f32("levels", 2),
            Operand::FRAMES,
        ]
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let [values, indices, deltas, levels, frames] = inputs else {
            return Err(format!("takes values, indices, deltas, levels and frames, not {inputs:?}"));
        };
        let v = values.shape;
        let ok = indices.shape == v
            && deltas.shape.dim(2) == 4
            && deltas.shape.dim(0) == v.dim(0)
            && (levels.shape.dim(0) == v.dim(1) || v.dim(1) == 1)
            && levels.shape.dim(1) >= 8
            && levels.shape.dim(1).is_multiple_of(4)
            && frames.shape.len() == v.dim(0) * FRAME_WORDS;
        if !ok {
            return Err(format!("these do not fit together: {inputs:?}"));
        }
        Ok(vec![Info::f32([v.dim(0), v.dim(1), v.dim(2), 4]), *values])
    }

    fn cost(&self, io: &Io) -> Cost {
        Cost::of(io, 30.0 * io.inputs[0].shape.len() as f64)
    }

    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let v = inputs[0].shape;
        let (s, k, anchors) = (v.dim(1), v.dim(2), inputs[2].shape.dim(1));
        let width = inputs[3].shape.dim(1);
        let (mut boxes, mut scores) = (Vec::new(), Vec::new());
        for (i, (&score, &index)) in inputs[0].floats().iter().zip(inputs[1].ints()).enumerate() {
            let b = i / (s * k);
            let mut rows = inputs[3].floats().chunks(width);
            let (level, index) = match inputs[3].shape.dim(0) > s {
                true => {
                    let level = rows.rfind(|row| row[0] as u32 <= index).unwrap_or_default();
                    (level, index - level[0] as u32)
                }
                false => (rows.nth(i / k % s).unwrap_or_default(), index),
            };
            let cells: Vec<&[f32]> = level[4..].chunks(4).collect();
            let (place, cell) = (index as usize / cells.len(), cells[index as usize % cells.len()]);
            let (column, row) = (place % level[1] as usize, place / level[1] as usize);
            let shift = [column as f64 * level[2] as f64, row as f64 * level[3] as f64];
            let anchor = std::array::from_fn(|c| cell[c] as f64 + shift[c % 2]);
            let at = (b * anchors + level[0] as usize + index as usize) * 4;
            let d = std::array::from_fn(|c| inputs[2].floats()[at + c] as f64);
            let f = Frame::of(&inputs[4], b);
            let box_ = self.coder.decode(anchor, d);
            let low = [f.left, f.top].map(f64::from);
            let high = [f.left + f.out_w, f.top + f.out_h].map(f64::from);
            let ends = self.far.map_or((low, high), |far| ([0.0; 2], far.map(f64::from)));
            let clipped = Coder::clip(box_, ends, [self.coder.extent.into(); 2]).map(|v| v as f32);
            let large = clipped[2] - clipped[0] >= self.min_size && clipped[3] - clipped[1] >= self.min_size;
            boxes.extend(clipped);
            scores.push(if large && score >= self.min_logit { score } else { NONE });
        }
        vec![Value::f32([v.dim(0), s, k, 4], boxes), Value::f32(v, scores)]
    }

    fn settings(&self) -> Vec<Setting> {
        let own = [
            ("min_size", value(self.min_size)),
            ("min_logit", value(self.min_logit)),
            ("far", self.far.map(|far| format!("{},{}", far[0], far[1]))),
        ];
        settings(own.into_iter().chain(self.coder.settings()))
    }
}
