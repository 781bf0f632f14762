//! Grouped convolution: each row of weights sees the channels of its own group alone.

use super::{Case, Kernel, Launch, LiveGrid, Params as _, Tolerance, Variant, fold_grid};
use crate::ops::activation::Activation;
use crate::ops::conv2d::Conv2d;
use crate::ops::{Cost, Info, Io, Op, Operand, Setting};
use crate::params;
use crate::rng::Rng;
use crate::target::Target;
use crate::tensor::Value;

params! {
    pixels: u32, h: u32, w: u32, c: u32, oh: u32, ow: u32, k: u32, r: u32, s: u32,
    stride_h: u32, stride_w: u32, pad_h: u32, pad_w: u32, dilation_h: u32, dilation_w: u32,
    group_c: u32, group_k: u32, relu: u32, images_per_batch: u32, grid_x: u32,
}

/// Threads of a workgroup.
const THREADS: usize = 64;

/// A convolution whose groups come by four: channels and rows of weights of each are multiples of 4, or each channel is a
/// group with one row (depthwise).
#[derive(Clone, Debug)]
pub struct GroupedConv2d {
    /// The convolution, of one whole map, with a bias; a residual is of the output's size.
    pub conv: Conv2d,
}

impl GroupedConv2d {
    /// The convolution as such a one, where it is with these inputs.
    pub fn of(conv: &Conv2d, io: &Io) -> Option<Self> {
        let (c, k) = (io.dim(0, 3), io.dim(1, 0));
        let groups = conv.groups;
        let by_four = (c / groups).is_multiple_of(4) && (k / groups).is_multiple_of(4);
        let depthwise = c == groups && k == groups && c.is_multiple_of(4);
        let whole = conv.slice.is_none() && conv.levels.is_none() && !conv.enlarged(io);
        (groups > 1 && conv.bias && whole && (by_four || depthwise)).then(|| Self { conv: conv.clone() })
    }

    /// Whether each channel is a group of its own.
    fn is_depthwise(&self, io: &Io) -> bool {
        io.dim(1, 3) == 1
    }
}

impl Op for GroupedConv2d {
    fn name(&self) -> &'static str {
        "grouped_conv2d"
    }

    fn operands(&self) -> Vec<Operand> {
        self.conv.operands()
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let outputs = self.conv.infer(inputs)?;
        match Self::of(&self.conv, &Io { inputs, outputs: &outputs }) {
            Some(_) => Ok(outputs),
            None => Err(format!("the groups of {inputs:?} do not come by four")),
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

/// Pixels of a thread.
fn pixels(variant: &Variant) -> usize {
    variant.get("TP") as usize
}

impl Kernel for GroupedConv2d {
    fn variants(&self, io: &Io, target: &Target) -> Vec<Variant> {
        let variant = |name, pixels_first| {
            Variant::own(name, &[("TP", 4)])
                .flag("PIXELS_FIRST", pixels_first)
                .flag("DEPTHWISE", self.is_depthwise(io))
                .flag("RESIDUAL", self.conv.residual)
                .flag("LIVE", self.conv.live)
                .ending_with(self.conv.activation)
        };
        let mut out = vec![variant("rows", false), variant("pixels", true)];
        // A CPU driver loads what all threads of a workgroup read once; a GPU, what lies side by side.
        if !target.pays.coalesces {
            out.swap(0, 1);
        }
        if target.reads_texels() {
            out.insert(0, variant("texels", true).texture(0, "X_TEXTURE", true).texture(1, "W_TEXTURE", true));
        }
        out
    }

    fn launch(&self, io: &Io, variant: &Variant) -> Launch {
        let (x, w, y) = (io.inputs[0].shape, io.inputs[1].shape, io.outputs[0].shape);
        let conv = &self.conv;
        let count = y.len() / y.dim(3);
        let rows = y.dim(3) / 4;
        let grid = match variant.find("PIXELS_FIRST") {
            Some(_) => {
                let [across, down, _] = fold_grid(count.div_ceil(THREADS * pixels(variant)));
                [across, down, rows as u32]
            }
            None => fold_grid((count.div_ceil(pixels(variant)) * rows).div_ceil(THREADS)),
        };
        let batches = if conv.live { io.inputs[io.inputs.len() - 1].shape.len() } else { 1 };
        let depthwise = self.is_depthwise(io);
        // A quad of channels of a depthwise convolution is as good as a group.
        let of_group = |n: usize| if depthwise { 1 } else { (n / conv.groups / 4) as u32 };
        let params = P {
            pixels: count as u32,
            h: x.dim(1) as u32,
            w: x.dim(2) as u32,
            c: (x.dim(3) / 4) as u32,
            oh: y.dim(1) as u32,
            ow: y.dim(2) as u32,
            k: rows as u32,
            r: w.dim(1) as u32,
            s: w.dim(2) as u32,
            stride_h: conv.stride.0 as u32,
            stride_w: conv.stride.1 as u32,
            pad_h: conv.pad.0 as u32,
            pad_w: conv.pad.1 as u32,
            dilation_h: conv.dilation.0 as u32,
            dilation_w: conv.dilation.1 as u32,
            group_c: of_group(x.dim(3)),
            group_k: of_group(y.dim(3)),
            relu: u32::from(conv.activation == Activation::Relu),
            images_per_batch: (x.dim(0) / batches) as u32,
            grid_x: grid[0],
        };
        Launch { grid, params: params.bytes() }
    }

    fn live_grid(&self, io: &Io, variant: &Variant) -> Option<LiveGrid> {
        variant.find("PIXELS_FIRST").filter(|_| self.conv.live)?;
        let y = io.outputs[0].shape;
        let [units, total] = [y.dim(1) * y.dim(2), y.len() / y.dim(3)].map(|n| n as u32);
        let block = (THREADS * pixels(variant)) as u32;
        Some(LiveGrid { input: io.inputs.len() - 1, axis: 0, rows: y.dim(0) as u32, units, first: 0, total, block })
    }

    fn weight_layout(&self, index: usize, _: &Variant) -> Option<String> {
        (index == 1).then(|| "taps, channels by four, rows".into())
    }

    /// Of weights `[K,R,S,C]` of each group: `[R,S,C/4,K,4]`, or, where a group has one channel, `[R,S,K]`.
    fn pack(&self, _: usize, value: &Value, _: &Variant) -> Value {
        let [k, r, s, c] = [0, 1, 2, 3].map(|i| value.shape.dim(i));
        let four = c.min(4);
        let mut out = Vec::with_capacity(value.shape.len());
        for tap in 0..r * s {
            for first in (0..c).step_by(four) {
                for row in 0..k {
                    out.extend_from_slice(&value.floats()[(row * r * s + tap) * c + first..][..four]);
                }
            }
        }
        Value::f32([r * s * (c / four), k * four], out)
    }
}

/// ResNeXt's groups, depthwise ones, strides, dilations, ragged images, and every feature.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(52);
    let mut case = |name: &str, conv: Conv2d, x: [usize; 4], w: [usize; 4], live: Option<Vec<u32>>| {
        let conv = Conv2d { live: live.is_some(), ..conv };
        let mut inputs = vec![rng.tensor(x), rng.tensor(w), rng.tensor([w[0]])];
        if conv.residual {
            let dense = Conv2d { residual: false, live: false, ..conv.clone() };
            let infos: Vec<Info> = inputs.iter().map(|v| Info::f32(v.shape)).collect();
            inputs.push(rng.tensor(dense.infer(&infos).expect("a case that fits")[0].shape));
        }
        inputs.extend(live.map(|live| Value::u32([live.len()], live)));
        Case::new(name, GroupedConv2d { conv }, inputs, Tolerance::Norm { relative: 2e-6 })
    };
    let groups = |groups| Conv2d { groups, pad: (1, 1), ..Conv2d::default() };
    vec![
        case("32 groups", Conv2d { activation: Activation::Relu, ..groups(32) }, [1, 14, 19, 128], [128, 3, 3, 4], None),
        case("32 groups, a step of two", Conv2d { stride: (2, 2), ..groups(32) }, [2, 13, 14, 256], [256, 3, 3, 8], None),
        case("more rows than channels", groups(2), [1, 5, 7, 8], [24, 3, 3, 4], None),
        case("more channels than rows", Conv2d { residual: true, ..groups(3) }, [1, 6, 5, 36], [12, 3, 3, 12], None),
        case("depthwise", Conv2d { activation: Activation::HardSwish, ..groups(24) }, [1, 15, 11, 24], [24, 3, 3, 1], None),
        case("depthwise 5x5", Conv2d { pad: (2, 2), residual: true, ..groups(4) }, [2, 9, 8, 4], [4, 5, 5, 1], None),
        case("dilated", Conv2d { dilation: (2, 3), pad: (2, 3), ..groups(4) }, [1, 9, 11, 16], [16, 3, 3, 4], None),
        case("uneven kernel", Conv2d { pad: (0, 2), stride: (1, 2), ..groups(2) }, [1, 6, 9, 8], [8, 1, 5, 4], None),
        case("some live", groups(2), [6, 9, 9, 16], [8, 3, 3, 8], Some(vec![2, 0])),
        case("depthwise, some live", groups(8), [5, 7, 7, 8], [8, 3, 3, 1], Some(vec![3])),
    ]
}
