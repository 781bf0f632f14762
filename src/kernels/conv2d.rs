//! 2-D convolution, channels last, with bias, residual and activation fused.

use super::schedule::Schedule;
use super::tiled::{P, Product};
use super::{Kernel, Launch, LiveGrid, Params as _, Variant, tiled};
use crate::ops::activation::Activation;
use crate::ops::conv2d::Conv2d;
use crate::ops::{Info, Io, Op};
use crate::target::Target;
use crate::tensor::Value;

mod cases;

pub use super::tiled::params;

pub use cases::cases;

impl Kernel for Conv2d {
    fn takes(&self, _: &[Info]) -> bool {
        self.bias
    }

    fn variants(&self, io: &Io, target: &Target) -> Vec<Variant> {
        let (c, k) = (io.dim(0, 3), io.dim(1, 0));
        let enlarged = self.enlarged(io);
        let flags = |v: Variant| {
            let mut v = v.ending_with(self.activation);
            // A pixel alone is the same on every map.
            let levels = self.levels.filter(|_| v.find("POINTWISE").is_none());
            v.features.extend(levels.map(|l| l.define()));
            if v.find("OPTIONAL").is_some() {
                return v.optional("RESIDUAL", 3, self.residual).flag("ENLARGED", true).flag("LIVE", self.live);
            }
            v.flag("RESIDUAL", self.residual).flag("ENLARGED", enlarged).flag("LIVE", self.live)
        };
        let mut out = Vec::new();
        if c.is_multiple_of(4) && self.groups == 1 {
            let quads = k.is_multiple_of(4) && self.by_four();
            // A strided 1x1 is a block's shortcut: the block's first convolution has its input as a texture anyway.
            let shortcut = (io.dim(1, 1), io.dim(1, 2)) == (1, 1) && self.stride > (1, 1);
            let taps = (io.dim(1, 1) * io.dim(1, 2)).div_ceil(self.stride.0 * self.stride.1) + usize::from(shortcut);
            let (oh, ow) = self.extents(&io.inputs[0].shape, &io.inputs[1].shape).expect("inferred before");
            let product = Product { n: io.dim(0, 0) * oh * ow, c, k, taps, quads, plain: false };
            let pointwise = self.pointwise(io);
            let policy = &target.pays.tiles;
            // Four channels are too few for a turn of a loop.
            let taps = (policy.taps_in_a_turn && c == 4 && (2..=8).contains(&io.dim(1, 2))).then_some(io.dim(1, 2) as u32);
            let tiled = tiled::variants(product, target).into_iter().map(|mut v| {
                let shuffled = matches!(v.schedule, Schedule::Shuffled(_) | Schedule::Texels(_) | Schedule::Common(_));
                if let Some(taps) = taps.filter(|_| v.schedule.tile().is_some_and(|tile| tile.step == 1)) {
                    v.features.push(("TAPS", taps));
                    if let Some(tile) = v.schedule.tile_mut().filter(|_| shuffled) {
                        // Half of the pixels are half of the text, which is the largest (benches/NOTES.md).
                        tile.pixels /= 2;
                    }
                    return v.flag("POINTWISE", pointwise);
                }
                // One text for all: with a residual or without, of any size.
                let one = policy.one_convolution && shuffled && quads && self.levels.is_none();
                v.flag("POINTWISE", pointwise && !one).flag("OPTIONAL", one)
            });
            out.extend(tiled.map(flags));
        }
        out.push(flags(Variant::plain().flag("PLAIN", true)));
        out
    }

    fn f16_operands(&self, io: &Io) -> Vec<(usize, &'static str)> {
        if self.groups > 1 || !io.dim(0, 3).is_multiple_of(4) {
            return Vec::new();
        }
        let quads = io.dim(1, 0).is_multiple_of(4) && self.by_four();
        let more = [(3, "R_F16")].into_iter().filter(|_| self.residual).chain([(io.inputs.len(), "Y_F16")]);
        [(0, "X_F16")].into_iter().chain(more.filter(|_| quads)).collect()
    }

    fn launch(&self, io: &Io, variant: &Variant) -> Launch {
        let (x, w) = (io.inputs[0].shape, io.inputs[1].shape);
        let (oh, ow) = self.extents(&x, &w).expect("inferred before");
        let pixels = x.dim(0) * oh * ow;
        let grid = tiled::grid(pixels, w.dim(0), variant);
        let batches = if self.live { io.inputs.last().map_or(1, |i| i.shape.len()) } else { 1 };
        let top = |i: usize| if self.residual { io.dim(3, i) as u32 } else { 0 };
        if variant.find("POINTWISE").is_some() {
            let k = w.dim(0) as u32;
            let params = P {
                pixels: pixels as u32,
                h: 1,
                w: 1,
                c: x.dim(3) as u32,
                k,
                r: 1,
                s: 1,
                stride_h: 1,
                stride_w: 1,
                relu: u32::from(self.activation == Activation::Relu),
                oh: 1,
                ow: 1,
                y_offset: self.place(0).0 as u32,
                y_image_stride: k,
                map_h: oh as u32,
                map_w: ow as u32,
                top_h: top(1),
                top_w: top(2),
                images_per_batch: pixels as u32,
                grid_x: grid[0],
                ..P::default()
            };
            return Launch { grid, params: params.bytes() };
        }
        let (y_offset, y_image_stride) = self.place(oh * ow * w.dim(0));
        let params = P {
            levels: self.levels.map(|l| l.table(1)).unwrap_or_default(),
            pixels: pixels as u32,
            h: x.dim(1) as u32,
            w: x.dim(2) as u32,
            c: x.dim(3) as u32,
            k: w.dim(0) as u32,
            r: w.dim(1) as u32,
            s: w.dim(2) as u32,
            oh: oh as u32,
            ow: ow as u32,
            stride_h: self.stride.0 as u32,
            stride_w: self.stride.1 as u32,
            pad_h: self.pad.0 as u32,
            pad_w: self.pad.1 as u32,
            dilation_h: self.dilation.0 as u32,
            dilation_w: self.dilation.1 as u32,
            groups: self.groups as u32,
            relu: u32::from(self.activation == Activation::Relu),
            y_offset: y_offset as u32,
            y_image_stride: y_image_stride as u32,
            map_h: oh as u32,
            map_w: ow as u32,
            top_h: top(1),
            top_w: top(2),
            images_per_batch: (x.dim(0) / batches) as u32,
            grid_x: grid[0],
        };
        Launch { grid, params: params.bytes() }
    }

    fn live_grid(&self, io: &Io, variant: &Variant) -> Option<LiveGrid> {
        let (oh, ow) = self.extents(&io.inputs[0].shape, &io.inputs[1].shape)?;
        let input = self.live.then(|| io.inputs.len() - 1)?;
        tiled::live_grid(input, oh * ow, io.dim(0, 0) * oh * ow, variant)
    }

    fn executed(&self, io: &Io, variant: &Variant) -> f64 {
        if self.groups > 1 || io.outputs.is_empty() {
            return self.cost(io).flops;
        }
        let (x, w) = (io.inputs[0].shape, io.inputs[1].shape);
        let (oh, ow) = self.extents(&x, &w).expect("inferred before");
        tiled::executed(x.dim(0) * oh * ow, w.dim(0), w.len() / w.dim(0), variant)
    }

    /// The tiled variants read `[K/TK, R, S, C/4, TK, 4]`, the blocked ones `[K/BK, R, S, C, BK]`, zero past K.
    fn weight_layout(&self, index: usize, variant: &Variant) -> Option<String> {
        tiled::weight_layout(variant).filter(|_| index == 1)
    }

    fn pack(&self, _: usize, value: &Value, variant: &Variant) -> Value {
        let [k, r, s, c] = [0, 1, 2, 3].map(|i| value.shape.dim(i));
        tiled::pack_rows(value.floats(), k, r * s * c, variant)
    }
}
