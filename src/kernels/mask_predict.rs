//! The mask of the class that was found.

use super::case::Rng;
use super::{Caps, Case, Cost, Info, Io, Kernel, Launch, LiveGrid, Params as _, Tolerance, Variant, fold_grid};
use crate::params;
use crate::tensor::{DType, Value};

params! { total: u32, pixels: u32, c: u32, classes: u32, images_per_batch: u32, grid_x: u32 }

/// `sigmoid(bias[label] + Σ x[n,i,j,c] · w[label,c])`: the 1×1 convolution of the mask head, for one class.
///
/// Inputs: x `[N,M,M,C]`, weight `[K,C]`, bias `[K]`, labels `[N]`, live `[B]`. Output `[N,M,M]`, 0..1.
#[derive(Clone, Debug)]
pub struct MaskPredict;

impl Kernel for MaskPredict {
    fn name(&self) -> &'static str {
        "mask_predict"
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let [x, w, bias, labels, live] = inputs else {
            return Err(format!("takes x, weight, bias, labels and live counts, not {inputs:?}"));
        };
        let (x, w) = (x.shape, w.shape);
        let ok = x.rank() == 4
            && w.rank() == 2
            && x.dim(3) == w.dim(1)
            && bias.shape.len() == w.dim(0)
            && labels.dtype == DType::U32
            && labels.shape.len() == x.dim(0)
            && x.dim(0) % live.shape.len().max(1) == 0;
        if !ok {
            return Err(format!("these do not fit together: {inputs:?}"));
        }
        Ok(vec![Info::f32([x.dim(0), x.dim(1), x.dim(2)])])
    }

    fn integers(&self) -> Vec<usize> {
        vec![3, 4]
    }

    fn variants(&self, io: &Io, _: &Caps) -> Vec<Variant> {
        let quads = io.dim(0, 3).is_multiple_of(4).then(|| Variant::new("quads", &[("QUADS", 1)]));
        quads.into_iter().chain([Variant::new("plain", &[])]).collect()
    }

    fn launch(&self, io: &Io, variant: &Variant) -> Launch {
        let lanes = if variant.name == "quads" { 4 } else { 1 };
        let x = io.inputs[0].shape;
        let total = io.outputs[0].shape.len();
        let grid = fold_grid(total.div_ceil(64));
        let params = P {
            total: total as u32,
            pixels: (x.dim(1) * x.dim(2)) as u32,
            c: (x.dim(3) / lanes) as u32,
            classes: io.dim(1, 0) as u32,
            images_per_batch: (x.dim(0) / io.inputs[4].shape.len()) as u32,
            grid_x: grid[0],
        };
        Launch { grid, params: params.bytes() }
    }

    fn live_grid(&self, io: &Io, _: &Variant) -> Option<LiveGrid> {
        let units = (io.dim(0, 1) * io.dim(0, 2)) as u32;
        let total = units * io.dim(0, 0) as u32;
        Some(LiveGrid { input: 4, axis: 0, rows: io.dim(0, 0) as u32, units, first: 0, total, block: 64 })
    }

    fn cost(&self, io: &Io) -> Cost {
        Cost::of(io, 2.0 * io.inputs[0].shape.len() as f64)
    }

    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let x = inputs[0].shape;
        let (n, pixels, c) = (x.dim(0), x.dim(1) * x.dim(2), x.dim(3));
        let (labels, live) = (inputs[3].ints(), inputs[4].ints());
        let capacity = n / live.len();
        let mut y = vec![f32::NAN; n * pixels];
        for (i, out) in y.iter_mut().enumerate() {
            let row = i / pixels;
            if row % capacity >= live[row / capacity] as usize {
                continue;
            }
            let label = labels[row] as usize;
            let w = &inputs[1].floats()[label * c..][..c];
            let dot: f64 = inputs[0].floats()[i * c..][..c].iter().zip(w).map(|(&a, &b)| a as f64 * b as f64).sum();
            *out = (1.0 / (1.0 + (-dot - inputs[2].floats()[label] as f64).exp())) as f32;
        }
        vec![Value::f32([n, x.dim(1), x.dim(2)], y)]
    }
}

/// The default model's shape, many classes, odd channels.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(14);
    let mut case = |name: &str, live: Vec<u32>, n: usize, m: usize, c: usize, k: usize| {
        let b = live.len();
        let labels = (0..b * n).map(|_| rng.below(k) as u32).collect();
        let inputs = vec![
            rng.tensor([b * n, m, m, c]),
            rng.tensor([k, c]),
            rng.tensor([k]),
            Value::u32([b * n], labels),
            Value::u32([b], live),
        ];
        Case::new(name, MaskPredict, inputs, Tolerance::Close { absolute: 2e-6, relative: 2e-5 })
    };
    vec![
        case("default model", vec![3], 5, 28, 128, 2),
        case("91 classes, batch", vec![2, 1], 3, 14, 16, 91),
        case("odd channels", vec![2], 2, 5, 7, 3),
        case("none live", vec![0], 2, 5, 8, 3),
    ]
}
