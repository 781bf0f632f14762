//! GroupNorm (Wu & He, arXiv:1803.08494), channels last, and what may follow it.

use super::{Cost, Info, Io, Op, Operand, Setting, live, on, settings, value};
use crate::tensor::{Shape, Value};

/// `y = act((x − mean) / √(variance + eps) · scale[c] + shift[c] + residual)`, with mean and variance over all pixels of an
/// image and the channels of c's group.
///
/// Inputs: x `[N,H,W,C]`, scale and shift `[C]`, then residual `[N,H,W,C]` and live `[B]` where said.
#[derive(Clone, Debug)]
pub struct GroupNorm {
    /// Groups of neighbouring channels; they divide C.
    pub groups: usize,
    /// Added to the variance.
    pub eps: f32,
    /// Whether a residual is added.
    pub residual: bool,
    /// Whether max(·, 0) follows.
    pub relu: bool,
    /// Whether a live count is given.
    pub live: bool,
}

impl Op for GroupNorm {
    fn name(&self) -> &'static str {
        "group_norm"
    }

    fn operands(&self) -> Vec<Operand> {
        let more = [self.residual.then_some(Operand::f32("residual", 4)), self.live.then_some(Operand::LIVE)];
        [Operand::f32("x", 4), Operand::f32("scale", 1), Operand::f32("shift", 1)]
            .into_iter()
            .chain(more.into_iter().flatten())
            .collect()
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let x = inputs[0].shape;
        if self.groups == 0 || !x.dim(3).is_multiple_of(self.groups) {
            return Err(format!("{} groups do not divide the channels of x {x}", self.groups));
        }
        let channels = Shape::from([x.dim(3)]);
        if [inputs[1].shape, inputs[2].shape] != [channels; 2] {
            return Err(format!("scale {} and shift {} do not fit x {x}", inputs[1].shape, inputs[2].shape));
        }
        if self.residual && inputs[3].shape != x {
            return Err(format!("residual {} is not of the shape of x {x}", inputs[3].shape));
        }
        if self.live {
            live::check(&inputs[3 + usize::from(self.residual)], x.dim(0), "maps of x")?;
        }
        Ok(vec![inputs[0]])
    }

    fn cost(&self, io: &Io) -> Cost {
        Cost::of(io, 8.0 * io.inputs[0].shape.len() as f64)
    }

    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let x = &inputs[0];
        let [n, h, w, c] = [0, 1, 2, 3].map(|i| x.shape.dim(i));
        let live = self.live.then(|| inputs[3 + usize::from(self.residual)].ints());
        let group = |element: usize| element % c * self.groups / c;
        let mut y = vec![f32::NAN; x.floats().len()];
        for (image, values) in x.floats().chunks(h * w * c).enumerate() {
            if !live::counts(live, n, image) {
                continue;
            }
            let of_group = (h * w * c / self.groups) as f64;
            let mean = |of: &dyn Fn(usize, f64) -> f64| {
                let mut sums = vec![0.0; self.groups];
                values.iter().enumerate().for_each(|(e, &v)| sums[group(e)] += of(e, f64::from(v)));
                sums.iter().map(|sum| sum / of_group).collect::<Vec<f64>>()
            };
            let means = mean(&|_, v| v);
            let variances = mean(&|e, v| (v - means[group(e)]).powi(2));
            for (e, &v) in values.iter().enumerate() {
                let (scale, shift) = (inputs[1].floats()[e % c], inputs[2].floats()[e % c]);
                let normal = (f64::from(v) - means[group(e)]) / (variances[group(e)] + f64::from(self.eps)).sqrt();
                let at = image * values.len() + e;
                let residual = if self.residual { f64::from(inputs[3].floats()[at]) } else { 0.0 };
                let out = normal * f64::from(scale) + f64::from(shift) + residual;
                y[at] = if self.relu { out.max(0.0) } else { out } as f32;
            }
        }
        vec![Value::f32(x.shape, y)]
    }

    fn settings(&self) -> Vec<Setting> {
        settings([
            ("groups", value(self.groups)),
            ("eps", value(self.eps)),
            ("residual", on(self.residual)),
            ("relu", on(self.relu)),
            ("live", on(self.live)),
        ])
    }
}
