//! A 3×3 convolution by Winograd's products on matrix units, in one launch (`kernels/winograd_matrix.rs`).

use std::sync::Arc;

use super::{Launchable, Link, Lowered, Lowering};
use crate::kernels::winograd_matrix::WinogradMatrix;
use crate::ops::{Io, Op};
use crate::target::Target;

/// See the module.
#[derive(Debug)]
pub struct OnMatrices;

impl Lowering for OnMatrices {
    fn name(&self) -> &'static str {
        "winograd-matrix"
    }

    /// Where there are matrix units for it, and f16 is wanted: without, the kernel is for its tests, and no way for a tuner to try.
    fn lower(&self, op: &dyn Op, io: &Io, target: &Target) -> Option<Lowered> {
        let able = |kernel: &WinogradMatrix| target.wants_f16() && kernel.workgroups(io, target).is_some();
        let kernel = WinogradMatrix::of(op, io).filter(able)?;
        let inputs = (0..io.inputs.len()).map(Link::Input).collect();
        let whole = Launchable { kernel: Arc::new(kernel), inputs, outputs: vec![Link::Output(0)], part: String::new() };
        Some(Lowered { scratch: Vec::new(), launches: vec![whole] })
    }

    /// Where f16 is wanted, and enough workgroups keep the device's matrix units busy.
    fn pays(&self, op: &dyn Op, io: &Io, target: &Target) -> bool {
        let Some(least) = target.pays.winograd.on_matrices.filter(|_| target.wants_f16()) else { return false };
        let enough = |conv: &WinogradMatrix| {
            let few = io.dim(1, 0).min(io.dim(1, 3)) < target.pays.winograd.least_channels;
            !few && conv.workgroups(io, target).is_some_and(|n| n >= least)
        };
        WinogradMatrix::of(op, io).as_ref().is_some_and(enough)
    }
}
