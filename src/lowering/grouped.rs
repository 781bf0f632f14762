//! A convolution of several groups, each of which sees its own channels alone: the blocks of a dense product would be mostly
//! zeros.

use std::sync::Arc;

use super::{Launchable, Link, Lowered, Lowering};
use crate::kernels::grouped_conv2d::GroupedConv2d;
use crate::ops::conv2d::Conv2d;
use crate::ops::{Io, Op};
use crate::target::Target;

/// See the module.
#[derive(Debug)]
pub struct Grouped;

impl Lowering for Grouped {
    fn name(&self) -> &'static str {
        "grouped"
    }

    fn lower(&self, op: &dyn Op, io: &Io, _: &Target) -> Option<Lowered> {
        let launch = Launchable {
            kernel: Arc::new(GroupedConv2d::of(op.downcast::<Conv2d>()?, io)?),
            inputs: (0..io.inputs.len()).map(Link::Input).collect(),
            outputs: vec![Link::Output(0)],
            part: String::new(),
        };
        Some(Lowered { scratch: Vec::new(), launches: vec![launch] })
    }

    fn pays(&self, _: &dyn Op, _: &Io, _: &Target) -> bool {
        true
    }
}
