//! Cases: one input set of one kernel, with its tolerance. Tests and benchmarks read the same list.

use std::sync::Arc;

use super::Kernel;
use crate::tensor::Value;

/// How far a shader's floats may lie from its twin's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tolerance {
    /// Bit for bit.
    Exact,
    /// `|a - b| <= absolute + relative * |b|` for each element.
    Close {
        /// Absolute part.
        absolute: f32,
        /// Relative part.
        relative: f32,
    },
    /// `‖a - b‖ <= relative * ‖b‖`, and each element within `10 * relative` of the largest |b|: sums of many terms.
    Norm {
        /// Relative error of the whole.
        relative: f32,
    },
}

/// One input set of one kernel.
#[derive(Clone, Debug)]
pub struct Case {
    /// What is special about it.
    pub name: String,
    /// The kernel with its settings.
    pub kernel: Arc<dyn Kernel>,
    /// Inputs.
    pub inputs: Vec<Value>,
    /// Allowed difference from the twin.
    pub tolerance: Tolerance,
}

impl Case {
    /// A case.
    pub fn new(
        name: impl Into<String>,
        kernel: impl Kernel + 'static,
        inputs: Vec<Value>,
        tolerance: Tolerance,
    ) -> Self {
        Self { name: name.into(), kernel: Arc::new(kernel), inputs, tolerance }
    }
}
