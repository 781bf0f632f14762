//! Non-maximum suppression of many boxes in two steps: all pairs at once, by as many workgroups as there are, and a sweep that
//! only looks their bits up. What is kept is the same.

use std::sync::Arc;

use super::{Launchable, Link, Lowered, Lowering};
use crate::kernels::nms_pairs::NmsPairs;
use crate::kernels::nms_sweep::{MOST_BOXES, NmsSweep};
use crate::ops::nms::Nms;
use crate::ops::{Info, Io, Op};
use crate::target::Target;

/// See the module.
#[derive(Debug)]
pub struct InPairs;

/// Most bytes of the bits: a group of k boxes has k² of them.
const MOST_BYTES: usize = 32 << 20;

/// Most groups of an image that are thought to be full, as the levels of a pyramid are.
const FULL_GROUPS: usize = 8;

/// The words, where there may be so many.
fn pairs(op: &dyn Op, io: &Io) -> Option<(NmsPairs, Info)> {
    let kernel = NmsPairs::of(op.downcast::<Nms>()?);
    let words = *kernel.infer(&[io.inputs[0], io.inputs[2]]).ok()?.first()?;
    (words.shape.dim(1) <= MOST_BOXES && words.bytes() <= MOST_BYTES).then_some((kernel, words))
}

impl Lowering for InPairs {
    fn name(&self) -> &'static str {
        "pairs"
    }

    fn lower(&self, op: &dyn Op, io: &Io, _: &Target) -> Option<Lowered> {
        let (kernel, words) = pairs(op, io)?;
        let launches = vec![
            Launchable {
                kernel: Arc::new(kernel),
                inputs: vec![Link::Input(0), Link::Input(2)],
                outputs: vec![Link::Scratch(0)],
                part: "pairs".into(),
            },
            Launchable {
                kernel: Arc::new(NmsSweep),
                inputs: vec![Link::Scratch(0), Link::Input(1), Link::Input(2)],
                outputs: vec![Link::Output(0)],
                part: "sweep".into(),
            },
        ];
        Some(Lowered { scratch: vec![words], launches })
    }

    fn pays(&self, op: &dyn Op, io: &Io, target: &Target) -> bool {
        let Some(least) = target.pays.a_workgroup_s_boxes else { return false };
        pairs(op, io).is_some_and(|(_, words)| {
            // Of many groups, as of an image's classes, most are empty or nearly so: one workgroup each is soon done with them, where
            // all pairs are gone through all the same.
            let groups = io.inputs[2].shape.dims().last().map_or(1, |&n| n as usize);
            words.shape.dim(1) > least && (!target.pays.masks_branches || groups <= FULL_GROUPS)
        })
    }
}
