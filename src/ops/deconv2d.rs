//! Transposed convolution, channels last, with bias and ReLU.

use super::{Cost, Info, Io, Op, Operand, Setting, live, on, settings, unless};
use crate::tensor::{Shape, Value};

/// `y[n, ih·stride + r − pad, …, k]` collects `x[n,ih,iw,c] · w[k,r,s,c]`; then bias and ReLU.
///
/// Inputs: x `[N,H,W,C]`, weight `[K,R,S,C]`, then bias `[K]` and live `[B]` where said. Output side:
/// `(H − 1)·stride + R − 2·pad`.
#[derive(Clone, Debug)]
pub struct Deconv2d {
    /// Steps between the places of neighbouring inputs, both ways.
    pub stride: usize,
    /// Rows and columns cut off on all sides.
    pub pad: usize,
    /// Whether a bias is given.
    pub bias: bool,
    /// Whether max(·, 0) follows.
    pub relu: bool,
    /// Whether a live count is given.
    pub live: bool,
}

impl Deconv2d {
    pub(crate) fn extents(&self, x: &Shape, w: &Shape) -> Option<(usize, usize)> {
        let side = |n: usize, k: usize| ((n - 1) * self.stride + k).checked_sub(2 * self.pad).filter(|&s| s > 0);
        Some((side(x.dim(1), w.dim(1))?, side(x.dim(2), w.dim(2))?))
    }
}

impl Op for Deconv2d {
    fn name(&self) -> &'static str {
        "deconv2d"
    }

    fn operands(&self) -> Vec<Operand> {
        let more = [self.bias.then_some(Operand::f32("bias", 1)), self.live.then_some(Operand::LIVE)];
        [Operand::f32("x", 4), Operand::f32("weight", 4)].into_iter().chain(more.into_iter().flatten()).collect()
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let (x, w) = (inputs[0].shape, inputs[1].shape);
        if self.stride == 0 || w.dim(3) != x.dim(3) {
            return Err(format!("weight {w} does not fit the channels of x {x}"));
        }
        if self.bias && inputs[2].shape != Shape::from([w.dim(0)]) {
            return Err(format!("bias {} does not fit weight {w}", inputs[2].shape));
        }
        if self.live {
            live::check(&inputs[inputs.len() - 1], x.dim(0), "rows of x")?;
        }
        let (oh, ow) = self.extents(&x, &w).ok_or_else(|| format!("padding {} leaves nothing of {x}", self.pad))?;
        Ok(vec![Info::f32([x.dim(0), oh, ow, w.dim(0)])])
    }

    fn cost(&self, io: &Io) -> Cost {
        let x = io.inputs[0].shape;
        Cost::of(io, 2.0 * (x.len() / x.dim(3) * io.inputs[1].shape.len()) as f64)
    }

    /// Scatters each input to its outputs.
    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let (x, w, bias) = (&inputs[0], &inputs[1], self.bias.then(|| inputs[2].floats()));
        // Up to the last place that an input reaches, less what is cut off.
        let side = |n: usize, taps: usize| {
            let reached = (0..n).flat_map(|i| (0..taps).map(move |tap| i * self.stride + tap));
            reached.max().map_or(0, |last| last + 1) - 2 * self.pad
        };
        let (oh, ow) = (side(x.shape.dim(1), w.shape.dim(1)), side(x.shape.dim(2), w.shape.dim(2)));
        let [n, h, wid, c] = [0, 1, 2, 3].map(|i| x.shape.dim(i));
        let [k, r, s, _] = [0, 1, 2, 3].map(|i| w.shape.dim(i));
        let mut sums: Vec<f64> = (0..n * oh * ow * k).map(|i| bias.map_or(0.0, |bias| bias[i % k] as f64)).collect();
        for (px, channels) in x.floats().chunks_exact(c).enumerate() {
            let (image, row, col) = (px / (h * wid), px / wid % h, px % wid);
            for tap in 0..r * s {
                let (y, z) = (row * self.stride + tap / s, col * self.stride + tap % s);
                if y < self.pad || z < self.pad || y - self.pad >= oh || z - self.pad >= ow {
                    continue;
                }
                let out = ((image * oh + y - self.pad) * ow + z - self.pad) * k;
                for f in 0..k {
                    let taps = &w.floats()[(f * r * s + tap) * c..][..c];
                    sums[out + f] += channels.iter().zip(taps).map(|(&a, &b)| a as f64 * b as f64).sum::<f64>();
                }
            }
        }
        let live = self.live.then(|| inputs[inputs.len() - 1].ints());
        let rows = oh * ow * k;
        let value = |(i, sum): (usize, f64)| {
            if !live::counts(live, n, i / rows) {
                return f32::NAN;
            }
            (if self.relu { sum.max(0.0) } else { sum }) as f32
        };
        vec![Value::f32([n, oh, ow, k], sums.into_iter().enumerate().map(value).collect())]
    }

    fn settings(&self) -> Vec<Setting> {
        settings([
            ("stride", unless(1, self.stride)),
            ("pad", unless(0, self.pad)),
            ("unbiased", on(!self.bias)),
            ("relu", on(self.relu)),
            ("live", on(self.live)),
        ])
    }
}
