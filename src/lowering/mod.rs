//! Lowerings: ways to carry an op out by kernels. They are tried in order, and the first that can and pays is taken; a
//! tuner or a user names another.
//!
//! | lowering | what it makes of what |
//! |---|---|
//! | [`winograd`] | a 3×3 convolution as products of a quarter of the multiplications |
//! | [`split_k`] | a product of few blocks and long rows as parts that fill a GPU, and their sum |
//! | [`radix`] | a selection of more than one workgroup can sort, in three steps |
//! | [`direct`] | any op by the kernel whose shader does it |
//!
//! A new one is a file here and one line in [`ALL`].

pub mod direct;
pub mod radix;
pub mod split_k;
pub mod winograd;

use std::fmt;
use std::sync::Arc;

use crate::kernels::{Caps, Kernel};
use crate::ops::{Info, Io, Op};

/// A way to carry an op out.
pub trait Lowering: fmt::Debug + Sync {
    /// Its name, to ask for it.
    fn name(&self) -> &'static str;

    /// The launches that, run in this order, write what the op writes; none where this is no way to do it.
    fn lower(&self, op: &dyn Op, io: &Io) -> Option<Lowered>;

    /// Whether it is thought the best way on such a device, of those from here on in [`ALL`].
    fn pays(&self, op: &dyn Op, io: &Io, caps: &Caps) -> bool;
}

/// Every lowering, in the order in which they are tried.
pub const ALL: [&dyn Lowering; 4] = [&winograd::Winograd, &split_k::SplitK, &radix::Radix, &direct::Direct];

/// An op as launches.
#[derive(Clone, Debug)]
pub struct Lowered {
    /// Tensors between them.
    pub scratch: Vec<Info>,
    /// What is run.
    pub launches: Vec<Launchable>,
}

/// A kernel with what it reads and writes.
#[derive(Clone, Debug)]
pub struct Launchable {
    /// The kernel with its settings.
    pub kernel: Arc<dyn Kernel>,
    /// What it reads.
    pub inputs: Vec<Link>,
    /// What it writes.
    pub outputs: Vec<Link>,
    /// What it does, for people; the layer's name stands before it. Nothing where it is all of the op.
    pub part: String,
}

/// A tensor of a launch, as the op has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// The op's input of that number.
    Input(usize),
    /// The op's output of that number.
    Output(usize),
    /// The scratch tensor of that number.
    Scratch(usize),
}

/// How to carry out `op`: by the first of `names` that names a lowering which can, or, with no names, by the first that can
/// and pays. Names of schedules alone leave the op whole, where its kernel takes it whole.
pub fn lower(op: &dyn Op, io: &Io, caps: &Caps, names: &[String]) -> Option<(&'static str, Lowered)> {
    let by = |l: &&'static dyn Lowering| Some((l.name(), l.lower(op, io)?));
    let find = |name: &String| ALL.iter().find(|l| l.name() == name).and_then(by);
    let best = || ALL.iter().filter(|l| l.pays(op, io, caps)).find_map(by);
    let whole = || direct::Direct.lower(op, io).map(|lowered| (direct::Direct.name(), lowered));
    if names.is_empty() { best() } else { names.iter().find_map(find).or_else(whole).or_else(best) }
}
