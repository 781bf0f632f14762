//! The planner, without a GPU: lifetimes and slots of random graphs, the real networks' sizes, and shape errors.

use std::collections::HashMap;
use std::sync::Arc;

use maskrcnn::Result;
use maskrcnn::engine::graph::{Graph, Place, Plan, Source, Tensor};
use maskrcnn::engine::ops::Info;
use maskrcnn::engine::ops::max_pool::MaxPool;
use maskrcnn::engine::target::{Caps, Target, policy};
use maskrcnn::engine::tensor::{DType, Shape, Value};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

pub(crate) const MIB: f64 = (1 << 20) as f64;

pub(crate) fn targets() -> Vec<Target> {
    let large = |subgroup| {
        let can = Caps { subgroup, max_invocations: 1024, workgroup_bytes: 32768, ..Caps::MINIMUM };
        Target { can, ..Target::MINIMUM }
    };
    vec![Target::MINIMUM, Target { pays: &policy::WIDE_CPU, ..large(Some(8)) }, large(Some(32))]
}

/// A CPU driver without subgroups.
pub(crate) const CPU: Target = Target { pays: &policy::CPU, ..Target::MINIMUM };

/// Bytes of a tensor by the documentation: four an element or, in half precision, two, rounded up to 16.
pub(crate) fn bytes(info: &Info) -> u64 {
    let element = if info.dtype == DType::F16 { 2 } else { 4 };
    (info.shape.len() as u64 * element).max(4).next_multiple_of(16)
}

/// Everything that must hold of any plan, told without the planner's own lifetimes.
pub(crate) fn check(plan: &Plan) -> Result<(), String> {
    let graph = &plan.graph;
    let slot = |id: usize| match plan.places[id] {
        Place::Slot(s) => Some(s),
        _ => None,
    };
    let label = |id: usize| format!("tensor {id} `{}`", graph.tensors[id].label);
    let ensure = |good: bool, what: String| if good { Ok(()) } else { Err(what) };

    ensure(plan.steps.iter().map(|s| s.op).eq(0..graph.nodes.len()), "steps are not the ops in order".into())?;
    for (id, tensor) in graph.tensors.iter().enumerate() {
        let constant = matches!(tensor.source, Source::Constant(_));
        ensure(constant == (plan.places[id] == Place::Constant), format!("{} lies wrong", label(id)))?;
        let touched = graph.nodes.iter().any(|o| o.inputs.iter().chain(&o.outputs).any(|t| t.id == id));
        ensure(constant || touched == slot(id).is_some(), format!("{} has no slot, or needs none", label(id)))?;
    }
    for (s, slot) in plan.slots.iter().enumerate() {
        let largest = slot.tensors.iter().map(|&t| bytes(&graph.tensors[t].info)).max();
        ensure(largest == Some(slot.bytes), format!("slot {s} has {} bytes for {largest:?}", slot.bytes))?;
        for &t in &slot.tensors {
            ensure(plan.places[t] == Place::Slot(s), format!("{} is not where slot {s} says", label(t)))?;
        }
    }

    // The run, with names instead of numbers: what is read must be what was last written there.
    let mut held: HashMap<usize, usize> = HashMap::new();
    for (id, tensor) in graph.tensors.iter().enumerate() {
        if let (Source::Input, Some(s)) = (&tensor.source, slot(id)) {
            let other = held.insert(s, id);
            ensure(other.is_none(), format!("{} shares its slot with another input", label(id)))?;
        }
    }
    let mut written = vec![false; graph.tensors.len()];
    for (i, op) in graph.nodes.iter().enumerate() {
        for t in &op.inputs {
            if let Some(s) = slot(t.id) {
                let here = held.get(&s) == Some(&t.id);
                ensure(here, format!("op {i} reads {} after its slot was taken", label(t.id)))?;
                let shared = op.outputs.iter().any(|o| slot(o.id) == Some(s));
                ensure(!shared, format!("op {i} reads and writes slot {s}"))?;
            }
        }
        for t in &op.outputs {
            let s = slot(t.id).ok_or(format!("op {i} writes {} nowhere", label(t.id)))?;
            // A shared output is written part by part: nobody may come between.
            ensure(!written[t.id] || held.get(&s) == Some(&t.id), format!("{} lost a part", label(t.id)))?;
            held.insert(s, t.id);
            written[t.id] = true;
        }
        let mut slots: Vec<_> = op.outputs.iter().map(|t| slot(t.id)).collect();
        slots.sort();
        slots.dedup();
        ensure(slots.len() == op.outputs.len(), format!("op {i} writes two tensors into one slot"))?;
    }
    for (id, tensor) in graph.tensors.iter().enumerate() {
        if let (true, Some(s)) = (tensor.keep, slot(id)) {
            ensure(held.get(&s) == Some(&id), format!("{} is kept, and its slot was taken", label(id)))?;
        }
    }

    for (s, slot) in plan.slots.iter().enumerate() {
        for (i, &a) in slot.tensors.iter().enumerate() {
            for &b in &slot.tensors[..i] {
                let (Some(x), Some(y)) = (plan.lifetimes[a], plan.lifetimes[b]) else {
                    return Err(format!("a tenant of slot {s} has no lifetime"));
                };
                ensure(x.1 < y.0 || y.1 < x.0, format!("{} and {} meet in slot {s}", label(a), label(b)))?;
            }
        }
    }
    let (all, live) = (plan.activation_bytes(), plan.live_bytes());
    ensure(all >= live, format!("{all} bytes of slots for {live} alive"))?;
    let peak = plan.peak();
    let there = peak.tensors.iter().map(|&t| bytes(&graph.tensors[t].info)).sum::<u64>();
    ensure(peak.bytes == live && there == live, format!("{live} bytes alive, {there} of them named: {peak:?}"))?;
    ensure(plan.alive(peak.step).eq(peak.tensors.iter().copied()), format!("not those of its step: {peak:?}"))?;
    let slots = plan.slots.iter().map(|s| s.bytes).sum::<u64>();
    ensure(all == slots + plan.textures.iter().sum::<u64>(), "the slots' bytes do not add up".into())?;
    check_textures(plan)
}

/// Every texture that a step reads holds the tensor as it is then.
fn check_textures(plan: &Plan) -> Result<(), String> {
    let ensure = |ok: bool, reason: String| if ok { Ok(()) } else { Err(reason) };
    let mut held: Vec<Option<usize>> = vec![None; plan.textures.len()];
    for (i, step) in plan.steps.iter().enumerate() {
        let op = &plan.graph.nodes[step.op];
        for &(tensor, slot) in &step.copies {
            let fits = plan.textures[slot] >= bytes(&plan.graph.tensors[tensor].info);
            ensure(fits, format!("step {i}: a copy is larger than its texture"))?;
            held[slot] = Some(tensor);
        }
        for &index in &step.variant.textures {
            let tensor = op.inputs[index].id;
            let constant = matches!(plan.graph.tensors[tensor].source, Source::Constant(_));
            let slot = step.textures.iter().find(|t| t.0 == tensor).map(|t| t.1);
            let sound = constant == slot.is_none() && slot.is_none_or(|s| held[s] == Some(tensor));
            ensure(sound, format!("step {i} reads a texture that does not hold tensor {tensor}"))?;
        }
        for t in &op.outputs {
            held.iter_mut().filter(|h| **h == Some(t.id)).for_each(|h| *h = None);
        }
    }
    Ok(())
}

/// A choice: what to do, with which of the tensors so far, and whether to keep the result.
type Choice = (u8, usize, usize, bool);

/// A graph of those choices; what does not fit is left out.
fn random_graph(choices: &[Choice], inputs: usize) -> Graph {
    let mut g = Graph::new();
    let weight = |r: usize| Arc::new(Value::f32([4, r, r, 4], vec![0.5; 16 * r * r]));
    let (weights, bias) = ([weight(1), weight(3)], Arc::new(Value::f32([4], vec![0.0; 4])));
    let add =
        |g: &mut Graph, name: &str, x: Tensor, y: Tensor| g.conv2d(name, x, &weights[0], &bias).residual(y).done();
    let mut all: Vec<Tensor> =
        (0..inputs).map(|i| g.input(&format!("in{i}"), Info::f32([1, 16 >> i, 12, 4]))).collect();
    for (n, &(kind, a, b, keep)) in choices.iter().enumerate() {
        let (x, y) = (all[a % all.len()], all[b % all.len()]);
        let name = format!("op{n}");
        let made = match kind % 6 {
            0 => g.op1(&name, MaxPool { kernel: 1 + b % 3, stride: 1 + b % 2, pad: 0, after: 0 }, &[x]).ok(),
            1 => add(&mut g, &name, x, y).ok(),
            2 => g.conv2d(&name, x, &weights[b % 2], &bias).pad(b % 2).relu().done().ok(),
            3 => {
                let conv = g.conv2d(&name, x, &weights[1], &bias).pad(1);
                if y.shape() == x.shape() && y != x { conv.residual(y).done().ok() } else { conv.done().ok() }
            }
            4 => {
                // Two parts of one tensor, with another op between them.
                let part = x.shape().len();
                let whole = g.shared_output(&name, [1, 2, part / 2 + y.shape().len()]);
                g.conv2d(&format!("{name}.a"), x, &weights[0], &bias).into_slice(whole, 0).expect("it fits");
                if let Ok(t) = add(&mut g, &format!("{name}.between"), y, x) {
                    all.push(t);
                }
                g.conv2d(&format!("{name}.b"), y, &weights[0], &bias).into_slice(whole, part).expect("it fits");
                if keep {
                    g.keep(whole);
                }
                None
            }
            _ => {
                // An output that nobody reads still needs a place of its own.
                let _ = add(&mut g, &name, x, y);
                None
            }
        };
        if let Some(t) = made {
            if keep {
                g.keep(t);
            }
            all.push(t);
        }
    }
    g
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(20),
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_graph_is_planned_soundly(
        choices in prop::collection::vec((any::<u8>(), 0..40usize, 0..40usize, prop::bool::weighted(0.15)), 1..40),
        inputs in 1..3usize,
    ) {
        for target in targets() {
            let plan = Plan::new(random_graph(&choices, inputs), &target, &[]).unwrap();
            prop_assert_eq!(check(&plan), Ok(()));
            let again = Plan::new(random_graph(&choices, inputs), &target, &[]).unwrap();
            prop_assert_eq!(plan.to_string(), again.to_string());
            prop_assert_eq!(plan.slots, again.slots);
        }
    }
}

#[test]
fn a_chain_takes_turns_in_two_slots() {
    let mut g = Graph::new();
    let mut x = g.input("x", Info::f32([1, 8, 8, 4]));
    for i in 0..10 {
        x = g.op1(&format!("pool{i}"), MaxPool { kernel: 1, stride: 1, pad: 0, after: 0 }, &[x]).unwrap();
    }
    g.keep(x);
    let plan = Plan::new(g, &Target::MINIMUM, &[]).unwrap();
    assert_eq!(check(&plan), Ok(()));
    assert_eq!((plan.slots.len(), plan.activation_bytes(), plan.live_bytes()), (2, 2048, 2048));
}

/// In the middle of three pools, the second is the largest; what is kept counts to the end, and constants never.
#[test]
fn the_peak_is_where_most_is_alive() {
    let mut g = Graph::new();
    let x = g.input("x", Info::f32([1, 4, 4, 4]));
    let (w, b) = (zeros(&[64, 1, 1, 4]), zeros(&[64]));
    let kept = g.op1("kept", MaxPool { kernel: 1, stride: 1, pad: 0, after: 0 }, &[x]).unwrap();
    let wide = g.conv2d("wide", x, &w, &b).done().unwrap();
    g.stage("end");
    let last = g.op1("last", MaxPool { kernel: 2, stride: 2, pad: 0, after: 0 }, &[wide]).unwrap();
    g.keep(kept);
    let plan = Plan::new(g, &Target::MINIMUM, &[]).unwrap();
    let peak = plan.peak();
    // 4096 bytes of `wide`, with `x` and `kept` of 256 each; then `last`, of 1024, in place of `x`.
    assert_eq!((peak.step, peak.bytes), (2, 4096 + 256 + 1024), "{plan}");
    assert_eq!(peak.tensors, [kept.id, wide.id, last.id]);
    assert_eq!(plan.alive(1).map(|t| plan.bytes(t)).sum::<u64>(), 4096 + 256 + 256);
    let text = plan.to_string();
    assert!(text.contains("alive at step 2, last (end): wide [1×4×4×64] (0.0 MiB), last"), "{text}");
    assert_eq!(Plan::new(Graph::new(), &Target::MINIMUM, &[]).unwrap().peak().bytes, 0);
}

#[test]
fn a_variant_can_be_forced() {
    let mut g = Graph::new();
    let x = g.input("x", Info::f32([1, 8, 8, 4]));
    g.op1("pool", MaxPool { kernel: 1, stride: 1, pad: 0, after: 0 }, &[x]).unwrap();
    let name = |force: &[&str]| Plan::new(g.clone(), &Target::MINIMUM, force).unwrap().steps[0].variant.name;
    assert_eq!([name(&[]), name(&["plain"]), name(&["unheard-of"])], ["quads", "plain", "quads"]);
}

pub(crate) fn zeros(shape: &[usize]) -> Arc<Value> {
    Arc::new(Value::f32(Shape::new(shape), vec![0.0; shape.iter().product()]))
}
