//! Some rows of each image, put where they belong.

use super::case::Rng;
use super::{Caps, Case, Cost, Info, Io, Kernel, Launch, Params as _, Tolerance, Variant, fold_grid};
use crate::params;
use crate::tensor::{Shape, Value};

params! { total: u32, part: u32, whole: u32, first: u32, grid_x: u32 }

/// The counterpart of [`super::take_rows::TakeRows`]: x `[B·m,…]` into rows `first..` of each image of `[B·n,…]`.
#[derive(Clone, Debug)]
pub struct PutRows {
    /// Images.
    pub batch: usize,
    /// The first row of each image.
    pub first: usize,
    /// Rows of each image of the whole.
    pub n: usize,
}

impl Kernel for PutRows {
    fn name(&self) -> &'static str {
        "put_rows"
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let [x] = inputs else { return Err(format!("takes x, not {inputs:?}")) };
        let s = x.shape;
        if s.rank() == 0 || s.is_empty() || self.batch == 0 || !s.dim(0).is_multiple_of(self.batch) {
            return Err(format!("takes x [{}·m,…], not {s}", self.batch));
        }
        let rows = s.dim(0) / self.batch;
        if self.first + rows > self.n {
            return Err(format!("rows {} to {} are not in {}", self.first, self.first + rows, self.n));
        }
        let mut dims: Vec<usize> = s.dims().iter().map(|&d| d as usize).collect();
        dims[0] = self.batch * self.n;
        Ok(vec![Info { shape: Shape::new(&dims), dtype: x.dtype }])
    }

    fn variants(&self, _: &Io, _: &Caps) -> Vec<Variant> {
        vec![Variant::new("plain", &[])]
    }

    fn launch(&self, io: &Io, _: &Variant) -> Launch {
        let (total, whole) = (io.inputs[0].shape.len(), io.outputs[0].shape.len());
        let grid = fold_grid(total.div_ceil(64));
        let a_row = whole / (self.batch * self.n);
        let params = P {
            total: total as u32,
            part: (total / self.batch) as u32,
            whole: (whole / self.batch) as u32,
            first: (self.first * a_row) as u32,
            grid_x: grid[0],
        };
        Launch { grid, params: params.bytes() }
    }

    fn cost(&self, io: &Io) -> Cost {
        Cost { flops: 0.0, bytes: (2 * io.inputs[0].shape.len() * crate::tensor::ELEMENT_BYTES) as f64 }
    }

    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let s = inputs[0].shape;
        let (rows, a_row) = (s.dim(0) / self.batch, s.len() / s.dim(0));
        let mut dims: Vec<usize> = s.dims().iter().map(|&d| d as usize).collect();
        dims[0] = self.batch * self.n;
        let mut out = vec![f32::NAN; self.batch * self.n * a_row];
        for (i, row) in inputs[0].floats().chunks(a_row).enumerate() {
            let at = i / rows * self.n + self.first + i % rows;
            out[at * a_row..][..a_row].copy_from_slice(row);
        }
        vec![Value::f32(Shape::new(&dims), out)]
    }
}

/// The first, some and all rows; images one and several.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(25);
    let mut case = |name: &str, shape: &[usize], batch: usize, (first, n): (usize, usize)| {
        let inputs = vec![rng.tensor(Shape::new(shape))];
        Case::new(name, PutRows { batch, first, n }, inputs, Tolerance::Exact)
    };
    vec![
        case("masks", &[50, 28, 28], 1, (100, 170)),
        case("batch", &[60, 9], 3, (7, 40)),
        case("all", &[5, 2], 1, (0, 5)),
    ]
}
