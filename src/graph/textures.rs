//! Which tensors are copied to textures, when, and where to.

use std::collections::HashMap;

use super::plan::Step;
use super::slots::{self, Tenant};
use super::{Graph, Source, bytes_of};

/// A copy of a tensor, from the step before which it is made to the last that reads it.
struct Copied {
    tensor: usize,
    first: usize,
    last: usize,
}

/// Gives each step its copies and texture slots, and the bytes of the slots. A tensor is copied before the first step
/// that reads it as a texture, and again where it was written since. Constants are uploaded as textures instead.
pub(super) fn assign(graph: &Graph, steps: &mut [Step]) -> Vec<u64> {
    let mut copies: Vec<Copied> = Vec::new();
    let mut fresh: HashMap<usize, usize> = HashMap::new();
    let mut reads: Vec<(usize, usize)> = Vec::new();
    for (i, step) in steps.iter().enumerate() {
        let op = &graph.ops[step.op];
        for &index in &step.variant.textures {
            let tensor = op.inputs[index].id;
            if matches!(graph.tensors[tensor].source, Source::Constant(_)) {
                continue;
            }
            let copy = *fresh.entry(tensor).or_insert_with(|| {
                copies.push(Copied { tensor, first: i, last: i });
                copies.len() - 1
            });
            copies[copy].last = i;
            reads.push((i, copy));
        }
        op.outputs.iter().for_each(|t| _ = fresh.remove(&t.id));
    }

    let tenant = |c: &Copied| Tenant { bytes: bytes_of(&graph.tensors[c.tensor].info), first: c.first, last: c.last };
    let tenants: Vec<Tenant> = copies.iter().map(tenant).collect();
    let slots = slots::share(&tenants);
    let mut place = vec![0; copies.len()];
    for (slot, these) in slots.iter().enumerate() {
        these.iter().for_each(|&c| place[c] = slot);
    }
    for (c, copy) in copies.iter().enumerate() {
        steps[copy.first].copies.push((copy.tensor, place[c]));
    }
    for (step, copy) in reads {
        steps[step].textures.push((copies[copy].tensor, place[copy]));
    }
    slots.iter().map(|these| tenants[these[0]].bytes).collect()
}
