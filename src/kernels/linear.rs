//! Fully connected layer with bias and activation.

use crate::rng::Rng;
use super::tiled::{P, Product};
use super::{Case, Kernel, Launch, LiveGrid, Params as _, Tolerance, Variant, tiled};
use crate::ops::activation::Activation;
use crate::ops::linear::Linear;
use crate::ops::{Info, Io};
use crate::target::Target;
use crate::tensor::Value;

pub use super::tiled::params;

impl Kernel for Linear {
    fn takes(&self, _: &[Info]) -> bool {
        self.bias
    }

    fn variants(&self, io: &Io, target: &Target) -> Vec<Variant> {
        let mut out = Vec::new();
        if io.dim(1, 1).is_multiple_of(4) {
            let (n, c, k) = (io.dim(0, 0), io.dim(1, 1), io.dim(1, 0));
            let product = Product { n, c, k, taps: 1, quads: k.is_multiple_of(4), plain: true };
            out.extend(tiled::variants(product, target).into_iter().map(|v| v.flag("POINTWISE", true)));
        }
        out.push(Variant::plain().flag("PLAIN", true));
        out.into_iter().map(|v| v.flag("LIVE", self.live).ending_with(self.activation)).collect()
    }

    fn f16_operands(&self, io: &Io) -> Vec<(usize, &'static str)> {
        tiled::f16_operands(io, io.dim(1, 1), io.dim(1, 0))
    }

    fn launch(&self, io: &Io, variant: &Variant) -> Launch {
        let (n, k, c) = (io.dim(0, 0), io.dim(1, 0), io.dim(1, 1));
        let grid = tiled::grid(n, k, variant);
        let batches = if self.live { io.inputs[3].shape.len() } else { 1 };
        // A row is an image of one pixel.
        let params = P {
            pixels: n as u32,
            h: 1,
            w: 1,
            c: c as u32,
            k: k as u32,
            r: 1,
            s: 1,
            oh: 1,
            ow: 1,
            relu: u32::from(self.activation == Activation::Relu),
            images_per_batch: (n / batches) as u32,
            grid_x: grid[0],
            ..P::default()
        };
        Launch { grid, params: params.bytes() }
    }

    fn live_grid(&self, io: &Io, variant: &Variant) -> Option<LiveGrid> {
        tiled::live_grid(3, 1, io.dim(0, 0), variant).filter(|_| self.live)
    }

    fn executed(&self, io: &Io, variant: &Variant) -> f64 {
        let w = io.inputs[1].shape;
        tiled::executed(io.dim(0, 0), w.dim(0), w.dim(1), variant)
    }

    fn weight_layout(&self, index: usize, variant: &Variant) -> Option<String> {
        tiled::weight_layout(variant).filter(|_| index == 1)
    }

    fn pack(&self, _: usize, value: &Value, variant: &Variant) -> Value {
        tiled::pack_rows(value.floats(), value.shape.dim(0), value.shape.dim(1), variant)
    }
}

/// The box head's layers and ragged ones.
pub fn cases() -> Vec<Case> {
    use Activation::{HardSigmoid, HardSwish, Identity, Relu};
    let mut rng = Rng::new(2);
    let mut case = |name: &str, n: usize, c: usize, k: usize, activation: Activation, live: Option<Vec<u32>>| {
        let mut inputs = vec![rng.tensor([n, c]), rng.tensor([k, c]), rng.tensor([k])];
        let kernel = Linear { bias: true, activation, live: live.is_some() };
        inputs.extend(live.map(|l| Value::u32([l.len()], l)));
        Case::new(name, kernel, inputs, Tolerance::Norm { relative: 3e-6 })
    };
    vec![
        case("one by one", 1, 1, 1, Identity, None),
        case("fc6", 50, 6272, 64, Relu, Some(vec![37])),
        case("fc7", 100, 256, 256, Relu, Some(vec![100])),
        case("class logits", 70, 256, 2, Identity, Some(vec![69])),
        case("box deltas", 70, 256, 8, Identity, Some(vec![0])),
        case("batches", 12, 8, 20, Identity, Some(vec![1, 6])),
        case("ragged", 13, 7, 5, Relu, None),
        case("91 classes", 9, 64, 91, Identity, None),
        case("squeeze", 1, 72, 24, Relu, None),
        case("excite", 2, 24, 72, HardSigmoid, None),
        case("hard swish, ragged", 3, 9, 7, HardSwish, Some(vec![2])),
    ]
}
