//! Which tensors lie on the device as f16: half the traffic and half the memory.
//!
//! Where products are of factors rounded to f16, what lies between them may be rounded when it is written as well as when it
//! is read. A tensor is, where every kernel that writes or reads it can take it so; logits, deltas, boxes and the sums of
//! parts therefore stay in f32, since what reads them cannot. What the host reads stays, too.

use super::{Graph, Node, Source};
use crate::kernels::{self, Kernel};
use crate::ops::{Info, Io};
use crate::target::Target;
use crate::tensor::DType;

/// Gives these tensors their new type, in the graph and in all that name them.
pub(super) fn narrow(graph: &mut Graph<dyn Kernel>, target: &Target) {
    if !target.wants_f16() {
        return;
    }
    let may =
        |t: &super::TensorDef| t.info.dtype == DType::F32 && (t.narrow || (matches!(t.source, Source::Op) && !t.keep));
    let mut narrow: Vec<bool> = graph.tensors.iter().map(may).collect();
    for node in &graph.nodes {
        let (inputs, outputs) = node.infos();
        let takes = node.op.f16_operands(&Io { inputs: &inputs, outputs: &outputs });
        for (i, t) in node.inputs.iter().chain(&node.outputs).enumerate() {
            narrow[t.id] &= takes.iter().any(|(operand, _)| *operand == i);
        }
    }
    // A kernel may take an operand so in some of its schedules, and have none of those on this device.
    loop {
        let touched = |node: &&Node<dyn Kernel>| node.inputs.iter().chain(&node.outputs).any(|t| narrow[t.id]);
        let stuck = graph.nodes.iter().find(|node| {
            let as_f16 = |tensors: &[super::Tensor]| -> Vec<Info> {
                tensors.iter().map(|t| if narrow[t.id] { in_f16(t.info) } else { t.info }).collect()
            };
            let (inputs, outputs) = (as_f16(&node.inputs), as_f16(&node.outputs));
            let io = Io { inputs: &inputs, outputs: &outputs };
            touched(node) && kernels::variants(node.op.as_ref(), &io, target).is_empty()
        });
        let Some(node) = stuck else { break };
        node.inputs.iter().chain(&node.outputs).for_each(|t| narrow[t.id] = false);
    }
    for (t, _) in graph.tensors.iter_mut().zip(&narrow).filter(|(_, narrow)| **narrow) {
        t.info = in_f16(t.info);
    }
    for node in &mut graph.nodes {
        let all = node.inputs.iter_mut().chain(&mut node.outputs);
        all.filter(|t| narrow[t.id]).for_each(|t| t.info = in_f16(t.info));
    }
}

fn in_f16(info: Info) -> Info {
    Info { dtype: DType::F16, ..info }
}
