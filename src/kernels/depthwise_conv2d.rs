//! Depthwise convolution: each channel with a kernel of its own (MobileNet).

use super::{Case, Kernel, Launch, Params as _, Tolerance, Variant, fold_grid};
use crate::ops::activation::Activation;
use crate::ops::conv2d::Conv2d;
use crate::ops::{Cost, Info, Io, Op, Operand, Setting};
use crate::params;
use crate::rng::Rng;
use crate::target::Target;
use crate::tensor::Value;

params! {
    total: u32, h: u32, w: u32, c: u32, oh: u32, ow: u32, tiles: u32, r: u32,
    stride_h: u32, pad_h: u32, pad_w: u32, dilation_h: u32, relu: u32, grid_x: u32,
}

/// Threads of a workgroup.
const THREADS: usize = 64;

/// Outputs of a thread, side by side.
const OUTPUTS: usize = 4;

/// Most columns of x that a thread holds: more would leave its registers.
const MOST_COLUMNS: usize = 16;

/// A convolution of as many groups as channels, a multiple of 4, and as many outputs, of one whole map, with a bias and
/// neither residual nor live counts.
#[derive(Clone, Debug)]
pub struct DepthwiseConv2d {
    /// The convolution.
    pub conv: Conv2d,
}

/// Columns of x that so many outputs side by side reach.
fn columns(outputs: usize, taps: usize, stride: usize, dilation: usize) -> usize {
    (outputs - 1) * stride + (taps - 1) * dilation + 1
}

impl DepthwiseConv2d {
    /// The convolution as such a one, where it is with these inputs.
    pub fn of(conv: &Conv2d, io: &Io) -> Option<Self> {
        let (c, k) = (io.dim(0, 3), io.dim(1, 0));
        let alone = conv.bias && !conv.residual && !conv.live && conv.slice.is_none() && conv.levels.is_none();
        let few = columns(OUTPUTS, io.dim(1, 2), conv.stride.1, conv.dilation.1) <= MOST_COLUMNS;
        let depthwise = conv.groups > 1 && (c, k) == (conv.groups, conv.groups) && c.is_multiple_of(4);
        (alone && few && depthwise).then(|| Self { conv: conv.clone() })
    }
}

impl Op for DepthwiseConv2d {
    fn name(&self) -> &'static str {
        "depthwise_conv2d"
    }

    fn operands(&self) -> Vec<Operand> {
        self.conv.operands()
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let outputs = self.conv.infer(inputs)?;
        match Self::of(&self.conv, &Io { inputs, outputs: &outputs }) {
            Some(_) => Ok(outputs),
            None => Err(format!("is not depthwise on channels by four, with kernels of a few columns: {inputs:?}")),
        }
    }

    fn cost(&self, io: &Io) -> Cost {
        self.conv.cost(io)
    }

    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        self.conv.twin(inputs)
    }

    fn settings(&self) -> Vec<Setting> {
        self.conv.settings()
    }
}

impl Kernel for DepthwiseConv2d {
    fn variants(&self, io: &Io, target: &Target) -> Vec<Variant> {
        let (taps, stride, dilation) = (io.dim(1, 2), self.conv.stride.1, self.conv.dilation.1);
        let variant = |name, outputs: usize, pixels_first| {
            let columns = columns(outputs, taps, stride, dilation) as u32;
            let constants = [("TP", outputs as u32), ("S", taps as u32), ("STRIDE", stride as u32)];
            Variant::own(name, &constants)
                .flag("QUADS", true)
                .flag("PIXELS_FIRST", pixels_first)
                .ending_with(self.conv.activation)
                .with("DILATION", dilation as u32)
                .with("COLUMNS", columns)
        };
        let mut out = vec![
            variant("rows", OUTPUTS, false),
            variant("pixels", OUTPUTS, true),
            variant("rows-2", OUTPUTS / 2, false),
            variant("pixels-2", OUTPUTS / 2, true),
        ];
        // A CPU driver loads what all threads of a workgroup read once; a GPU, what lies side by side.
        if !target.pays.coalesces {
            out.swap(0, 1);
            out.swap(2, 3);
        }
        if target.reads_texels() {
            out.insert(0, variant("texels", OUTPUTS, true).texture(0, "X_TEXTURE", true));
        }
        out
    }

    fn f16_operands(&self, io: &Io) -> Vec<(usize, &'static str)> {
        vec![(0, "X_F16"), (io.inputs.len(), "Y_F16")]
    }

    fn launch(&self, io: &Io, variant: &Variant) -> Launch {
        let (x, w, y) = (io.inputs[0].shape, io.inputs[1].shape, io.outputs[0].shape);
        let (conv, c) = (&self.conv, x.dim(3) / 4);
        let tiles = y.dim(2).div_ceil(variant.get("TP") as usize);
        let all = y.dim(0) * y.dim(1) * tiles;
        let (total, grid) = match variant.find("PIXELS_FIRST") {
            Some(_) => {
                let [across, down, _] = fold_grid(all.div_ceil(THREADS));
                (all, [across, down, c as u32])
            }
            None => (all * c, fold_grid((all * c).div_ceil(THREADS))),
        };
        let params = P {
            total: total as u32,
            h: x.dim(1) as u32,
            w: x.dim(2) as u32,
            c: c as u32,
            oh: y.dim(1) as u32,
            ow: y.dim(2) as u32,
            tiles: tiles as u32,
            r: w.dim(1) as u32,
            stride_h: conv.stride.0 as u32,
            pad_h: conv.pad.0 as u32,
            pad_w: conv.pad.1 as u32,
            dilation_h: conv.dilation.0 as u32,
            relu: u32::from(conv.activation == Activation::Relu),
            grid_x: grid[0],
        };
        Launch { grid, params: params.bytes() }
    }

    fn weight_layout(&self, index: usize, _: &Variant) -> Option<String> {
        (index == 1).then(|| "taps, channels".into())
    }

    /// Of `[C,R,S,1]`: `[R,S,C]`.
    fn pack(&self, _: usize, value: &Value, _: &Variant) -> Value {
        let (channels, taps) = (value.shape.dim(0), value.shape.len() / value.shape.dim(0));
        let mut out = Vec::with_capacity(value.shape.len());
        for tap in 0..taps {
            out.extend(value.floats().iter().skip(tap).step_by(taps));
        }
        Value::f32([taps, channels], out)
    }
}

/// MobileNetV3's kernels and strides, ragged images, dilations, and what is wider than high.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(53);
    let mut case = |name: &str, conv: Conv2d, x: [usize; 4], [r, s]: [usize; 2]| {
        let c = x[3];
        // Far enough for every part of an activation.
        let wide = rng.tensor(x);
        let wide = Value::f32(x, wide.floats().iter().map(|v| 3.0 * v).collect());
        let inputs = vec![wide, rng.tensor([c, r, s, 1]), rng.tensor([c])];
        Case::new(name, DepthwiseConv2d { conv: Conv2d { groups: c, ..conv } }, inputs, Tolerance::Norm { relative: 2e-6 })
    };
    let of = |side: usize, stride: usize, activation| Conv2d {
        stride: (stride, stride),
        pad: (side / 2, side / 2),
        activation,
        ..Conv2d::default()
    };
    use Activation::{HardSigmoid, HardSwish, Identity, Relu};
    vec![
        case("3x3", of(3, 1, Relu), [1, 15, 11, 16], [3, 3]),
        case("3x3, a step of two", of(3, 2, HardSwish), [2, 13, 18, 24], [3, 3]),
        case("5x5", of(5, 1, HardSwish), [2, 9, 8, 12], [5, 5]),
        case("5x5, a step of two", of(5, 2, Identity), [1, 14, 17, 8], [5, 5]),
        case("wider than a workgroup", of(3, 1, Relu), [1, 2, 300, 4], [3, 3]),
        case("smaller than its kernel", of(5, 1, HardSigmoid), [3, 2, 1, 4], [5, 5]),
        case(
            "uneven",
            Conv2d { stride: (2, 1), pad: (0, 3), dilation: (1, 2), ..Conv2d::default() },
            [1, 9, 13, 8],
            [2, 4],
        ),
        case("dilated", Conv2d { pad: (4, 4), dilation: (2, 2), ..of(5, 1, HardSwish) }, [1, 11, 10, 8], [5, 5]),
    ]
}
