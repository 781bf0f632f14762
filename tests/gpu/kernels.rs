//! Every kernel on the GPU against its CPU twin: every case, every variant; with and without run-time checks, twice.

use std::sync::Arc;

use crate::common::{Twins, device, difference, graph_of, run_case, run_on, same_bits, target};
use maskrcnn::engine::gpu::Runner;
use maskrcnn::engine::graph::{Graph, Plan, Tensor};
use maskrcnn::engine::kernels::{self, Case, REGISTRY, Schedule, Tolerance, Variant, rounded_to_f16};
use maskrcnn::engine::ops::Op;
use maskrcnn::engine::ops::frame::Frame;
use maskrcnn::engine::ops::linear::Linear;
use maskrcnn::engine::ops::preprocess::Preprocess;
use maskrcnn::engine::ops::sampling::{Filter, Sampling};
use maskrcnn::engine::ops::topk::{NONE, TopK};
use maskrcnn::engine::ops::{Info, Io};
use maskrcnn::engine::rng::Rng;
use maskrcnn::engine::target::{Target, policy};
use maskrcnn::engine::tensor::{DType, Data, Value};

/// Variants of a case that are run. With `MASKRCNN_FIRST_VARIANT_ONLY` that is the first, which is the one that a plan would
/// take: `make check` has no time for the others.
pub(crate) fn most_variants() -> usize {
    if std::env::var_os("MASKRCNN_FIRST_VARIANT_ONLY").is_some() { 1 } else { usize::MAX }
}

/// One kernel's cases.
fn check(name: &str) {
    let entry = maskrcnn::engine::kernels::entry(name).expect("registered");
    let mut failures = Vec::new();
    let cases = (entry.cases)();
    assert!(!cases.is_empty(), "{name} has no cases");
    for case in cases {
        let infos: Vec<Info> = case.inputs.iter().map(|v| Info { shape: v.shape, dtype: v.dtype() }).collect();
        let outputs = case.kernel.infer(&infos).unwrap_or_else(|e| panic!("{name} {}: {e}", case.name));
        let io = Io { inputs: &infos, outputs: &outputs };
        let twins = Twins::new(&case);
        let variants = case.kernel.variants(&io, &target());
        assert!(!variants.is_empty(), "{name}, {}: no variant", case.name);
        for variant in variants.into_iter().take(most_variants()) {
            let runs = run_case(device(), &case, variant.name, false, 2);
            let checked = run_case(device(), &case, variant.name, true, 1);
            let label = format!("{name}, {}, {variant}", case.name);
            if !same_bits(&runs[0], &runs[1]) {
                failures.push(format!("{label}: two runs differ"));
            }
            if !same_bits(&runs[0], &checked[0]) {
                failures.push(format!("{label}: checked and unchecked modules differ"));
            }
            for (i, (got, want)) in runs[0].iter().zip(twins.of(&variant)).enumerate() {
                if let Some(d) = difference(got, want, case.tolerance) {
                    failures.push(format!("{label}: output {i}: {d}"));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

macro_rules! kernel_tests {
    ($($name:ident: $op:path,)*) => {
        $(#[test] fn $name() { check(stringify!($name)); })*
    };
}

maskrcnn::with_kernels!(kernel_tests);

/// Selections by large workgroups, which only GPUs take by themselves.
#[test]
fn large_workgroups_select_the_same() {
    let gpu = Target { pays: &policy::GPU, ..device().target() };
    let mut ran = 0;
    for case in ["topk", "topk_tiles", "topk_join"].iter().flat_map(|name| (kernels::entry(name).unwrap().cases)()) {
        let (graph, outputs) = graph_of(&case);
        let plan = Plan::new(graph, &gpu, &["one large workgroup", "a large workgroup a tile"]).unwrap();
        if plan.steps.len() > 1 || plan.steps[0].variant.find("THREADS") != Some(1024) {
            continue;
        }
        let got = Runner::new(device(), plan).unwrap().run(&[], &outputs).unwrap();
        for (got, want) in got.iter().zip(&case.kernel.twin(&case.inputs)) {
            // Of what no tile writes, the twin says nothing.
            let written = |v: &Value, i: usize| match &v.data {
                Data::F32(v) => !v[i].is_nan(),
                Data::U32(v) => v[i] != u32::MAX,
            };
            let same = |i: usize| match (&got.data, &want.data) {
                (Data::F32(a), Data::F32(b)) => a[i] == b[i],
                (Data::U32(a), Data::U32(b)) => a[i] == b[i],
                _ => false,
            };
            let wrong = (0..want.shape.len()).find(|&i| written(want, i) && !same(i));
            assert_eq!(wrong, None, "{}", case.name);
        }
        ran += 1;
    }
    assert!(ran > 3 || device().target().can.max_invocations < 1024, "{ran} cases");
}

/// Loads that all lanes have in common, which only newer versions of Mesa's CPU driver make once, and so are offered there alone.
#[test]
fn common_loads_multiply_the_same() {
    let (mut ran, mut failures) = (Vec::new(), Vec::new());
    let target = Target { pays: &policy::SHORT_COMMON_CPU, ..target() };
    for (entry, case) in REGISTRY.iter().flat_map(|entry| (entry.cases)().into_iter().map(move |case| (entry, case))) {
        let infos: Vec<Info> = case.inputs.iter().map(|v| Info { shape: v.shape, dtype: v.dtype() }).collect();
        let outputs = case.kernel.infer(&infos).unwrap();
        let variants = case.kernel.variants(&Io { inputs: &infos, outputs: &outputs }, &target);
        let Some(variant) = variants.iter().find(|v| matches!(v.schedule, Schedule::Common(_))) else { continue };
        let got = run_on(device(), &target, &case, variant.name, false, 1).remove(0);
        for (got, want) in got.iter().zip(Twins::new(&case).of(variant)) {
            failures.extend(difference(got, want, case.tolerance).map(|d| format!("{}, {variant}: {d}", case.name)));
        }
        ran.push(entry.name);
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    ran.dedup();
    assert_eq!(ran, ["conv2d", "deconv2d", "deconv_predict", "linear", "predict", "winograd_gemm"]);
}

/// Matrices of f16 and of f32, loaded from fours and, as Metal's language does, from single elements. Small blocks of one case of each
/// kernel will do: a CPU driver takes seconds for each.
#[test]
fn matrices_multiply_whatever_they_are_loaded_from() {
    let mut ran = 0;
    for (entry, matrix_scalars) in REGISTRY.iter().flat_map(|entry| [(entry, false), (entry, true)]) {
        let mut target = target();
        target.can.matrix_scalars = matrix_scalars;
        let offered = |case: &Case| {
            let infos: Vec<Info> = case.inputs.iter().map(|v| Info { shape: v.shape, dtype: v.dtype() }).collect();
            let outputs = case.kernel.infer(&infos).unwrap();
            let mut variants = case.kernel.variants(&Io { inputs: &infos, outputs: &outputs }, &target);
            let small = |v: &Variant| v.schedule.extents().is_some_and(|[pixels, rows]| pixels * rows <= 4096);
            variants.retain(|v| matches!(v.schedule, Schedule::Matrix(_)) && small(v));
            // One of f16, one of f32.
            variants.dedup_by_key(|v| v.schedule.wide());
            variants
        };
        let all = (entry.cases)().into_iter().map(|case| (offered(&case), case));
        let Some((variants, case)) = all.into_iter().find(|(variants, _)| !variants.is_empty()) else { continue };
        let twins = Twins::new(&case);
        for variant in variants {
            let got = run_on(device(), &target, &case, variant.name, false, 1).remove(0);
            for (got, want) in got.iter().zip(twins.of(&variant)) {
                assert_eq!(difference(got, want, case.tolerance), None, "{}, {variant}", case.name);
            }
            ran += 1;
        }
    }
    eprintln!("{ran} runs");
    assert!(ran > 10 || device().target().can.matrices.is_empty());
}

/// The kernels' operands that may be f16 in memory, outputs counted behind the inputs, as their cases show them.
const MAY_BE_F16: &[(&str, &[usize])] = &[
    ("conv2d", &[0, 3, 4]),
    ("deconv2d", &[0, 3, 4]),
    ("depthwise_conv2d", &[0, 3]),
    ("linear", &[0, 3, 4]),
    ("mask_predict", &[0]),
    ("max_pool", &[0, 1]),
    ("mean_pool", &[0]),
    ("predict", &[0]),
    ("preprocess", &[4]),
    ("roi_align", &[2, 3, 4, 5, 6]),
    ("roi_crop", &[2, 3, 4, 5, 6]),
    ("roi_pool", &[2, 3, 4, 5, 6]),
    ("split_product", &[0]),
    ("split_sum", &[2, 3, 4]),
    ("warp", &[3]),
    ("winograd_conv2d", &[0, 3, 4, 5]),
    ("winograd_matrix", &[0, 3, 4, 5]),
];

/// Every operand that a kernel may have as f16 in memory: what is read is rounded, what is written too, and nothing else
/// changes.
#[test]
fn what_lies_in_memory_as_f16_is_rounded_and_no_more() {
    if !target().wants_f16() {
        eprintln!("{} has no f16", device().name());
        return;
    }
    let (mut failures, mut ran, mut narrowed) = (Vec::new(), 0, Vec::new());
    for (entry, case) in REGISTRY.iter().flat_map(|entry| (entry.cases)().into_iter().map(move |case| (entry, case))) {
        let infos: Vec<Info> = case.inputs.iter().map(|v| Info { shape: v.shape, dtype: v.dtype() }).collect();
        let outputs = case.kernel.infer(&infos).unwrap();
        let io = Io { inputs: &infos, outputs: &outputs };
        let takes = case.kernel.f16_operands(&io);
        narrowed.extend(takes.iter().map(|(operand, _)| (entry.name, *operand)));
        let narrow = |i: usize| takes.iter().any(|(operand, _)| *operand == i);
        let (inputs, made) = kernels::in_f16(case.kernel.as_ref(), &io);
        let variants = kernels::variants(case.kernel.as_ref(), &Io { inputs: &inputs, outputs: &made }, &target());
        for variant in variants.iter().filter(|_| !takes.is_empty()) {
            let mut rounded = case.inputs.clone();
            let factors = if variant.f16 { 2 } else { 0 };
            let of_f16 = rounded.iter_mut().enumerate().filter(|(i, _)| narrow(*i) || *i < factors);
            of_f16.for_each(|(_, v)| *v = rounded_to_f16(v));
            let want = case.kernel.twin(&rounded);

            let (mut graph, kept) = graph_of(&case);
            let touched: Vec<Tensor> = graph.nodes[0].inputs.iter().chain(&graph.nodes[0].outputs).copied().collect();
            touched.iter().enumerate().filter(|(i, _)| narrow(*i)).for_each(|(_, t)| graph.narrow(*t));
            let plan = Plan::new(graph, &target(), &[variant.name]).unwrap();
            let label = format!("{}, {variant}", case.name);
            assert_eq!(plan.steps[0].variant, *variant, "{label}");
            let got = Runner::new(device(), plan).unwrap().run(&[], &kept).unwrap();
            ran += 1;
            for (i, (got, want)) in got.iter().zip(&want).enumerate() {
                // What nobody writes is what lay there.
                let live: Vec<bool> = match &want.data {
                    Data::F32(want) => want.iter().map(|v| !v.is_nan()).collect(),
                    Data::U32(_) => continue,
                };
                let kept = |v: &Value| -> Vec<f32> {
                    v.floats().iter().zip(&live).filter(|(_, live)| **live).map(|(v, _)| *v).collect()
                };
                let (got, want) = (kept(got), kept(want));
                let n = got.len();
                // Half of the last of eleven bits, at most.
                let tolerance =
                    if narrow(infos.len() + i) { Tolerance::Norm { relative: 4e-4 } } else { case.tolerance };
                if let Some(d) = difference(&Value::f32([n], got), &Value::f32([n], want), tolerance) {
                    failures.push(format!("{label}: output {i}: {d}"));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    assert!(ran > 100, "{ran} variants");
    narrowed.sort_unstable();
    narrowed.dedup();
    let all = MAY_BE_F16.iter().flat_map(|(name, operands)| operands.iter().map(move |operand| (*name, *operand)));
    assert_eq!(narrowed, all.collect::<Vec<_>>());
}

/// What f16 cannot hold becomes the largest that it can.
#[test]
fn what_f16_cannot_hold_becomes_the_largest_that_it_can() {
    if !target().wants_f16() {
        return;
    }
    let linear = Linear { bias: true, ..Linear::default() };
    let mut g = Graph::new();
    let x = g.constant("x", Arc::new(Value::f32([2, 4], vec![300.0, 0.0, 0.0, 0.0, -300.0, 0.0, 0.0, 1.0])));
    let weight = g.constant("weight", Arc::new(Value::f32([4, 4], [300.0, 0.0, 0.0, 2.0].repeat(4))));
    let bias = g.constant("bias", Arc::new(Value::f32([4], vec![0.0; 4])));
    let y = g.op1("y", linear, &[x, weight, bias]).unwrap();
    g.keep(y);
    g.narrow(y);
    let plan = Plan::new(g, &target(), &[]).unwrap();
    assert_eq!(plan.graph.tensors[y.id].info.dtype, DType::F16);
    let got = Runner::new(device(), plan).unwrap().run(&[], &[y]).unwrap();
    assert_eq!(got[0].floats(), [[65504.0; 4], [-65504.0; 4]].concat());
}

/// Runs the cases that the method takes apart, and compares with their twins.
fn apart(method: &str, cases: Vec<Case>) -> usize {
    let (mut failures, mut taken) = (Vec::new(), 0);
    for case in cases {
        let (graph, outputs) = graph_of(&case);
        let plan = Plan::new(graph, &device().target(), &[method]).unwrap();
        let first = plan.graph.nodes[plan.steps[0].op].op.name();
        if plan.steps.len() == 1 && first == case.kernel.name() {
            continue;
        }
        taken += 1;
        let mut runner = Runner::new(device(), plan).unwrap();
        let mut got = runner.run(&[], &outputs).unwrap();
        let want = case.kernel.twin(&case.inputs);
        // Where nothing is written lies what lay in the slot before.
        if let (Data::F32(got), want) = (&mut got[0].data, want[0].floats()) {
            got.iter_mut().zip(want).filter(|(_, w)| w.is_nan()).for_each(|(g, _)| *g = f32::NAN);
        }
        failures.extend(difference(&got[0], &want[0], case.tolerance).map(|d| format!("{}: {d}", case.name)));
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    taken
}

/// A selection of more than one workgroup sorts is the selection.
#[test]
fn any_number_is_selected_as_by_one_sort() {
    let mut rng = Rng::new(5);
    for (k, batch, length, parts) in [
        (1025, 1, 2000, vec![0, 2000]),
        (6000, 2, 30_000, vec![0, 20_000, 20_000, 5000, 25_000, 5000]),
        (16_384, 1, 100_000, vec![0, 100_000]),
        (3000, 1, 40_000, vec![0, 0, 9, 2999, 5000, 3001, 100, 30_000]),
    ] {
        // Ties by the thousand, nothings among them.
        let value = |rng: &mut Rng| if rng.below(5) == 0 { NONE } else { (rng.below(900) as f32 - 450.0) / 64.0 };
        let x = Value::f32([batch, length], (0..batch * length).map(|_| value(&mut rng)).collect());
        let segments = Value::u32([parts.len() / 2, 2], parts);
        let mut g = Graph::new();
        let inputs = [&x, &segments].map(|v| g.constant("input", Arc::new(v.clone())));
        let outputs = g.top_k("top", k, inputs).unwrap();
        outputs.iter().for_each(|&t| g.keep(t));
        let mut runner = Runner::new(device(), Plan::new(g, &device().target(), &[]).unwrap()).unwrap();
        let got = runner.run(&[], &outputs).unwrap();
        let want = TopK { k }.twin(&[x, segments]);
        for (i, (got, want)) in got.iter().zip(&want).enumerate() {
            assert_eq!(difference(got, want, Tolerance::Exact), None, "k = {k}, output {i}");
        }
    }
}

/// What is sent of an image gives, bit for bit, what the whole gives.
#[test]
fn what_is_sent_resizes_as_the_whole_does() {
    let mut rng = Rng::new(6);
    for (input, output) in [((301, 207), (60, 41)), ((90, 1200), (80, 64)), ((500, 40), (31, 33))] {
        let (h, w) = (64usize, 96usize);
        let image: Vec<u8> = (0..3 * input.0 * input.1).map(|_| rng.bits() as u8).collect();
        let resized = |bytes: Vec<u8>, frame: Frame, neighbours: Vec<u32>| {
            let mut bytes = bytes;
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            let inputs = vec![
                Value::u32([bytes.len() / 4], bytemuck::pod_collect_to_vec(&bytes)),
                Frame::value(&[frame]),
                Value::u32([1, h + w, 2], neighbours),
                Preprocess::table(1.0, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
            ];
            let case = Case::new("resize", Preprocess { h, w, filter: Filter::Nearest }, inputs, Tolerance::Exact);
            run_case(device(), &case, "plain", false, 1).remove(0)
        };
        let (sampling, frame) = (Sampling::new(input, output), Frame::new(input, output, 0));
        let (mut sent, mut neighbours) = (Vec::new(), Vec::new());
        sampling.gather(&image, &mut sent);
        sampling.neighbours(h, w, 2, &mut neighbours);
        assert!(sent.len() < image.len() / 2, "nothing is left out");
        let some = resized(sent, frame, neighbours);

        let mut all = Vec::new();
        for (input, output, n) in [(input.0, output.0, h), (input.1, output.1, w)] {
            for d in 0..n as u32 {
                let at = (input as f32 / output as f32 * (d as f32 + 0.5) - 0.5).max(0.0);
                let low = (at as u32).min(input - 1);
                all.extend([low | (low + 1).min(input - 1) << 16, (at - low as f32).to_bits()]);
            }
        }
        let whole = resized(image, Frame { sent_w: input.1, ..frame }, all);
        assert!(same_bits(&some, &whole), "{input:?} to {output:?}");
    }
}

/// A convolution taken apart is the convolution, within the same tolerance.
#[test]
fn winograd_is_convolution() {
    let taken = apart("winograd", maskrcnn::engine::kernels::conv2d::cases());
    assert!(taken >= 5, "only {taken} cases are taken apart");
    let taken = apart("winograd-whole", maskrcnn::engine::kernels::conv2d::cases());
    assert!(taken >= 5, "only {taken} cases are done by points");
}

/// So are a fully connected layer and a convolution whose sums are split.
#[test]
fn split_sums_are_the_whole() {
    let taken = apart("split-k", maskrcnn::engine::kernels::linear::cases());
    assert!(taken >= 6, "only {taken} layers are taken apart");
    let taken = apart("split-k", maskrcnn::engine::kernels::conv2d::cases());
    assert!(taken >= 9, "only {taken} convolutions are taken apart");
}
