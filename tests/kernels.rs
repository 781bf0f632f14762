//! Every kernel on the GPU against its CPU twin: every case, every variant; with and without run-time checks, twice.

mod common;

use common::{Twins, caps, device, difference, run_case, same_bits};
use maskrcnn::gpu::Runner;
use maskrcnn::graph::Plan;
use maskrcnn::kernels::{Case, Info, Io, REGISTRY};
use maskrcnn::tensor::Data;

/// One kernel's cases; `MASKRCNN_KERNEL` narrows the search to one kernel while working on it.
fn check(name: &str) {
    let entry = maskrcnn::kernels::entry(name).expect("registered");
    let mut failures = Vec::new();
    for case in (entry.cases)() {
        let infos: Vec<Info> = case.inputs.iter().map(|v| Info { shape: v.shape, dtype: v.dtype() }).collect();
        let outputs = case.kernel.infer(&infos).unwrap_or_else(|e| panic!("{name} {}: {e}", case.name));
        let io = Io { inputs: &infos, outputs: &outputs };
        let twins = Twins::new(&case);
        for variant in case.kernel.variants(&io, &caps()) {
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
    ($($name:ident),* $(,)?) => {
        $(#[test] fn $name() { check(stringify!($name)); })*

        #[test]
        fn every_kernel_is_listed_here() {
            let listed = [$(stringify!($name)),*];
            for entry in REGISTRY {
                assert!(listed.contains(&entry.name), "{} has no test in tests/kernels.rs", entry.name);
                assert!(!(entry.cases)().is_empty(), "{} has no cases", entry.name);
            }
        }
    };
}

kernel_tests![
    preprocess,
    conv2d,
    deconv2d,
    deconv_predict,
    linear,
    predict,
    live_grids,
    winograd_in,
    winograd_gemm,
    winograd_out,
    split_product,
    split_sum,
    max_pool,
    topk,
    rpn_decode,
    nms,
    collect,
    gather_groups,
    roi_align,
    softmax,
    class_decode,
    mask_predict,
    paste_layout,
    paste,
    roof_copy,
    roof_fma,
    roof_matrix,
];

/// Runs the cases that the method takes apart, and compares with their twins.
fn apart(method: &str, cases: Vec<Case>) -> usize {
    let (mut failures, mut taken) = (Vec::new(), 0);
    for case in cases {
        let (graph, outputs) = common::graph_of(&case);
        let plan = Plan::new(graph, &device().caps(), &[method]);
        if plan.steps.len() == 1 {
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

/// A convolution taken apart is the convolution, within the same tolerance.
#[test]
fn winograd_is_convolution() {
    let taken = apart("winograd", maskrcnn::kernels::conv2d::cases());
    assert!(taken >= 5, "only {taken} cases are taken apart");
}

/// So are a fully connected layer and a convolution whose sums are split.
#[test]
fn split_sums_are_the_whole() {
    let taken = apart("split-k", maskrcnn::kernels::linear::cases());
    assert!(taken >= 6, "only {taken} layers are taken apart");
    let taken = apart("split-k", maskrcnn::kernels::conv2d::cases());
    assert!(taken >= 9, "only {taken} convolutions are taken apart");
}
