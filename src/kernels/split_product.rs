//! Split-K: a product with few blocks and long rows of weights, taken apart along the rows, so that it fills a GPU.

use crate::rng::Rng;
use super::half_precision::with_all;
use super::schedule::BLOCK_STEP;
use super::{Case, Kernel, Launch, LiveGrid, Tolerance, Variant, blocked, tiled};
use crate::ops::activation::Activation;
use crate::ops::conv2d::Conv2d;
use crate::ops::levels::Levels;
use crate::ops::live;
use crate::ops::{Cost, Info, Io, Op, Operand, Setting, key, settings, value};
use crate::target::Target;
use crate::tensor::{Shape, Value};

pub use super::tiled::params;

/// `y[part, pixel, k] = Σ x[n, oh·stride − pad + r·dilation, …, c] · w[k,r,s,c]` over part `part` of (r, s, c).
///
/// Inputs: x `[N,H,W,C]` and weight `[K,R,S,C]` of the convolution, or x `[N, …]` and weight `[K,C]` of a fully
/// connected layer, C a multiple of 4; then live `[B]` where the convolution says so. Output `[parts, N·OH·OW, K]`.
#[derive(Clone, Debug)]
pub struct SplitProduct {
    /// The convolution; a fully connected layer is one of 1×1. It has one group, and its epilogue is not applied.
    pub conv: Conv2d,
    /// How many parts.
    pub parts: usize,
}

/// The operands as those of a convolution, and output rows and columns.
pub(crate) fn shapes(conv: &Conv2d, x: Shape, w: Shape) -> Option<(Shape, Shape, usize, usize)> {
    let (x, w) = match w.rank() {
        2 => (Shape::from([x.dim(0), 1, 1, x.len() / x.dim(0).max(1)]), Shape::from([w.dim(0), 1, 1, w.dim(1)])),
        _ => (x, w),
    };
    let fits = x.rank() == 4 && w.rank() == 4 && !x.is_empty() && !w.is_empty() && x.dim(3) == w.dim(3);
    let (oh, ow) = if fits { conv.extents(&x, &w)? } else { return None };
    (conv.groups == 1 && x.dim(3).is_multiple_of(4)).then_some((x, w, oh, ow))
}

impl SplitProduct {
    fn shapes(&self, inputs: &[Info]) -> (Shape, Shape, usize, usize) {
        shapes(&self.conv, inputs[0].shape, inputs[1].shape).expect("inferred before")
    }
}

impl Op for SplitProduct {
    fn name(&self) -> &'static str {
        "split_product"
    }

    fn operands(&self) -> Vec<Operand> {
        vec![Operand::f32("x", 0).of_any_rank(), Operand::f32("weight", 0).of_any_rank()].into_iter().chain(self.conv.live.then_some(Operand::LIVE)).collect()
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        if self.parts == 0 || inputs[0].shape.rank() == 0 {
            return Err(format!("takes x, weight and live counts where said, not {inputs:?}"));
        }
        let (x, w) = (inputs[0].shape, inputs[1].shape);
        let Some((x, w, oh, ow)) = shapes(&self.conv, x, w) else {
            return Err(format!("weight {w} does not fit x {x}, or cannot be split"));
        };
        if self.conv.live {
            live::check(&inputs[2], x.dim(0), "rows of x")?;
        }
        Ok(vec![Info::f32([self.parts, x.dim(0) * oh * ow, w.dim(0)])])
    }

    fn cost(&self, io: &Io) -> Cost {
        Cost::of(io, 2.0 * (io.outputs[0].shape.dim(1) * io.inputs[1].shape.len()) as f64)
    }

    /// Each part is the convolution with the other parts' weights zero.
    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let infos: Vec<Info> = inputs.iter().map(|v| Info { shape: v.shape, dtype: v.dtype() }).collect();
        let (x, w, oh, ow) = self.shapes(&infos);
        let (k, len) = (w.dim(0), w.len() / w.dim(0));
        // As in shared/blocked: whole steps.
        let part = (len / 4).div_ceil(self.parts).next_multiple_of(BLOCK_STEP as usize) * 4;
        let conv = Conv2d { activation: Activation::Identity, residual: false, ..self.conv.clone() };
        let mut y = Vec::new();
        for range in (0..self.parts).map(|i| i * part..(i + 1) * part) {
            let weight = |(i, &v): (usize, &f32)| if range.contains(&(i % len)) { v } else { 0.0 };
            let weights = inputs[1].floats().iter().enumerate().map(weight).collect();
            let mut operands = vec![Value::f32(x, inputs[0].floats().to_vec()), Value::f32(w, weights)];
            operands.push(Value::f32([k], vec![0.0; k]));
            operands.extend(inputs.get(2).cloned());
            y.extend_from_slice(conv.twin(&operands)[0].floats());
        }
        vec![Value::f32([self.parts, x.dim(0) * oh * ow, k], y)]
    }

    fn settings(&self) -> Vec<Setting> {
        settings([("conv", value(key(&self.conv))), ("parts", value(self.parts))])
    }
}

impl Kernel for SplitProduct {
    fn variants(&self, io: &Io, target: &Target) -> Vec<Variant> {
        let (x, w, oh, ow) = self.shapes(io.inputs);
        let (n, k) = (x.dim(0) * oh * ow, w.dim(0));
        let (n, quads) = (n * self.parts, k.is_multiple_of(4));
        let blocks = with_all(blocked::variants(n, k, quads, target), n, k, quads, target).into_iter();
        let more: Vec<_> = [("PARTS", self.parts as u32)].into_iter().chain(self.conv.levels.map(|l| l.define())).collect();
        let parts = |v: Variant| Variant { features: [v.features, more.clone()].concat(), ..v };
        blocks.map(|v| parts(v).flag("LIVE", self.conv.live)).collect()
    }

    fn f16_operands(&self, _: &Io) -> Vec<(usize, &'static str)> {
        vec![(0, "X_F16")]
    }

    fn launch(&self, io: &Io, variant: &Variant) -> Launch {
        let (x, w, ..) = self.shapes(io.inputs);
        let mut inputs = io.inputs.to_vec();
        (inputs[0].shape, inputs[1].shape) = (x, w);
        let mut launch = self.conv.launch(&Io { inputs: &inputs, outputs: io.outputs }, variant);
        launch.grid[2] *= self.parts as u32;
        launch
    }

    fn live_grid(&self, io: &Io, variant: &Variant) -> Option<LiveGrid> {
        let (x, _, oh, ow) = self.shapes(io.inputs);
        tiled::live_grid(2, oh * ow, x.dim(0) * oh * ow, variant).filter(|_| self.conv.live)
    }

    fn executed(&self, io: &Io, variant: &Variant) -> f64 {
        let (x, w, oh, ow) = self.shapes(io.inputs);
        tiled::executed(x.dim(0) * oh * ow, w.dim(0), w.len() / w.dim(0), variant)
    }

    fn weight_layout(&self, index: usize, variant: &Variant) -> Option<String> {
        tiled::weight_layout(variant).filter(|_| index == 1)
    }

    fn pack(&self, _: usize, value: &Value, variant: &Variant) -> Value {
        let k = value.shape.dim(0);
        tiled::pack_rows(value.floats(), k, value.shape.len() / k, variant)
    }
}

/// Rows and images, parts that are ragged, empty or within a tap.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(43);
    let mut case = |name: &str, conv: Conv2d, parts: usize, x: &[usize], w: &[usize], live: Option<Vec<u32>>| {
        let conv = Conv2d { live: live.is_some(), ..conv };
        let mut inputs = vec![rng.tensor(Shape::new(x)), rng.tensor(Shape::new(w))];
        inputs.extend(live.map(|l| Value::u32([l.len()], l)));
        Case::new(name, SplitProduct { conv, parts }, inputs, Tolerance::Norm { relative: 3e-6 })
    };
    let k3 = || Conv2d { pad: (1, 1), ..Conv2d::default() };
    let levels = Levels::new(&[(6, 5), (3, 3), (1, 1)]);
    let two = Conv2d { stride: (2, 2), ..k3() };
    vec![
        case("fc6", Conv2d::default(), 4, &[50, 7, 7, 64], &[64, 3136], Some(vec![37])),
        case("ragged rows", Conv2d::default(), 2, &[13, 20], &[5, 20], None),
        case("P6", k3(), 8, &[1, 5, 7, 64], &[40, 3, 3, 64], None),
        case("steps of two", two, 3, &[2, 9, 6, 12], &[8, 3, 3, 12], None),
        case("three levels", Conv2d { levels, ..k3() }, 2, &[2, 1, 40, 8], &[12, 3, 3, 8], None),
        case("more parts than steps", k3(), 16, &[1, 4, 4, 4], &[8, 3, 3, 4], None),
        case("batches", k3(), 2, &[6, 4, 4, 8], &[8, 3, 3, 8], Some(vec![1, 3])),
    ]
}
