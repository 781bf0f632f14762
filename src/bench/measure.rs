//! One variant of one launch, timed.

use std::sync::Arc;
use std::time::Instant;

use super::stats::Summary;
use super::work::Work;
use crate::Result;
use crate::gpu::{Device, Replay, Runner};
use crate::graph::{Graph, Plan, Tensor};
use crate::kernels::{Launch, Variant, rounded_to_f16};
use crate::ops::Io;
use crate::target::Factors;
use crate::tensor::{DType, Data, Value};

/// How much time to spend on one variant.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Samples go on for so many seconds …
    pub seconds: f64,
    /// … and there are at least so many.
    pub least: usize,
    /// Whether to leave the GPU's own clock alone.
    pub wall: bool,
}

impl Default for Effort {
    fn default() -> Self {
        Self { seconds: 0.5, least: 7, wall: false }
    }
}

/// Seconds that one sample lasts at least, so that neither the submit nor the clock's steps show.
const SAMPLE: f64 = 0.01;
const MOST_REPLAYS: f64 = 500.0;
const MOST_SAMPLES: usize = 60;

/// What outputs hold before they are compared, as the bits of every element: a NaN that no arithmetic makes. An op need
/// not write all of its output (a level of the pyramid is a slice of a tensor; rows past a live count are nobody's), and
/// what lies in the rest says nothing about it.
const FENCE: u32 = 0x7fe5_eed5;

/// A variant ready to be timed.
pub struct Subject {
    runner: Runner,
    outputs: Vec<Tensor>,
    replays: usize,
    once: f64,
}

impl Subject {
    /// Compiles `variant`, uploads the inputs, and finds out how many replays make a sample. `launch` stands for the
    /// variant's own where it is given.
    ///
    /// # Errors
    /// [`crate::Error::Shader`] where it does not compile; [`crate::Error::Limit`] and [`crate::Error::Device`] where the
    /// device cannot take it.
    pub fn new(
        device: &Device,
        work: &Work,
        inputs: &[Arc<Value>],
        variant: &Variant,
        launch: Option<Launch>,
    ) -> Result<Self> {
        let mut g = Graph::new();
        let inputs: Vec<Tensor> = inputs.iter().map(|v| g.constant("input", v.clone())).collect();
        let outputs = g.op_shared(&work.label, work.kernel.clone(), &inputs)?;
        outputs.iter().for_each(|&t| g.keep(t));
        // In memory as the network has them.
        let (i, o) = (work.infos(), work.made());
        let lies = inputs.iter().zip(&i).chain(outputs.iter().zip(&o));
        lies.filter(|(_, info)| info.dtype == DType::F16).for_each(|(&t, _)| g.narrow(t));
        // One step, whatever the engine would make of the op.
        let target = device.target().with(if variant.needs_f16() { Factors::F16 } else { Factors::F32 });
        let mut plan = Plan::new(g, &target, &[variant.name])?;
        plan.steps[0].launch = launch.unwrap_or_else(|| work.kernel.launch(&Io { inputs: &i, outputs: &o }, variant));
        plan.steps[0].variant = variant.clone();
        Self::of_plan(device, plan, &[], outputs)
    }

    /// As [`Subject::new`] for a whole plan, with what is to be copied in. In the plan, nothing else may lie where the
    /// `outputs` do.
    ///
    /// # Errors
    /// As [`Subject::new`].
    pub fn of_plan(device: &Device, plan: Plan, inputs: &[(Tensor, &[u8])], outputs: Vec<Tensor>) -> Result<Self> {
        let mut subject = Self { runner: Runner::new(device, plan)?, outputs, replays: 1, once: 0.0 };
        // The first run compiles.
        subject.runner.run(inputs, &[])?;
        subject.once = subject.sample()?.wall;
        subject.replays = (SAMPLE / subject.once).clamp(1.0, MOST_REPLAYS) as usize;
        Ok(subject)
    }

    /// Seconds of its first run after the one that compiled, on the wall.
    pub fn once(&self) -> f64 {
        self.once
    }

    /// One sample: seconds of one launch.
    ///
    /// # Errors
    /// [`crate::Error::Device`] where the device fails.
    pub fn sample(&mut self) -> Result<Replay> {
        self.runner.replay(self.replays)
    }

    /// What it computes; a NaN that nothing computes where it writes nothing.
    ///
    /// # Errors
    /// As [`Subject::sample`].
    pub fn outputs(&mut self) -> Result<Vec<Value>> {
        let fences: Vec<Vec<u8>> = self.outputs.iter().map(|t| FENCE.to_le_bytes().repeat(t.shape().len())).collect();
        let fenced: Vec<(Tensor, &[u8])> = self.outputs.iter().zip(&fences).map(|(&t, f)| (t, &f[..])).collect();
        self.runner.run(&fenced, &self.outputs)
    }

    /// Grid and parameters.
    pub fn launch(&self) -> &Launch {
        &self.runner.plan().steps[0].launch
    }
}

/// The times of one variant.
#[derive(Clone, Debug)]
pub struct Measured {
    /// The variant, with its text where that is not the built-in one.
    pub variant: Variant,
    /// Grid and parameters.
    pub launch: Launch,
    /// On the GPU's clock, where it has one.
    pub gpu: Option<Summary>,
    /// On the wall.
    pub wall: Summary,
    /// Floating-point operations that it executes, padding included.
    pub executed: f64,
    /// Whether it computes what the reference does.
    pub agrees: bool,
}

impl Measured {
    /// Seconds: by the GPU's clock or, where there is none, the wall's.
    pub fn time(&self) -> Summary {
        self.gpu.unwrap_or(self.wall)
    }
}

/// What the launch's own first variant of f32 computes, as built in: what every other is held against. With `halves`
/// its factors are rounded to f16 before: what variants of f16 are held against.
///
/// # Errors
/// As [`Subject::new`].
pub fn reference(device: &Device, work: &Work, inputs: &[Arc<Value>], halves: bool) -> Result<Vec<Value>> {
    let mut inputs = inputs.to_vec();
    if halves {
        inputs.iter_mut().take(2).for_each(|v| *v = Arc::new(rounded_to_f16(v)));
    }
    Subject::new(device, work, &inputs, &work.variants(&device.target())[0], None)?.outputs()
}

/// Times a variant, and judges what it computes by `reference`.
///
/// # Errors
/// As [`Subject::new`].
pub fn measure(
    device: &Device,
    work: &Work,
    inputs: &[Arc<Value>],
    variant: &Variant,
    effort: Effort,
    reference: &[Value],
) -> Result<Measured> {
    let mut subject = Subject::new(device, work, inputs, variant, None)?;
    let agrees = alike(reference, &subject.outputs()?);
    let (mut gpu, mut wall) = (Vec::new(), Vec::new());
    let begin = Instant::now();
    while wall.len() < effort.least || (begin.elapsed().as_secs_f64() < effort.seconds && wall.len() < MOST_SAMPLES) {
        let sample = subject.sample()?;
        gpu.extend(sample.gpu.filter(|_| !effort.wall));
        wall.push(sample.wall);
    }
    Ok(Measured {
        variant: variant.clone(),
        launch: subject.launch().clone(),
        gpu: (gpu.len() == wall.len()).then(|| Summary::of(&gpu)),
        wall: Summary::of(&wall),
        executed: work.executed(variant),
        agrees,
    })
}

/// Whether two results are the same but for rounding: sums in another order.
pub(super) fn alike(a: &[Value], b: &[Value]) -> bool {
    alike_within(a, b, 1e-4)
}

/// Whether the norm of their difference is at most such a part of the norm of `a`, and the same elements were left
/// unwritten.
pub(crate) fn alike_within(a: &[Value], b: &[Value], most: f64) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| close(a, b, most))
}

fn close(a: &Value, b: &Value, most: f64) -> bool {
    match (&a.data, &b.data) {
        (Data::U32(a), Data::U32(b)) => a == b,
        (Data::F32(a), Data::F32(b)) => {
            let (mut error, mut size) = (0.0f64, 0.0f64);
            let written = |v: f32| v.to_bits() != FENCE;
            for (&a, &b) in a.iter().zip(b) {
                if written(a) != written(b) {
                    return false;
                }
                if a.is_finite() && b.is_finite() {
                    error += (f64::from(a) - f64::from(b)).powi(2);
                    size += f64::from(a).powi(2);
                } else if a.to_bits() != b.to_bits() && !(a.is_nan() && b.is_nan()) {
                    // One of them went wrong.
                    return false;
                }
            }
            a.len() == b.len() && error.sqrt() <= most * size.sqrt()
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_alike_but_for_rounding() {
        let like = |a: &[f32], b: &[f32]| {
            let value = |v: &[f32]| vec![Value::f32([v.len()], v.to_vec())];
            alike(&value(a), &value(b))
        };
        assert!(like(&[1.0, 2.0], &[1.0, 2.00001]) && like(&[f32::NAN, 1.0], &[f32::NAN, 1.0]));
        assert!(like(&[f32::INFINITY], &[f32::INFINITY]) && like(&[0.0], &[0.0]));
        for wrong in [[1.0, 2.1], [f32::NAN, 2.0], [1.0, f32::INFINITY], [0.0, 0.0], [f32::NAN; 2]] {
            assert!(!like(&[1.0, 2.0], &wrong), "{wrong:?}");
        }
        assert!(!like(&[1.0], &[1.0, 1.0]) && !like(&[f32::INFINITY], &[f32::NEG_INFINITY]));
        // What neither writes is no difference; what one of them does not is, though the other writes a NaN.
        let unwritten = f32::from_bits(FENCE);
        assert!(like(&[1.0, unwritten], &[1.0, unwritten]));
        for written in [0.0, 1.0, f32::NAN] {
            assert!(!like(&[1.0, unwritten], &[1.0, written]) && !like(&[1.0, written], &[1.0, unwritten]));
        }
        assert!(
            !alike(&[Value::u32([1], vec![1])], &[Value::u32([1], vec![2])]) && !alike(&[], &[Value::u32([0], vec![])])
        );
    }
}
