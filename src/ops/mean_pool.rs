//! The mean of a map.

use super::{Cost, Info, Io, Op, Operand, Setting, live, on, settings};
use crate::tensor::Value;

/// The mean over rows and columns of x `[N,H,W,C]`: `[N,C]`, with live counts `[B]` where said.
#[derive(Clone, Debug)]
pub struct MeanPool {
    /// Whether a live count is given.
    pub live: bool,
}

impl Op for MeanPool {
    fn name(&self) -> &'static str {
        "mean_pool"
    }

    fn operands(&self) -> Vec<Operand> {
        [Operand::f32("x", 4)].into_iter().chain(self.live.then_some(Operand::LIVE)).collect()
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let x = inputs[0].shape;
        if self.live {
            live::check(&inputs[1], x.dim(0), "maps of x")?;
        }
        Ok(vec![Info::f32([x.dim(0), x.dim(3)])])
    }

    fn cost(&self, io: &Io) -> Cost {
        Cost::of(io, io.inputs[0].shape.len() as f64)
    }

    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let x = inputs[0].shape;
        let (n, c) = (x.dim(0), x.dim(3));
        let live = self.live.then(|| inputs[1].ints());
        let mut y = vec![f32::NAN; n * c];
        let maps = inputs[0].floats().chunks(x.dim(1) * x.dim(2) * c);
        for (row, (map, out)) in maps.zip(y.chunks_mut(c)).enumerate() {
            if !live::counts(live, n, row) {
                continue;
            }
            let mut sums = vec![0.0; c];
            for pixel in map.chunks(c) {
                sums.iter_mut().zip(pixel).for_each(|(sum, &v)| *sum += f64::from(v));
            }
            let pixels = (map.len() / c) as f64;
            out.iter_mut().zip(&sums).for_each(|(out, sum)| *out = (sum / pixels) as f32);
        }
        vec![Value::f32([n, c], y)]
    }

    fn settings(&self) -> Vec<Setting> {
        settings([("live", on(self.live))])
    }
}
