//! Which tensors are copied to textures, when, and where to.

use std::collections::HashMap;

use super::plan::Step;
use super::slots::{self, Tenant};
use super::{Graph, Source, bytes_of};
use crate::kernels::Kernel;

/// A copy of a tensor: made before the first of the steps that read it.
#[derive(Clone)]
struct Copied {
    tensor: usize,
    bytes: u64,
    readers: Vec<usize>,
}

impl Copied {
    fn tenant(&self) -> Tenant {
        Tenant { bytes: self.bytes, first: self.readers[0], last: self.readers[self.readers.len() - 1] }
    }

    /// The same, copied anew after each time in which nobody reads it for so many steps.
    fn split(&self, gap: usize) -> impl Iterator<Item = Self> {
        let parts = self.readers.chunk_by(move |a, b| b - a < gap);
        parts.map(|readers| Self { readers: readers.into(), ..*self })
    }
}

/// Gives each step its copies and texture slots, and the bytes of the slots. A tensor is copied before the first step
/// that reads it as a texture, and again where it was written since, or where nobody reads the copy for so long that
/// its memory is better used. Constants are uploaded as textures instead.
pub(super) fn assign(graph: &Graph<dyn Kernel>, steps: &mut [Step]) -> Vec<u64> {
    let copies = thrifty(copies(graph, steps));
    let tenants = tenants(&copies);
    let slots = slots::share(&tenants);
    for (slot, these) in slots.iter().enumerate() {
        for copy in these.iter().map(|&c| &copies[c]) {
            steps[copy.readers[0]].copies.push((copy.tensor, slot));
            copy.readers.iter().for_each(|&reader| steps[reader].textures.push((copy.tensor, slot)));
        }
    }
    slots.iter().map(|these| tenants[these[0]].bytes).collect()
}

/// One copy for all that read a tensor until it is written again.
fn copies(graph: &Graph<dyn Kernel>, steps: &[Step]) -> Vec<Copied> {
    let mut copies: Vec<Copied> = Vec::new();
    let mut fresh: HashMap<usize, usize> = HashMap::new();
    for (i, step) in steps.iter().enumerate() {
        let op = &graph.nodes[step.op];
        for &index in &step.variant.textures {
            let tensor = op.inputs[index].id;
            if matches!(graph.tensors[tensor].source, Source::Constant(_)) {
                continue;
            }
            let copy = *fresh.entry(tensor).or_insert_with(|| {
                copies.push(Copied { tensor, bytes: bytes_of(&graph.tensors[tensor].info), readers: Vec::new() });
                copies.len() - 1
            });
            copies[copy].readers.push(i);
        }
        op.outputs.iter().for_each(|t| _ = fresh.remove(&t.id));
    }
    copies
}

/// The copies, those split that nobody reads for long, where that takes less memory: a byte that is copied once more
/// counts as a sixth of one that is held.
fn thrifty(copies: Vec<Copied>) -> Vec<Copied> {
    let bytes = |copies: &[Copied]| -> u64 { copies.iter().map(|c| c.bytes).sum() };
    let once = bytes(&copies);
    let cost = |copies: &[Copied]| {
        let tenants = tenants(copies);
        let held: u64 = slots::share(&tenants).iter().map(|these| tenants[these[0]].bytes).sum();
        held + (bytes(copies) - once) / 6
    };
    let mut gaps: Vec<usize> = copies.iter().flat_map(|c| c.readers.windows(2).map(|w| w[1] - w[0])).collect();
    gaps.sort_unstable();
    gaps.dedup();
    let split = |gap: &usize| copies.iter().flat_map(|c| c.split(*gap)).collect::<Vec<_>>();
    let least = gaps.iter().rev().map(split).min_by_key(|s| cost(s)).filter(|s| cost(s) < cost(&copies));
    least.unwrap_or(copies)
}

fn tenants(copies: &[Copied]) -> Vec<Tenant> {
    copies.iter().map(Copied::tenant).collect()
}
