//! Ops that follow one another as one ([`crate::kernels::Kernel::joined`]).

use super::{Choices, Graph, Op};
use crate::kernels::{Caps, Io};

/// The graph with every op and the only one that reads what it writes made one where the device is served better so.
/// What lies between must not be kept. Ops that `choices` name are left alone.
pub(super) fn join(mut graph: Graph, caps: &Caps, choices: &Choices) -> Graph {
    let readers = |graph: &Graph, id: usize| -> Vec<usize> {
        let reads = |op: &Op| op.inputs.iter().any(|t| t.id == id);
        (0..graph.ops.len()).filter(|&i| reads(&graph.ops[i])).collect()
    };
    let mut i = 0;
    while i < graph.ops.len() {
        if let Some((next, op)) = joined(&graph, i, caps, choices, readers) {
            graph.ops[next] = op;
            graph.ops.remove(i);
        } else {
            i += 1;
        }
    }
    graph
}

/// Op `i` and the next that reads it as one, in the place of the second.
fn joined(
    graph: &Graph,
    i: usize,
    caps: &Caps,
    choices: &Choices,
    readers: impl Fn(&Graph, usize) -> Vec<usize>,
) -> Option<(usize, Op)> {
    let op = &graph.ops[i];
    let [between] = op.outputs[..] else { return None };
    let writers = graph.ops.iter().filter(|o| o.outputs.iter().any(|t| t.id == between.id)).count();
    let [next] = readers(graph, between.id)[..] else { return None };
    let after = &graph.ops[next];
    let named = |op: &Op| !choices.names(op, caps).is_empty();
    if graph.tensors[between.id].keep || writers != 1 || next <= i || named(op) || named(after) {
        return None;
    }
    let (inputs, outputs) = op.infos();
    let both = op.kernel.joined(&Io { inputs: &inputs, outputs: &outputs }, after.kernel.as_ref(), caps)?;
    let input = |&(which, index): &(usize, usize)| if which == 0 { op.inputs[index] } else { after.inputs[index] };
    let inputs = both.inputs.iter().map(input).collect();
    let label = format!("{}+{}", op.label, after.label.rsplit('.').next().unwrap_or_default());
    Some((next, Op { kernel: both.kernel, inputs, label, ..after.clone() }))
}
