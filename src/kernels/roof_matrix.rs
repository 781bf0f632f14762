//! The roof of matrix units: chains of cooperative-matrix multiply-adds.

use crate::rng::Rng;
use super::{Case, Kernel, Launch, Params as _, Tolerance, Variant, fold_grid};
use crate::ops::{Cost, Info, Io, Op, Operand, Setting, settings, value};
use crate::params;
use crate::target::{Matrix, Target};
use crate::tensor::Value;

params! { tiles: u32, steps: u32, odd: u32, grid_x: u32 }

/// Rows and columns of the factors and of a tile of sums.
const SIDE: usize = 16;

/// Elements of one tile.
pub const TILE: usize = SIDE * SIDE;

/// Steps come in multiples of this, so that every variant can unroll them.
pub const STEP_MULTIPLE: usize = 16;

/// Most steps: every driver makes so many turns of a loop (lavapipe of Mesa 22.3 cuts one off at 65,536).
pub const MOST_STEPS: usize = 65_520;

/// A multiple of every subgroup size that there is: for devices with several.
const ANY_SUBGROUPS: u32 = 128;

/// `C ← A·B + C`, `steps` times for each 16×16 tile of x, where two matrices A take turns. No network needs it: it
/// shows what the matrix units can do.
///
/// Inputs: x `[…]` of whole tiles, and the factors `[3, 16, 16]`, which are A of even steps, A of odd steps, and B.
/// Variants with cooperative matrices round the factors to f16, and those with f16 sums the sums too; whole numbers
/// whose sums stay within ±2048 are exact in all.
#[derive(Clone, Debug)]
pub struct RoofMatrix {
    /// Multiply-adds a tile: a multiple of [`STEP_MULTIPLE`], at most [`MOST_STEPS`].
    pub steps: usize,
}

impl RoofMatrix {
    /// The names of the variants that show what the matrix units can do: those of f32 sums where there are any, as
    /// networks want them, else those of f16 sums.
    pub fn measured(target: &Target) -> Vec<&'static str> {
        let offered = offered(target);
        let f32_sums = |v: &&Variant| v.find("F16_SUMS").is_none();
        let any = offered.iter().any(|v| f32_sums(&v));
        offered.iter().filter(|v| f32_sums(v) == any).map(|v| v.name).collect()
    }
}

fn name(matrix: Matrix) -> &'static str {
    match (matrix.size, matrix.f32_sums) {
        (8, true) => "8x8-f32",
        (8, false) => "8x8-f16",
        (_, true) => "16x16-f32",
        (_, false) => "16x16-f16",
    }
}

fn variant(matrix: Matrix, target: &Target) -> Variant {
    let wg = target.can.subgroup.map_or(ANY_SUBGROUPS, |s| s.max(64));
    let shares = wg / target.can.subgroup.unwrap_or(32);
    let blocks = SIDE as u32 / matrix.size;
    // A GPU hides a multiply-add's latency behind several; a CPU driver has no register left, and would compute A·B
    // once for all tiles that share it. A GPU's turn of the loop has 64 multiply-adds.
    let (tiles, held, unroll) = if target.pays.probes.few_chains { (1, 1, 1) } else { (4, 2, 8 / blocks.pow(3)) };
    let sizes = [("SIZE", matrix.size), ("BLOCKS", blocks)];
    let counts = [("WG", wg), ("SHARES", shares), ("TILES", tiles), ("HELD", held), ("UNROLL", unroll)];
    let mut v = Variant::own(name(matrix), &[sizes.as_slice(), &counts].concat())
        .flag("F16_SUMS", !matrix.f32_sums)
        .flag("RELOAD", target.pays.probes.few_chains);
    (v.subgroups, v.matrices) = (true, true);
    v
}

/// The variants with matrices of f16 that the device can run, best first. Those of f32 are about as fast as multiply-adds.
fn offered(target: &Target) -> Vec<Variant> {
    let fits = |v: &Variant| v.get("WG") <= target.can.max_invocations && workgroup_bytes(v) <= target.can.workgroup_bytes;
    let of_f16 = target.can.matrices.iter().filter(|m| !m.f32_factors);
    of_f16.map(|m| variant(m, target)).filter(fits).collect()
}

/// Bytes of workgroup memory that a variant with matrices takes: the factors, and the sums.
fn workgroup_bytes(variant: &Variant) -> u32 {
    let sum = if variant.find("F16_SUMS").is_some() { 2 } else { 4 };
    let tiles = variant.get("SHARES") * variant.get("TILES");
    TILE as u32 * (3 * 2 + tiles * sum)
}

impl Op for RoofMatrix {
    fn name(&self) -> &'static str {
        "roof_matrix"
    }

    fn operands(&self) -> Vec<Operand> {
        vec![Operand::f32("x", 0).of_any_rank(), Operand::f32("factors", 3)]
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let [x, factors] = inputs else { return Err(format!("takes x and the factors, not {inputs:?}")) };
        if !x.shape.len().is_multiple_of(TILE) {
            return Err(format!("takes a multiple of {TILE} floats, not {}", x.shape));
        }
        if factors.shape != [3, SIDE, SIDE].into() {
            return Err(format!("takes factors of [3, {SIDE}, {SIDE}], not {}", factors.shape));
        }
        if !self.steps.is_multiple_of(STEP_MULTIPLE) || self.steps > MOST_STEPS {
            return Err(format!("{} steps are not a multiple of {STEP_MULTIPLE}, or too many", self.steps));
        }
        Ok(vec![*x])
    }

    fn cost(&self, io: &Io) -> Cost {
        Cost::of(io, 2.0 * (self.steps * SIDE * io.inputs[0].shape.len()) as f64)
    }

    /// Half of the steps add the first product, the others the second.
    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let (x, factors) = (inputs[0].floats(), inputs[1].floats());
        let (first, rest) = factors.split_at(TILE);
        let (second, b) = rest.split_at(TILE);
        let product = |a: &[f32], i: usize, j: usize| -> f64 {
            (0..SIDE).map(|k| a[i * SIDE + k] as f64 * b[k * SIDE + j] as f64).sum()
        };
        let half = self.steps as f64 / 2.0;
        let y = x.iter().enumerate().map(|(at, &v)| {
            let (i, j) = (at % TILE / SIDE, at % SIDE);
            (v as f64 + half * (product(first, i, j) + product(second, i, j))) as f32
        });
        vec![Value::f32(inputs[0].shape, y.collect())]
    }

    fn settings(&self) -> Vec<Setting> {
        settings([("steps", value(self.steps))])
    }
}

impl Kernel for RoofMatrix {
    fn variants(&self, _: &Io, target: &Target) -> Vec<Variant> {
        let mut out = offered(target);
        out.push(Variant::own("plain", &[("WG", 64)]));
        out
    }

    fn launch(&self, io: &Io, variant: &Variant) -> Launch {
        let tiles = io.inputs[0].shape.len() / TILE;
        let grid = match variant.matrices {
            true => fold_grid(tiles.div_ceil((variant.get("SHARES") * variant.get("TILES")) as usize)),
            false => fold_grid(io.inputs[0].shape.len().div_ceil(variant.get("WG") as usize)),
        };
        let params = P { tiles: tiles as u32, steps: self.steps as u32, odd: 1, grid_x: grid[0] };
        Launch { grid, params: params.bytes() }
    }
}

/// Factors of -1, 0 and 1. With `back`, odd steps take away what even ones add, so that sums stay small for ever.
pub fn factors(rng: &mut Rng, back: bool) -> Value {
    let mut whole = || rng.below(3) as f32 - 1.0;
    let mut all: Vec<f32> = (0..3 * TILE).map(|_| whole()).collect();
    if back {
        for i in 0..TILE {
            all[TILE + i] = -all[i];
        }
    }
    Value::f32([3, SIDE, SIDE], all)
}

/// One tile, a ragged end, many steps, and none.
///
/// All are exact: a product of 16 terms of -1, 0 and 1 is within ±16, so 32 steps stay within 512 of x, and f16 holds
/// every whole number to 2048, in whatever order it is summed.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(32);
    let mut case = |name: &str, tiles: usize, steps: usize, back: bool| {
        let x = (0..tiles * TILE).map(|_| rng.below(33) as f32 - 16.0).collect();
        let inputs = vec![Value::f32([tiles, SIDE, SIDE], x), factors(&mut rng, back)];
        Case::new(name, RoofMatrix { steps }, inputs, Tolerance::Exact)
    };
    vec![
        case("one tile", 1, 16, false),
        case("ragged", 37, 32, false),
        case("many steps", 48, 4096, true),
        case("no step", 3, 0, false),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::Caps;

    #[test]
    fn f32_sums_are_measured_where_there_are_any() {
        let target = |all: &[Matrix], workgroup_bytes| {
            let matrices = all.iter().copied().collect();
            let can = Caps { subgroup: Some(32), f16: true, matrices, workgroup_bytes, ..Caps::MINIMUM };
            Target { can, ..Target::MINIMUM }
        };
        let [large, small, f32, large_f16, small_f16] = Matrix::ALL;
        assert!(RoofMatrix::measured(&Target::MINIMUM).is_empty());
        let names = |all: &[Matrix]| RoofMatrix::measured(&target(all, 16384));
        assert_eq!(names(&[small_f16, small, large_f16, large]), ["16x16-f32", "8x8-f32"]);
        assert_eq!(names(&[large_f16, small, f32]), ["8x8-f32"]);
        assert_eq!(names(&[small_f16, large_f16]), ["16x16-f16", "8x8-f16"]);
        let cramped = target(&[large, large_f16], 8192);
        assert_eq!(RoofMatrix::measured(&cramped), ["16x16-f16"], "what fits");
    }
}
