//! Transposed convolution, channels last, with bias and ReLU.

use crate::rng::Rng;
use super::schedule::Schedule;
use super::tiled::{P, Product};
use super::{Case, Kernel, Launch, LiveGrid, Params as _, Tolerance, Variant, fold_grid, tiled};
use crate::ops::deconv2d::Deconv2d;
use crate::ops::{Info, Io};
use crate::target::Target;
use crate::tensor::Value;

pub use super::tiled::params;

impl Kernel for Deconv2d {
    fn takes(&self, _: &[Info]) -> bool {
        self.bias
    }

    fn variants(&self, io: &Io, target: &Target) -> Vec<Variant> {
        let w = io.inputs[1].shape;
        let mut out = Vec::new();
        if io.dim(0, 3).is_multiple_of(4) && self.pad == 0 && w.dim(1) == self.stride && w.dim(2) == self.stride {
            // A tile's rows must be of one tap.
            let whole = |v: &Variant| v.schedule.extents().is_some_and(|[_, rows]| w.dim(0).is_multiple_of(rows));
            let (x, c, k) = (io.inputs[0].shape, w.dim(3), w.dim(0));
            let taps = self.stride * self.stride;
            let product = Product { n: x.len() / x.dim(3) * taps, c, k, taps, quads: k.is_multiple_of(4), plain: false };
            out.extend(tiled::variants(product, target).into_iter().filter(whole));
        }
        out.push(Variant::plain().flag("PLAIN", true));
        out.into_iter().map(|v| v.flag("LIVE", self.live)).collect()
    }

    fn f16_operands(&self, io: &Io) -> Vec<(usize, &'static str)> {
        tiled::f16_operands(io, io.dim(0, 3), io.dim(1, 0))
    }

    fn launch(&self, io: &Io, variant: &Variant) -> Launch {
        let (x, w) = (io.inputs[0].shape, io.inputs[1].shape);
        let [n, h, wid, c] = [0, 1, 2, 3].map(|i| x.dim(i));
        let [k, r, s, _] = [0, 1, 2, 3].map(|i| w.dim(i));
        let (oh, ow) = self.extents(&x, &w).expect("inferred before");
        let batches = if self.live { io.inputs[3].shape.len() } else { 1 };
        let mut params = P {
            h: h as u32,
            w: wid as u32,
            c: c as u32,
            relu: self.relu as u32,
            images_per_batch: (n / batches) as u32,
            ..P::default()
        };
        let grid = if variant.schedule == Schedule::Plain {
            params.pixels = (n * oh * ow) as u32;
            (params.k, params.r, params.s) = (k as u32, r as u32, s as u32);
            (params.oh, params.ow) = (oh as u32, ow as u32);
            (params.stride_h, params.stride_w) = (self.stride as u32, self.stride as u32);
            (params.pad_h, params.pad_w) = (self.pad as u32, self.pad as u32);
            fold_grid((n * oh * ow * k).div_ceil(64))
        } else {
            params.pixels = (n * h * wid) as u32;
            (params.k, params.r, params.s) = ((k * r * s) as u32, 1, 1);
            (params.oh, params.ow) = (h as u32, wid as u32);
            (params.stride_h, params.stride_w) = (1, 1);
            (params.groups, params.dilation_h, params.dilation_w) = (k as u32, r as u32, s as u32);
            tiled::grid(n * h * wid, k * r * s, variant)
        };
        params.grid_x = grid[0];
        Launch { grid, params: params.bytes() }
    }

    fn live_grid(&self, io: &Io, variant: &Variant) -> Option<LiveGrid> {
        let units = io.dim(0, 1) * io.dim(0, 2);
        tiled::live_grid(3, units, io.dim(0, 0) * units, variant).filter(|_| self.live)
    }

    /// The tiled variants take rows (r, s, k), so that a tile's outputs lie side by side,
    /// and the bias once for each tap.
    fn weight_layout(&self, index: usize, variant: &Variant) -> Option<String> {
        match index {
            1 => tiled::weight_layout(variant).map(|layout| format!("taps first, {layout}")),
            2 if variant.schedule != Schedule::Plain => Some(format!("{} times", self.stride * self.stride)),
            _ => None,
        }
    }

    fn pack(&self, index: usize, value: &Value, variant: &Variant) -> Value {
        if index == 2 {
            let taps = self.stride * self.stride;
            return Value::f32([taps * value.shape.len()], value.floats().repeat(taps));
        }
        let [k, r, s, c] = [0, 1, 2, 3].map(|i| value.shape.dim(i));
        let mut rows = Vec::with_capacity(value.shape.len());
        for tap in 0..r * s {
            for f in 0..k {
                rows.extend_from_slice(&value.floats()[(f * r * s + tap) * c..][..c]);
            }
        }
        tiled::pack_rows(&rows, k * r * s, c, variant)
    }
}

/// The mask head's layer and what the general form allows.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(3);
    let mut case = |name: &str, kernel: Deconv2d, x: [usize; 4], w: [usize; 4], live: Option<Vec<u32>>| {
        let mut inputs = vec![rng.tensor(x), rng.tensor(w), rng.tensor([w[0]])];
        inputs.extend(live.map(|l| Value::u32([l.len()], l)));
        Case::new(name, kernel, inputs, Tolerance::Norm { relative: 2e-6 })
    };
    let two = |live: bool| Deconv2d { stride: 2, pad: 0, bias: true, relu: true, live };
    vec![
        case("one by one by one", Deconv2d { stride: 1, ..two(false) }, [1, 1, 1, 1], [1, 1, 1, 1], None),
        case("mask head", two(true), [5, 14, 14, 128], [128, 2, 2, 128], Some(vec![3])),
        case("ragged rows", two(true), [4, 5, 3, 8], [7, 2, 2, 8], Some(vec![1, 2])),
        case("odd channels", two(false), [2, 5, 3, 6], [7, 2, 2, 6], None),
        case("overlapping", Deconv2d { stride: 2, pad: 1, bias: true, relu: false, live: false }, [1, 6, 5, 8], [4, 4, 4, 8], None),
        case("stride 3", Deconv2d { stride: 3, pad: 0, bias: true, relu: false, live: false }, [1, 4, 5, 8], [10, 3, 3, 8], None),
    ]
}
