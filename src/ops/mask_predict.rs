//! The mask of the class that was found.

use super::live;
use super::{Cost, Info, Io, Op, Operand};
use crate::tensor::Value;

/// `sigmoid(bias[label] + Σ x[n,i,j,c] · w[label,c])`: the 1×1 convolution of the mask head, for one class.
///
/// With one row of weights, that is every label's. Inputs: x `[N,M,M,C]`, weight `[K,C]`, bias `[K]`, labels `[N]`, live
/// `[B]`. Output `[N,M,M]`, 0..1.
#[derive(Clone, Debug)]
pub struct MaskPredict;

impl Op for MaskPredict {
    fn name(&self) -> &'static str {
        "mask_predict"
    }

    fn operands(&self) -> Vec<Operand> {
        vec![
            Operand::f32("x", 4),
            Operand::f32("weight", 2),
            Operand::f32("bias", 0).of_any_rank(),
            Operand::u32("labels", 0).of_any_rank(),
            Operand::LIVE,
        ]
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let [x, w, bias, labels, live] = inputs else {
            return Err(format!("takes x, weight, bias, labels and live counts, not {inputs:?}"));
        };
        let (x, w) = (x.shape, w.shape);
        if x.dim(3) != w.dim(1) || bias.shape.len() != w.dim(0) || labels.shape.len() != x.dim(0) {
            return Err(format!("these do not fit together: {inputs:?}"));
        }
        live::check(live, x.dim(0), "maps of x")?;
        Ok(vec![Info::f32([x.dim(0), x.dim(1), x.dim(2)])])
    }

    fn cost(&self, io: &Io) -> Cost {
        Cost::of(io, 2.0 * io.inputs[0].shape.len() as f64)
    }

    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let x = inputs[0].shape;
        let (n, pixels, c) = (x.dim(0), x.dim(1) * x.dim(2), x.dim(3));
        let (labels, live) = (inputs[3].ints(), inputs[4].ints());
        let capacity = n / live.len();
        let mut y = vec![f32::NAN; n * pixels];
        for (i, out) in y.iter_mut().enumerate() {
            let row = i / pixels;
            if row % capacity >= live[row / capacity] as usize {
                continue;
            }
            let label = (labels[row] as usize).min(inputs[2].shape.len() - 1);
            let w = &inputs[1].floats()[label * c..][..c];
            let dot: f64 = inputs[0].floats()[i * c..][..c].iter().zip(w).map(|(&a, &b)| a as f64 * b as f64).sum();
            *out = (1.0 / (1.0 + (-dot - inputs[2].floats()[label] as f64).exp())) as f32;
        }
        vec![Value::f32([n, x.dim(1), x.dim(2)], y)]
    }
}
