//! Non-maximum suppression, second part: what all pairs say, box by box.

use super::nms;
use super::nms_pairs::{BITS, pairs_of};
use super::{Case, Kernel, Launch, Params as _, Tolerance, Variant};
use crate::ops::topk::NONE;
use crate::ops::{Cost, Info, Io, Op, Operand, Setting};
use crate::params;
use crate::target::Target;
use crate::tensor::Value;

params! { k: u32, words: u32 }

/// Most boxes of a group: their bits lie in workgroup memory.
pub(crate) const MOST_BOXES: usize = 1024 * BITS;

/// Greedy suppression by the words of [`NmsPairs`](super::nms_pairs::NmsPairs): a box falls where an earlier kept one has its bit.
///
/// Inputs: pairs `[groups,k,words]`, scores `[…,k]` by falling value with [`NONE`] allowed anywhere, counts `[…]`. Output:
/// the scores, [`NONE`] where suppressed.
#[derive(Clone, Debug)]
pub struct NmsSweep;

impl Op for NmsSweep {
    fn name(&self) -> &'static str {
        "nms_sweep"
    }

    fn operands(&self) -> Vec<Operand> {
        vec![
            Operand::u32("pairs", 3),
            Operand::f32("scores", 0).of_any_rank(),
            Operand::u32("counts", 0).of_any_rank(),
        ]
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let [pairs, scores, counts] = inputs else {
            return Err(format!("takes pairs, scores and counts, not {inputs:?}"));
        };
        let p = pairs.shape;
        let fits = p.dim(2) == p.dim(1).div_ceil(BITS) && p.dim(1) <= MOST_BOXES;
        if !fits || counts.shape.len() != p.dim(0) || scores.shape.len() != p.dim(0) * p.dim(1) {
            return Err(format!("these do not fit together: {inputs:?}"));
        }
        Ok(vec![*scores])
    }

    fn cost(&self, io: &Io) -> Cost {
        // Of the pairs the half that lies after each box, where nothing falls.
        let all = Cost::of(io, 0.0);
        Cost { bytes: all.bytes - io.inputs[0].bytes() as f64 / 2.0, ..all }
    }

    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let (pairs, scores) = (inputs[0].ints(), inputs[1].floats());
        let [k, words] = [1, 2].map(|i| inputs[0].shape.dim(i));
        let mut out = vec![NONE; scores.len()];
        for (g, &n) in inputs[2].ints().iter().enumerate() {
            let mut kept: Vec<usize> = Vec::new();
            for j in 0..(n as usize).min(k) {
                let falls = kept.iter().any(|i| pairs[(g * k + i) * words + j / BITS] >> (j % BITS) & 1 == 1);
                if scores[g * k + j] > NONE && !falls {
                    kept.push(j);
                    out[g * k + j] = scores[g * k + j];
                }
            }
        }
        vec![Value::f32(inputs[1].shape, out)]
    }

    fn settings(&self) -> Vec<Setting> {
        Vec::new()
    }
}

impl Kernel for NmsSweep {
    fn variants(&self, _: &Io, target: &Target) -> Vec<Variant> {
        // All go through the chain of 32, which lanes that load one by one do for each other thread anew.
        let small = target.pays.masks_branches.then(|| Variant::own("one small workgroup", &[("THREADS", 32)]));
        small.into_iter().chain([Variant::own("one workgroup", &[("THREADS", 256)])]).collect()
    }

    fn launch(&self, io: &Io, _: &Variant) -> Launch {
        let [groups, k, words] = [0, 1, 2].map(|i| io.dim(0, i) as u32);
        Launch { grid: [groups, 1, 1], params: P { k, words }.bytes() }
    }
}

/// Those of the whole, of its pairs.
pub fn cases() -> Vec<Case> {
    let sweep = |case: Case| {
        let (_, pairs) = pairs_of(&case)?;
        let inputs = vec![pairs, case.inputs[1].clone(), case.inputs[2].clone()];
        Some(Case::new(&case.name, NmsSweep, inputs, Tolerance::Exact))
    };
    nms::cases().into_iter().filter_map(sweep).collect()
}
