//! The roof of memory traffic: a copy.

use crate::rng::Rng;
use super::{Case, Kernel, Launch, Params as _, Tolerance, Variant, fold_grid};
use crate::ops::{Cost, Info, Io, Op, Operand};
use crate::params;
use crate::target::Target;
use crate::tensor::Value;

params! { quads: u32, grid_x: u32 }

/// `y = x`, of a number of floats that is a multiple of four. No network needs it: it shows what the memory can do.
#[derive(Clone, Debug)]
pub struct RoofCopy;

impl Op for RoofCopy {
    fn name(&self) -> &'static str {
        "roof_copy"
    }

    fn operands(&self) -> Vec<Operand> {
        vec![Operand::f32("x", 0).of_any_rank()]
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let [x] = inputs else { return Err(format!("takes x, not {inputs:?}")) };
        if !x.shape.len().is_multiple_of(4) {
            return Err(format!("takes a multiple of four floats, not {}", x.shape));
        }
        Ok(vec![*x])
    }

    fn cost(&self, io: &Io) -> Cost {
        Cost::of(io, 0.0)
    }

    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        inputs.to_vec()
    }
}

impl Kernel for RoofCopy {
    fn variants(&self, _: &Io, target: &Target) -> Vec<Variant> {
        // A CPU driver starts a workgroup for the price of many copies.
        let mut out = vec![Variant::own("single", &[("WG", 256), ("EACH", 1)])];
        out.insert(if target.pays.probes.several_copies { 0 } else { 1 }, Variant::own("several", &[("WG", 256), ("EACH", 4)]));
        out
    }

    fn launch(&self, io: &Io, variant: &Variant) -> Launch {
        let quads = io.inputs[0].shape.len() / 4;
        let grid = fold_grid(quads.div_ceil((variant.get("WG") * variant.get("EACH")) as usize));
        Launch { grid, params: P { quads: quads as u32, grid_x: grid[0] }.bytes() }
    }
}

/// One quad, a ragged end, and more than a row of workgroups' worth.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(30);
    let mut case = |name: &str, n: usize| Case::new(name, RoofCopy, vec![rng.tensor([n])], Tolerance::Exact);
    vec![case("one quad", 4), case("ragged", 4 * 1500), case("4 MiB", 1 << 20)]
}
