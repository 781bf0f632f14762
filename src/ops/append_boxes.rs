//! Boxes after other boxes.

use super::{Cost, Info, Io, Op, Operand};
use crate::tensor::Value;

/// The boxes of each image that are there, and right after them further ones: proposals, and the truths among them, as
/// torchvision trains on both (`roi_heads.py`: `add_gt_proposals`).
///
/// Inputs: boxes `[B,n,4]` and how many of them count `[B]`, further boxes `[B,m,4]` and how many of those count `[B]`.
/// Outputs: `[B,n + m,4]`, and how many of them count `[B,1]`.
#[derive(Clone, Debug)]
pub struct AppendBoxes;

impl Op for AppendBoxes {
    fn name(&self) -> &'static str {
        "append_boxes"
    }

    fn operands(&self) -> Vec<Operand> {
        let more_live = Operand { name: "live of more", ..Operand::LIVE };
        vec![Operand::f32("boxes", 3), Operand::LIVE, Operand::f32("more", 3), more_live]
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let (x, more) = (inputs[0].shape, inputs[2].shape);
        let counted = |i: usize| inputs[i].shape.len() == x.dim(0);
        if x.dim(2) != 4 || more.dim(2) != 4 || x.dim(0) != more.dim(0) || !counted(1) || !counted(3) {
            return Err(format!("takes boxes [B,n,4], [B], further ones [B,m,4] and [B], not {inputs:?}"));
        }
        Ok(vec![Info::f32([x.dim(0), x.dim(1) + more.dim(1), 4]), Info::u32([x.dim(0), 1])])
    }

    fn cost(&self, io: &Io) -> Cost {
        Cost::of(io, 0.0)
    }

    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let b = inputs[0].shape.dim(0);
        let there = |i: usize, image: usize| {
            let all = inputs[i].floats();
            all[image * (all.len() / b)..].iter().take(4 * inputs[i + 1].ints()[image] as usize)
        };
        let room = 4 * (inputs[0].shape.dim(1) + inputs[2].shape.dim(1));
        let (mut out, mut counts) = (Vec::new(), Vec::new());
        for image in 0..b {
            let mut boxes: Vec<f32> = there(0, image).chain(there(2, image)).copied().collect();
            counts.push(boxes.len() as u32 / 4);
            boxes.resize(room, f32::NAN);
            out.extend(boxes);
        }
        vec![Value::f32([b, room / 4, 4], out), Value::u32([b, 1], counts)]
    }
}
