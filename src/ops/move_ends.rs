//! Boxes as others write them down.

use super::frame::{FRAME_WORDS, Frame};
use super::{Cost, Info, Io, Op, Operand, Setting, on, settings, value};
use crate::tensor::Value;

/// Boxes with their far corners moved: where the last pixel belongs to a box, its corner lies a pixel before the end.
///
/// Inputs: boxes `[B,…,4]`, frames. Output: boxes.
#[derive(Clone, Debug)]
pub struct MoveEnds {
    /// By so many pixels along both axes.
    pub by: f32,
    /// Whether these are pixels of the image before its resize.
    pub in_image: bool,
}

impl Op for MoveEnds {
    fn name(&self) -> &'static str {
        "move_ends"
    }

    fn operands(&self) -> Vec<Operand> {
        vec![Operand::f32("boxes", 0).of_any_rank(), Operand::FRAMES]
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let (boxes, frames) = (inputs[0].shape, inputs[1].shape);
        let fits = boxes.rank() >= 3 && boxes.dim(boxes.rank() - 1) == 4;
        if !fits || frames.len() != boxes.dim(0) * FRAME_WORDS {
            return Err(format!("takes boxes [B,…,4] and frames, not {inputs:?}"));
        }
        Ok(vec![inputs[0]])
    }

    fn cost(&self, io: &Io) -> Cost {
        Cost::of(io, 0.5 * io.inputs[0].shape.len() as f64)
    }

    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let shape = inputs[0].shape;
        let mut out = Vec::with_capacity(shape.len());
        for (image, boxes) in inputs[0].floats().chunks(shape.len() / shape.dim(0)).enumerate() {
            let f = Frame::of(&inputs[1], image);
            let (x, y) = if self.in_image { (self.by / f.back_x, self.by / f.back_y) } else { (self.by, self.by) };
            out.extend(boxes.chunks(4).flat_map(|b| [b[0], b[1], b[2] + x, b[3] + y]));
        }
        vec![Value::f32(shape, out)]
    }

    fn settings(&self) -> Vec<Setting> {
        settings([("by", value(self.by)), ("in_image", on(self.in_image))])
    }
}
