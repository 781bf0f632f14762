//! The planner, without a GPU: lifetimes and slots of random graphs, the real networks' sizes, and shape errors.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use maskrcnn::engine::compiled::PlannedNetwork;
use maskrcnn::engine::config::Config;
use maskrcnn::engine::graph::{Graph, Place, Plan, Source, Tensor, Tuning};
use maskrcnn::engine::kernels::rounded_to_f16;
use maskrcnn::engine::model::Room;
use maskrcnn::engine::ops::Info;
use maskrcnn::engine::ops::conv2d::Conv2d;
use maskrcnn::engine::ops::deconv2d::Deconv2d;
use maskrcnn::engine::ops::levels::Levels;
use maskrcnn::engine::ops::linear::Linear;
use maskrcnn::engine::ops::max_pool::MaxPool;
use maskrcnn::engine::ops::nms::Nms;
use maskrcnn::engine::ops::paste::Paste;
use maskrcnn::engine::ops::predict::{Part, Predict};
use maskrcnn::engine::ops::roi_align::{Pooling, RoiAlign};
use maskrcnn::engine::ops::topk::TopK;
use maskrcnn::engine::target::{Caps, Factors, Matrices, Matrix, Target, policy};
use maskrcnn::engine::tensor::{Shape, Value};
use maskrcnn::engine::weights::{NetworkWeights, WeightsFile, synth};
use maskrcnn::{Error, Result};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

const MIB: f64 = (1 << 20) as f64;

fn targets() -> Vec<Target> {
    let large = |subgroup| {
        let can = Caps { subgroup, max_invocations: 1024, workgroup_bytes: 32768, ..Caps::MINIMUM };
        Target { can, ..Target::MINIMUM }
    };
    vec![Target::MINIMUM, Target { pays: &policy::WIDE_CPU, ..large(Some(8)) }, large(Some(32))]
}

/// A CPU driver without subgroups.
const CPU: Target = Target { pays: &policy::CPU, ..Target::MINIMUM };

/// Bytes of a tensor by the documentation: four an element, rounded up to 16.
fn bytes(info: &Info) -> u64 {
    (info.shape.len() as u64 * 4).max(4).next_multiple_of(16)
}

/// Everything that must hold of any plan, told without the planner's own lifetimes.
fn check(plan: &Plan) -> Result<(), String> {
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
            0 => g.op1(&name, MaxPool { kernel: 1 + b % 3, stride: 1 + b % 2, pad: 0 }, &[x]).ok(),
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
        x = g.op1(&format!("pool{i}"), MaxPool { kernel: 1, stride: 1, pad: 0 }, &[x]).unwrap();
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
    let kept = g.op1("kept", MaxPool { kernel: 1, stride: 1, pad: 0 }, &[x]).unwrap();
    let wide = g.conv2d("wide", x, &w, &b).done().unwrap();
    g.stage("end");
    let last = g.op1("last", MaxPool { kernel: 2, stride: 2, pad: 0 }, &[wide]).unwrap();
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
    g.op1("pool", MaxPool { kernel: 1, stride: 1, pad: 0 }, &[x]).unwrap();
    let name = |force: &[&str]| Plan::new(g.clone(), &Target::MINIMUM, force).unwrap().steps[0].variant.name;
    assert_eq!([name(&[]), name(&["plain"]), name(&["unheard-of"])], ["quads", "plain", "quads"]);
}

fn nuclei() -> (Config, NetworkWeights) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/nuclei.safetensors");
    let file = WeightsFile::open(path).unwrap();
    let config = file.config().unwrap();
    let weights = NetworkWeights::load(&file, &config).unwrap();
    (config, weights)
}

fn resnet50() -> &'static (Config, NetworkWeights) {
    static NETWORK: OnceLock<(Config, NetworkWeights)> = OnceLock::new();
    NETWORK.get_or_init(|| {
        let config = Config::maskrcnn_resnet50_fpn();
        let weights = NetworkWeights::load(&synth::synthetic_file(&config, 1).unwrap(), &config).unwrap();
        (config, weights)
    })
}

fn plan(config: &Config, weights: &NetworkWeights, height: usize, width: usize, batch: usize, target: &Target) -> Plan {
    let pixels = height * width;
    let (image_words, mask_words) = (pixels * 3 / 4, pixels / 4);
    let pyramid_bytes = Room::PYRAMID_BYTES;
    let room = Room { height, width, batch, roi_shift: 0, image_words, mask_words, pyramid_bytes };
    PlannedNetwork::new(config, weights, room, target, &Tuning::default()).unwrap().plan
}

#[test]
fn the_default_model_is_small() {
    let (config, weights) = nuclei();
    let whole = CPU;
    let p = plan(&config, &weights, 640, 640, 1, &whole);
    assert_eq!(check(&p), Ok(()));
    let (activations, live) = (p.activation_bytes() as f64 / MIB, p.live_bytes() as f64 / MIB);
    let constants = p.constant_bytes() as f64 / MIB;
    eprintln!(
        "{} steps, {} slots, {activations:.1} MiB of slots, {live:.1} MiB alive, {constants:.1} MiB of constants",
        p.steps.len(),
        p.slots.len(),
    );
    assert!(p.steps.len() <= 80, "{} steps", p.steps.len());
    assert!(p.slots.len() <= 16, "{} slots", p.slots.len());
    assert!(activations <= 80.0, "{activations:.1} MiB");
    // How close to the least that is possible. Slots are no ranges of one buffer: the largest must hold the largest
    // tensor of any step, the second the second largest of any step, and so on.
    let mut least: Vec<u64> = Vec::new();
    for step in 0..p.steps.len() {
        let mut alive: Vec<u64> = p.alive(step).map(|t| p.bytes(t)).collect();
        alive.sort_unstable_by(|a, b| b.cmp(a));
        least.resize(least.len().max(alive.len()), 0);
        alive.iter().zip(&mut least).for_each(|(bytes, slot)| *slot = (*slot).max(*bytes));
    }
    let least = least.iter().sum::<u64>() as f64 / MIB;
    assert!(activations <= 1.15 * least, "{activations:.1} MiB of slots, and {least:.1} MiB could be enough");
    let again = plan(&config, &weights, 640, 640, 1, &whole);
    assert_eq!(p.to_string(), again.to_string());
}

/// Every size that photos lead to, and batches: plans are sound, and grow with the batch.
#[test]
fn the_default_model_is_planned_soundly_at_any_size() {
    let (config, weights) = nuclei();
    for target in targets() {
        for (h, w) in [(32, 32), (32, 1280), (640, 960), (1280, 640)] {
            assert_eq!(check(&plan(&config, &weights, h, w, 1, &target)), Ok(()), "{h}x{w} {target:?}");
        }
        let (one, two) = (plan(&config, &weights, 320, 320, 1, &target), plan(&config, &weights, 320, 320, 2, &target));
        assert_eq!(check(&two), Ok(()));
        // Where ops are taken apart, larger ones are more pieces, and those of one piece may need no splitting.
        if target.pays.live_grids {
            assert!(one.steps.len() <= two.steps.len());
        }
        assert!(two.activation_bytes() > one.activation_bytes());
    }
}

/// 128 MiB is what WebGPU promises a binding.
#[test]
fn resnet50_fits_the_least_bindings_at_its_largest_size() {
    const PROMISED: u64 = 128 << 20;
    let (config, weights) = resnet50();
    for target in targets() {
        let p = plan(config, weights, 1344, 1344, 1, &target);
        assert_eq!(check(&p), Ok(()));
        for t in &p.graph.tensors {
            assert!(bytes(&t.info) <= PROMISED, "`{}` {:?}: {:.1} MiB", t.label, t.info, bytes(&t.info) as f64 / MIB);
        }
        for step in &p.steps {
            let op = &p.graph.nodes[step.op];
            for (i, t) in op.inputs.iter().enumerate() {
                if let Source::Constant(value) = &p.graph.tensors[t.id].source
                    && op.op.weight_layout(i, &step.variant).is_some()
                    && !step.variant.textures.contains(&i)
                {
                    let packed = op.op.pack(i, value, &step.variant);
                    assert!(packed.bytes().len() as u64 <= PROMISED, "`{}` input {i}, packed", op.label);
                }
            }
            assert!(step.launch.grid.iter().all(|&n| n <= 65_535), "`{}`: grid {:?}", op.label, step.launch.grid);
        }
        eprintln!(
            "{} slots, {:.1} MiB of slots, {:.1} MiB alive",
            p.slots.len(),
            p.activation_bytes() as f64 / MIB,
            p.live_bytes() as f64 / MIB
        );
    }
}

/// Where f16 is wanted, all products are of f16, matrix units multiply the large ones, and none is Winograd's. That a
/// device could changes nothing by itself.
#[test]
fn matrices_multiply_what_is_large_where_f16_is_wanted() {
    let (config, weights) = resnet50();
    let matrices: Matrices = Matrix::ALL.into_iter().collect();
    let gpu = Caps { subgroup: Some(32), max_invocations: 1024, workgroup_bytes: 49152, ..Caps::MINIMUM };
    let able = Caps { f16: true, matrices, ..gpu };
    let on = |can| Target { can, ..Target::MINIMUM };
    let planned = |target: &Target| plan(config, weights, 800, 1088, 1, target);
    let exact = planned(&on(able));
    assert_eq!(exact.to_string(), planned(&on(gpu)).to_string());
    assert!(exact.steps.iter().all(|s| !s.variant.f16 && !s.variant.matrices));

    for (can, name) in [
        (able, "matrix-16"),
        (Caps { matrices: [Matrix { size: 8, f32_sums: true }].into_iter().collect(), ..able }, "matrix-8"),
        (Caps { matrices: Matrices::NONE, ..able }, "blocked-"),
    ] {
        let p = planned(&on(can).with(Factors::F16));
        assert_eq!(check(&p), Ok(()));
        let (mut large, mut all) = (0.0, 0.0);
        for step in &p.steps {
            let op = &p.graph.nodes[step.op];
            let kernel = op.op.name();
            assert!(!kernel.starts_with("winograd"), "`{}` is taken apart", op.label);
            if ["conv2d", "linear", "predict", "deconv2d", "split_product"].contains(&kernel) {
                assert!(step.variant.f16, "`{}`: {kernel} {}", op.label, step.variant);
                all += step.cost.flops;
                large += if step.variant.name.starts_with(name) { step.cost.flops } else { 0.0 };
            }
        }
        assert!(large > 0.98 * all, "{name}: {:.3} of the arithmetic", large / all);
    }
}

/// Multiply-adds of a ResNet-50-FPN network's parts, in 10^9, as torchvision's own modules would do them: backbone, FPN
/// laterals, FPN outputs, RPN head, box head, mask head.
fn gmac(config: &Config, weights: &NetworkWeights, height: usize, width: usize) -> [f64; 6] {
    // A CPU driver without texels takes nothing apart.
    let p = plan(config, weights, height, width, 1, &CPU);
    assert!(p.steps.iter().all(|s| s.cost.flops >= 0.0 && s.cost.bytes > 0.0));
    let mut parts = [0.0; 6];
    let mask = (100 * 28 * 28 * 256) as f64;
    for step in &p.steps {
        let op = &p.graph.nodes[step.op];
        let macs = match op.op.name() {
            // Ours computes it once more; torchvision takes every second pixel of P5.
            _ if op.label == "P6" => continue,
            // Our images have a fourth channel of zeros.
            "conv2d" if op.label == "stem" => step.cost.flops / 2.0 * 3.0 / 4.0,
            "conv2d" | "linear" | "predict" | "deconv2d" => step.cost.flops / 2.0,
            // Ours predicts the mask of the class that was found; torchvision's 1×1 convolution those of all classes.
            "mask_predict" => mask * config.num_classes as f64,
            "deconv_predict" => step.cost.flops / 2.0 + mask * (config.num_classes - 1) as f64,
            _ => continue,
        };
        let part = match op.stage {
            "FPN" if op.label.starts_with("lateral") => 1,
            "FPN" => 2,
            "RPN" => 3,
            "box head" => 4,
            "mask head" => 5,
            _ => 0,
        };
        parts[part] += macs / 1e9;
    }
    parts
}

/// Reference arithmetic, with 1000 box and 100 mask RoIs, as counted from torchvision's modules (fvcore's convention: a
/// multiply-add is one), to 0.1 GMAC.
#[test]
fn resnet50_costs_what_torchvision_s_does() {
    let (config, weights) = resnet50();
    let second = Config::maskrcnn_resnet50_fpn_v2();
    let second_weights = NetworkWeights::load(&synth::synthetic_file(&second, 1).unwrap(), &second).unwrap();
    for (width, parts, total, total_v2) in [
        (800, [52.13, 4.92, 31.33, 31.64, 14.36, 53.21], 187.6, 333.6),
        (1088, [70.90, 6.68, 42.61, 43.02, 14.36, 53.21], 230.8, 388.1),
        (1344, [87.58, 8.26, 52.64, 53.15, 14.36, 53.21], 269.2, 436.6),
    ] {
        let ours = gmac(config, weights, 800, width);
        let near = |a: f64, b: f64| (a - b).abs() <= 0.1;
        assert!(ours.iter().zip(parts).all(|(a, b)| near(*a, b)), "{width}: {ours:.2?} instead of {parts:?}");
        let sum: f64 = ours.iter().sum();
        assert!(near(sum, total), "{width}: {sum:.2} instead of {total}");
        let sum: f64 = gmac(&second, &second_weights, 800, width).iter().sum();
        assert!(near(sum, total_v2), "{width}, v2: {sum:.2} instead of {total_v2}");
    }
}

fn zeros(shape: &[usize]) -> Arc<Value> {
    Arc::new(Value::f32(Shape::new(shape), vec![0.0; shape.iter().product()]))
}

/// What building with these tensors says; panics where it is accepted.
fn refusal<T>(what: &str, made: Result<T>) -> String {
    match made {
        Ok(_) => panic!("{what}: was accepted"),
        Err(Error::Shape { op, reason }) => {
            assert!(op.contains("the layer"), "{what}: `{op}` does not name the op");
            assert!(!reason.is_empty(), "{what}");
            format!("{op}: {reason}")
        }
        Err(other) => panic!("{what}: {other:?} is no shape error"),
    }
}

#[test]
fn shapes_that_do_not_fit_are_errors_that_name_the_op() {
    let mut g = Graph::new();
    let x = g.input("x", Info::f32([1, 8, 8, 4]));
    let bias = zeros(&[4]);
    let name = "the layer";

    let conv = |g: &mut Graph, w: &[usize]| g.conv2d(name, x, &zeros(w), &bias).done();
    let text = refusal("channels", conv(&mut g, &[4, 3, 3, 8]));
    assert!(text.contains("the layer (conv2d)") && text.contains("[4×3×3×8]") && text.contains("[1×8×8×4]"), "{text}");
    refusal("a window larger than the image", conv(&mut g, &[4, 9, 3, 4]));
    refusal("a weight of three axes", conv(&mut g, &[4, 3, 12]));
    refusal("no filter", conv(&mut g, &[0, 3, 3, 4]));
    refusal("bias", conv(&mut g, &[5, 1, 1, 4]));
    let w = zeros(&[4, 3, 3, 4]);
    let small = g.input("small", Info::f32([1, 4, 4, 4]));
    let large = g.input("large", Info::f32([1, 9, 8, 4]));
    let text = refusal("a larger residual", g.conv2d(name, x, &w, &bias).pad(1).residual(large).done());
    assert!(text.contains("residual [1×9×8×4]"), "{text}");
    let floats = g.input("floats", Info::f32([1]));
    refusal("live counts as floats", g.conv2d(name, x, &w, &bias).live(floats).done());
    let counts = g.input("counts", Info::u32([3]));
    refusal("live counts that do not divide", g.conv2d(name, x, &w, &bias).live(counts).done());
    let whole = g.shared_output("whole", [1, 200]);
    let text = refusal("a slice past the end", g.conv2d(name, x, &w, &bias).into_slice(whole, 57));
    assert!(text.contains("from element 57"), "{text}");
    g.conv2d(name, x, &w, &bias).into_slice(whole, 56).unwrap();
    let two = g.shared_output("two", [2, 200]);
    refusal("a slice of another batch", g.conv2d(name, x, &w, &bias).into_slice(two, 0));
    refusal("groups", g.op(name, Conv2d { groups: 3, ..Conv2d::default() }, &[x, x, x]));
    refusal("too few inputs", g.op(name, Conv2d::default(), &[x]));

    let deconv = Deconv2d { stride: 2, pad: 0, bias: true, relu: false, live: false };
    let (w, b) = (g.constant("w", zeros(&[4, 2, 2, 8])), g.constant("b", bias.clone()));
    refusal("channels of a transposed convolution", g.op(name, deconv, &[x, w, b]));
    let w = g.constant("w", zeros(&[4, 2, 2, 4]));
    let deconv = Deconv2d { stride: 1, pad: 9, bias: true, relu: false, live: false };
    refusal("padding that leaves nothing", g.op(name, deconv, &[x, w, b]));
    let w = g.constant("w", zeros(&[4, 100]));
    refusal("columns", g.op(name, Linear::default(), &[x, w, b]));
    let (w, b) = (g.constant("w", zeros(&[10, 4])), g.constant("b", zeros(&[10])));
    let predict = |ks: [usize; 2]| Predict { parts: ks.map(|k| Part::dense(64, k)), live: false };
    refusal("rows of weights that nobody gets", g.op(name, predict([2, 7]), &[x, w, b]));
    let parts = [2, 8].map(|k| Part { k, whole: Shape::from([1, 512]), offset: 1 });
    let text = refusal("deltas past the end", g.op(name, Predict { parts, live: false }, &[x, w, b]));
    assert!(text.contains("64 rows of 8") && text.contains("from element 1"), "{text}");
    let parts = [2, 8].map(|k| Part::dense(8 * k, k));
    refusal("parts of other images", g.op(name, Predict { parts, live: false }, &[x, w, b]));
    let text = refusal("one output of two", g.op_into(name, predict([2, 8]), &[x, w, b], &[x]));
    assert!(text.contains("[64×2]") && text.contains("[64×8]"), "{text}");
    refusal("a window of nothing", g.op(name, MaxPool { kernel: 0, stride: 1, pad: 0 }, &[x]));
    refusal("a step of nothing", g.op(name, MaxPool { kernel: 2, stride: 0, pad: 0 }, &[x]));
    refusal("more padding than window", g.op(name, MaxPool { kernel: 3, stride: 1, pad: 2 }, &[x]));
    refusal("a large window", g.op(name, MaxPool { kernel: 11, stride: 1, pad: 1 }, &[x]));
    let other = g.input("other", Info::f32([1, 4, 4, 8]));
    refusal("a residual of other channels", g.conv2d(name, x, &zeros(&[4, 1, 1, 4]), &bias).residual(other).done());
    let levels = |maps: &[(usize, usize)]| Conv2d { levels: Levels::new(maps), ..Conv2d::default() };
    refusal("maps of other cells", g.op(name, levels(&[(8, 7), (3, 3)]), &[x, w, b]));
    let segments = g.input("segments", Info::u32([1, 2]));
    let row = g.input("row", Info::f32([1, 50]));
    refusal("none", g.op(name, TopK { k: 0 }, &[row, segments]));
    refusal("segments as floats", g.op(name, TopK { k: 3 }, &[row, row]));
    refusal("scores without boxes", g.op(name, Nms { threshold: 0.5 }, &[row, row, counts]));
    let (rois, live) = (g.input("rois", Info::f32([1, 3, 4])), g.input("live", Info::u32([1])));
    let align = |scales: &[f32]| RoiAlign {
        pooled: 7,
        sampling: 2,
        aligned: false,
        pooling: Pooling::Average,
        scales: scales.to_vec(),
        canonical: 224.0,
        maps: Vec::new(),
    };
    refusal("a level too many", g.op(name, align(&[0.25]), &[rois, live, x, x]));
    refusal("levels of other channels", g.op(name, align(&[0.25, 0.125]), &[rois, live, x, other]));
    let odd = g.input("odd", Info::f32([1, 8, 8, 6]));
    refusal("channels that are no quads", g.op(name, align(&[0.25]), &[rois, live, odd]));
    let (soft, places) = (g.input("soft", Info::f32([3, 28, 28])), g.input("places", Info::u32([1, 3, 8])));
    refusal("no room at all", g.op(name, Paste { capacity: 0, first: 0, threshold: 0.5 }, &[soft, places, live]));
    let text = refusal("another output", g.op_into(name, MaxPool { kernel: 1, stride: 1, pad: 0 }, &[x], &[small]));
    assert!(text.contains("[1×8×8×4]") && text.contains("[1×4×4×4]"), "{text}");

    // Whatever was refused left nothing behind.
    assert_eq!(check(&Plan::new(g.clone(), &Target::MINIMUM, &[]).unwrap()), Ok(()));
    assert_eq!(g.nodes.len(), 1);
}

type Try = Box<dyn FnOnce(&mut Graph) -> Result<Tensor>>;

/// Settings that a library's user can write down and no network has: refused as shapes are, never a panic.
#[test]
fn settings_that_cannot_be_are_errors_too() {
    let mut g = Graph::new();
    let x = g.input("x", Info::f32([1, 8, 8, 4]));
    // Kinds are to be checked when a graph is built: reading a tensor back relies on it.
    let ints = g.input("ints", Info::u32([1, 8, 8, 4]));
    let scalar = g.input("scalar", Info::f32(Shape::new(&[])));
    let (w, b) = (g.constant("w", zeros(&[4, 3, 3, 4])), g.constant("b", zeros(&[4])));
    let row = g.constant("row", zeros(&[4, 1]));
    let name = "the layer";
    let conv = Conv2d::default;
    let pool = MaxPool { kernel: 1, stride: 1, pad: 0 };
    let tries: [(&str, Try); 6] = [
        ("stride 0", Box::new(move |g| g.op1(name, Conv2d { stride: (0, 1), ..conv() }, &[x, w, b]))),
        ("dilation 0", Box::new(move |g| g.op1(name, Conv2d { dilation: (0, 1), ..conv() }, &[x, w, b]))),
        ("integers to convolve", Box::new(move |g| g.op1(name, conv(), &[ints, w, b]))),
        ("integers to pool", Box::new(move |g| g.op1(name, pool, &[ints]))),
        ("integers to add", Box::new(move |g| g.op1(name, Conv2d { residual: true, ..conv() }, &[x, w, b, ints]))),
        ("a tensor without axes", Box::new(move |g| g.op1(name, Linear::default(), &[scalar, row, b]))),
    ];
    let mut wrong = Vec::new();
    for (what, make) in tries {
        let graph = &mut g;
        match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| make(graph))) {
            Err(_) => wrong.push(format!("{what}: panicked")),
            Ok(Ok(t)) => wrong.push(format!("{what}: accepted, makes {:?}", t.info)),
            Ok(Err(Error::Shape { op, .. })) if op.contains(name) => {}
            Ok(Err(e)) => wrong.push(format!("{what}: {e:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Rounding is all that f16 does to the default model's weights: a row of small ones would lose more, and would have to
/// be scaled.
#[test]
fn f16_holds_every_row_of_the_default_model() {
    let (config, weights) = nuclei();
    let p = plan(&config, &weights, 320, 320, 1, &Target::MINIMUM);
    let mut rows = 0;
    for op in &p.graph.nodes {
        let Some(Source::Constant(weight)) = op.inputs.get(1).map(|t| &p.graph.tensors[t.id].source) else { continue };
        if !["conv2d", "linear", "predict", "deconv2d"].contains(&op.op.name()) {
            continue;
        }
        let (rounded, len) = (rounded_to_f16(weight), weight.shape.len() / weight.shape.dim(0));
        for (row, near) in weight.floats().chunks(len).zip(rounded.floats().chunks(len)) {
            let norm = |v: &mut dyn Iterator<Item = f64>| v.map(|x| x * x).sum::<f64>().sqrt();
            let lost = norm(&mut row.iter().zip(near).map(|(&a, &b)| f64::from(a) - f64::from(b)));
            let whole = norm(&mut row.iter().map(|&a| f64::from(a)));
            assert!(lost <= whole / 2048.0, "`{}`: {lost:.1e} of {whole:.1e}", op.label);
            rows += 1;
        }
    }
    assert!(rows > 1000, "only {rows} rows were looked at");
}

/// As many levels as the body has features, and one more: nothing counts on four and five.
#[test]
fn a_body_of_other_stages_has_a_pyramid_of_its_own() {
    for stages in 1..=4 {
        let mut config = Config::default();
        config.backbone.layers = vec![1; stages];
        (config.backbone.base_width, config.fpn_channels) = (16, 32);
        config.anchor_sizes.truncate(stages + 1);
        let file = synth::synthetic_file(&config, 5).unwrap();
        // What tensors tell is what they were made for.
        let told = WeightsFile::from_bytes(
            synth::to_safetensors(synth::synthetic(&config, 5), &config.to_json().unwrap()).unwrap(),
            "told",
        );
        assert_eq!(told.unwrap().config().unwrap().backbone.layers, config.backbone.layers);
        let weights = NetworkWeights::load(&file, &config).unwrap();
        let p = plan(&config, &weights, 256, 320, 2, &CPU);
        assert_eq!(check(&p), Ok(()), "{stages} stages");
        let align = p.graph.nodes.iter().find(|n| n.label == "box.align").unwrap();
        let told = maskrcnn::engine::ops::key(align.op.as_ref());
        let scales = ["0.25", "0.25,0.125", "0.25,0.125,0.0625", "0.25,0.125,0.0625,0.03125"][stages - 1];
        assert!(told.contains(&format!("scales={scales} ")), "{told}");
        let level = |name: &str| {
            p.steps.iter().any(|s| {
                p.graph.nodes[s.op].label.starts_with(&format!("{name} ")) || p.graph.nodes[s.op].label == name
            })
        };
        assert!(level(&format!("P{}", stages + 2)) && !level(&format!("P{}", stages + 3)), "{stages} stages");
    }
    // Anchors for other levels than there are.
    let mut config = Config::default();
    config.backbone.layers = vec![3, 4, 6];
    let text = config.validate().unwrap_err().to_string();
    assert!(text.contains("anchor_sizes") && text.contains("allowed 4"), "{text}");
}
