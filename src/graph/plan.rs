//! From a graph to a plan: which variant each op runs, and which buffer each tensor lies in. Data too.

use super::grids::{self, Indirect};
use super::slots::{self, Tenant};
use std::sync::Arc;

use super::fuse::fuse;
use super::lower::lower;
use super::narrow::narrow;
use super::{Graph, Source, Tensor, Tuning, bytes_of, textures};
use crate::Result;
use crate::kernels::{self, Kernel, Launch, Variant};
use crate::ops::{Cost, Info, Io, check};
use crate::target::Target;

/// A buffer that tensors of disjoint lifetimes share. WebGPU takes a writable storage buffer as one exclusive whole,
/// so slots are separate buffers and not ranges of an arena.
#[derive(Clone, Debug, PartialEq)]
pub struct Slot {
    /// Size of the largest tenant.
    pub bytes: u64,
    /// The tensors that lie in it, one after the other.
    pub tensors: Vec<usize>,
}

/// Where a tensor lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a slot of the plan.
    Slot(usize),
    /// In a buffer of its own that outlives the plan.
    Constant,
    /// Nowhere: nothing reads or writes it.
    None,
}

/// One dispatch.
#[derive(Clone, Debug)]
pub struct Step {
    /// Position in [`Graph::nodes`].
    pub op: usize,
    /// How it is compiled.
    pub variant: Variant,
    /// Grid and parameters.
    pub launch: Launch,
    /// What it costs when all rows are live.
    pub cost: Cost,
    /// Tensors that are copied to texture slots before it, as (tensor, texture slot).
    pub copies: Vec<(usize, usize)>,
    /// The texture slots of those inputs that it reads as textures and that are no constants, as (tensor, texture
    /// slot).
    pub textures: Vec<(usize, usize)>,
    /// Where its grid stands on the device, if it follows a live count.
    pub indirect: Option<Indirect>,
}

/// Where a plan needs most memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peak {
    /// Bytes alive there.
    pub bytes: u64,
    /// The step.
    pub step: usize,
    /// The tensors alive there, by id.
    pub tensors: Vec<usize>,
}

/// A graph made ready for a class of devices.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The kernels with their tensors. Tensors keep the numbers that they had in the graph of ops.
    pub graph: Graph<dyn Kernel>,
    /// Buffers.
    pub slots: Vec<Slot>,
    /// The place of each tensor.
    pub places: Vec<Place>,
    /// First and last op that touches each tensor.
    pub lifetimes: Vec<Option<(usize, usize)>>,
    /// Dispatches in order.
    pub steps: Vec<Step>,
    /// Bytes of each texture slot: copies of tensors, for steps that read them as textures.
    pub textures: Vec<u64>,
}

impl Plan {
    /// Plans `graph` for a device: ops fused, each carried out by the lowering that is thought best, its kernels by their
    /// first schedule. `force` names lowerings and schedules for all ops ([`Names`](super::Names)).
    ///
    /// # Errors
    /// [`crate::Error::Shape`] for an op that no lowering carries out.
    pub fn new(graph: Graph, target: &Target, force: &[&str]) -> Result<Self> {
        Self::choosing(graph, target, &Tuning::forced(force))
    }

    /// As [`Plan::new`], with names for each op.
    ///
    /// # Errors
    /// As [`Plan::new`].
    pub fn choosing(graph: Graph, target: &Target, tuning: &Tuning) -> Result<Self> {
        let mut graph = lower(fuse(graph, target, tuning), target, tuning)?;
        narrow(&mut graph, target);
        let mut steps = choose(&graph, target);
        if target.pays.live_grids {
            let grids = grids::add(&mut graph, &steps);
            steps = choose(&graph, target);
            steps.iter_mut().zip(grids).for_each(|(step, grid)| step.indirect = grid);
        }
        let textures = textures::assign(&graph, &mut steps);
        let lifetimes = lifetimes(&graph, &steps);
        let (slots, places) = assign(&graph, &lifetimes);
        Ok(Self { graph, slots, places, lifetimes, steps, textures })
    }

    /// Puts another kernel in the place of step `i`'s, whose one output thereby changes size, and the slot with it; gives that
    /// output.
    ///
    /// # Errors
    /// [`crate::Error::Shape`] where the kernel does not fit the inputs.
    pub fn replace(&mut self, i: usize, kernel: impl Kernel) -> Result<Tensor> {
        let step = &mut self.steps[i];
        let node = &mut self.graph.nodes[step.op];
        let inputs: Vec<Info> = node.inputs.iter().map(|t| t.info).collect();
        let refuse = |reason| crate::Error::Shape { op: node.label.clone(), reason };
        let outputs = check(&kernel, &inputs).map_err(refuse)?;
        let mut out = node.outputs[0];
        out.info = outputs[0];
        let io = Io { inputs: &inputs, outputs: &outputs };
        (step.launch, step.cost) = (kernel.launch(&io, &step.variant), kernel.cost(&io));
        (node.op, node.outputs) = (Arc::new(kernel), vec![out]);
        self.graph.tensors[out.id].info = out.info;
        if let Place::Slot(s) = self.places[out.id] {
            self.slots[s].bytes = self.slots[s].bytes.max(bytes_of(&out.info));
        }
        Ok(out)
    }

    /// The step that writes `tensor` last, if one does.
    pub fn step_of(&self, tensor: Tensor) -> Option<usize> {
        let writes = |step: &Step| self.graph.nodes[step.op].outputs.iter().any(|t| t.id == tensor.id);
        self.steps.iter().rposition(writes)
    }

    /// Bytes of all slots, textures included: what a run needs beside the constants.
    pub fn activation_bytes(&self) -> u64 {
        self.slots.iter().map(|s| s.bytes).sum::<u64>() + self.texture_bytes()
    }

    /// Bytes of the texture slots alone.
    pub fn texture_bytes(&self) -> u64 {
        self.textures.iter().sum()
    }

    /// Bytes of the constants, before packing.
    pub fn constant_bytes(&self) -> u64 {
        let constants = self.graph.tensors.iter().filter(|t| matches!(t.source, Source::Constant(_)));
        constants.map(|t| bytes_of(&t.info)).sum()
    }

    /// Most bytes that are alive at once: what no assignment can undercut.
    pub fn live_bytes(&self) -> u64 {
        self.peak().bytes
    }

    /// Bytes of a tensor, as its buffer has them.
    pub fn bytes(&self, tensor: usize) -> u64 {
        bytes_of(&self.graph.tensors[tensor].info)
    }

    /// The tensors in slots that are alive during a step.
    pub fn alive(&self, step: usize) -> impl Iterator<Item = usize> {
        let alive = move |l: &Option<(usize, usize)>| l.is_some_and(|(a, b)| a <= step && step <= b);
        let places = self.places.iter().zip(&self.lifetimes).enumerate();
        places.filter(move |(_, (p, l))| matches!(p, Place::Slot(_)) && alive(l)).map(|(i, _)| i)
    }

    /// The first step at which most bytes are alive.
    pub fn peak(&self) -> Peak {
        let mut peak = Peak { bytes: 0, step: 0, tensors: Vec::new() };
        for step in 0..self.steps.len() {
            let bytes = self.alive(step).map(|t| self.bytes(t)).sum();
            if bytes > peak.bytes {
                peak = Peak { bytes, step, tensors: self.alive(step).collect() };
            }
        }
        peak
    }
}

/// A step for each op: the first of its variants, or the one that its names have first.
fn choose(graph: &Graph<dyn Kernel>, target: &Target) -> Vec<Step> {
    let steps = graph.nodes.iter().enumerate().map(|(i, op)| {
        let (inputs, outputs) = op.infos();
        let io = Io { inputs: &inputs, outputs: &outputs };
        let variants = kernels::variants(op.op.as_ref(), &io, target);
        let named = op.names.iter().find_map(|name| variants.iter().find(|v| v.name == name));
        let variant = named.unwrap_or(&variants[0]).clone();
        let (launch, mut cost) = (op.op.launch(&io, &variant), op.op.cost(&io));
        // Weights that were packed as f16 are half of what the op says of them.
        let packed = |(i, t): (usize, &Tensor)| {
            let layout = op.op.weight_layout(i, &variant).is_some_and(|layout| layout.ends_with(kernels::PACKED_F16));
            if layout { (t.info.bytes() / 2) as f64 } else { 0.0 }
        };
        cost.bytes -= op.inputs.iter().enumerate().map(packed).sum::<f64>();
        Step { op: i, launch, cost, variant, copies: Vec::new(), textures: Vec::new(), indirect: None }
    });
    steps.collect()
}

fn lifetimes(graph: &Graph<dyn Kernel>, steps: &[Step]) -> Vec<Option<(usize, usize)>> {
    let mut out: Vec<Option<(usize, usize)>> = vec![None; graph.tensors.len()];
    for (i, op) in graph.nodes.iter().enumerate() {
        for t in op.inputs.iter().chain(&op.outputs) {
            out[t.id] = Some(out[t.id].map_or((i, i), |(first, _)| (first, i)));
        }
    }
    // A grid is read when its step is launched.
    for (i, grid) in steps.iter().enumerate().filter_map(|(i, s)| Some((i, s.indirect?))) {
        out[grid.tensor] = out[grid.tensor].map(|(first, last)| (first, last.max(i)));
    }
    for (t, life) in graph.tensors.iter().zip(&mut out) {
        // Read back, though no step reads it.
        if t.keep && matches!(t.source, Source::Input) {
            life.get_or_insert((0, 0));
        }
        if let Some((first, last)) = life {
            if matches!(t.source, Source::Input) {
                *first = 0;
            }
            if t.keep {
                *last = graph.nodes.len();
            }
        }
    }
    out
}

/// The slots, and the place of each tensor.
fn assign(graph: &Graph<dyn Kernel>, lifetimes: &[Option<(usize, usize)>]) -> (Vec<Slot>, Vec<Place>) {
    let mut places: Vec<Place> = graph
        .tensors
        .iter()
        .map(|t| match t.source {
            Source::Constant(_) => Place::Constant,
            _ => Place::None,
        })
        .collect();
    let lives = |&i: &usize| places[i] == Place::None && lifetimes[i].is_some();
    let tensors: Vec<usize> = (0..graph.tensors.len()).filter(lives).collect();
    let tenant = |&i: &usize| {
        let (first, last) = lifetimes[i]?;
        Some(Tenant { bytes: bytes_of(&graph.tensors[i].info), first, last })
    };
    let tenants: Vec<Tenant> = tensors.iter().filter_map(tenant).collect();
    let slot = |these: Vec<usize>| Slot {
        bytes: tenants[these[0]].bytes,
        tensors: these.into_iter().map(|i| tensors[i]).collect(),
    };
    let slots: Vec<Slot> = slots::share(&tenants).into_iter().map(slot).collect();
    for (i, slot) in slots.iter().enumerate() {
        slot.tensors.iter().for_each(|&t| places[t] = Place::Slot(i));
    }
    (slots, places)
}
