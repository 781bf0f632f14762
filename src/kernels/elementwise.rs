//! What stands between layers where nothing fused it with one.

use crate::rng::Rng;
use super::{Case, Kernel, Launch, Params as _, Tolerance, Variant, fold_grid};
use crate::ops::Io;
use crate::ops::elementwise::Elementwise;
use crate::params;
use crate::target::Target;
use crate::tensor::{Shape, Value};

params! { total: u32, k: u32, h: u32, w: u32, oh: u32, ow: u32, grid_x: u32 }

impl Kernel for Elementwise {
    fn variants(&self, io: &Io, _: &Target) -> Vec<Variant> {
        let what = match self {
            Self::Bias => "BIAS",
            Self::Add => "ADD",
            Self::Relu => "RELU",
            Self::HardSwish => "HARD_SWISH",
            Self::HardSigmoid => "HARD_SIGMOID",
            Self::Scale => "SCALE",
            Self::Enlarge { .. } => "ENLARGE",
        };
        let x = io.inputs[0].shape;
        let by_four = x.dim(x.rank() - 1).is_multiple_of(4);
        let quads = by_four.then(|| Variant::own("quads", &[(what, 1), ("QUADS", 1)]));
        quads.into_iter().chain([Variant::own("plain", &[(what, 1)])]).collect()
    }

    fn launch(&self, io: &Io, variant: &Variant) -> Launch {
        let lanes = if variant.find("QUADS").is_some() { 4 } else { 1 };
        let (x, y) = (io.inputs[0].shape, io.outputs[0].shape);
        let total = y.len() / lanes;
        let grid = fold_grid(total.div_ceil(64));
        let side = |shape: Shape, i: usize| if shape.rank() == 4 { shape.dim(i) as u32 } else { 1 };
        let params = P {
            total: total as u32,
            k: (x.dim(x.rank() - 1) / lanes) as u32,
            h: side(x, 1),
            w: side(x, 2),
            oh: side(y, 1),
            ow: side(y, 2),
            grid_x: grid[0],
        };
        Launch { grid, params: params.bytes() }
    }
}

/// Each of them, by four and ragged.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(51);
    use Elementwise::{Add, Bias, Enlarge, HardSigmoid, HardSwish, Relu, Scale};
    let mut case = |name: &str, op: Elementwise, shapes: &[&[usize]]| {
        // Far enough for every part of an activation.
        let wide = |v: Value| Value::f32(v.shape, v.floats().iter().map(|v| 4.0 * v).collect());
        let inputs = shapes.iter().map(|shape| wide(rng.tensor(Shape::new(shape)))).collect();
        // Sums that GPUs may round in another order.
        let hard = matches!(op, HardSwish | HardSigmoid);
        let tolerance = if hard { Tolerance::Close { absolute: 1e-6, relative: 1e-6 } } else { Tolerance::Exact };
        Case::new(name, op, inputs, tolerance)
    };
    vec![
        case("bias", Bias, &[&[2, 5, 7, 12], &[12]]),
        case("bias of rows, ragged", Bias, &[&[13, 5], &[5]]),
        case("sum", Add, &[&[2, 9, 8], &[2, 9, 8]]),
        case("sum, ragged", Add, &[&[3, 7], &[3, 7]]),
        case("relu", Relu, &[&[100, 64]]),
        case("relu of one", Relu, &[&[1]]),
        case("hard swish", HardSwish, &[&[40, 16]]),
        case("hard swish, ragged", HardSwish, &[&[9, 7]]),
        case("hard sigmoid", HardSigmoid, &[&[3, 8]]),
        case("scale", Scale, &[&[3, 5, 4, 8], &[3, 8]]),
        case("scale, ragged", Scale, &[&[2, 3, 5, 7], &[2, 7]]),
        case("twice the sides", Enlarge { h: 10, w: 14 }, &[&[2, 5, 7, 8]]),
        case("ragged sides", Enlarge { h: 13, w: 9 }, &[&[2, 7, 5, 3]]),
        case("one side", Enlarge { h: 3, w: 50 }, &[&[1, 3, 4, 4]]),
    ]
}
