//! 2-D convolution, channels last, with bias, residual and ReLU fused.

use super::case::Rng;
use super::tiled::{self, P, Product};
use super::{
    Caps, Case, Cost, Info, Io, Kernel, Launch, LiveGrid, Params as _, Pieces, Tolerance, Variant, Want, fold_grid, split_product,
    winograd,
};
use crate::tensor::{DType, Shape, Value};

pub use super::tiled::params;

/// `y[n,oh,ow,k] = act(bias[k] + residual + Σ x[n, oh·stride − pad + r·dilation, …, c] · w[k,r,s,c])`.
///
/// Inputs: x `[N,H,W,C]`, weight `[K,R,S,C/groups]`, bias `[K]`, then residual `[N,OH,OW,K]` and live `[B]` where
/// said. With live counts, N is B times a capacity, and rows of n past a batch's count are neither computed nor
/// written.
#[derive(Clone, Debug)]
pub struct Conv2d {
    /// Steps between outputs, (vertical, horizontal).
    pub stride: (usize, usize),
    /// Zeros assumed around the image, (top and bottom, left and right).
    pub pad: (usize, usize),
    /// Steps between taps.
    pub dilation: (usize, usize),
    /// Channel groups.
    pub groups: usize,
    /// Whether max(·, 0) follows.
    pub relu: bool,
    /// Whether a residual is added before the ReLU.
    pub residual: bool,
    /// Whether a live count is given.
    pub live: bool,
    /// Where the output is a part of a larger tensor: that tensor's shape (N outermost), and the element of each
    /// image at which this part begins.
    pub slice: Option<(Shape, usize)>,
}

impl Default for Conv2d {
    fn default() -> Self {
        Self {
            stride: (1, 1),
            pad: (0, 0),
            dilation: (1, 1),
            groups: 1,
            relu: false,
            residual: false,
            live: false,
            slice: None,
        }
    }
}

impl Conv2d {
    /// Whether each output is made of the one pixel at its own place, and they lie in y as those do in x.
    fn pointwise(&self, io: &Io) -> bool {
        let w = io.inputs[1].shape;
        let alone = (w.dim(1), w.dim(2), self.stride, self.pad) == (1, 1, (1, 1), (0, 0));
        alone && !self.live && (self.slice.is_none() || io.dim(0, 0) == 1)
    }

    pub(super) fn extents(&self, x: &Shape, w: &Shape) -> Option<(usize, usize)> {
        let side = |n: usize, k: usize, stride: usize, pad: usize, dilation: usize| {
            Some((n + 2 * pad).checked_sub(dilation * (k - 1) + 1)? / stride + 1)
        };
        let h = side(x.dim(1), w.dim(1), self.stride.0, self.pad.0, self.dilation.0)?;
        let w = side(x.dim(2), w.dim(2), self.stride.1, self.pad.1, self.dilation.1)?;
        Some((h, w))
    }
}

impl Kernel for Conv2d {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let want = 3 + self.residual as usize + self.live as usize;
        if inputs.len() != want || inputs[0].shape.rank() != 4 || inputs[1].shape.rank() != 4 {
            return Err(format!("takes x [N,H,W,C], weight [K,R,S,C] and {} more, not {inputs:?}", want - 2));
        }
        let (x, w) = (inputs[0].shape, inputs[1].shape);
        if x.is_empty() || w.is_empty() || self.groups == 0 {
            return Err(format!("has nothing to do with x {x}, weight {w}"));
        }
        let least = [self.stride.0, self.stride.1, self.dilation.0, self.dilation.1];
        if least.contains(&0) {
            return Err(format!("strides {:?} and dilations {:?} must be 1 or more", self.stride, self.dilation));
        }
        if w.dim(3) * self.groups != x.dim(3) || w.dim(0) % self.groups != 0 {
            return Err(format!("weight {w} in {} groups does not fit the channels of x {x}", self.groups));
        }
        if inputs[2].shape != Shape::from([w.dim(0)]) {
            return Err(format!("bias {} does not fit weight {w}", inputs[2].shape));
        }
        let Some((oh, ow)) = self.extents(&x, &w) else {
            return Err(format!("weight {w} is larger than the padded x {x}"));
        };
        let dense = Shape::from([x.dim(0), oh, ow, w.dim(0)]);
        if self.residual && inputs[3].shape != dense {
            return Err(format!("residual {} does not fit the output {dense}", inputs[3].shape));
        }
        if self.live {
            let live = inputs[want - 1];
            if live.dtype != DType::U32 || live.shape.is_empty() || x.dim(0) % live.shape.len() != 0 {
                return Err(format!("live counts {live:?} do not divide the {} rows of x", x.dim(0)));
            }
        }
        let out = match self.slice {
            None => dense,
            Some((whole, offset)) => {
                let room = whole.len() / x.dim(0).max(1);
                if whole.dim(0) != x.dim(0) || offset + dense.len() / x.dim(0) > room {
                    return Err(format!("output {dense} does not fit {whole} from element {offset} on"));
                }
                whole
            }
        };
        Ok(vec![Info::f32(out)])
    }

    fn integers(&self) -> Vec<usize> {
        if self.live { vec![3 + self.residual as usize] } else { Vec::new() }
    }

    fn variants(&self, io: &Io, caps: &Caps) -> Vec<Variant> {
        let (c, k) = (io.dim(0, 3), io.dim(1, 0));
        let flags = |v: Variant| v.flag("RESIDUAL", self.residual).flag("LIVE", self.live);
        let mut out = Vec::new();
        if c.is_multiple_of(4) && self.groups == 1 {
            let quads = k.is_multiple_of(4) && self.slice.is_none_or(|(whole, at)| {
                at.is_multiple_of(4) && (whole.len() / whole.dim(0)).is_multiple_of(4)
            });
            let taps = (io.dim(1, 1) * io.dim(1, 2)).div_ceil(self.stride.0 * self.stride.1);
            let (oh, ow) = self.extents(&io.inputs[0].shape, &io.inputs[1].shape).expect("inferred before");
            let product = Product { n: io.dim(0, 0) * oh * ow, c, k, taps, quads };
            let pointwise = self.pointwise(io);
            // A CPU driver masks every sum once a turn of a loop; four channels are too few for a turn.
            let taps = (caps.cpu && c == 4 && (2..=8).contains(&io.dim(1, 2))).then_some(io.dim(1, 2) as u32);
            let tiled = tiled::variants(product, caps).into_iter().map(|mut v| {
                v.defines.extend(taps.filter(|_| v.find("STEP") == Some(1)).map(|taps| ("TAPS", taps)));
                v.flag("POINTWISE", pointwise)
            });
            out.extend(tiled.map(flags));
        }
        out.push(flags(Variant::new("plain", &[("PLAIN", 1)])));
        out
    }

    fn pieces(&self, io: &Io, want: Want) -> Option<Pieces> {
        winograd::pieces(self, io, want).or_else(|| split_product::pieces(self, io, want))
    }

    fn launch(&self, io: &Io, variant: &Variant) -> Launch {
        let (x, w) = (io.inputs[0].shape, io.inputs[1].shape);
        let (oh, ow) = self.extents(&x, &w).expect("inferred before");
        let pixels = x.dim(0) * oh * ow;
        let grid = if variant.name == "plain" {
            fold_grid((pixels * w.dim(0)).div_ceil(64))
        } else {
            tiled::grid(pixels, w.dim(0), variant)
        };
        let batches = if self.live { io.inputs.last().map_or(1, |i| i.shape.len()) } else { 1 };
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
                relu: self.relu as u32,
                oh: 1,
                ow: 1,
                y_offset: self.slice.map_or(0, |s| s.1) as u32,
                y_image_stride: k,
                images_per_batch: pixels as u32,
                grid_x: grid[0],
                ..P::default()
            };
            return Launch { grid, params: params.bytes() };
        }
        let params = P {
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
            relu: self.relu as u32,
            y_offset: self.slice.map_or(0, |s| s.1) as u32,
            y_image_stride: self.slice.map_or(oh * ow * w.dim(0), |s| s.0.len() / x.dim(0)) as u32,
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

    fn cost(&self, io: &Io) -> Cost {
        let (x, w) = (io.inputs[0].shape, io.inputs[1].shape);
        let (oh, ow) = self.extents(&x, &w).expect("inferred before");
        let mut cost = Cost::of(io, 2.0 * (x.dim(0) * oh * ow * w.len()) as f64);
        if self.slice.is_some() {
            let rest = io.outputs[0].shape.len() - x.dim(0) * oh * ow * w.dim(0);
            cost.bytes -= (rest * crate::tensor::ELEMENT_BYTES) as f64;
        }
        cost
    }

    fn executed(&self, io: &Io, variant: &Variant) -> f64 {
        if self.groups > 1 || io.outputs.is_empty() {
            return self.cost(io).flops;
        }
        let (x, w) = (io.inputs[0].shape, io.inputs[1].shape);
        let (oh, ow) = self.extents(&x, &w).expect("inferred before");
        tiled::executed(x.dim(0) * oh * ow, w.dim(0), w.len() / w.dim(0), variant)
    }

    /// Scatters each input element to the outputs that it reaches (the shader gathers).
    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let (x, w, bias) = (&inputs[0], &inputs[1], inputs[2].floats());
        let (oh, ow) = self.extents(&x.shape, &w.shape).expect("inferred before");
        let [n, h, wid, c] = [0, 1, 2, 3].map(|i| x.shape.dim(i));
        let [k, r, s, cg] = [0, 1, 2, 3].map(|i| w.shape.dim(i));
        let mut sums: Vec<f64> = vec![0.0; n * oh * ow * k];
        let reach = |i: usize, tap: usize, stride: usize, pad: usize, dilation: usize, out: usize| {
            let at = (i + pad).checked_sub(tap * dilation)?;
            (at % stride == 0 && at / stride < out).then_some(at / stride)
        };
        for (e, &v) in x.floats().iter().enumerate() {
            let (ch, col, row, image) = (e % c, e / c % wid, e / (c * wid) % h, e / (c * wid * h));
            let group = ch / cg;
            for tr in 0..r {
                let Some(y) = reach(row, tr, self.stride.0, self.pad.0, self.dilation.0, oh) else { continue };
                for ts in 0..s {
                    let Some(z) = reach(col, ts, self.stride.1, self.pad.1, self.dilation.1, ow) else { continue };
                    let out = ((image * oh + y) * ow + z) * k;
                    for f in group * (k / self.groups)..(group + 1) * (k / self.groups) {
                        sums[out + f] += v as f64 * w.floats()[((f * r + tr) * s + ts) * cg + ch % cg] as f64;
                    }
                }
            }
        }
        let live = self.live.then(|| inputs[inputs.len() - 1].ints());
        let (shape, offset) = self.slice.unwrap_or((Shape::from([n, oh, ow, k]), 0));
        let mut y = vec![f32::NAN; shape.len()];
        for (i, sum) in sums.into_iter().enumerate() {
            let image = i / (oh * ow * k);
            if let Some(live) = live {
                let rows = n / live.len();
                if image % rows >= live[image / rows] as usize {
                    continue;
                }
            }
            let mut v = sum + bias[i % k] as f64;
            if self.residual {
                v += inputs[3].floats()[i] as f64;
            }
            if self.relu {
                v = v.max(0.0);
            }
            y[offset + image * (shape.len() / n) + i % (oh * ow * k)] = v as f32;
        }
        vec![Value::f32(shape, y)]
    }

    /// The tiled variants read `[K/TK, R, S, C/4, TK, 4]`, the blocked ones `[K/BK, R, S, C, BK]`, zero past K.
    fn form(&self, index: usize, variant: &Variant) -> Option<String> {
        (index == 1 && variant.name != "plain").then(|| tiled::form(variant))
    }

    fn pack(&self, _: usize, value: &Value, variant: &Variant) -> Value {
        let [k, r, s, c] = [0, 1, 2, 3].map(|i| value.shape.dim(i));
        tiled::pack_rows(value.floats(), k, r * s * c, variant)
    }
}

/// The network's shapes (smaller in area), ragged ones, and every feature.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(1);
    let mut out = Vec::new();
    let mut case = |name: &str, kernel: Conv2d, x: [usize; 4], w: [usize; 4], live: Option<Vec<u32>>| {
        let mut inputs = vec![rng.tensor(x), rng.tensor(w), rng.tensor([w[0]])];
        if kernel.residual {
            let (oh, ow) = kernel.extents(&inputs[0].shape, &inputs[1].shape).expect("a case that fits");
            inputs.push(rng.tensor([x[0], oh, ow, w[0]]));
        }
        if let Some(live) = live {
            inputs.push(Value::u32([live.len()], live));
        }
        out.push(Case::new(name, kernel, inputs, Tolerance::Norm { relative: 2e-6 }));
    };
    let base = Conv2d::default;
    let k3 = || Conv2d { pad: (1, 1), ..base() };
    case("one by one by one", base(), [1, 1, 1, 1], [1, 1, 1, 1], None);
    case("stem 7x7 s2", Conv2d { stride: (2, 2), pad: (3, 3), relu: true, ..base() }, [1, 40, 36, 4], [32, 7, 7, 4], None);
    case("body 3x3 residual", Conv2d { residual: true, relu: true, ..k3() }, [1, 19, 23, 32], [32, 3, 3, 32], None);
    case("body 3x3 s2", Conv2d { stride: (2, 2), relu: true, ..k3() }, [2, 20, 14, 64], [128, 3, 3, 64], None);
    case("downsample 1x1 s2", Conv2d { stride: (2, 2), ..base() }, [1, 13, 11, 64], [128, 1, 1, 64], None);
    case("lateral 1x1", base(), [1, 10, 13, 256], [128, 1, 1, 256], None);
    case("rpn 3x3 on P6", Conv2d { relu: true, ..k3() }, [1, 3, 4, 128], [128, 3, 3, 128], None);
    let logits = Conv2d { slice: Some((Shape::from([2, 300]), 100)), ..base() };
    case("rpn logits into a slice", logits, [2, 6, 8, 128], [3, 1, 1, 128], None);
    let deltas = Conv2d { slice: Some((Shape::from([2, 200, 4]), 17)), ..base() };
    case("rpn deltas into a slice", deltas, [2, 6, 7, 128], [12, 1, 1, 128], None);
    let live = || Conv2d { live: true, relu: true, ..k3() };
    case("mask head, some live", live(), [9, 14, 14, 32], [32, 3, 3, 32], Some(vec![4]));
    case("mask head, batches", live(), [10, 5, 5, 8], [24, 3, 3, 8], Some(vec![5, 2]));
    case("mask head, none live", live(), [3, 5, 5, 8], [8, 3, 3, 8], Some(vec![0]));
    case("ragged channels", k3(), [1, 7, 5, 3], [5, 3, 3, 3], None);
    case("ragged quads", k3(), [1, 7, 5, 12], [13, 3, 3, 12], None);
    case("dilated", Conv2d { dilation: (2, 3), pad: (2, 3), ..base() }, [1, 9, 11, 8], [8, 3, 3, 8], None);
    case("groups", Conv2d { groups: 4, ..k3() }, [1, 6, 6, 16], [8, 3, 3, 4], None);
    case("depthwise", Conv2d { groups: 6, ..k3() }, [1, 6, 6, 6], [6, 3, 3, 1], None);
    case("uneven kernel", Conv2d { pad: (0, 2), stride: (1, 2), ..base() }, [1, 6, 9, 4], [9, 1, 5, 4], None);
    out
}
