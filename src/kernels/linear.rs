//! Fully connected layer with bias and ReLU.

use super::case::Rng;
use super::conv2d::Conv2d;
use super::tiled::{self, P, Product};
use super::{
    Caps, Case, Cost, Info, Io, Kernel, Launch, LiveGrid, Params as _, Pieces, Tolerance, Variant, Want, fold_grid, split_product,
};
use crate::tensor::{DType, Shape, Value};

pub use super::tiled::params;

/// `y[n,k] = act(bias[k] + Σ x[n,c] · w[k,c])`.
///
/// Inputs: x `[N, …]` (everything after N flattened), weight `[K,C]`, bias `[K]`, and live `[B]` where said: N is B
/// times a capacity, and rows past a batch's count are not written.
#[derive(Clone, Debug, Default)]
pub struct Linear {
    /// Whether max(·, 0) follows.
    pub relu: bool,
    /// Whether a live count is given.
    pub live: bool,
}

impl Kernel for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let want = 3 + self.live as usize;
        if inputs.len() != want || inputs[1].shape.rank() != 2 || inputs[0].shape.rank() == 0 || inputs[0].shape.is_empty() {
            return Err(format!("takes x [N,C], weight [K,C] and {} more, not {inputs:?}", want - 2));
        }
        let (x, w) = (inputs[0].shape, inputs[1].shape);
        if x.len() / x.dim(0) != w.dim(1) {
            return Err(format!("weight {w} does not fit the rows of x {x}"));
        }
        if inputs[2].shape != Shape::from([w.dim(0)]) {
            return Err(format!("bias {} does not fit weight {w}", inputs[2].shape));
        }
        if self.live {
            let live = inputs[3];
            if live.dtype != DType::U32 || live.shape.is_empty() || x.dim(0) % live.shape.len() != 0 {
                return Err(format!("live counts {live:?} do not divide the {} rows of x", x.dim(0)));
            }
        }
        Ok(vec![Info::f32([x.dim(0), w.dim(0)])])
    }

    fn integers(&self) -> Vec<usize> {
        if self.live { vec![3] } else { Vec::new() }
    }

    fn variants(&self, io: &Io, caps: &Caps) -> Vec<Variant> {
        let mut out = Vec::new();
        if io.dim(1, 1).is_multiple_of(4) {
            let (n, c, k) = (io.dim(0, 0), io.dim(1, 1), io.dim(1, 0));
            let product = Product { n, c, k, taps: 1, quads: k.is_multiple_of(4) };
            out.extend(tiled::variants(product, caps).into_iter().map(|v| v.flag("POINTWISE", true)));
        }
        out.push(Variant::new("plain", &[("PLAIN", 1)]));
        out.into_iter().map(|v| v.flag("LIVE", self.live)).collect()
    }

    fn pieces(&self, io: &Io, want: Want) -> Option<Pieces> {
        split_product::pieces(&Conv2d { relu: self.relu, live: self.live, ..Conv2d::default() }, io, want)
    }

    fn launch(&self, io: &Io, variant: &Variant) -> Launch {
        let (n, k, c) = (io.dim(0, 0), io.dim(1, 0), io.dim(1, 1));
        let grid = if variant.name == "plain" {
            fold_grid((n * k).div_ceil(64))
        } else {
            tiled::grid(n, k, variant)
        };
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
            relu: self.relu as u32,
            images_per_batch: (n / batches) as u32,
            grid_x: grid[0],
            ..P::default()
        };
        Launch { grid, params: params.bytes() }
    }

    fn live_grid(&self, io: &Io, variant: &Variant) -> Option<LiveGrid> {
        tiled::live_grid(3, 1, io.dim(0, 0), variant).filter(|_| self.live)
    }

    fn cost(&self, io: &Io) -> Cost {
        Cost::of(io, 2.0 * (io.dim(0, 0) * io.inputs[1].shape.len()) as f64)
    }

    fn executed(&self, io: &Io, variant: &Variant) -> f64 {
        let w = io.inputs[1].shape;
        tiled::executed(io.dim(0, 0), w.dim(0), w.dim(1), variant)
    }

    /// Adds one input column to all outputs after the other.
    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let (w, bias) = (&inputs[1], inputs[2].floats());
        let (n, k, c) = (inputs[0].shape.dim(0), w.shape.dim(0), w.shape.dim(1));
        let mut y = vec![f32::NAN; n * k];
        for row in 0..n {
            if self.live {
                let live = inputs[3].ints();
                let capacity = n / live.len();
                if row % capacity >= live[row / capacity] as usize {
                    continue;
                }
            }
            let mut sums: Vec<f64> = bias.iter().map(|&b| b as f64).collect();
            for (ch, &v) in inputs[0].floats()[row * c..][..c].iter().enumerate() {
                for (f, sum) in sums.iter_mut().enumerate() {
                    *sum += v as f64 * w.floats()[f * c + ch] as f64;
                }
            }
            for (out, sum) in y[row * k..].iter_mut().zip(sums) {
                *out = if self.relu { sum.max(0.0) } else { sum } as f32;
            }
        }
        vec![Value::f32([n, k], y)]
    }

    fn form(&self, index: usize, variant: &Variant) -> Option<String> {
        (index == 1 && variant.name != "plain").then(|| tiled::form(variant))
    }

    fn pack(&self, _: usize, value: &Value, variant: &Variant) -> Value {
        tiled::pack_rows(value.floats(), value.shape.dim(0), value.shape.dim(1), variant)
    }
}

/// The box head's layers and ragged ones.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(2);
    let mut case = |name: &str, n: usize, c: usize, k: usize, relu: bool, live: Option<Vec<u32>>| {
        let mut inputs = vec![rng.tensor([n, c]), rng.tensor([k, c]), rng.tensor([k])];
        let kernel = Linear { relu, live: live.is_some() };
        inputs.extend(live.map(|l| Value::u32([l.len()], l)));
        Case::new(name, kernel, inputs, Tolerance::Norm { relative: 3e-6 })
    };
    vec![
        case("one by one", 1, 1, 1, false, None),
        case("fc6", 50, 6272, 64, true, Some(vec![37])),
        case("fc7", 100, 256, 256, true, Some(vec![100])),
        case("class logits", 70, 256, 2, false, Some(vec![69])),
        case("box deltas", 70, 256, 8, false, Some(vec![0])),
        case("batches", 12, 8, 20, false, Some(vec![1, 6])),
        case("ragged", 13, 7, 5, true, None),
        case("91 classes", 9, 64, 91, false, None),
    ]
}
