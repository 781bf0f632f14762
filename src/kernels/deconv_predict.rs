//! The mask head's last two layers as one: transposed convolution with ReLU, and the mask of the class that was found.

use crate::rng::Rng;
use super::tiled::Product;
use super::{Case, Kernel, Launch, LiveGrid, Params as _, Schedule, Tolerance, Variant, fold_grid, tiled};
use crate::ops::deconv2d::Deconv2d;
use crate::ops::mask_predict::MaskPredict;
use crate::ops::{Cost, Info, Io, Op, Operand, Setting, settings, value};
use crate::params;
use crate::target::Target;
use crate::tensor::Value;

params! {
    pixels: u32, h: u32, w: u32, c: u32, k: u32, side: u32, classes: u32, images_per_batch: u32, grid_x: u32,
}

/// [`MaskPredict`] of [`Deconv2d`] with ReLU, live counts, and a kernel as large as its stride: `[N,M·R,M·R]`, 0..1.
///
/// Inputs: x `[N,M,M,C]`, weight `[K,R,R,C]`, bias `[K]` of the first; weight `[classes,K]`, bias `[classes]` and labels
/// `[N]` of the second; live `[B]`. C and K are multiples of 4.
#[derive(Clone, Debug)]
pub struct DeconvPredict {
    /// Steps between the places of neighbouring inputs, and the side of the kernel.
    pub stride: usize,
}

impl DeconvPredict {
    fn first(&self) -> Deconv2d {
        Deconv2d { stride: self.stride, pad: 0, bias: true, relu: true, live: true }
    }
}

/// The inputs of the second layer, that between the layers first.
fn second<T: Clone>(inputs: &[T], between: T) -> Vec<T> {
    [&[between], &inputs[3..]].concat()
}

/// The inputs of the first layer.
fn first<T: Clone>(inputs: &[T]) -> Vec<T> {
    [&inputs[..3], &inputs[6..]].concat()
}

impl Op for DeconvPredict {
    fn name(&self) -> &'static str {
        "deconv_predict"
    }

    fn operands(&self) -> Vec<Operand> {
        let [x, weight, bias] = [Operand::f32("x", 4), Operand::f32("weight", 4), Operand::f32("bias", 1)];
        let labels = Operand::u32("labels", 1).of_any_rank();
        vec![x, weight, bias, Operand::f32("last weight", 2), Operand::f32("last bias", 1), labels, Operand::LIVE]
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let w = inputs[1].shape;
        let between = self.first().infer(&first(inputs))?;
        if [w.dim(1), w.dim(2)] != [self.stride; 2] || !w.dim(0).is_multiple_of(4) || !w.dim(3).is_multiple_of(4) {
            return Err(format!("weight {w} is not [K,{0},{0},C], K and C multiples of 4", self.stride));
        }
        MaskPredict.infer(&second(inputs, between[0]))
    }

    fn cost(&self, io: &Io) -> Cost {
        let between = io.outputs[0].shape.len() * io.dim(1, 0);
        Cost::of(io, 2.0 * (between * (io.dim(0, 3) + 1)) as f64)
    }

    /// One layer after the other.
    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let between = self.first().twin(&first(inputs)).remove(0);
        MaskPredict.twin(&second(inputs, between))
    }

    fn settings(&self) -> Vec<Setting> {
        settings([("stride", value(self.stride))])
    }
}

impl Kernel for DeconvPredict {
    fn variants(&self, io: &Io, target: &Target) -> Vec<Variant> {
        let (x, w) = (io.inputs[0].shape, io.inputs[1].shape);
        let (c, k, taps) = (w.dim(3), w.dim(0), self.stride * self.stride);
        let product = Product { n: x.len() / c * taps, c, k, taps: taps * k.div_ceil(32), quads: true, plain: false };
        // Those whose threads keep their pixels from the first row of a tap to the last.
        let alone = |v: &Variant| v.schedule.tile().is_some_and(|tile| k.is_multiple_of(tile.extents()[1]));
        let tiled = tiled::variants(product, target).into_iter().filter(alone);
        let textures = |v: Variant| {
            let texels = matches!(v.schedule, Schedule::Texels(_));
            v.texture(3, "LAST_TEXTURE", texels)
        };
        let plain = Variant::plain().flag("PLAIN", true);
        tiled.map(textures).chain([plain]).map(|v| v.flag("LIVE", true)).collect()
    }

    fn launch(&self, io: &Io, variant: &Variant) -> Launch {
        let (x, w) = (io.inputs[0].shape, io.inputs[1].shape);
        let pixels = x.len() / x.dim(3);
        let taps = self.stride * self.stride;
        let grid = match variant.name {
            "plain" => fold_grid((pixels * taps).div_ceil(64)),
            _ => {
                let [x, y, _] = tiled::grid(pixels, 1, variant);
                [x, y, taps as u32]
            }
        };
        let params = P {
            pixels: pixels as u32,
            h: x.dim(1) as u32,
            w: x.dim(2) as u32,
            c: x.dim(3) as u32,
            k: w.dim(0) as u32,
            side: self.stride as u32,
            classes: io.dim(3, 0) as u32,
            images_per_batch: (x.dim(0) / io.inputs[6].shape.len()) as u32,
            grid_x: grid[0],
        };
        Launch { grid, params: params.bytes() }
    }

    fn live_grid(&self, io: &Io, variant: &Variant) -> Option<LiveGrid> {
        let units = io.dim(0, 1) * io.dim(0, 2);
        tiled::live_grid(6, units, io.dim(0, 0) * units, variant)
    }

    fn executed(&self, io: &Io, variant: &Variant) -> f64 {
        let pixels = io.inputs[0].shape.len() / io.dim(0, 3);
        let (k, c) = (io.dim(1, 0), io.dim(0, 3));
        (self.stride * self.stride) as f64 * tiled::executed(pixels, k, c + 1, variant)
    }

    fn weight_layout(&self, index: usize, variant: &Variant) -> Option<String> {
        self.first().weight_layout(index, variant).filter(|_| index == 1)
    }

    fn pack(&self, index: usize, value: &Value, variant: &Variant) -> Value {
        self.first().pack(index, value, variant)
    }
}

/// The mask head's shape, many classes, several images, and nothing live.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(45);
    let mut case = |name: &str, live: Vec<u32>, x: [usize; 4], k: usize, stride: usize, classes: usize| {
        let n = x[0];
        let labels = (0..n).map(|_| rng.below(classes) as u32).collect();
        let mut small = |shape: &[usize], by: f32| {
            let value = rng.tensor(crate::tensor::Shape::new(shape));
            // Logits of a few units: of large ones a sigmoid would hide all errors.
            Value::f32(value.shape, value.floats().iter().map(|v| v * by).collect())
        };
        let by = 1.0 / (k as f32).sqrt();
        let inputs = vec![
            small(&x, 1.0),
            small(&[k, stride, stride, x[3]], 2.0 / (x[3] as f32).sqrt()),
            small(&[k], 0.5),
            small(&[classes, k], by),
            small(&[classes], 0.5),
            Value::u32([n], labels),
            Value::u32([live.len()], live),
        ];
        Case::new(name, DeconvPredict { stride }, inputs, Tolerance::Close { absolute: 2e-6, relative: 2e-5 })
    };
    vec![
        case("default model", vec![3], [5, 14, 14, 128], 128, 2, 2),
        case("91 classes, batch", vec![2, 1], [6, 7, 7, 32], 64, 2, 91),
        case("few rows", vec![4], [4, 5, 3, 8], 8, 2, 3),
        case("stride 3", vec![1, 0], [2, 4, 5, 12], 32, 3, 4),
        case("none live", vec![0], [2, 5, 5, 8], 32, 2, 3),
    ]
}
