//! An op by the kernel whose shader does it: what most ops are, and for a convolution the implicit product of matrices.

use super::{Launchable, Link, Lowered, Lowering};
use crate::kernels::{self};
use crate::ops::{Io, Op};
use crate::target::Target;

/// See the module.
#[derive(Debug)]
pub struct Direct;

impl Lowering for Direct {
    fn name(&self) -> &'static str {
        "direct"
    }

    fn lower(&self, op: &dyn Op, io: &Io, _: &Target) -> Option<Lowered> {
        let launch = Launchable {
            kernel: kernels::of(op, io.inputs)?,
            inputs: (0..io.inputs.len()).map(Link::Input).collect(),
            outputs: (0..io.outputs.len()).map(Link::Output).collect(),
            part: String::new(),
        };
        Some(Lowered { scratch: Vec::new(), launches: vec![launch] })
    }

    fn pays(&self, _: &dyn Op, _: &Io, _: &Target) -> bool {
        true
    }
}
