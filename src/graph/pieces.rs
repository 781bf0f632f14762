//! Ops taken apart into smaller ones ([`crate::kernels::Kernel::pieces`]).

use super::{Choices, Graph, Op, Source, Tensor};
use crate::kernels::{Caps, Info, Io, Operand, Want};

/// The graph with every op taken apart that is to be, by the best guess or by the names that `choices` has for it; every
/// op of the new graph knows its names. Tensors keep their numbers; those between the pieces come after them.
pub(super) fn take_apart(mut graph: Graph, caps: &Caps, choices: &Choices) -> Graph {
    for mut op in std::mem::take(&mut graph.ops) {
        op.names = choices.names(&op, caps);
        let wants: Vec<Want> = match &op.names[..] {
            [] => vec![Want::Best(caps)],
            names => names.iter().map(|n| Want::Method(n)).collect(),
        };
        let (inputs, outputs) = op.infos();
        let io = Io { inputs: &inputs, outputs: &outputs };
        let Some(apart) = wants.iter().find_map(|&want| op.kernel.pieces(&io, want)) else {
            graph.ops.push(op);
            continue;
        };
        let define = |(i, &info): (usize, &Info)| graph.define(&format!("{} scratch {i}", op.label), info, Source::Op);
        let scratch: Vec<Tensor> = apart.scratch.iter().enumerate().map(define).collect();
        let tensor = |operand: &Operand| match *operand {
            Operand::Input(i) => op.inputs[i],
            Operand::Output => op.outputs[0],
            Operand::Scratch(i) => scratch[i],
        };
        for piece in apart.pieces {
            graph.ops.push(Op {
                inputs: piece.inputs.iter().map(tensor).collect(),
                outputs: vec![tensor(&piece.output)],
                label: format!("{} {}", op.label, piece.part),
                kernel: piece.kernel,
                stage: op.stage,
                names: op.names.clone(),
            });
        }
    }
    graph
}
