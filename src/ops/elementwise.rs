//! What stands between layers, element by element. Planning fuses most of it with the layer before
//! ([`crate::engine::graph`]); what is left over is run as it stands.

use super::{Cost, Info, Io, Op, Operand, Setting, settings, value};
use crate::tensor::{Shape, Value};

/// One step of a layer's epilogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Elementwise {
    /// x `[…,K]` and bias `[K]`: their sum.
    Bias,
    /// Two tensors of one shape: their sum.
    Add,
    /// max(x, 0).
    Relu,
    /// x `[N,H,W,C]` to `[N,h,w,C]` by nearest neighbour, row `i` taking row `⌊i·H/h⌋`; neither side shrinks.
    Enlarge {
        /// Rows of the output.
        h: usize,
        /// Columns of the output.
        w: usize,
    },
}

impl Op for Elementwise {
    fn name(&self) -> &'static str {
        "elementwise"
    }

    fn operands(&self) -> Vec<Operand> {
        let x = Operand::f32("x", 4);
        match self {
            Self::Bias => vec![x.of_any_rank(), Operand::f32("bias", 1)],
            Self::Add => vec![x.of_any_rank(), Operand::f32("other", 4).of_any_rank()],
            Self::Relu => vec![x.of_any_rank()],
            Self::Enlarge { .. } => vec![x],
        }
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let x = inputs[0].shape;
        if x.is_empty() || x.rank() == 0 {
            return Err(format!("has nothing to do with x {x}"));
        }
        match *self {
            Self::Bias if inputs[1].shape != Shape::from([x.dim(x.rank() - 1)]) => {
                Err(format!("bias {} does not fit x {x}", inputs[1].shape))
            }
            Self::Add if inputs[1].shape != x => Err(format!("{} is not of the shape of x {x}", inputs[1].shape)),
            Self::Enlarge { h, w } if h < x.dim(1) || w < x.dim(2) => {
                Err(format!("{h}×{w} are less than those of x {x}"))
            }
            Self::Enlarge { h, w } => Ok(vec![Info::f32([x.dim(0), h, w, x.dim(3)])]),
            _ => Ok(vec![inputs[0]]),
        }
    }

    fn cost(&self, io: &Io) -> Cost {
        let operations = if matches!(self, Self::Enlarge { .. }) { 0 } else { io.outputs[0].shape.len() };
        Cost::of(io, operations as f64)
    }

    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let (x, shape) = (inputs[0].floats(), inputs[0].shape);
        let both = |other: &mut dyn Iterator<Item = &f32>| x.iter().zip(other).map(|(a, b)| a + b).collect();
        let y = match *self {
            Self::Bias => both(&mut inputs[1].floats().iter().cycle()),
            Self::Add => both(&mut inputs[1].floats().iter()),
            Self::Relu => x.iter().map(|v| v.max(0.0)).collect(),
            Self::Enlarge { h, w } => return vec![enlarged(&inputs[0], h, w)],
        };
        vec![Value::f32(shape, y)]
    }

    fn settings(&self) -> Vec<Setting> {
        let (name, size) = match self {
            Self::Bias => ("bias", String::new()),
            Self::Add => ("add", String::new()),
            Self::Relu => ("relu", String::new()),
            Self::Enlarge { h, w } => ("enlarge", format!("{h}x{w}")),
        };
        settings([(name, value(size))])
    }
}

/// Hands each row and column of x to those that are nearest to it.
fn enlarged(x: &Value, h: usize, w: usize) -> Value {
    // How often each of `from` is repeated to make `to`.
    let times = |from: usize, to: usize| -> Vec<usize> {
        let begin = |i: usize| (i * to).div_ceil(from);
        (0..from).map(|i| begin(i + 1) - begin(i)).collect()
    };
    let c = x.shape.dim(3);
    let (rows, columns) = (times(x.shape.dim(1), h), times(x.shape.dim(2), w));
    let mut y = Vec::new();
    for (row, pixels) in x.floats().chunks(columns.len() * c).enumerate() {
        let wide: Vec<f32> = pixels.chunks(c).zip(&columns).flat_map(|(pixel, &n)| pixel.repeat(n)).collect();
        y.extend(wide.repeat(rows[row % rows.len()]));
    }
    Value::f32(Shape::from([x.shape.dim(0), h, w, c]), y)
}
