//! Boxes of each group in a sorted order.

use super::{Cost, Info, Io, Op, Operand};
use crate::tensor::Value;

/// `y[b,g,i] = boxes[b,g,indices[b,g,i]]`. Inputs: indices `[B,G,k]`, boxes `[B,G,n,4]`. Output `[B,G,k,4]`.
#[derive(Clone, Debug)]
pub struct GatherGroups;

impl Op for GatherGroups {
    fn name(&self) -> &'static str {
        "gather_groups"
    }

    fn operands(&self) -> Vec<Operand> {
        vec![Operand::u32("indices", 3), Operand::f32("boxes", 4)]
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let [indices, boxes] = inputs else { return Err(format!("takes indices and boxes, not {inputs:?}")) };
        let (i, b) = (indices.shape, boxes.shape);
        if b.dim(3) != 4 || (i.dim(0), i.dim(1)) != (b.dim(0), b.dim(1)) {
            return Err(format!("takes indices [B,G,k] and boxes [B,G,n,4], not {inputs:?}"));
        }
        Ok(vec![Info::f32([i.dim(0), i.dim(1), i.dim(2), 4])])
    }

    fn cost(&self, io: &Io) -> Cost {
        Cost::of(io, 0.0)
    }

    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let (i, n) = (inputs[0].shape, inputs[1].shape.dim(2));
        let rows: Vec<&[f32]> = inputs[1].floats().chunks(4).collect();
        let groups = inputs[0].ints().chunks(i.dim(2)).zip(rows.chunks(n));
        let y =
            groups.flat_map(|(order, rows)| order.iter().flat_map(|&j| rows[j as usize]).copied().collect::<Vec<_>>());
        vec![Value::f32([i.dim(0), i.dim(1), i.dim(2), 4], y.collect())]
    }
}
