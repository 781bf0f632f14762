//! Fully connected layer with bias and activation.

use super::activation::Activation;
use super::{Cost, Info, Io, Op, Operand, Setting, live, on, settings};
use crate::tensor::{Shape, Value};

/// `y[n,k] = act(bias[k] + Σ x[n,c] · w[k,c])`.
///
/// Inputs: x `[N, …]` (everything after N flattened), weight `[K,C]`, bias `[K]`, and live `[B]` where said: N is B
/// times a capacity, and rows past a batch's count are not written.
#[derive(Clone, Debug, Default)]
pub struct Linear {
    /// Whether a bias is given.
    pub bias: bool,
    /// What ends it.
    pub activation: Activation,
    /// Whether a live count is given.
    pub live: bool,
}

impl Op for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn operands(&self) -> Vec<Operand> {
        let more = [self.bias.then_some(Operand::f32("bias", 1)), self.live.then_some(Operand::LIVE)];
        let x = Operand::f32("x", 2).of_any_rank();
        [x, Operand::f32("weight", 2)].into_iter().chain(more.into_iter().flatten()).collect()
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let (x, w) = (inputs[0].shape, inputs[1].shape);
        if x.rank() == 0 || x.len() / x.dim(0) != w.dim(1) {
            return Err(format!("weight {w} does not fit the rows of x {x}"));
        }
        if self.bias && inputs[2].shape != Shape::from([w.dim(0)]) {
            return Err(format!("bias {} does not fit weight {w}", inputs[2].shape));
        }
        if self.live {
            live::check(&inputs[inputs.len() - 1], x.dim(0), "rows of x")?;
        }
        Ok(vec![Info::f32([x.dim(0), w.dim(0)])])
    }

    fn cost(&self, io: &Io) -> Cost {
        Cost::of(io, 2.0 * (io.dim(0, 0) * io.inputs[1].shape.len()) as f64)
    }

    /// Adds one input column to all outputs after the other.
    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let w = &inputs[1];
        let (n, k, c) = (inputs[0].shape.dim(0), w.shape.dim(0), w.shape.dim(1));
        let live = self.live.then(|| inputs[inputs.len() - 1].ints());
        let mut y = vec![f32::NAN; n * k];
        for row in 0..n {
            if !live::counts(live, n, row) {
                continue;
            }
            let mut sums = vec![0.0; k];
            if self.bias {
                sums.iter_mut().zip(inputs[2].floats()).for_each(|(sum, &b)| *sum = b as f64);
            }
            for (ch, &v) in inputs[0].floats()[row * c..][..c].iter().enumerate() {
                for (f, sum) in sums.iter_mut().enumerate() {
                    *sum += v as f64 * w.floats()[f * c + ch] as f64;
                }
            }
            for (out, sum) in y[row * k..].iter_mut().zip(sums) {
                *out = self.activation.of(sum) as f32;
            }
        }
        vec![Value::f32([n, k], y)]
    }

    fn settings(&self) -> Vec<Setting> {
        settings([("unbiased", on(!self.bias)), self.activation.setting(), ("live", on(self.live))])
    }
}
