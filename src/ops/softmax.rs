//! Softmax of rows.

use super::{Cost, Info, Io, Op, Operand, Setting, live, on, settings};
use crate::tensor::Value;

/// `exp(x) / Σ exp(x)` of each row of x `[N,K]`, with live counts `[B]` where said.
#[derive(Clone, Debug)]
pub struct Softmax {
    /// Whether a live count is given.
    pub live: bool,
}

impl Op for Softmax {
    fn name(&self) -> &'static str {
        "softmax"
    }

    fn operands(&self) -> Vec<Operand> {
        vec![Operand::f32("x", 2)].into_iter().chain(self.live.then_some(Operand::LIVE)).collect()
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        if self.live {
            live::check(&inputs[1], inputs[0].shape.dim(0), "rows of x")?;
        }
        Ok(vec![inputs[0]])
    }

    fn cost(&self, io: &Io) -> Cost {
        Cost::of(io, 4.0 * io.inputs[0].shape.len() as f64)
    }

    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let (n, k) = (inputs[0].shape.dim(0), inputs[0].shape.dim(1));
        let live = self.live.then(|| inputs[1].ints());
        let mut y = vec![f32::NAN; n * k];
        for (row, (x, y)) in inputs[0].floats().chunks(k).zip(y.chunks_mut(k)).enumerate() {
            if !live::counts(live, n, row) {
                continue;
            }
            // 1 / Σ exp(x_j − x_i): needs no maximum in f64, whatever the network's logits are.
            for (&a, out) in x.iter().zip(y) {
                *out = (1.0 / x.iter().map(|&b| (b as f64 - a as f64).exp()).sum::<f64>()) as f32;
            }
        }
        vec![Value::f32([n, k], y)]
    }

    fn settings(&self) -> Vec<Setting> {
        settings([("live", on(self.live))])
    }
}
