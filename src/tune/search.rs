//! Which way to run an op is the fastest.

use std::collections::BTreeMap;

use super::candidates::{SingleOp, contents};
use crate::bench::measure::alike_within;
use crate::bench::{Change, Effort, Subject, Summary, Verdict, compare};
use crate::config::Config;
use crate::gpu::Device;
use crate::graph::{Graph, Node, Tuning, fuse};
use crate::model::{self, Capacity};
use crate::target::Target;
use crate::tensor::{Data, Value};
use crate::weights::NetworkWeights;
use crate::{Error, Result};

/// What is tuned: nearly all of a network's arithmetic is in these, and they alone have several fast ways.
const PRODUCTS: [&str; 4] = ["conv2d", "deconv2d", "linear", "predict"];

/// A candidate that takes so many times as long as the best so far at its first run is dropped.
const HOPELESS: f64 = 1.5;

/// How often a way may be taken for faster that is not: little is lost then, as it is hardly slower either.
const DOUBT: f64 = 0.01;

/// One launch of a network, and how many ops have it.
#[derive(Clone, Debug)]
pub struct Workload {
    /// The first op that has it.
    pub label: String,
    /// Ops that are this very launch.
    pub count: usize,
    key: String,
    node: Node,
}

/// What was found for a launch.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Ways that were tried, the best guess included.
    pub tried: usize,
    /// Seconds by the best guess.
    pub guess: f64,
    /// The method and variant of the fastest way; none where nothing is surely faster than the best guess.
    pub names: Vec<String>,
    /// How it compares with the best guess, run in turn, where a way was found.
    pub change: Option<Change>,
    /// Ways that compute something else than the best guess: none, if all is well.
    pub wrong: Vec<String>,
}

/// The launches of a network to tune on a device that can do `target`, for images of so many rows and columns, and the
/// graph that they are of.
///
/// # Errors
/// As [`crate::compiled::PlannedNetwork::for_image`].
pub fn launches(
    target: &Target,
    config: &Config,
    weights: &NetworkWeights,
    height: u32,
    width: u32,
) -> Result<(Graph, Vec<Workload>)> {
    let (_, capacity) = Capacity::for_image(config, height, width)?;
    // The ops that planning makes of it.
    let graph = fuse(model::build(config, weights, &capacity)?.graph, target, &Tuning::default());
    let mut out: Vec<Workload> = Vec::new();
    for node in graph.nodes.iter().filter(|node| PRODUCTS.contains(&node.op.name())) {
        let key = Tuning::key(node, target);
        match out.iter_mut().find(|l| l.key == key) {
            Some(same) => same.count += 1,
            None => out.push(Workload { label: node.label.clone(), count: 1, key, node: node.clone() }),
        }
    }
    Ok((graph, out))
}

impl Workload {
    /// Adds what was found for it to what is kept.
    pub fn keep(&self, found: &Outcome, into: &mut BTreeMap<String, Vec<String>>) {
        if found.names.is_empty() {
            into.remove(&self.key);
        } else {
            into.insert(self.key.clone(), found.names.clone());
        }
    }
}

/// Tries every way to run a launch of `graph` for which `target` allow. The fastest is named only if it is faster than the best guess beyond the
/// uncertainty, and computes the same.
///
/// # Errors
/// [`Error::Device`] where the device fails, and what the best guess ends with. Other ways that the device cannot take
/// are left out.
pub fn tune(device: &Device, target: &Target, graph: &Graph, launch: &Workload, effort: Effort) -> Result<Outcome> {
    let alone = SingleOp::new(graph, &launch.node)?;
    let values = contents(&alone.inputs);
    let inputs: Vec<_> = alone.inputs.iter().copied().zip(values.iter().map(bytes)).collect();
    let mut candidates = alone.candidates(target).into_iter();
    let Some((_, plan)) = candidates.next() else { return Err(internal("an op without variants")) };
    let mut guess = Subject::of_plan(device, plan, &inputs, alone.outputs.clone())?;
    let reference = guess.outputs()?;
    let before = median(&mut guess, effort)?;
    let mut found = Outcome { tried: 1, guess: before, names: Vec::new(), change: None, wrong: Vec::new() };
    let mut best: Option<(Subject, Vec<String>)> = None;
    let mut least = before;
    // Some ways round what they multiply to f16, where they may, and some do not.
    let most = if target.wants_f16() { 2e-3 } else { 1e-4 };
    for (names, plan) in candidates {
        found.tried += 1;
        let mut subject = match Subject::of_plan(device, plan, &inputs, alone.outputs.clone()) {
            Ok(subject) => subject,
            Err(Error::Shader { .. } | Error::Limit { .. }) => continue,
            Err(e) => return Err(e),
        };
        if subject.once() > HOPELESS * least {
            continue;
        }
        if !alike_within(&reference, &subject.outputs()?, most) {
            found.wrong.push(names.join(" "));
            continue;
        }
        let time = median(&mut subject, effort)?;
        if time < least {
            least = time;
            best = Some((subject, names));
        }
    }
    if let Some((mut subject, names)) = best {
        let change = compare::of_subjects(&mut guess, &mut subject, effort, DOUBT)?;
        if change.verdict() == Verdict::Faster {
            found.names = names;
            found.change = Some(change);
        }
    }
    Ok(found)
}

/// The median of some samples.
fn median(subject: &mut Subject, effort: Effort) -> Result<f64> {
    let begin = std::time::Instant::now();
    let mut samples = Vec::new();
    while samples.len() < 3 || begin.elapsed().as_secs_f64() < effort.seconds && samples.len() < 30 {
        let replay = subject.sample()?;
        samples.push(replay.gpu.filter(|_| !effort.wall).unwrap_or(replay.wall));
    }
    Ok(Summary::of(&samples).median)
}

fn bytes(value: &Value) -> &[u8] {
    match &value.data {
        Data::F32(v) => bytemuck::cast_slice(v),
        Data::U32(v) => bytemuck::cast_slice(v),
    }
}

fn internal(reason: &str) -> Error {
    Error::Internal(format!("the tuner met {reason}"))
}
