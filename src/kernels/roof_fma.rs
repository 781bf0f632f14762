//! The roof of arithmetic: chains of fused multiply-adds.

use crate::rng::Rng;
use super::{Case, Kernel, Launch, Params as _, Tolerance, Variant, fold_grid};
use crate::ops::{Cost, Info, Io, Op, Operand, Setting, settings, value};
use crate::params;
use crate::target::Target;
use crate::tensor::Value;

params! { quads: u32, turns: u32, factor: f32, summand: f32, grid_x: u32 }

/// Steps come in multiples of this, so that every variant can unroll them.
pub const STEP_MULTIPLE: usize = 16;

/// Turns of a loop that every driver makes: lavapipe of Mesa 22.3 cuts a loop off at 65,536, and says nothing.
const MAX_TURNS: usize = 65_535;

/// 1 − 2⁻¹⁶ and 2⁻¹⁶: elements in -1..1 move slowly towards 1. Nothing overflows, and few come near a denormal.
const FACTOR: f32 = 1.0 - 1.0 / 65_536.0;

const SUMMAND: f32 = 1.0 / 65_536.0;

/// `v ← v · FACTOR + SUMMAND`, `steps` times for each element of x. No network needs it: it shows what the arithmetic
/// units can do.
#[derive(Clone, Debug)]
pub struct RoofFma {
    /// Multiply-adds an element: a multiple of [`STEP_MULTIPLE`].
    pub steps: usize,
}

impl Op for RoofFma {
    fn name(&self) -> &'static str {
        "roof_fma"
    }

    fn operands(&self) -> Vec<Operand> {
        vec![Operand::f32("x", 0).of_any_rank()]
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let [x] = inputs else { return Err(format!("takes x, not {inputs:?}")) };
        if !x.shape.len().is_multiple_of(4) {
            return Err(format!("takes a multiple of four floats, not {}", x.shape));
        }
        if !self.steps.is_multiple_of(STEP_MULTIPLE) || self.steps / STEP_MULTIPLE > MAX_TURNS {
            return Err(format!("{} steps are not a multiple of {STEP_MULTIPLE}, or too many", self.steps));
        }
        Ok(vec![*x])
    }

    fn cost(&self, io: &Io) -> Cost {
        Cost::of(io, 2.0 * (self.steps * io.inputs[0].shape.len()) as f64)
    }

    /// The sum of the geometric series.
    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let (factor, summand) = (FACTOR as f64, SUMMAND as f64);
        let power = factor.powi(self.steps as i32);
        let rest = summand * (1.0 - power) / (1.0 - factor);
        let y = inputs[0].floats().iter().map(|&v| (v as f64 * power + rest) as f32).collect();
        vec![Value::f32(inputs[0].shape, y)]
    }

    fn settings(&self) -> Vec<Setting> {
        settings([("steps", value(self.steps))])
    }
}

impl Kernel for RoofFma {
    fn variants(&self, _: &Io, target: &Target) -> Vec<Variant> {
        let unroll = STEP_MULTIPLE as u32;
        // A GPU hides an FMA's latency behind many chains and workgroups.
        let wide = Variant::own("wide", &[("WG", 256), ("CHAINS", 8), ("UNROLL", unroll)]);
        // A CPU driver takes a vector register for each part of a quad, and there are 16 (measured: benches/NOTES.md).
        let narrow = Variant::own("narrow", &[("WG", 64), ("CHAINS", 3), ("UNROLL", unroll)]);
        if target.pays.probes.few_chains { vec![narrow, wide] } else { vec![wide, narrow] }
    }

    fn launch(&self, io: &Io, variant: &Variant) -> Launch {
        let quads = io.inputs[0].shape.len() / 4;
        let grid = fold_grid(quads.div_ceil((variant.get("WG") * variant.get("CHAINS")) as usize));
        let params = P {
            quads: quads as u32,
            turns: self.steps as u32 / variant.get("UNROLL"),
            factor: FACTOR,
            summand: SUMMAND,
            grid_x: grid[0],
        };
        Launch { grid, params: params.bytes() }
    }
}

/// One quad, a ragged end, many steps, and none.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(31);
    let mut case = |name: &str, n: usize, steps: usize| {
        // Each step rounds once or twice.
        let absolute = 1.2e-7 * steps.max(1) as f32;
        let tolerance = Tolerance::Close { absolute, relative: 0.0 };
        Case::new(name, RoofFma { steps }, vec![rng.tensor([n])], tolerance)
    };
    vec![
        case("one quad", 4, 64),
        case("ragged", 4 * 1500, 128),
        case("many steps", 4 * 4096, 4096),
        case("no step", 64, 0),
    ]
}
