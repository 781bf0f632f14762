//! What the test programs share: the device, and running one kernel on it.
#![allow(dead_code)]

use std::cell::OnceCell;
use std::sync::{Arc, OnceLock};

use maskrcnn::engine::gpu::{Device, Runner};
use maskrcnn::engine::graph::{Graph, Plan, Tensor};
use maskrcnn::engine::kernels::{Case, Tolerance, Variant, rounded_to_f16};
use maskrcnn::engine::ops::Info;
use maskrcnn::engine::target::{Factors, Matrix, Target};
use maskrcnn::engine::tensor::{DType, Data, Value};

/// The device that the tests run on: `MASKRCNN_DEVICE`, or the best one. A machine without one fails.
pub(crate) fn device() -> &'static Device {
    static DEVICE: OnceLock<Device> = OnceLock::new();
    DEVICE.get_or_init(|| {
        let choice = std::env::var("MASKRCNN_DEVICE").ok();
        let device = Device::open(choice.as_deref()).unwrap_or_else(|e| panic!("{e}"));
        eprintln!("testing on {} {:?}", device.name(), device.target());
        device
    })
}

/// What kernels may use there when f16 is wanted: every variant is listed then. Mesa's lavapipe multiplies matrices of f32, too,
/// though it does not list them: nothing else at hand runs what is written for Metal.
pub(crate) fn target() -> Target {
    let mut target = device().target();
    if target.pays.own_cores && target.can.matrices.iter().any(|m| m == Matrix::of_f16(Matrix::F32.size)) {
        target.can.matrices = target.can.matrices.iter().chain([Matrix::F32]).collect();
    }
    target.with(if target.can.f16 { Factors::F16 } else { Factors::F32 })
}

/// What the variants of a case are to compute.
pub(crate) struct Twins<'a> {
    case: &'a Case,
    exact: Vec<Value>,
    halves: OnceCell<Vec<Value>>,
}

impl<'a> Twins<'a> {
    /// The twin's outputs must be those that the kernel says it makes: comparisons that stop at the shorter list would
    /// pass a twin of none.
    pub(crate) fn new(case: &'a Case) -> Self {
        let info = |v: &Value| Info { shape: v.shape, dtype: v.dtype() };
        let inputs: Vec<Info> = case.inputs.iter().map(info).collect();
        let exact = case.kernel.twin(&case.inputs);
        let made: Vec<Info> = exact.iter().map(info).collect();
        assert_eq!(case.kernel.infer(&inputs), Ok(made), "{}: outputs said, and the twin's", case.name);
        Self { case, exact, halves: OnceCell::new() }
    }

    /// Where the variant rounds its factors to f16, the twin is given rounded ones: the tolerance is that of any other.
    pub(crate) fn of(&self, variant: &Variant) -> &[Value] {
        if !variant.f16 {
            return &self.exact;
        }
        self.halves.get_or_init(|| {
            let mut inputs = self.case.inputs.clone();
            inputs.iter_mut().take(2).for_each(|v| *v = rounded_to_f16(v));
            self.case.kernel.twin(&inputs)
        })
    }
}

/// The graph of a case: all inputs constant, all outputs kept.
pub(crate) fn graph_of(case: &Case) -> (Graph, Vec<Tensor>) {
    let mut g = Graph::new();
    let inputs: Vec<Tensor> = case.inputs.iter().map(|v| g.constant("input", Arc::new(v.clone()))).collect();
    let outputs = g.op_shared(&case.name, case.kernel.clone(), &inputs).unwrap_or_else(|e| panic!("{e}"));
    outputs.iter().for_each(|&t| g.keep(t));
    (g, outputs)
}

/// Runs a case with the variant of that name; outputs begin as NaN, so that what is not written shows.
pub(crate) fn run_case(device: &Device, case: &Case, variant: &str, checked: bool, times: usize) -> Vec<Vec<Value>> {
    run_on(device, &target(), case, variant, checked, times)
}

/// The same where kernels may use something else.
pub(crate) fn run_on(
    device: &Device,
    target: &Target,
    case: &Case,
    variant: &str,
    checked: bool,
    times: usize,
) -> Vec<Vec<Value>> {
    let (graph, outputs) = graph_of(case);
    let plan = Plan::new(graph, target, &[variant]).unwrap();
    assert_eq!(plan.steps[0].variant.name, variant, "{}", case.name);
    run_plan(device, plan, &outputs, checked, times, &case.name)
}

/// A plan's outputs, which begin as NaN.
pub(crate) fn run_plan(
    device: &Device,
    plan: Plan,
    outputs: &[Tensor],
    checked: bool,
    times: usize,
    name: &str,
) -> Vec<Vec<Value>> {
    let mut runner = Runner::with_checks(device, plan, checked).unwrap_or_else(|e| panic!("{name}: {e}"));
    let fences: Vec<Vec<u8>> = outputs
        .iter()
        .map(|t| match t.info.dtype {
            DType::F32 | DType::F16 => f32::NAN.to_le_bytes().repeat(t.shape().len()),
            DType::U32 => u32::MAX.to_le_bytes().repeat(t.shape().len()),
        })
        .collect();
    let inputs: Vec<(Tensor, &[u8])> = outputs.iter().zip(&fences).map(|(&t, f)| (t, f.as_slice())).collect();
    (0..times).map(|_| runner.run(&inputs, outputs).unwrap_or_else(|e| panic!("{name}: {e}"))).collect()
}

/// Bit for bit, NaN included.
pub(crate) fn same_bits(a: &[Value], b: &[Value]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.bytes() == b.bytes())
}

/// Why `got` is not `want` within the tolerance, if it is not.
pub(crate) fn difference(got: &Value, want: &Value, tolerance: Tolerance) -> Option<String> {
    if got.shape != want.shape {
        return Some(format!("shape {} instead of {}", got.shape, want.shape));
    }
    let (a, b) = match (&got.data, &want.data) {
        (Data::F32(a), Data::F32(b)) => (a, b),
        (Data::U32(a), Data::U32(b)) => {
            let at = a.iter().zip(b).position(|(a, b)| a != b)?;
            return Some(format!("element {at} is {} instead of {}", a[at], b[at]));
        }
        _ => return Some("another element type".into()),
    };
    let unequal = |at: usize| Some(format!("element {at} of {} is {} instead of {}", got.shape, a[at], b[at]));
    if let Some(at) = (0..a.len()).find(|&i| a[i].is_nan() != b[i].is_nan()) {
        return unequal(at);
    }
    let pairs = || a.iter().zip(b).filter(|(_, b)| !b.is_nan());
    match tolerance {
        Tolerance::Exact => (0..a.len()).find(|&i| a[i] != b[i] && !b[i].is_nan()).and_then(unequal),
        Tolerance::Close { absolute, relative } => {
            let far = |i: &usize| (a[*i] - b[*i]).abs() > absolute + relative * b[*i].abs();
            (0..a.len()).find(far).and_then(unequal)
        }
        Tolerance::Norm { relative } => {
            let (mut error, mut norm, mut largest, mut worst) = (0.0f64, 0.0f64, 0.0f32, 0.0f32);
            for (&a, &b) in pairs() {
                error += (a as f64 - b as f64).powi(2);
                norm += (b as f64).powi(2);
                largest = largest.max(b.abs());
                worst = worst.max((a - b).abs());
            }
            let bad = error.sqrt() > relative as f64 * norm.sqrt() || worst > 10.0 * relative * largest;
            bad.then(|| {
                let share = error.sqrt() / norm.sqrt().max(1e-30);
                format!("relative error {share:.2e} (allowed {relative:.0e}), worst {worst:.2e} of {largest:.2e}")
            })
        }
    }
}
