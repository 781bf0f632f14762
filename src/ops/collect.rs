//! Gathering what a selection chose.

use super::{Cost, Info, Io, Op, Operand};
use crate::tensor::Value;

/// Boxes of the chosen candidates, and the group that each came from.
///
/// Inputs: indices `[B,…]` among an image's candidates, boxes `[B,G,n,4]`. Outputs: boxes `[B,k,4]`, labels `[B,k]`:
/// 1 + the group, which for class groups is the class, background being 0.
#[derive(Clone, Debug)]
pub struct Collect;

impl Op for Collect {
    fn name(&self) -> &'static str {
        "collect"
    }

    fn operands(&self) -> Vec<Operand> {
        vec![Operand::u32("indices", 0).of_any_rank(), Operand::f32("boxes", 4)]
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let [indices, boxes] = inputs else { return Err(format!("takes indices and boxes, not {inputs:?}")) };
        let (i, b) = (indices.shape, boxes.shape);
        if i.rank() == 0 || b.dim(3) != 4 || i.dim(0) != b.dim(0) {
            return Err(format!("takes indices [B,k] and boxes [B,G,n,4], not {inputs:?}"));
        }
        let k = i.len() / i.dim(0);
        Ok(vec![Info::f32([i.dim(0), k, 4]), Info::u32([i.dim(0), k])])
    }

    fn cost(&self, io: &Io) -> Cost {
        Cost::of(io, 0.0)
    }

    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let b = inputs[1].shape;
        let per_image = b.dim(1) * b.dim(2);
        let k = inputs[0].shape.len() / b.dim(0);
        let rows: Vec<&[f32]> = inputs[1].floats().chunks(4).collect();
        let (mut boxes, mut labels) = (Vec::new(), Vec::new());
        for (image, chosen) in inputs[0].ints().chunks(k).enumerate() {
            for &index in chosen {
                boxes.extend(rows[image * per_image + index as usize]);
                labels.push(index / b.dim(2) as u32 + 1);
            }
        }
        vec![Value::f32([b.dim(0), k, 4], boxes), Value::u32([b.dim(0), k], labels)]
    }
}
