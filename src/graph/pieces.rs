//! Ops taken apart into smaller ones ([`crate::kernels::Kernel::pieces`]).

use super::{Graph, Op, Source, Tensor};
use crate::kernels::{Info, Io, Operand, Want};

/// The graph with every op taken apart that one of `wants` takes apart. Tensors keep their numbers; those between the
/// pieces come after them.
pub(super) fn take_apart(mut graph: Graph, wants: &[Want]) -> Graph {
    for op in std::mem::take(&mut graph.ops) {
        let infos = |ts: &[Tensor]| ts.iter().map(|t| t.info).collect::<Vec<Info>>();
        let (inputs, outputs) = (infos(&op.inputs), infos(&op.outputs));
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
            });
        }
    }
    graph
}
