//! The top-down step of the FPN.

use super::case::Rng;
use super::{Caps, Case, Cost, Info, Io, Kernel, Launch, Params as _, Tolerance, Variant, fold_grid};
use crate::params;
use crate::tensor::Value;

params! { total: u32, h: u32, w: u32, c: u32, top_h: u32, top_w: u32, grid_x: u32 }

/// `lateral [N,H,W,C] + top [N,h,w,C]`, the second enlarged by nearest neighbour: row `i` takes row `⌊i·h/H⌋`.
#[derive(Clone, Debug)]
pub struct UpsampleAdd;

impl Kernel for UpsampleAdd {
    fn name(&self) -> &'static str {
        "upsample_add"
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let [a, b] = inputs else { return Err(format!("takes lateral and top, not {inputs:?}")) };
        let same = |i: usize| a.shape.dim(i) == b.shape.dim(i);
        if a.shape.rank() != 4 || b.shape.rank() != 4 || !same(0) || !same(3) || a.shape.is_empty() || b.shape.is_empty() {
            return Err(format!("top {} does not fit lateral {}", b.shape, a.shape));
        }
        Ok(vec![*a])
    }

    fn variants(&self, io: &Io, _: &Caps) -> Vec<Variant> {
        let quads = io.dim(0, 3).is_multiple_of(4).then(|| Variant::new("quads", &[("QUADS", 1)]));
        quads.into_iter().chain([Variant::new("plain", &[])]).collect()
    }

    fn launch(&self, io: &Io, variant: &Variant) -> Launch {
        let lanes = if variant.name == "quads" { 4 } else { 1 };
        let (a, b) = (io.inputs[0].shape, io.inputs[1].shape);
        let grid = fold_grid((a.len() / lanes).div_ceil(64));
        let params = P {
            total: (a.len() / lanes) as u32,
            h: a.dim(1) as u32,
            w: a.dim(2) as u32,
            c: (a.dim(3) / lanes) as u32,
            top_h: b.dim(1) as u32,
            top_w: b.dim(2) as u32,
            grid_x: grid[0],
        };
        Launch { grid, params: params.bytes() }
    }

    fn cost(&self, io: &Io) -> Cost {
        Cost::of(io, io.outputs[0].shape.len() as f64)
    }

    /// Adds each top element to the block of outputs that it covers.
    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let (a, b) = (&inputs[0], &inputs[1]);
        let [_, h, w, c] = [0, 1, 2, 3].map(|i| a.shape.dim(i));
        let (th, tw) = (b.shape.dim(1), b.shape.dim(2));
        let mut y = a.floats().to_vec();
        for (e, &v) in b.floats().iter().enumerate() {
            let (ch, col, row, image) = (e % c, e / c % tw, e / (c * tw) % th, e / (c * tw * th));
            for oy in (row * h).div_ceil(th)..((row + 1) * h).div_ceil(th) {
                for ox in (col * w).div_ceil(tw)..((col + 1) * w).div_ceil(tw) {
                    y[((image * h + oy) * w + ox) * c + ch] += v;
                }
            }
        }
        vec![Value::f32(a.shape, y)]
    }
}

/// Doubling, and sizes that are no multiples.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(6);
    let mut case = |name: &str, a: [usize; 4], h: usize, w: usize| {
        let top = [a[0], h, w, a[3]];
        Case::new(name, UpsampleAdd, vec![rng.tensor(a), rng.tensor(top)], Tolerance::Exact)
    };
    vec![
        case("one by one by one", [1, 1, 1, 1], 1, 1),
        case("twice", [1, 20, 14, 128], 10, 7),
        case("batch", [2, 6, 4, 8], 3, 2),
        case("uneven", [1, 7, 9, 3], 3, 4),
    ]
}
