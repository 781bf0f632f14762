//! Some rows of each image, put where they belong.

use super::{Cost, Info, Io, Op, Operand, Setting, settings, value};
use crate::tensor::{Shape, Value};

/// The counterpart of [`super::take_rows::TakeRows`]: x `[B·m,…]` into rows `first..` of each image of `[B·n,…]`.
#[derive(Clone, Debug)]
pub struct PutRows {
    /// Images.
    pub batch: usize,
    /// The first row of each image.
    pub first: usize,
    /// Rows of each image of the whole.
    pub n: usize,
}

impl Op for PutRows {
    fn name(&self) -> &'static str {
        "put_rows"
    }

    fn operands(&self) -> Vec<Operand> {
        vec![Operand::f32("x", 0).of_any_rank()]
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let [x] = inputs else { return Err(format!("takes x, not {inputs:?}")) };
        let s = x.shape;
        if s.rank() == 0 || self.batch == 0 || !s.dim(0).is_multiple_of(self.batch) {
            return Err(format!("takes x [{}·m,…], not {s}", self.batch));
        }
        let rows = s.dim(0) / self.batch;
        if self.first + rows > self.n {
            return Err(format!("rows {} to {} are not in {}", self.first, self.first + rows, self.n));
        }
        let mut dims: Vec<usize> = s.dims().iter().map(|&d| d as usize).collect();
        dims[0] = self.batch * self.n;
        Ok(vec![Info { shape: Shape::new(&dims), dtype: x.dtype }])
    }

    fn cost(&self, io: &Io) -> Cost {
        Cost { flops: 0.0, bytes: (2 * io.inputs[0].shape.len() * crate::tensor::ELEMENT_BYTES) as f64 }
    }

    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let s = inputs[0].shape;
        let (rows, a_row) = (s.dim(0) / self.batch, s.len() / s.dim(0));
        let mut dims: Vec<usize> = s.dims().iter().map(|&d| d as usize).collect();
        dims[0] = self.batch * self.n;
        let mut out = vec![f32::NAN; self.batch * self.n * a_row];
        for (i, row) in inputs[0].floats().chunks(a_row).enumerate() {
            let at = i / rows * self.n + self.first + i % rows;
            out[at * a_row..][..a_row].copy_from_slice(row);
        }
        vec![Value::f32(Shape::new(&dims), out)]
    }

    fn settings(&self) -> Vec<Setting> {
        settings([("batch", value(self.batch)), ("first", value(self.first)), ("of", value(self.n))])
    }
}
