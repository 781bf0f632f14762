//! A selection of more elements than one workgroup can sort: the k largest of each segment are found by their bits, sorted in
//! chunks, and merged.

use std::sync::Arc;

use super::{Launchable, Link, Lowered, Lowering};
use crate::kernels::topk::MAX_K;
use crate::kernels::topk_merge::TopKMerge;
use crate::kernels::topk_select::TopKSelect;
use crate::kernels::topk_sort::TopKSort;
use crate::ops::topk::TopK;
use crate::ops::{Io, Op};
use crate::target::Target;

/// See the module.
#[derive(Debug)]
pub struct Radix;

impl Lowering for Radix {
    fn name(&self) -> &'static str {
        "radix"
    }

    fn lower(&self, op: &dyn Op, io: &Io, _: &Target) -> Option<Lowered> {
        let k = op.downcast::<TopK>()?.k;
        let pairs = TopKSelect { k }.infer(io.inputs).ok()?[0];
        let counts = Link::Output(2);
        let launch = |kernel, inputs: &[Link], outputs: &[Link], part: &str| Launchable {
            kernel,
            inputs: inputs.to_vec(),
            outputs: outputs.to_vec(),
            part: part.into(),
        };
        let [selected, sorted] = [Link::Scratch(0), Link::Scratch(1)];
        let launches = vec![
            launch(Arc::new(TopKSelect { k }), &[Link::Input(0), Link::Input(1)], &[selected, counts], "select"),
            launch(Arc::new(TopKSort), &[selected, counts], &[sorted], "sort"),
            launch(Arc::new(TopKMerge { k }), &[sorted, counts], &[Link::Output(0), Link::Output(1)], "merge"),
        ];
        Some(Lowered { scratch: vec![pairs, pairs], launches })
    }

    fn pays(&self, op: &dyn Op, _: &Io, _: &Target) -> bool {
        op.downcast::<TopK>().is_some_and(|op| op.k > MAX_K)
    }
}
