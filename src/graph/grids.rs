//! Grids that follow the live counts, so that dead rows are not launched.

use std::sync::Arc;

use super::plan::Step;
use super::{Graph, Names, Node, Origin, Source, Tensor};
use crate::kernels::Kernel;
use crate::kernels::LiveGrid;
use crate::kernels::live_grids::{COLUMNS, LiveGrids};
use crate::ops::{Info, Io, Op};
use crate::tensor::Value;

/// Where a step's grid stands on the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Indirect {
    /// The tensor of grids.
    pub tensor: usize,
    /// The row of it.
    pub row: usize,
    /// The step that computes it.
    pub step: usize,
}

/// A step whose grid follows a live count.
struct Follower {
    op: usize,
    live: Tensor,
    row: [u32; COLUMNS],
}

/// Adds ops that compute the grids of `steps`, one after the op that counts; gives each op of the new graph the grid that
/// it is to be launched with, where there is one.
pub(super) fn add(graph: &mut Graph<dyn Kernel>, steps: &[Step]) -> Vec<Option<Indirect>> {
    let followers: Vec<Follower> = steps.iter().filter_map(|s| follower(graph, s)).collect();
    let mut grids: Vec<Option<Indirect>> = Vec::new();
    let mut wanted: Vec<Option<Indirect>> = vec![None; graph.nodes.len()];
    for (i, op) in std::mem::take(&mut graph.nodes).into_iter().enumerate() {
        let made = op.outputs.clone();
        graph.nodes.push(op);
        grids.push(wanted[i]);
        for live in made {
            let these: Vec<&Follower> = followers.iter().filter(|f| f.live.id == live.id).collect();
            // A count that is written twice would leave the first grids stale.
            if these.is_empty() || these.iter().any(|f| f.op <= i) {
                continue;
            }
            let rows: Vec<u32> = these.iter().flat_map(|f| f.row).collect();
            let table = Arc::new(Value::u32([these.len(), COLUMNS], rows));
            let label = format!("{} grids", graph.tensors[live.id].label);
            let table = graph.constant(&format!("{label}.table"), table);
            let out = graph.define(&label, Info::u32([these.len(), 4]), Source::Op);
            let step = graph.nodes.len();
            let stage = graph.nodes[step - 1].stage;
            let (inputs, names) = (vec![live, table], Names::default());
            let origin = Origin { op: LiveGrids.name(), lowering: "live grids" };
            graph.nodes.push(Node { op: Arc::new(LiveGrids), inputs, outputs: vec![out], label, stage, names, origin });
            grids.push(None);
            for (row, f) in these.iter().enumerate() {
                wanted[f.op] = Some(Indirect { tensor: out.id, row, step });
            }
        }
    }
    grids
}

fn follower(graph: &Graph<dyn Kernel>, step: &Step) -> Option<Follower> {
    let op = &graph.nodes[step.op];
    let (inputs, outputs) = op.infos();
    let LiveGrid { input, axis, rows, units, first, block, .. } =
        op.op.live_grid(&Io { inputs: &inputs, outputs: &outputs }, &step.variant)?;
    let live = op.inputs[input];
    let [x, y, z] = step.launch.grid;
    // A folded grid has its rows along two axes.
    let folded = axis == 0 && y > 1;
    let counted = matches!(graph.tensors[live.id].source, Source::Op);
    let row = [units, first, block, axis as u32, x, y, z, rows / live.shape().len().max(1) as u32];
    (counted && !folded).then_some(Follower { op: step.op, live, row })
}
