//! What stands between layers, element by element. Planning fuses most of it with the layer before
//! ([`crate::engine::graph`]); what is left over is run as it stands.

use super::activation::Activation;
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
    /// [`Activation::HardSwish`] of x.
    HardSwish,
    /// [`Activation::HardSigmoid`] of x.
    HardSigmoid,
    /// x `[N,H,W,C]` and factors `[N,C]`: each image's channels by its own.
    Scale,
    /// x `[N,H,W,C]` to `[N,h,w,C]` by nearest neighbour, row `i` taking row `⌊i·H/h⌋`; neither side shrinks.
    Enlarge {
        /// Rows of the output.
        h: usize,
        /// Columns of the output.
        w: usize,
    },
}

impl Elementwise {
    /// The step that is this activation, if it is any.
    pub(crate) fn of(activation: Activation) -> Option<Self> {
        match activation {
            Activation::Identity => None,
            Activation::Relu => Some(Self::Relu),
            Activation::HardSwish => Some(Self::HardSwish),
            Activation::HardSigmoid => Some(Self::HardSigmoid),
        }
    }

    /// The activation that it is.
    pub(crate) fn activation(self) -> Option<Activation> {
        [Activation::Relu, Activation::HardSwish, Activation::HardSigmoid]
            .into_iter()
            .find(|&a| Self::of(a) == Some(self))
    }

    /// A word for it, in keys and labels.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Bias => "bias",
            Self::Add => "add",
            Self::Relu => "relu",
            Self::HardSwish => "hard_swish",
            Self::HardSigmoid => "hard_sigmoid",
            Self::Scale => "scale",
            Self::Enlarge { .. } => "enlarge",
        }
    }
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
            Self::Relu | Self::HardSwish | Self::HardSigmoid => vec![x.of_any_rank()],
            Self::Scale => vec![x, Operand::f32("factors", 2)],
            Self::Enlarge { .. } => vec![x],
        }
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let x = inputs[0].shape;
        if x.rank() == 0 {
            return Err(format!("has nothing to do with x {x}"));
        }
        match *self {
            Self::Bias if inputs[1].shape != Shape::from([x.dim(x.rank() - 1)]) => {
                Err(format!("bias {} does not fit x {x}", inputs[1].shape))
            }
            Self::Add if inputs[1].shape != x => Err(format!("{} is not of the shape of x {x}", inputs[1].shape)),
            Self::Scale if inputs[1].shape != Shape::from([x.dim(0), x.dim(3)]) => {
                Err(format!("factors {} do not fit x {x}", inputs[1].shape))
            }
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
            Self::HardSwish | Self::HardSigmoid => {
                let of = self.activation().unwrap_or_default();
                x.iter().map(|&v| of.of(f64::from(v)) as f32).collect()
            }
            Self::Scale => {
                // Image by image, its pixels one after the other.
                let (images, channels) = (shape.dim(0), shape.dim(3));
                let factors = inputs[1].floats().chunks(channels);
                let image = |(x, by): (&[f32], &[f32])| {
                    x.iter().zip(by.iter().cycle()).map(|(x, by)| x * by).collect::<Vec<_>>()
                };
                x.chunks(x.len() / images).zip(factors).flat_map(image).collect()
            }
            Self::Enlarge { h, w } => return vec![enlarged(&inputs[0], h, w)],
        };
        vec![Value::f32(shape, y)]
    }

    fn settings(&self) -> Vec<Setting> {
        let size = match self {
            Self::Enlarge { h, w } => format!("{h}x{w}"),
            _ => String::new(),
        };
        settings([(self.word(), value(size))])
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
