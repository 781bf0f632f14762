//! Split-K: a product with few blocks and long rows of weights, taken apart along the rows, so that it fills a GPU, and the
//! sum of the parts.

use std::sync::Arc;

use super::{Launchable, Link, Lowered, Lowering};
use crate::kernels::split_product::{SplitProduct, shapes};
use crate::kernels::split_sum::SplitSum;
use crate::ops::conv2d::Conv2d;
use crate::ops::linear::Linear;
use crate::ops::{Info, Io, Op};
use crate::target::Target;
use crate::target::policy::{self, SplitK};
use crate::tensor::Shape;

/// See the module.
#[derive(Debug)]
pub struct InParts;

/// The op as a convolution, where it is one or a fully connected layer, and the extents of its product: rows of x, rows of
/// weights, and elements of these.
fn product(op: &dyn Op, io: &Io) -> Option<(Conv2d, [usize; 3])> {
    let linear = |l: &Linear| Conv2d { bias: l.bias, activation: l.activation, live: l.live, ..Conv2d::default() };
    let conv = op.downcast::<Conv2d>().cloned().or_else(|| op.downcast().map(linear))?;
    let (x, w, oh, ow) = shapes(&conv, io.inputs[0].shape, io.inputs[1].shape)?;
    if !conv.bias || conv.enlarged(io) {
        return None;
    }
    Some((conv, [x.dim(0) * oh * ow, w.dim(0), w.len() / w.dim(0)]))
}

/// Large blocks share most; few of them leave a GPU's cores idle, or one each.
fn blocks(n: usize, k: usize) -> usize {
    n.div_ceil(128) * k.div_ceil(128)
}

/// Elements of a row of weights that could be multiplied while the sums of a large block are written and read again. The model of
/// `crate::graph::Prediction` has 190 on an M3 Max, 500 on an RTX 4090 and a 7900 XTX, and 720 on an H200, if all blocks did it at once.
const SUMS: usize = 256;

/// In how many parts it takes least: rounds of as many blocks as run at once, of which a last one may be mostly empty.
fn parts(policy: SplitK, at_once: usize, blocks: usize, len: usize) -> usize {
    let most = (len / policy.least).clamp(2, policy.most);
    let cost = |parts: &usize| (blocks * parts).div_ceil(at_once) * (len.div_ceil(*parts) + SUMS);
    (2..=most).min_by_key(cost).unwrap_or(2)
}

impl Lowering for InParts {
    fn name(&self) -> &'static str {
        "split-k"
    }

    fn pays(&self, op: &dyn Op, io: &Io, target: &Target) -> bool {
        let (Some(SplitK { long, very_long, .. }), fills) = (target.pays.split_k, target.pays.blocks.fills) else { return false };
        // Where small blocks fill the device, the parts' sums are written and read for little, but for the longest rows.
        let small = |n: usize, k: usize| n.div_ceil(64) * k.div_ceil(64);
        let idle = |[n, k, len]: [usize; 3]| {
            (len >= long && small(n, k) < fills) || (len >= very_long && blocks(n, k) <= fills / 2)
        };
        product(op, io).is_some_and(|(_, extents)| idle(extents))
    }

    fn lower(&self, op: &dyn Op, io: &Io, target: &Target) -> Option<Lowered> {
        let (conv, [n, k, len]) = product(op, io).filter(|(_, [_, _, len])| *len >= 8)?;
        // As on a GPU where it is asked for by name on a device that has no use for it.
        let pays = if target.pays.split_k.is_some() { target.pays } else { &policy::GPU };
        let parts = parts(pays.split_k?, pays.blocks.rounds_of(&target.can).at_once, blocks(n, k), len);
        let live = conv.live.then(|| Link::Input(io.inputs.len() - 1));
        let residual = conv.residual.then_some(Link::Input(conv.residual_at()));
        let links = |all: [Option<Link>; 4]| all.into_iter().flatten().collect::<Vec<_>>();
        let (sums, whole) = (Link::Scratch(0), io.outputs[0].shape);
        // A slice is put in its place by the sum.
        let y = match conv.slice {
            None => whole,
            Some(_) => {
                let (x, _, oh, ow) = shapes(&conv, io.inputs[0].shape, io.inputs[1].shape)?;
                Shape::from([x.dim(0), oh, ow, k])
            }
        };
        let sum = SplitSum { y, slice: conv.slice, activation: conv.activation, residual: conv.residual, live: conv.live };
        let launches = vec![
            Launchable {
                kernel: Arc::new(SplitProduct { conv: Conv2d { slice: None, residual: false, ..conv }, parts }),
                inputs: links([Some(Link::Input(0)), Some(Link::Input(1)), None, live]),
                outputs: vec![sums],
                part: format!("in {parts} parts"),
            },
            Launchable {
                kernel: Arc::new(sum),
                inputs: links([Some(sums), Some(Link::Input(2)), residual, live]),
                outputs: vec![Link::Output(0)],
                part: "sum".into(),
            },
        ];
        Some(Lowered { scratch: vec![Info::f32([parts, n, k])], launches })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_fill_whole_rounds() {
        let policy = policy::GPU.split_k.unwrap();
        // C5 of a ResNet-50 at 800×1216 has 32 large blocks, the fully connected layer 64, and P6 four.
        for (at_once, blocks, len, want) in [
            (128, 32, 4608, 4),
            (96, 32, 4608, 3),
            (40, 32, 4608, 5),
            (128, 64, 12544, 2),
            (128, 4, 2304, 9),
            (128, 1, 100_000, 16),
            (1, 1, 2048, 2),
            (128, 1, 8, 2),
        ] {
            assert_eq!(parts(policy, at_once, blocks, len), want, "{at_once} at once, {blocks} blocks of {len}");
        }
    }
}
