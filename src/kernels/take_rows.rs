//! Some rows of each image.

use super::case::Rng;
use super::{Caps, Case, Cost, Info, Io, Kernel, Launch, Params as _, Tolerance, Variant, fold_grid};
use crate::params;
use crate::tensor::{DType, Shape, Value};

params! { total: u32, batches: u32, n: u32, first: u32, rows: u32, words: u32, grid_x: u32 }

/// A part of each image's rows, and how many of it count: RoIs that go through a head together, where all at once would
/// pass a binding.
///
/// Inputs: x `[B,n,…]`, floats or integers, and live counts `[B]` of the n. Outputs: `[B,rows,…]`, and the live counts
/// `[B,1]` of the part.
#[derive(Clone, Debug)]
pub struct TakeRows {
    /// The first row of each image.
    pub first: usize,
    /// How many.
    pub rows: usize,
    /// Whether x is of integers.
    pub integers: bool,
}

impl Kernel for TakeRows {
    fn name(&self) -> &'static str {
        "take_rows"
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let [x, live] = inputs else { return Err(format!("takes x and live counts, not {inputs:?}")) };
        let s = x.shape;
        if s.rank() < 2 || s.is_empty() || live.shape.len() != s.dim(0) {
            return Err(format!("takes x [B,n,…] and live counts [B], not {inputs:?}"));
        }
        if self.rows == 0 || self.first + self.rows > s.dim(1) {
            return Err(format!("rows {} to {} are not in {s}", self.first, self.first + self.rows));
        }
        let mut dims: Vec<usize> = s.dims().iter().map(|&d| d as usize).collect();
        dims[1] = self.rows;
        Ok(vec![Info { shape: Shape::new(&dims), dtype: x.dtype }, Info::u32([s.dim(0), 1])])
    }

    fn integers(&self) -> Vec<usize> {
        if self.integers { vec![0, 1] } else { vec![1] }
    }

    fn variants(&self, _: &Io, _: &Caps) -> Vec<Variant> {
        vec![Variant::new("plain", &[])]
    }

    fn launch(&self, io: &Io, _: &Variant) -> Launch {
        let (x, total) = (io.inputs[0].shape, io.outputs[0].shape.len());
        let grid = fold_grid(total.div_ceil(64));
        let params = P {
            total: total as u32,
            batches: x.dim(0) as u32,
            n: x.dim(1) as u32,
            first: self.first as u32,
            rows: self.rows as u32,
            words: (x.len() / (x.dim(0) * x.dim(1))) as u32,
            grid_x: grid[0],
        };
        Launch { grid, params: params.bytes() }
    }

    fn cost(&self, io: &Io) -> Cost {
        let elements = 2 * io.outputs[0].shape.len() + 2 * io.outputs[1].shape.len();
        Cost { flops: 0.0, bytes: (elements * crate::tensor::ELEMENT_BYTES) as f64 }
    }

    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let s = inputs[0].shape;
        let rows: Vec<usize> = (0..s.dim(0)).flat_map(|b| (0..self.rows).map(move |r| b * s.dim(1) + self.first + r)).collect();
        let a_row = s.len() / (s.dim(0) * s.dim(1));
        let mut dims: Vec<usize> = s.dims().iter().map(|&d| d as usize).collect();
        dims[1] = self.rows;
        let part = match inputs[0].dtype() {
            DType::F32 => Value::f32(Shape::new(&dims), rows.iter().flat_map(|r| inputs[0].floats()[r * a_row..][..a_row].to_vec()).collect()),
            DType::U32 => Value::u32(Shape::new(&dims), rows.iter().flat_map(|r| inputs[0].ints()[r * a_row..][..a_row].to_vec()).collect()),
        };
        let end = self.first + self.rows;
        let live = inputs[1].ints().iter().map(|&n| (self.first..end).filter(|&r| r < n as usize).count() as u32);
        vec![part, Value::u32([s.dim(0), 1], live.collect())]
    }
}

/// The first, some and the last rows; all, some and none of them live; integers.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(24);
    let mut case = |name: &str, shape: &[usize], live: &[u32], (first, rows): (usize, usize), integers: bool| {
        let x = match integers {
            true => Value::u32(Shape::new(shape), (0..shape.iter().product()).map(|_| rng.bits() as u32).collect()),
            false => rng.tensor(Shape::new(shape)),
        };
        let inputs = vec![x, Value::u32([live.len(), 1], live.to_vec())];
        Case::new(name, TakeRows { first, rows, integers }, inputs, Tolerance::Exact)
    };
    vec![
        case("boxes", &[1, 300, 4], &[211], (200, 100), false),
        case("batch", &[3, 40, 4], &[40, 11, 0], (10, 20), false),
        case("labels", &[2, 90], &[90, 30], (60, 30), true),
        case("one", &[1, 1], &[1], (0, 1), true),
    ]
}
