//! The command graph: tensors and ops as plain data, built fluently, planned, and only then given to a device.

mod build;
mod choices;
mod dot;
mod grids;
mod join;
mod json;
mod pieces;
mod plan;
mod slots;
mod table;
mod textures;

pub use build::Conv2dBuilder;
pub use choices::{Choices, Names};
pub use grids::Indirect;
pub use plan::{Peak, Place, Plan, Slot, Step};

use std::sync::Arc;

use crate::kernels::{Info, Kernel};
use crate::tensor::{DType, Shape, Value};
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
}

/// One kernel applied to tensors.
#[derive(Clone, Debug)]
pub struct Op {
    /// The kernel with its settings.
    pub kernel: Arc<dyn Kernel>,
    /// What it reads.
    pub inputs: Vec<Tensor>,
    /// What it writes, whole or in part.
    pub outputs: Vec<Tensor>,
    /// Name for people: the layer.
    pub label: String,
    /// The part of the network it belongs to: "C2", "RPN", "mask head".
    pub stage: &'static str,
    /// Which method and variants to run it by; none until it is planned.
    pub names: Names,
}

impl Op {
    /// Shapes and types of what it reads and writes: what an [`Io`](crate::kernels::Io) is made of.
    pub fn infos(&self) -> (Vec<Info>, Vec<Info>) {
        let infos = |tensors: &[Tensor]| tensors.iter().map(|t| t.info).collect();
        (infos(&self.inputs), infos(&self.outputs))
    }
}

/// A network as data.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// Tensors by id.
    pub tensors: Vec<TensorDef>,
    /// Ops in the order of execution.
    pub ops: Vec<Op>,
    stage: &'static str,
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

    /// A tensor whose content is known now.
    pub fn constant(&mut self, label: &str, value: Arc<Value>) -> Tensor {
        let info = Info { shape: value.shape, dtype: value.dtype() };
        self.define(label, info, Source::Constant(value))
    }

    /// A tensor that several ops will each write a part of.
    pub fn shared_output(&mut self, label: &str, shape: impl Into<Shape>) -> Tensor {
        self.define(label, Info::f32(shape), Source::Op)
    }

    /// Keeps a tensor after the run: it can be read back, and its memory is not used again.
    pub fn keep(&mut self, tensor: Tensor) {
        self.tensors[tensor.id].keep = true;
    }

    /// Adds an op and its outputs.
    ///
    /// # Errors
    /// [`Error::Shape`] naming the op where the kernel refuses the inputs.
    pub fn op(&mut self, label: &str, kernel: impl Kernel + 'static, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
        self.op_shared(label, Arc::new(kernel), inputs)
    }

    /// As [`Graph::op`], with a kernel that others hold too, as a case does.
    ///
    /// # Errors
    /// As [`Graph::op`].
    pub fn op_shared(&mut self, label: &str, kernel: Arc<dyn Kernel>, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
        let infos = self.infer(label, kernel.as_ref(), inputs)?;
        let outputs: Vec<Tensor> = infos.into_iter().map(|i| self.define(label, i, Source::Op)).collect();
        self.push(label, kernel, inputs, &outputs);
        Ok(outputs)
    }

    /// Adds an op of one output.
    ///
    /// # Errors
    /// As [`Graph::op`].
    pub fn op1(&mut self, label: &str, kernel: impl Kernel + 'static, inputs: &[Tensor]) -> Result<Tensor> {
        Ok(self.op(label, kernel, inputs)?[0])
    }

    /// Adds an op that writes a part of each of `outs`.
    ///
    /// # Errors
    /// [`Error::Shape`] where the inputs or `outs` do not fit.
    pub fn op_into(
        &mut self,
        label: &str,
        kernel: impl Kernel + 'static,
        inputs: &[Tensor],
        outs: &[Tensor],
    ) -> Result<()> {
        self.op_into_shared(label, Arc::new(kernel), inputs, outs)
    }

    /// As [`Graph::op_into`], with a kernel that others hold too.
    ///
    /// # Errors
    /// As [`Graph::op_into`].
    pub fn op_into_shared(
        &mut self,
        label: &str,
        kernel: Arc<dyn Kernel>,
        inputs: &[Tensor],
        outs: &[Tensor],
    ) -> Result<()> {
        let infos = self.infer(label, kernel.as_ref(), inputs)?;
        let given: Vec<Info> = outs.iter().map(|t| t.info).collect();
        if infos != given {
            let reason = format!("makes {infos:?}, which is not the {given:?} that it is to write into");
            return Err(Error::Shape { op: label.into(), reason });
        }
        self.push(label, kernel, inputs, outs);
        Ok(())
    }

    fn infer(&self, label: &str, kernel: &dyn Kernel, inputs: &[Tensor]) -> Result<Vec<Info>> {
        let infos: Vec<Info> = inputs.iter().map(|t| t.info).collect();
        let refuse = |reason| Error::Shape { op: format!("{label} ({})", kernel.name()), reason };
        let integers = kernel.integers();
        for (i, info) in infos.iter().enumerate() {
            let want = if integers.contains(&i) { DType::U32 } else { DType::F32 };
            if info.dtype != want {
                return Err(refuse(format!("input {i} is {info:?}, and {want:?} is due")));
            }
        }
        kernel.infer(&infos).map_err(refuse)
    }

    fn define(&mut self, label: &str, info: Info, source: Source) -> Tensor {
        let id = self.tensors.len();
        self.tensors.push(TensorDef { info, label: label.into(), source, keep: false });
        Tensor { id, info }
    }

    fn push(&mut self, label: &str, kernel: Arc<dyn Kernel>, inputs: &[Tensor], outputs: &[Tensor]) {
        self.ops.push(Op {
            kernel,
            inputs: inputs.to_vec(),
            outputs: outputs.to_vec(),
            label: label.into(),
            stage: self.stage,
            names: Names::default(),
        });
    }
}

/// Bytes of a tensor, rounded up to what a storage binding and a copy need.
pub(crate) fn bytes_of(info: &Info) -> u64 {
    (info.shape.len() as u64 * crate::tensor::ELEMENT_BYTES as u64).max(4).next_multiple_of(16)
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
