//! Fusion: two ops that follow one another as one, by patterns found in the graph, so that a graph that nobody fused by hand
//! (an importer's, a gradient's) runs as well as one that somebody did.
//!
//! | pattern | becomes |
//! |---|---|
//! | a product (convolution, transposed convolution, fully connected layer) and a bias, a sum or an activation | the product with that epilogue |
//! | an enlargement, and a convolution that adds it | the convolution, which enlarges as it adds |
//! | transposed convolution and mask predictor | both as one, on CPU drivers |
//!
//! A pattern is a function of a producer and the only op that reads it. A new one is such a function, and one line in
//! [`PATTERNS`].

mod epilogue;
mod mask;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use super::{Graph, Node, Tensor, Tuning};
use crate::ops::elementwise::Elementwise;
use crate::ops::{Info, Op, check};
use crate::target::Target;
use crate::tensor::Value;

/// A producer, the only op that reads what it writes, and which of that op's inputs this is.
struct Pair<'a> {
    graph: &'a Graph,
    first: &'a Node,
    next: &'a Node,
    input: usize,
    target: &'a Target,
    /// Whether somebody asked for a certain way to run one of the two.
    named: bool,
}

/// Two ops as one.
struct Fused {
    op: Arc<dyn Op>,
    inputs: Vec<Tensor>,
    label: String,
}

/// In the order in which they are tried.
const PATTERNS: [fn(&Pair) -> Option<Fused>; 3] = [epilogue::of_product, epilogue::enlarged, mask::of_class];

/// The graph with every pattern that it has made one op, and a bias of zeros where a product has none. What lies between two
/// ops must not be kept. Fusion that is a matter of the device leaves ops alone that `tuning` name.
pub fn fuse(mut graph: Graph, target: &Target, tuning: &Tuning) -> Graph {
    // What was fused may make a pattern with what comes before it.
    while fuse_once(&mut graph, target, tuning) {}
    epilogue::complete(graph)
}

/// Fuses from the first node to the last; says whether anything was.
fn fuse_once(graph: &mut Graph, target: &Target, tuning: &Tuning) -> bool {
    let before = graph.nodes.len();
    let mut i = 0;
    while i < graph.nodes.len() {
        match fused(graph, i, target, tuning) {
            Some((next, node)) => {
                if let (Some(_), [out]) = (graph.nodes[next].op.downcast::<Elementwise>(), &node.outputs[..]) {
                    // People know the tensor by the layer, not by the last step of its epilogue.
                    graph.tensors[out.id].label.clone_from(&node.label);
                }
                graph.nodes[next] = node;
                graph.nodes.remove(i);
            }
            None => i += 1,
        }
    }
    graph.nodes.len() < before
}

/// Node `i` and the next that reads it as one, in the place of the second.
fn fused(graph: &Graph, i: usize, target: &Target, tuning: &Tuning) -> Option<(usize, Node)> {
    let first = &graph.nodes[i];
    let [between] = first.outputs[..] else { return None };
    let next = only_reader(graph, between)?;
    let after = &graph.nodes[next];
    if graph.tensors[between.id].keep || writers(graph, between) != 1 || next <= i {
        return None;
    }
    // What the first reads must still be there when the second runs.
    let rewritten = |n: &Node| n.outputs.iter().any(|out| first.inputs.iter().any(|t| t.id == out.id));
    if graph.nodes[i + 1..next].iter().any(rewritten) {
        return None;
    }
    let named = [first, after].iter().any(|node| !tuning.names(node, target).is_empty());
    let input = after.inputs.iter().position(|t| t.id == between.id)?;
    let pair = Pair { graph, first, next: after, input, target, named };
    let Fused { op, inputs, label } = PATTERNS.iter().find_map(|pattern| pattern(&pair))?;
    let infos: Vec<Info> = inputs.iter().map(|t| t.info).collect();
    let made: Vec<Info> = after.outputs.iter().map(|t| t.info).collect();
    // A fused op that does not take these inputs is none.
    (check(op.as_ref(), &infos) == Ok(made)).then(|| (next, Node { op, inputs, label, ..after.clone() }))
}

/// The one node that reads a tensor, and reads it once.
fn only_reader(graph: &Graph, tensor: Tensor) -> Option<usize> {
    let reads = |node: &Node| node.inputs.iter().filter(|t| t.id == tensor.id).count();
    let mut readers = (0..graph.nodes.len()).filter(|&i| reads(&graph.nodes[i]) > 0);
    readers.next().filter(|&i| reads(&graph.nodes[i]) == 1 && readers.next().is_none())
}

fn writers(graph: &Graph, tensor: Tensor) -> usize {
    graph.nodes.iter().filter(|node| node.outputs.iter().any(|t| t.id == tensor.id)).count()
}

fn zeros(graph: &mut Graph, n: usize) -> Tensor {
    graph.constant("no bias", Arc::new(Value::f32([n], vec![0.0; n])))
}
