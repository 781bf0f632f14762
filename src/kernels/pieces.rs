//! Ops taken apart, one kernel's work as several smaller launches, and ops made one.

use std::sync::Arc;

use super::contract::{Caps, Info, Kernel};
use super::{split_product, winograd};

/// The methods by which ops can be taken apart.
pub const METHODS: [&str; 2] = [winograd::METHOD, split_product::METHOD];

/// Whether an op is to be taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want<'a> {
    /// Where it pays on such a device.
    Best(&'a Caps),
    /// By the method of this name, wherever that can be.
    Method(&'a str),
}

/// An op taken apart: kernels that, run in this order, write what the op writes.
#[derive(Clone, Debug)]
pub struct Pieces {
    /// Tensors between them.
    pub scratch: Vec<Info>,
    /// What is run.
    pub pieces: Vec<Piece>,
}

/// Two ops as one.
#[derive(Clone, Debug)]
pub struct Joined {
    /// The kernel with its settings.
    pub kernel: Arc<dyn Kernel>,
    /// What it reads: whether an input of the first op (0) or the second (1), and its number.
    pub inputs: Vec<(usize, usize)>,
}

/// One kernel of an op that was taken apart.
#[derive(Clone, Debug)]
pub struct Piece {
    /// The kernel with its settings.
    pub kernel: Arc<dyn Kernel>,
    /// What it reads.
    pub inputs: Vec<Operand>,
    /// What it writes.
    pub output: Operand,
    /// What it does, for people; the layer's name stands before it.
    pub part: String,
}

/// A tensor of a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operand {
    /// The op's input of that number.
    Input(usize),
    /// The op's one output.
    Output,
    /// The scratch tensor of that number.
    Scratch(usize),
}
