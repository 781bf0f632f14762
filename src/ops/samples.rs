//! A sample of so many on truths, and the rest on the background.

use super::{Cost, Info, Io, Op, Operand, Setting, settings, value};
use crate::tensor::Value;

/// Which boxes are sampled (torchvision, `_utils.py`: `BalancedPositiveNegativeSampler`): of those on truths as many as there
/// are, `positives` at most; then of those on the background what is left of k.
///
/// Inputs: indices `[B,2,k]` and counts `[B,2]` as a selection from [`super::sampling_keys::SamplingKeys`]' keys gives them.
/// Outputs: indices `[B,k]` (0 past the last), how many there are `[B,1]`, how many of them, the first, are on truths `[B,1]`.
#[derive(Clone, Debug)]
pub struct Samples {
    /// Most of an image that are on truths.
    pub positives: usize,
}

impl Op for Samples {
    fn name(&self) -> &'static str {
        "samples"
    }

    fn operands(&self) -> Vec<Operand> {
        vec![Operand::u32("indices", 3), Operand::u32("counts", 2)]
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let (i, counts) = (inputs[0].shape, inputs[1].shape);
        if i.dim(1) != 2 || counts.dims() != &i.dims()[..2] || self.positives > i.dim(2) {
            return Err(format!("takes indices [B,2,k] and counts [B,2], not {inputs:?}"));
        }
        Ok(vec![Info::u32([i.dim(0), i.dim(2)]), Info::u32([i.dim(0), 1]), Info::u32([i.dim(0), 1])])
    }

    fn cost(&self, io: &Io) -> Cost {
        Cost::of(io, 0.0)
    }

    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let (b, k) = (inputs[0].shape.dim(0), inputs[0].shape.dim(2));
        let (mut indices, mut live, mut positives) = (Vec::new(), Vec::new(), Vec::new());
        for (rows, counts) in inputs[0].ints().chunks(2 * k).zip(inputs[1].ints().chunks(2)) {
            let (on, off) = rows.split_at(k);
            let mut chosen: Vec<u32> = on.iter().copied().take(counts[0] as usize).take(self.positives).collect();
            positives.push(chosen.len() as u32);
            let rest = k - chosen.len();
            chosen.extend(off.iter().take(counts[1] as usize).take(rest));
            live.push(chosen.len() as u32);
            chosen.resize(k, 0);
            indices.extend(chosen);
        }
        vec![Value::u32([b, k], indices), Value::u32([b, 1], live), Value::u32([b, 1], positives)]
    }

    fn settings(&self) -> Vec<Setting> {
        settings([("positives", value(self.positives))])
    }
}
