//! Every op carried out by a lowering: a graph of kernels.

use super::{Graph, Node, Origin, Source, Tensor, Tuning};
use crate::kernels::Kernel;
use crate::lowering::{self, Link};
use crate::ops::{Info, Io};
use crate::target::Target;
use crate::{Error, Result};

/// The graph with every op lowered, by the best guess or by the names that `tuning` has for it; every node of the new graph
/// knows its names. Tensors keep their numbers; those between launches of one op come after them.
pub(super) fn lower(graph: Graph, target: &Target, tuning: &Tuning) -> Result<Graph<dyn Kernel>> {
    let mut lowered = Graph { tensors: graph.tensors, nodes: Vec::new(), stage: graph.stage };
    for node in graph.nodes {
        let names = tuning.names(&node, target);
        let (inputs, outputs) = node.infos();
        let io = Io { inputs: &inputs, outputs: &outputs };
        let (lowering, launches) = lowering::lower(node.op.as_ref(), &io, target, &names).ok_or_else(|| {
            let reason = format!("no lowering carries out {:?} of {inputs:?}", node.op);
            Error::Shape { op: node.label.clone(), reason }
        })?;
        let origin = Origin { op: node.op.name(), lowering };
        let define =
            |(i, &info): (usize, &Info)| lowered.define(&format!("{} scratch {i}", node.label), info, Source::Op);
        let scratch: Vec<Tensor> = launches.scratch.iter().enumerate().map(define).collect();
        let tensor = |link: &Link| match *link {
            Link::Input(i) => node.inputs[i],
            Link::Output(i) => node.outputs[i],
            Link::Scratch(i) => scratch[i],
        };
        for launch in launches.launches {
            lowered.nodes.push(Node {
                inputs: launch.inputs.iter().map(tensor).collect(),
                outputs: launch.outputs.iter().map(tensor).collect(),
                label: if launch.part.is_empty() {
                    node.label.clone()
                } else {
                    format!("{} {}", node.label, launch.part)
                },
                op: launch.kernel,
                stage: node.stage,
                names: names.clone(),
                origin,
            });
        }
    }
    Ok(lowered)
}
