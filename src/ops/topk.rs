//! The k largest of each segment.

use super::{Cost, Info, Io, Op, Operand, Setting, settings, value};
use crate::tensor::Value;

/// A score that stands for nothing: the lowest finite float.
pub const NONE: f32 = f32::MIN;

/// The k largest of each segment, by falling value, ties by rising index; [`NONE`] and NaN are never taken.
///
/// Inputs: x `[B,L]`, segments `[S,2]` (begin and length within L). Outputs: values `[B,S,k]` ([`NONE`] past the
/// count), indices `[B,S,k]` within the segment (0 past the count), counts `[B,S]`.
#[derive(Clone, Debug)]
pub struct TopK {
    /// How many.
    pub k: usize,
}

impl Op for TopK {
    fn name(&self) -> &'static str {
        "topk"
    }

    fn operands(&self) -> Vec<Operand> {
        vec![Operand::f32("x", 0).of_any_rank(), Operand::u32("segments", 2)]
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let [x, s] = inputs else { return Err(format!("takes x [B,L] and segments [S,2], not {inputs:?}")) };
        if x.shape.rank() < 2 || s.shape.dim(1) != 2 {
            return Err(format!("takes x [B,L] and segments [S,2], not {inputs:?}"));
        }
        if self.k == 0 {
            return Err("k = 0 takes nothing".into());
        }
        let (b, s) = (x.shape.dim(0), s.shape.dim(0));
        Ok(vec![Info::f32([b, s, self.k]), Info::u32([b, s, self.k]), Info::u32([b, s])])
    }

    fn cost(&self, io: &Io) -> Cost {
        Cost::of(io, io.inputs[0].shape.len() as f64)
    }

    /// A full stable sort.
    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let (x, b, s) = (inputs[0].floats(), inputs[0].shape.dim(0), inputs[1].shape.dim(0));
        let (mut values, mut indices, mut counts) = (Vec::new(), Vec::new(), Vec::new());
        for image in x.chunks(x.len() / b) {
            for segment in inputs[1].ints().chunks(2) {
                let part = &image[segment[0] as usize..][..segment[1] as usize];
                let mut order: Vec<usize> = (0..part.len()).filter(|&i| part[i] > NONE).collect();
                order.sort_by(|&a, &b| part[b].total_cmp(&part[a]));
                order.truncate(self.k);
                counts.push(order.len() as u32);
                values.extend(order.iter().map(|&i| part[i]).chain(std::iter::repeat(NONE)).take(self.k));
                indices.extend(order.iter().map(|&i| i as u32).chain(std::iter::repeat(0)).take(self.k));
            }
        }
        vec![Value::f32([b, s, self.k], values), Value::u32([b, s, self.k], indices), Value::u32([b, s], counts)]
    }

    fn settings(&self) -> Vec<Setting> {
        settings([("k", value(self.k))])
    }
}
