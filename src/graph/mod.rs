//! The command graph: tensors and ops as plain data, built fluently, planned, and only then given to a device.
//!
//! A graph is of [ops] as a network means them. Planning fuses them ([`fuse()`]), carries each out by a
//! [lowering](crate::lowering), which makes a graph of [kernels](crate::kernels), and gives every tensor its place
//! ([`Plan`]).

mod build;
mod dot;
mod fuse;
mod grids;
mod json;
mod lower;
mod narrow;
mod plan;
mod predict;
mod slots;
mod table;
mod textures;
mod tuning;

pub use build::Conv2dBuilder;
pub use fuse::fuse;
pub use grids::Indirect;
pub use plan::{Peak, Place, Plan, Slot, Step};
pub use predict::{Bound, Prediction};
pub use table::Table;
pub use tuning::{Names, Tuning};

use std::sync::Arc;

use crate::ops::{self, Info, Op};
use crate::tensor::{Shape, Value};
use crate::{Error, Result};

/// A tensor of one graph: its number, shape and type. Never memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// Position in [`Graph::tensors`].
    pub id: usize,
    /// Shape and type.
    pub info: Info,
}

impl Tensor {
    /// Extents.
    pub fn shape(&self) -> Shape {
        self.info.shape
    }

    /// Extent `i`, outermost first.
    pub fn dim(&self, i: usize) -> usize {
        self.info.shape.dim(i)
    }
}

/// Where a tensor's content comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// Copied in before each run.
    Input,
    /// Known when the graph is built; uploaded once and shared by every graph that names the same value.
    Constant(Arc<Value>),
    /// Written by an op.
    Op,
}

/// A tensor's entry in the graph.
#[derive(Clone, Debug)]
pub struct TensorDef {
    /// Shape and type.
    pub info: Info,
    /// Name for people.
    pub label: String,
    /// Origin.
    pub source: Source,
    /// Kept after the run, so that it can be read back or replayed from.
    pub keep: bool,
    /// Whether it shall lie on the device as f16 where all that touch it can, whatever the plan would do.
    pub narrow: bool,
}

/// An op, or a kernel, applied to tensors.
#[derive(Debug)]
pub struct Node<N: ?Sized = dyn Op> {
    /// The op with its settings.
    pub op: Arc<N>,
    /// What it reads.
    pub inputs: Vec<Tensor>,
    /// What it writes, whole or in part.
    pub outputs: Vec<Tensor>,
    /// Name for people: the layer.
    pub label: String,
    /// The part of the network it belongs to: "C2", "RPN", "mask head".
    pub stage: &'static str,
    /// Which lowering and schedules to run it by; none until it is planned.
    pub names: Names,
    /// The op of the network that a kernel carries out a part of, and by which lowering; empty until it is planned.
    pub origin: Origin,
}

/// What a kernel of a plan came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The op.
    pub op: &'static str,
    /// The lowering.
    pub lowering: &'static str,
}

impl<N: ?Sized> Clone for Node<N> {
    fn clone(&self) -> Self {
        let Self { op, inputs, outputs, label, stage, names, origin } = self;
        Self {
            op: op.clone(),
            inputs: inputs.clone(),
            outputs: outputs.clone(),
            label: label.clone(),
            stage,
            names: names.clone(),
            origin: *origin,
        }
    }
}

impl<N: ?Sized> Node<N> {
    /// Shapes and types of what it reads and writes: what an [`Io`](crate::ops::Io) is made of.
    pub fn infos(&self) -> (Vec<Info>, Vec<Info>) {
        let infos = |tensors: &[Tensor]| tensors.iter().map(|t| t.info).collect();
        (infos(&self.inputs), infos(&self.outputs))
    }
}

impl Node {
    /// The inputs that its op calls by these names.
    pub(crate) fn named_inputs<const N: usize>(&self, op: &dyn Op, names: [&str; N]) -> Option<[Tensor; N]> {
        let operands = op.operands();
        let at = |name: &str| operands.iter().position(|operand| operand.name == name);
        let found: Vec<Tensor> = names.iter().filter_map(|name| self.inputs.get(at(name)?).copied()).collect();
        found.try_into().ok()
    }
}

/// A network as data: of ops, or, planned, of kernels.
#[derive(Debug)]
pub struct Graph<N: ?Sized = dyn Op> {
    /// Tensors by id.
    pub tensors: Vec<TensorDef>,
    /// What is run, in order.
    pub nodes: Vec<Node<N>>,
    stage: &'static str,
}

impl<N: ?Sized> Clone for Graph<N> {
    fn clone(&self) -> Self {
        Self { tensors: self.tensors.clone(), nodes: self.nodes.clone(), stage: self.stage }
    }
}

impl<N: ?Sized> Default for Graph<N> {
    fn default() -> Self {
        Self { tensors: Vec::new(), nodes: Vec::new(), stage: "" }
    }
}

impl<N: ?Sized> Graph<N> {
    /// A tensor whose content is known now.
    pub fn constant(&mut self, label: &str, value: Arc<Value>) -> Tensor {
        let info = Info { shape: value.shape, dtype: value.dtype() };
        self.define(label, info, Source::Constant(value))
    }

    fn define(&mut self, label: &str, info: Info, source: Source) -> Tensor {
        let id = self.tensors.len();
        self.tensors.push(TensorDef { info, label: label.into(), source, keep: false, narrow: false });
        Tensor { id, info }
    }
}

impl Graph {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }

    /// Names the part of the network that the following ops belong to.
    pub fn stage(&mut self, name: &'static str) {
        self.stage = name;
    }

    /// A tensor that is copied in before each run.
    pub fn input(&mut self, label: &str, info: Info) -> Tensor {
        self.define(label, info, Source::Input)
    }

    /// A tensor that several ops will each write a part of.
    pub fn shared_output(&mut self, label: &str, shape: impl Into<Shape>) -> Tensor {
        self.define(label, Info::f32(shape), Source::Op)
    }

    /// Keeps a tensor after the run: it can be read back, and its memory is not used again.
    pub fn keep(&mut self, tensor: Tensor) {
        self.tensors[tensor.id].keep = true;
    }

    /// Has a float tensor lie on the device as f16, where all that read and write it can, also where a plan would not do so
    /// by itself: constants, and what is kept. The host has it in f32 all the same.
    pub fn narrow(&mut self, tensor: Tensor) {
        self.tensors[tensor.id].narrow = true;
    }

    /// Adds an op and its outputs.
    ///
    /// # Errors
    /// [`Error::Shape`] naming the op where the inputs do not fit it.
    pub fn op(&mut self, label: &str, op: impl Op, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
        self.op_shared(label, Arc::new(op), inputs)
    }

    /// As [`Graph::op`], with an op that others hold too, as a case does.
    ///
    /// # Errors
    /// As [`Graph::op`].
    pub fn op_shared(&mut self, label: &str, op: Arc<dyn Op>, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
        let infos = infer(label, op.as_ref(), inputs)?;
        let outputs: Vec<Tensor> = infos.into_iter().map(|i| self.define(label, i, Source::Op)).collect();
        self.push(label, op, inputs, &outputs);
        Ok(outputs)
    }

    /// Adds an op of one output.
    ///
    /// # Errors
    /// As [`Graph::op`].
    pub fn op1(&mut self, label: &str, op: impl Op, inputs: &[Tensor]) -> Result<Tensor> {
        Ok(self.op(label, op, inputs)?[0])
    }

    /// Adds an op that writes a part of each of `outs`.
    ///
    /// # Errors
    /// [`Error::Shape`] where the inputs or `outs` do not fit.
    pub fn op_into(&mut self, label: &str, op: impl Op, inputs: &[Tensor], outs: &[Tensor]) -> Result<()> {
        self.op_into_shared(label, Arc::new(op), inputs, outs)
    }

    /// As [`Graph::op_into`], with an op that others hold too.
    ///
    /// # Errors
    /// As [`Graph::op_into`].
    pub fn op_into_shared(&mut self, label: &str, op: Arc<dyn Op>, inputs: &[Tensor], outs: &[Tensor]) -> Result<()> {
        let infos = infer(label, op.as_ref(), inputs)?;
        let given: Vec<Info> = outs.iter().map(|t| t.info).collect();
        if infos != given {
            let reason = format!("makes {infos:?}, which is not the {given:?} that it is to write into");
            return Err(Error::Shape { op: label.into(), reason });
        }
        self.push(label, op, inputs, outs);
        Ok(())
    }

    fn push(&mut self, label: &str, op: Arc<dyn Op>, inputs: &[Tensor], outputs: &[Tensor]) {
        self.nodes.push(Node {
            op,
            inputs: inputs.to_vec(),
            outputs: outputs.to_vec(),
            label: label.into(),
            stage: self.stage,
            names: Names::default(),
            origin: Origin::default(),
        });
    }
}

fn infer(label: &str, op: &dyn Op, inputs: &[Tensor]) -> Result<Vec<Info>> {
    let infos: Vec<Info> = inputs.iter().map(|t| t.info).collect();
    ops::check(op, &infos).map_err(|reason| Error::Shape { op: format!("{label} ({})", op.name()), reason })
}

/// Bytes of a tensor, rounded up to what a storage binding and a copy need.
pub(crate) fn bytes_of(info: &Info) -> u64 {
    (info.bytes() as u64).max(4).next_multiple_of(16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_whole_blocks_of_sixteen_and_never_none() {
        for (elements, bytes) in [(0, 16), (1, 16), (4, 16), (5, 32), (1000, 4000), (1001, 4016)] {
            assert_eq!(bytes_of(&Info::f32([elements])), bytes, "{elements} floats");
            assert_eq!(bytes_of(&Info::u32([elements])), bytes, "{elements} integers");
        }
    }
}
