//! A convolution of as many groups as channels: a kernel that reads each column of x once for all taps of a row.

use std::sync::Arc;

use super::{Launchable, Link, Lowered, Lowering};
use crate::kernels::depthwise_conv2d::DepthwiseConv2d;
use crate::ops::conv2d::Conv2d;
use crate::ops::{Io, Op};
use crate::target::Target;

/// See the module.
#[derive(Debug)]
pub struct Depthwise;

impl Lowering for Depthwise {
    fn name(&self) -> &'static str {
        "depthwise"
    }

    fn lower(&self, op: &dyn Op, io: &Io, _: &Target) -> Option<Lowered> {
        let launch = Launchable {
            kernel: Arc::new(DepthwiseConv2d::of(op.downcast::<Conv2d>()?, io)?),
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
