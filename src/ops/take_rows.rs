//! Some rows of each image.

use super::{Cost, Info, Io, Op, Operand, Setting, on, settings, value};
use crate::tensor::{DType, Shape, Value};

/// A part of each image's rows, and how many of it count: RoIs that go through a head together, where all at once would
/// pass a binding.
///
/// Inputs: x `[B,n,…]`, floats or integers, and live counts `[B]` of the n. Outputs: `[B,rows,…]`, and the live counts
/// `[B,1]` of the part.
#[derive(Clone, Debug)]
pub struct TakeRows {
    /// The first row of each image.
    pub first: usize,
    /// How many.
    pub rows: usize,
    /// Whether x is of integers.
    pub integers: bool,
}

impl Op for TakeRows {
    fn name(&self) -> &'static str {
        "take_rows"
    }

    fn operands(&self) -> Vec<Operand> {
        let x = if self.integers { Operand::u32("x", 2) } else { Operand::f32("x", 2) };
        vec![x.of_any_rank(), Operand::LIVE]
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let [x, live] = inputs else { return Err(format!("takes x and live counts, not {inputs:?}")) };
        let s = x.shape;
        if s.rank() < 2 || live.shape.len() != s.dim(0) {
            return Err(format!("takes x [B,n,…] and live counts [B], not {inputs:?}"));
        }
        if self.rows == 0 || self.first + self.rows > s.dim(1) {
            return Err(format!("rows {} to {} are not in {s}", self.first, self.first + self.rows));
        }
        let mut dims: Vec<usize> = s.dims().iter().map(|&d| d as usize).collect();
        dims[1] = self.rows;
        Ok(vec![Info { shape: Shape::new(&dims), dtype: x.dtype }, Info::u32([s.dim(0), 1])])
    }

    fn cost(&self, io: &Io) -> Cost {
        let elements = 2 * io.outputs[0].shape.len() + 2 * io.outputs[1].shape.len();
        Cost { flops: 0.0, bytes: (elements * crate::tensor::ELEMENT_BYTES) as f64 }
    }

    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let s = inputs[0].shape;
        let rows: Vec<usize> =
            (0..s.dim(0)).flat_map(|b| (0..self.rows).map(move |r| b * s.dim(1) + self.first + r)).collect();
        let a_row = s.len() / (s.dim(0) * s.dim(1));
        let mut dims: Vec<usize> = s.dims().iter().map(|&d| d as usize).collect();
        dims[1] = self.rows;
        let part = match inputs[0].dtype() {
            DType::F32 | DType::F16 => Value::f32(
                Shape::new(&dims),
                rows.iter().flat_map(|r| inputs[0].floats()[r * a_row..][..a_row].to_vec()).collect(),
            ),
            DType::U32 => Value::u32(
                Shape::new(&dims),
                rows.iter().flat_map(|r| inputs[0].ints()[r * a_row..][..a_row].to_vec()).collect(),
            ),
        };
        let end = self.first + self.rows;
        let live = inputs[1].ints().iter().map(|&n| (self.first..end).filter(|&r| r < n as usize).count() as u32);
        vec![part, Value::u32([s.dim(0), 1], live.collect())]
    }

    fn settings(&self) -> Vec<Setting> {
        settings([("first", value(self.first)), ("rows", value(self.rows)), ("integers", on(self.integers))])
    }
}
