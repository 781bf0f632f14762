//! The ways to run an op.

use crate::graph::{Graph, Node, Plan, Source, Step, Tensor, Tuning};
use crate::kernels::{self, Kernel, Schedule, Variant};
use crate::lowering;
use crate::ops::Io;
use crate::rng::Rng;
use crate::target::Target;
use crate::tensor::{DType, Value};

/// An op alone: its activations are copied in, its weights are constants, and all it writes is kept. What it writes into
/// is copied in too, and so has its memory to itself: of what lies there unwritten, a slice's neighbours or rows past a
/// live count, nothing can come from the op's own scratch, and a [`Subject`](crate::bench::Subject)'s fence stays.
pub(super) struct SingleOp {
    graph: Graph,
    /// What is to be copied in.
    pub inputs: Vec<Tensor>,
    /// What it writes.
    pub outputs: Vec<Tensor>,
}

impl SingleOp {
    /// `node` of `graph`.
    pub(super) fn new(graph: &Graph, node: &Node) -> crate::Result<Self> {
        let mut alone = Graph::new();
        let mut inputs = Vec::new();
        let mut given = |t: &Tensor| {
            let def = &graph.tensors[t.id];
            if let Source::Constant(value) = &def.source {
                return alone.constant(&def.label, value.clone());
            }
            let tensor = alone.input(&def.label, t.info);
            // What is copied in is to be there for every replay.
            alone.keep(tensor);
            inputs.push(tensor);
            tensor
        };
        let operands: Vec<Tensor> = node.inputs.iter().map(&mut given).collect();
        let outputs: Vec<Tensor> = node.outputs.iter().map(|t| alone.input(&node.label, t.info)).collect();
        outputs.iter().for_each(|&t| alone.keep(t));
        alone.op_into_shared(&node.label, node.op.clone(), &operands, &outputs)?;
        Ok(Self { graph: alone, inputs, outputs })
    }

    /// Its plan by these names; none leave it to the best guess.
    pub(super) fn plan(&self, target: &Target, names: &[String]) -> Option<Plan> {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        Plan::choosing(self.graph.clone(), target, &Tuning::forced(&names)).ok()
    }

    /// The ways to run it that differ: names and plans, the best guess first.
    pub(super) fn candidates(&self, target: &Target) -> Vec<(Vec<String>, Plan)> {
        let mut out: Vec<_> = self.plan(target, &[]).map(|plan| (Vec::new(), plan)).into_iter().collect();
        let mut add = |names: Vec<String>| {
            let Some(plan) = self.plan(target, &names) else { return };
            if !out.iter().any(|(_, known)| same(known, &plan)) {
                out.push((names, plan));
            }
        };
        for lowering in lowering::ALL {
            let Some(lowered) = self.plan(target, &[lowering.name().into()]) else { continue };
            // What has the arithmetic.
            let arithmetic = |step: &&Step| step.cost.flops;
            let Some(main) = lowered.steps.iter().max_by(|a, b| arithmetic(a).total_cmp(&arithmetic(b))) else {
                continue;
            };
            let node = &lowered.graph.nodes[main.op];
            if node.origin.lowering != lowering.name() {
                continue;
            }
            for variant in variants(node, target) {
                add(vec![lowering.name().into(), variant.name.into()]);
            }
        }
        out
    }
}

/// The variants of a kernel that are worth a try.
fn variants(node: &Node<dyn Kernel>, target: &Target) -> Vec<Variant> {
    let (inputs, outputs) = node.infos();
    let io = Io { inputs: &inputs, outputs: &outputs };
    let mut all = kernels::variants(node.op.as_ref(), &io, target);
    // The last runs anywhere, one element a thread: a check for the others and never the fastest.
    if all.len() > 1 {
        all.truncate(all.len() - 1);
    }
    // Where workgroup memory is no faster than any other (measured: benches/NOTES.md), blocks only take long to compile.
    all.retain(|v| target.pays.workgroup_memory || !matches!(v.schedule, Schedule::Blocked(_)));
    all
}

fn same(a: &Plan, b: &Plan) -> bool {
    let steps = |p: &Plan| -> Vec<(&'static str, Variant)> {
        p.steps.iter().map(|s| (p.graph.nodes[s.op].op.name(), s.variant.clone())).collect()
    };
    steps(a) == steps(b)
}

/// What is copied in: noise, and counts that leave no row out.
pub(super) fn contents(inputs: &[Tensor]) -> Vec<Value> {
    let mut rng = Rng::new(11);
    let value = |t: &Tensor| match t.info.dtype {
        DType::F32 | DType::F16 => rng.tensor(t.shape()),
        DType::U32 => Value::u32(t.shape(), vec![u32::MAX; t.shape().len()]),
    };
    inputs.iter().map(value).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::graph::Place;
    use crate::ops::Info;
    use crate::target::{Caps, policy};

    /// A convolution that writes one level of a pyramid, as P3 of FPN.
    fn level() -> Graph {
        let mut g = Graph::new();
        let x = g.input("x", Info::f32([1, 32, 32, 64]));
        let y = g.shared_output("y", [1, 1, 3 * 32 * 32, 64]);
        g.keep(y);
        let weight = Arc::new(Value::f32([64, 3, 3, 64], vec![0.0; 64 * 9 * 64]));
        let bias = Arc::new(Value::f32([64], vec![0.0; 64]));
        g.conv2d("P3", x, &weight, &bias).pad(1).into_slice(y, 32 * 32 * 64).unwrap();
        g
    }

    /// What an op leaves unwritten must not be what its own scratch left there: ways would differ that do not.
    #[test]
    fn nothing_else_lies_where_an_op_writes() {
        let graph = level();
        let alone = SingleOp::new(&graph, &graph.nodes[0]).unwrap();
        let candidates = alone.candidates(&Target {
            can: Caps { subgroup: Some(8), ..Caps::MINIMUM },
            pays: &policy::WIDE_CPU,
            ..Target::MINIMUM
        });
        let lowered = candidates.iter().filter(|(names, _)| names.iter().any(|n| n == "winograd"));
        assert!(lowered.count() > 0 && candidates.len() > 3, "no scratch to be afraid of");
        for (names, plan) in &candidates {
            for t in &alone.outputs {
                let Place::Slot(slot) = plan.places[t.id] else { panic!("{names:?}: the output lies nowhere") };
                assert_eq!(plan.slots[slot].tensors, [t.id], "{names:?}");
            }
        }
    }
}
