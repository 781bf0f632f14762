//! Max-pooling, channels last.

use super::{Cost, Info, Io, Op, Operand, Setting, settings, unless, value, walks};
use crate::tensor::Value;

/// The largest value of each window; `[N,H,W,C]` to `[N,OH,OW,C]`, sides `(H + pad + after − kernel) / stride + 1`.
#[derive(Clone, Debug)]
pub struct MaxPool {
    /// Side of the window.
    pub kernel: usize,
    /// Step between windows.
    pub stride: usize,
    /// Border above and left that does not count; at most half of the kernel.
    pub pad: usize,
    /// The same below and right: torch's is as wide as above, TensorFlow's `same` may be one wider.
    pub after: usize,
}

impl MaxPool {
    fn side(&self, n: usize) -> usize {
        (n + self.pad + self.after - self.kernel) / self.stride + 1
    }
}

impl Op for MaxPool {
    fn name(&self) -> &'static str {
        "max_pool"
    }

    fn operands(&self) -> Vec<Operand> {
        vec![Operand::f32("x", 4)]
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let [x] = inputs else { return Err(format!("takes x [N,H,W,C], not {inputs:?}")) };
        let x = x.shape;
        let borders = self.pad + self.after;
        let fits = self.stride > 0 && self.pad < self.kernel;
        if !fits || x.dim(1).min(x.dim(2)) + borders < self.kernel || borders > self.kernel {
            return Err(format!(
                "a window of {} with padding {} and {} does not fit {x}",
                self.kernel, self.pad, self.after
            ));
        }
        Ok(vec![Info::f32([x.dim(0), self.side(x.dim(1)), self.side(x.dim(2)), x.dim(3)])])
    }

    fn cost(&self, io: &Io) -> Cost {
        Cost::of(io, (io.outputs[0].shape.len() * self.kernel * self.kernel) as f64)
    }

    /// Every input raises the outputs whose windows hold it.
    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let x = &inputs[0];
        let [n, h, w, c] = [0, 1, 2, 3].map(|i| x.shape.dim(i));
        let [oh, ow] = [h, w].map(|n| walks::windows(n + self.pad + self.after, self.kernel, self.stride));
        let mut y = vec![f32::NEG_INFINITY; n * oh * ow * c];
        let holds =
            |o: usize, i: usize| o * self.stride <= i + self.pad && i + self.pad < o * self.stride + self.kernel;
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

    fn settings(&self) -> Vec<Setting> {
        settings([
            ("kernel", value(self.kernel)),
            ("stride", unless(1, self.stride)),
            ("pad", unless(0, self.pad)),
            ("after", unless(self.pad, self.after)),
        ])
    }
}
