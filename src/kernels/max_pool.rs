//! Max-pooling, channels last.

use super::case::Rng;
use super::{Caps, Case, Cost, Info, Io, Kernel, Launch, Params as _, Tolerance, Variant, fold_grid, walks};
use crate::params;
use crate::tensor::Value;

params! {
    total: u32, h: u32, w: u32, c: u32, oh: u32, ow: u32, kernel: u32, stride: u32, pad: u32, grid_x: u32,
}

/// The largest value of each window; `[N,H,W,C]` to `[N,OH,OW,C]`, sides `(H + 2·pad − kernel) / stride + 1`.
#[derive(Clone, Debug)]
pub struct MaxPool {
    /// Side of the window.
    pub kernel: usize,
    /// Step between windows.
    pub stride: usize,
    /// Border on all sides that does not count; less than the kernel.
    pub pad: usize,
}

impl MaxPool {
    fn side(&self, n: usize) -> usize {
        (n + 2 * self.pad - self.kernel) / self.stride + 1
    }
}

impl Kernel for MaxPool {
    fn name(&self) -> &'static str {
        "max_pool"
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let [x] = inputs else { return Err(format!("takes x [N,H,W,C], not {inputs:?}")) };
        let x = x.shape;
        let fits = x.rank() == 4 && !x.is_empty() && self.stride > 0 && self.pad < self.kernel;
        if !fits || x.dim(1).min(x.dim(2)) + 2 * self.pad < self.kernel || self.pad * 2 > self.kernel {
            return Err(format!("a window of {} with padding {} does not fit {x}", self.kernel, self.pad));
        }
        Ok(vec![Info::f32([x.dim(0), self.side(x.dim(1)), self.side(x.dim(2)), x.dim(3)])])
    }

    fn variants(&self, io: &Io, _: &Caps) -> Vec<Variant> {
        let quads = io.dim(0, 3).is_multiple_of(4).then(|| Variant::new("quads", &[("QUADS", 1)]));
        quads.into_iter().chain([Variant::new("plain", &[])]).collect()
    }

    fn launch(&self, io: &Io, variant: &Variant) -> Launch {
        let lanes = if variant.name == "quads" { 4 } else { 1 };
        let (x, y) = (io.inputs[0].shape, io.outputs[0].shape);
        let grid = fold_grid((y.len() / lanes).div_ceil(64));
        let params = P {
            total: (y.len() / lanes) as u32,
            h: x.dim(1) as u32,
            w: x.dim(2) as u32,
            c: (x.dim(3) / lanes) as u32,
            oh: y.dim(1) as u32,
            ow: y.dim(2) as u32,
            kernel: self.kernel as u32,
            stride: self.stride as u32,
            pad: self.pad as u32,
            grid_x: grid[0],
        };
        Launch { grid, params: params.bytes() }
    }

    fn cost(&self, io: &Io) -> Cost {
        Cost::of(io, (io.outputs[0].shape.len() * self.kernel * self.kernel) as f64)
    }

    /// Every input raises the outputs whose windows hold it.
    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let x = &inputs[0];
        let [n, h, w, c] = [0, 1, 2, 3].map(|i| x.shape.dim(i));
        let [oh, ow] = [h, w].map(|n| walks::windows(n + 2 * self.pad, self.kernel, self.stride));
        let mut y = vec![f32::NEG_INFINITY; n * oh * ow * c];
        let holds = |o: usize, i: usize| o * self.stride <= i + self.pad && i + self.pad < o * self.stride + self.kernel;
        for (e, &v) in x.floats().iter().enumerate() {
            let (ch, col, row, image) = (e % c, e / c % w, e / (c * w) % h, e / (c * w * h));
            for a in (0..oh).filter(|&a| holds(a, row)) {
                for b in (0..ow).filter(|&b| holds(b, col)) {
                    let out = &mut y[((image * oh + a) * ow + b) * c + ch];
                    *out = out.max(v);
                }
            }
        }
        vec![Value::f32([n, oh, ow, c], y)]
    }
}

/// The stem's pool, P6, and ragged ones.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(5);
    let mut case = |name: &str, x: [usize; 4], kernel: usize, stride: usize, pad: usize| {
        Case::new(name, MaxPool { kernel, stride, pad }, vec![rng.tensor(x)], Tolerance::Exact)
    };
    vec![
        case("one by one by one", [1, 1, 1, 1], 1, 1, 0),
        case("stem 3x3 s2", [1, 21, 18, 32], 3, 2, 1),
        case("P6 of P5", [1, 25, 13, 128], 1, 2, 0),
        case("batch", [2, 6, 7, 4], 3, 2, 1),
        case("odd channels", [1, 9, 8, 5], 2, 2, 0),
    ]
}
