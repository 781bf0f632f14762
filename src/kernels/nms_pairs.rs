//! Non-maximum suppression, first part: all pairs at once.

use super::nms;
use super::{Case, Kernel, Launch, Params as _, Tolerance, Variant};
use crate::ops::nms::{Nms, compared, iou};
use crate::ops::{Cost, Info, Io, Op, Operand, Setting, on, settings, value};
use crate::params;
use crate::target::Target;
use crate::tensor::{ELEMENT_BYTES, Shape, Value};

params! { k: u32, words: u32, threshold: f32, any_corners: u32 }

/// Boxes of a word.
pub(super) const BITS: usize = 32;

/// Boxes of a workgroup.
const THREADS: usize = 64;

/// Which boxes of a group would suppress which later ones: of box i, bit j % 32 of word j / 32 is whether j > i and
/// `IoU(i, j) > threshold`.
///
/// Inputs: boxes `[…,k,4]`, counts `[…]` (nothing from there on). Output: `[groups, k, k / 32 rounded up]`; words before a
/// box's own, and all past the count, are not written.
#[derive(Clone, Debug)]
pub struct NmsPairs {
    /// The IoU above which a box falls.
    pub threshold: f32,
    /// As [`Nms::any_corners`].
    pub any_corners: bool,
}

impl NmsPairs {
    /// Of the whole.
    pub(crate) fn of(nms: &Nms) -> Self {
        NmsPairs { threshold: nms.threshold, any_corners: nms.any_corners }
    }
}

/// Groups, boxes of each, and words of a box.
pub(super) fn extents(io: &Io, counts: usize) -> [usize; 3] {
    let groups = io.inputs[counts].shape.len();
    let k = io.inputs[0].shape.len() / groups / 4;
    [groups, k, k.div_ceil(BITS)]
}

impl Op for NmsPairs {
    fn name(&self) -> &'static str {
        "nms_pairs"
    }

    fn operands(&self) -> Vec<Operand> {
        vec![Operand::f32("boxes", 0).of_any_rank(), Operand::u32("counts", 0).of_any_rank()]
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let [boxes, counts] = inputs else { return Err(format!("takes boxes and counts, not {inputs:?}")) };
        let (groups, sides) = (counts.shape.len(), boxes.shape.dims().last());
        if sides != Some(&4) || !boxes.shape.len().is_multiple_of(4 * groups) {
            return Err(format!("these do not fit together: {inputs:?}"));
        }
        let k = boxes.shape.len() / groups / 4;
        Ok(vec![Info::u32([groups, k, k.div_ceil(BITS)])])
    }

    fn cost(&self, io: &Io) -> Cost {
        let [groups, k, words] = extents(io, 1);
        // Half of the words, and each box once for every 32 that it is held against.
        let traffic = groups * k * (words / 2 + 4 * words.div_ceil(2)) * ELEMENT_BYTES;
        Cost { flops: 14.0 * (groups * k * k) as f64 / 2.0, bytes: traffic as f64 }
    }

    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let (boxes, counts) = (inputs[0].floats(), inputs[1].ints());
        let k = boxes.len() / counts.len() / 4;
        let words = k.div_ceil(BITS);
        let mut out = vec![u32::MAX; counts.len() * k * words];
        for (g, &n) in counts.iter().enumerate() {
            let n = (n as usize).min(k);
            let of = |i: usize| compared(&boxes[(g * k + i) * 4..], self.any_corners);
            for i in 0..n {
                for word in i / BITS..n.div_ceil(BITS) {
                    let falls = |j: &usize| *j > i && *j < n && iou(&of(i), &of(*j)) > self.threshold;
                    let bits = (word * BITS..(word + 1) * BITS).filter(falls).map(|j| 1u32 << (j - word * BITS));
                    out[(g * k + i) * words + word] = bits.sum();
                }
            }
        }
        vec![Value::u32([counts.len(), k, words], out)]
    }

    fn settings(&self) -> Vec<Setting> {
        settings([("threshold", value(self.threshold)), ("any_corners", on(self.any_corners))])
    }
}

impl Kernel for NmsPairs {
    fn variants(&self, _: &Io, target: &Target) -> Vec<Variant> {
        let masked = target.pays.masks_branches.then(|| Variant::own("masked words", &[("MASKED", 1)]));
        masked.into_iter().chain([Variant::own("words", &[])]).collect()
    }

    fn launch(&self, io: &Io, _: &Variant) -> Launch {
        let [groups, k, words] = extents(io, 1);
        let any_corners = self.any_corners.into();
        let params = P { k: k as u32, words: words as u32, threshold: self.threshold, any_corners };
        Launch { grid: [k.div_ceil(THREADS) as u32, words as u32, groups as u32], params: params.bytes() }
    }
}

/// Those of the whole, in pairs.
pub fn cases() -> Vec<Case> {
    nms::cases().into_iter().filter_map(|case| pairs_of(&case)).map(|(case, _)| case).collect()
}

/// The first part of a case of the whole, and what is found there.
pub(super) fn pairs_of(case: &Case) -> Option<(Case, Value)> {
    let kernel: &dyn Op = case.kernel.as_ref();
    let pairs = NmsPairs::of(kernel.downcast::<Nms>()?);
    let (boxes, counts) = (&case.inputs[0], &case.inputs[2]);
    let groups = counts.shape.len();
    let boxes = Value::f32(Shape::from([groups, boxes.shape.len() / groups / 4, 4]), boxes.floats().to_vec());
    let inputs = vec![boxes, counts.clone()];
    let found = pairs.twin(&inputs).swap_remove(0);
    Some((Case::new(&case.name, pairs, inputs, Tolerance::Exact), found))
}
