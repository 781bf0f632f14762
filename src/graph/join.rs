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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::graph::Tensor;
    use crate::kernels::deconv2d::Deconv2d;
    use crate::kernels::mask_predict::MaskPredict;
    use crate::tensor::Value;

    const CPU: Caps = Caps { cpu: true, ..Caps::MINIMUM };

    fn zeros(g: &mut Graph, shape: &[usize]) -> Tensor {
        let shape = crate::tensor::Shape::new(shape);
        g.constant("zeros", Arc::new(Value::f32(shape, vec![0.0; shape.len()])))
    }

    /// The mask head's last two layers, and what lies between them.
    fn mask_head() -> (Graph, Tensor) {
        let mut g = Graph::new();
        let [x, w, b] = [&[2, 3, 3, 4][..], &[8, 2, 2, 4], &[8]].map(|shape| zeros(&mut g, shape));
        let live = g.constant("live", Arc::new(Value::u32([1], vec![1])));
        let deconv = Deconv2d { stride: 2, pad: 0, relu: true, live: true };
        let between = g.op1("mask.deconv", deconv, &[x, w, b, live]).unwrap();
        let [w, b] = [&[3, 8][..], &[3]].map(|shape| zeros(&mut g, shape));
        let labels = g.constant("labels", Arc::new(Value::u32([2], vec![1, 2])));
        let out = g.op1("mask.predict", MaskPredict, &[between, w, b, labels, live]).unwrap();
        g.keep(out);
        (g, between)
    }

    fn ops(graph: Graph, caps: &Caps, names: &[&str]) -> Vec<String> {
        join(graph, caps, &Choices::forced(names)).ops.into_iter().map(|op| op.label).collect()
    }

    #[test]
    fn two_ops_become_one_where_nobody_else_needs_what_lies_between() {
        let (alone, both) = (["mask.deconv", "mask.predict"], ["mask.deconv+predict"]);
        assert_eq!(ops(mask_head().0, &CPU, &[]), both);
        assert_eq!(ops(mask_head().0, &Caps::MINIMUM, &[]), alone);
        // Ways that are asked for are of the ops as they are.
        assert_eq!(ops(mask_head().0, &CPU, &["plain"]), alone);
        let (mut kept, between) = mask_head();
        kept.keep(between);
        assert_eq!(ops(kept, &CPU, &[]), alone);
        let (mut read_twice, between) = mask_head();
        let more =
            read_twice.op1("pool", crate::kernels::max_pool::MaxPool { kernel: 1, stride: 2, pad: 0 }, &[between]);
        read_twice.keep(more.unwrap());
        assert_eq!(ops(read_twice, &CPU, &[]), ["mask.deconv", "mask.predict", "pool"]);
        // Of two writers of a tensor, neither knows what the other leaves in it.
        let (mut written_twice, _) = mask_head();
        let again = written_twice.ops[0].clone();
        written_twice.ops.insert(0, again);
        assert_eq!(ops(written_twice, &CPU, &[]), ["mask.deconv", "mask.deconv", "mask.predict"]);
    }

    /// Inputs and outputs stay those of the two.
    #[test]
    fn the_one_reads_what_both_read() {
        let (g, between) = mask_head();
        let (first, second) = (g.ops[0].clone(), g.ops[1].clone());
        let joined = join(g, &CPU, &Choices::default()).ops.remove(0);
        let ids = |tensors: &[Tensor]| tensors.iter().map(|t| t.id).collect::<Vec<_>>();
        let (a, b) = (ids(&first.inputs), ids(&second.inputs));
        assert_eq!(ids(&joined.inputs), [a[0], a[1], a[2], b[1], b[2], b[3], a[3]]);
        assert_eq!(ids(&joined.outputs), ids(&second.outputs));
        assert!(!ids(&joined.inputs).contains(&between.id));
    }
}
