//! A 3×3 convolution by Winograd's products in one launch: nothing is written between tiles, products and outputs, for which
//! each block of rows turns its tiles anew (`kernels/winograd_conv2d.rs`).

use std::sync::Arc;

use super::winograd::Winograd;
use super::{Launchable, Link, Lowered, Lowering};
use crate::kernels::winograd_conv2d::WinogradConv2d;
use crate::ops::{Io, Op};
use crate::target::Target;

/// See the module.
#[derive(Debug)]
pub struct Whole;

impl Lowering for Whole {
    fn name(&self) -> &'static str {
        "winograd-whole"
    }

    fn lower(&self, op: &dyn Op, io: &Io, _: &Target) -> Option<Lowered> {
        let kernel = WinogradConv2d::of(op, io)?;
        let inputs = (0..io.inputs.len()).map(Link::Input).collect();
        let whole = Launchable { kernel: Arc::new(kernel), inputs, outputs: vec![Link::Output(0)], part: String::new() };
        Some(Lowered { scratch: Vec::new(), launches: vec![whole] })
    }

    /// Where so few multiplications are worth it, the device can hold so many points, and enough workgroups are left for it. Where f16
    /// is wanted that is where no matrix units make its products faster: what is read and written is f16, and products are of f32.
    fn pays(&self, op: &dyn Op, io: &Io, target: &Target) -> bool {
        let enough = |kernel: WinogradConv2d| {
            target.pays.winograd.whole && 2 * kernel.most_workgroups(io) >= 3 * target.pays.blocks.fills
        };
        let faster = |least: u32| target.wants_f16() && target.has_matrices_of_f16(least);
        !faster(target.pays.winograd.until_matrices)
            && Winograd::saves(op, io, target)
            && WinogradConv2d::of(op, io).is_some_and(|kernel| kernel.runs_on(target) && enough(kernel))
    }
}
