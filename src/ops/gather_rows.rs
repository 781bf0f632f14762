//! Chosen rows of each image.

use super::{Cost, Info, Io, Op, Operand, Setting, on, settings};
use crate::tensor::{DType, Shape, Value};

/// `y[b,i] = x[b,indices[b,i]]` for the i that count. Its derivative adds each row back to where it came from.
///
/// Inputs: x `[B,n,…]`, floats or integers, indices `[B,k]`, live `[B]`. Output `[B,k,…]`.
#[derive(Clone, Debug)]
pub struct GatherRows {
    /// Whether x is of integers.
    pub integers: bool,
}

impl Op for GatherRows {
    fn name(&self) -> &'static str {
        "gather_rows"
    }

    fn operands(&self) -> Vec<Operand> {
        let x = if self.integers { Operand::u32("x", 2) } else { Operand::f32("x", 2) };
        vec![x.of_any_rank(), Operand::u32("indices", 2), Operand::LIVE]
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let (x, indices) = (inputs[0].shape, inputs[1].shape);
        if x.rank() < 2 || indices.dim(0) != x.dim(0) || inputs[2].shape.len() != x.dim(0) {
            return Err(format!("takes x [B,n,…], indices [B,k] and live counts [B], not {inputs:?}"));
        }
        Ok(vec![Info { shape: with_rows(x, indices.dim(1)), dtype: inputs[0].dtype }])
    }

    fn cost(&self, io: &Io) -> Cost {
        let elements = 2 * io.outputs[0].shape.len() + io.inputs[1].shape.len();
        Cost { flops: 0.0, bytes: (elements * crate::tensor::ELEMENT_BYTES) as f64 }
    }

    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let (x, k) = (&inputs[0], inputs[1].shape.dim(1));
        let a_row = x.shape.len() / (x.shape.dim(0) * x.shape.dim(1));
        let from: Vec<Option<usize>> = (0..inputs[1].shape.len())
            .map(|i| {
                let (image, row) = (i / k, i % k);
                let index = inputs[1].ints()[i] as usize;
                (row < inputs[2].ints()[image] as usize).then_some(image * x.shape.dim(1) + index)
            })
            .collect();
        let shape = with_rows(x.shape, k);
        vec![match x.dtype() {
            DType::U32 => Value::u32(shape, gathered(x.ints(), &from, a_row, u32::MAX)),
            DType::F32 | DType::F16 => Value::f32(shape, gathered(x.floats(), &from, a_row, f32::NAN)),
        }]
    }

    fn settings(&self) -> Vec<Setting> {
        settings([("integers", on(self.integers))])
    }
}

fn with_rows(x: Shape, rows: usize) -> Shape {
    let mut dims: Vec<usize> = x.dims().iter().map(|&d| d as usize).collect();
    dims[1] = rows;
    Shape::new(&dims)
}

fn gathered<T: Copy>(x: &[T], from: &[Option<usize>], a_row: usize, none: T) -> Vec<T> {
    from.iter().flat_map(|row| row.map_or(vec![none; a_row], |r| x[r * a_row..][..a_row].to_vec())).collect()
}
