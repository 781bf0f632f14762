//! Softmax of rows.

use super::case::Rng;
use super::{Caps, Case, Cost, Info, Io, Kernel, Launch, Params as _, Tolerance, Variant, fold_grid};
use crate::params;
use crate::tensor::Value;

params! { n: u32, k: u32, images_per_batch: u32, grid_x: u32 }

/// `exp(x) / Σ exp(x)` of each row of x `[N,K]`, with live counts `[B]` where said.
#[derive(Clone, Debug)]
pub struct Softmax {
    /// Whether a live count is given.
    pub live: bool,
}

impl Kernel for Softmax {
    fn name(&self) -> &'static str {
        "softmax"
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        if inputs.len() != 1 + self.live as usize || inputs[0].shape.rank() != 2 || inputs[0].shape.is_empty() {
            return Err(format!("takes x [N,K] and, where said, live counts, not {inputs:?}"));
        }
        if self.live && !inputs[0].shape.dim(0).is_multiple_of(inputs[1].shape.len().max(1)) {
            return Err(format!("live counts {:?} do not divide the rows of {}", inputs[1], inputs[0].shape));
        }
        Ok(vec![inputs[0]])
    }

    fn integers(&self) -> Vec<usize> {
        if self.live { vec![1] } else { Vec::new() }
    }

    fn variants(&self, _: &Io, _: &Caps) -> Vec<Variant> {
        vec![Variant::new("plain", &[]).flag("LIVE", self.live)]
    }

    fn launch(&self, io: &Io, _: &Variant) -> Launch {
        let (n, k) = (io.dim(0, 0), io.dim(0, 1));
        let batches = if self.live { io.inputs[1].shape.len() } else { 1 };
        let grid = fold_grid(n.div_ceil(64));
        let params = P { n: n as u32, k: k as u32, images_per_batch: (n / batches) as u32, grid_x: grid[0] };
        Launch { grid, params: params.bytes() }
    }

    fn cost(&self, io: &Io) -> Cost {
        Cost::of(io, 4.0 * io.inputs[0].shape.len() as f64)
    }

    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let (n, k) = (inputs[0].shape.dim(0), inputs[0].shape.dim(1));
        let mut y = vec![f32::NAN; n * k];
        for (row, (x, y)) in inputs[0].floats().chunks(k).zip(y.chunks_mut(k)).enumerate() {
            if self.live {
                let live = inputs[1].ints();
                let capacity = n / live.len();
                if row % capacity >= live[row / capacity] as usize {
                    continue;
                }
            }
            // 1 / Σ exp(x_j − x_i): needs no maximum in f64, whatever the network's logits are.
            for (&a, out) in x.iter().zip(y) {
                *out = (1.0 / x.iter().map(|&b| (b as f64 - a as f64).exp()).sum::<f64>()) as f32;
            }
        }
        vec![Value::f32([n, k], y)]
    }
}

/// Two classes, ninety-one, one, and large logits.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(7);
    let mut case = |name: &str, n: usize, k: usize, scale: f32, live: Option<Vec<u32>>| {
        let x = (0..n * k).map(|_| rng.uniform(-scale, scale)).collect();
        let mut inputs = vec![Value::f32([n, k], x)];
        let kernel = Softmax { live: live.is_some() };
        inputs.extend(live.map(|l| Value::u32([l.len()], l)));
        Case::new(name, kernel, inputs, Tolerance::Close { absolute: 1e-7, relative: 2e-5 })
    };
    vec![
        case("one class", 3, 1, 1.0, None),
        case("two classes", 130, 2, 12.0, Some(vec![77])),
        case("91 classes", 40, 91, 5.0, Some(vec![3, 20])),
        case("large logits", 5, 4, 60.0, None),
    ]
}
