//! 2-D convolution, channels last, with what may follow it: bias, residual and an activation.

use super::activation::Activation;
use super::levels::Levels;
use super::{Cost, Info, Io, Op, Operand, Setting, live, on, pair, settings, slice, unless, walks};
use crate::tensor::{Shape, Value};

/// `y[n,oh,ow,k] = act(bias[k] + residual + Σ x[n, oh·stride − pad + r·dilation, …, c] · w[k,r,s,c])`.
///
/// Inputs: x `[N,H,W,C]`, weight `[K,R,S,C/groups]`, then bias `[K]`, residual `[N,OH,OW,K]` and live `[B]` where
/// said. A residual of other rows and columns is enlarged by nearest neighbour, row `i` taking row `⌊i·h/OH⌋`: the
/// top-down step of the FPN. With live counts, N is B times a capacity, and rows of n past a batch's count are neither
/// computed nor written.
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
    /// Whether a bias is given.
    pub bias: bool,
    /// What ends it.
    pub activation: Activation,
    /// Whether a residual is added before that.
    pub residual: bool,
    /// Whether a live count is given.
    pub live: bool,
    /// Where the output is a part of a larger tensor: that tensor's shape (N outermost), and the element of each
    /// image at which this part begins.
    pub slice: Option<(Shape, usize)>,
    /// Where x is several maps, `[N,1,cells,C]`: their sizes. Outputs lie as they do; strides are 1, and padding keeps
    /// each map's size.
    pub levels: Option<Levels>,
}

impl Default for Conv2d {
    fn default() -> Self {
        Self {
            stride: (1, 1),
            pad: (0, 0),
            dilation: (1, 1),
            groups: 1,
            bias: true,
            activation: Activation::Identity,
            residual: false,
            live: false,
            slice: None,
            levels: None,
        }
    }
}

/// Of a part of a larger tensor, or of a whole one whose images have `image` elements: the element at which it begins,
/// and those from one image to the next.
pub(crate) fn placed(slice: Option<(Shape, usize)>, image: usize) -> (usize, usize) {
    slice.map_or((0, image), |(whole, offset)| (offset, whole.len() / whole.dim(0)))
}

impl Conv2d {
    /// Whether each output is made of the one pixel at its own place, and they lie in y as those do in x.
    pub(crate) fn pointwise(&self, io: &Io) -> bool {
        let w = io.inputs[1].shape;
        let alone = (w.dim(1), w.dim(2), self.stride, self.pad) == (1, 1, (1, 1), (0, 0));
        alone && !self.live && (self.slice.is_none() || io.dim(0, 0) == 1)
    }

    /// Which input the residual is, where there is one.
    pub(crate) fn residual_at(&self) -> usize {
        2 + usize::from(self.bias)
    }

    /// Whether a residual is added that is to be enlarged first.
    pub(crate) fn enlarged(&self, io: &Io) -> bool {
        let extents = || self.extents(&io.inputs[0].shape, &io.inputs[1].shape);
        let at = self.residual_at();
        self.residual && extents() != Some((io.dim(at, 1), io.dim(at, 2)))
    }

    /// Where in y the output lies, an image of which has so many elements ([`placed`]).
    pub(crate) fn place(&self, image: usize) -> (usize, usize) {
        placed(self.slice, image)
    }

    /// Whether images and what lies before the output go by four.
    pub(crate) fn by_four(&self) -> bool {
        let (offset, image) = self.place(4);
        offset.is_multiple_of(4) && image.is_multiple_of(4)
    }

    /// Output rows and columns, where weights and x fit each other.
    pub(crate) fn extents(&self, x: &Shape, w: &Shape) -> Option<(usize, usize)> {
        let side = |n: usize, k: usize, stride: usize, pad: usize, dilation: usize| {
            Some((n + 2 * pad).checked_sub(dilation * (k - 1) + 1)? / stride + 1)
        };
        let map = |h: usize, wide: usize| {
            let rows = side(h, w.dim(1), self.stride.0, self.pad.0, self.dilation.0)?;
            Some((rows, side(wide, w.dim(2), self.stride.1, self.pad.1, self.dilation.1)?))
        };
        let Some(levels) = self.levels else { return map(x.dim(1), x.dim(2)) };
        let kept = levels.maps().iter().all(|&(h, w)| map(h, w) == Some((h, w)));
        (kept && (x.dim(1), x.dim(2)) == (1, levels.cells())).then_some((1, levels.cells()))
    }
}

impl Op for Conv2d {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn operands(&self) -> Vec<Operand> {
        let more = [
            self.bias.then_some(Operand::f32("bias", 1)),
            self.residual.then_some(Operand::f32("residual", 4)),
            self.live.then_some(Operand::LIVE),
        ];
        [Operand::f32("x", 4), Operand::f32("weight", 4)].into_iter().chain(more.into_iter().flatten()).collect()
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let (x, w) = (inputs[0].shape, inputs[1].shape);
        if [self.stride.0, self.stride.1, self.dilation.0, self.dilation.1, self.groups].contains(&0) {
            let Self { stride, dilation, groups, .. } = self;
            return Err(format!("strides {stride:?}, dilations {dilation:?} and groups {groups} must be 1 or more"));
        }
        if w.dim(3) * self.groups != x.dim(3) || w.dim(0) % self.groups != 0 {
            return Err(format!("weight {w} in {} groups does not fit the channels of x {x}", self.groups));
        }
        if self.bias && inputs[2].shape != Shape::from([w.dim(0)]) {
            return Err(format!("bias {} does not fit weight {w}", inputs[2].shape));
        }
        if self.levels.is_some() && (self.residual || self.live) {
            return Err("takes neither residual nor live counts with several maps".into());
        }
        let Some((oh, ow)) = self.extents(&x, &w) else {
            return Err(match self.levels {
                None => format!("weight {w} is larger than the padded x {x}"),
                Some(l) => format!("weight {w} does not keep the sizes of the maps {:?} of x {x}", l.maps()),
            });
        };
        let dense = Shape::from([x.dim(0), oh, ow, w.dim(0)]);
        if self.residual {
            let r = inputs[self.residual_at()].shape;
            let fits = |i: usize| (1..=dense.dim(i)).contains(&r.dim(i));
            if (r.dim(0), r.dim(3)) != (x.dim(0), w.dim(0)) || !fits(1) || !fits(2) {
                return Err(format!("residual {r} does not fit the output {dense}"));
            }
        }
        if self.live {
            live::check(&inputs[inputs.len() - 1], x.dim(0), "rows of x")?;
        }
        let out = match self.slice {
            None => dense,
            Some((whole, offset)) => {
                let room = whole.len() / x.dim(0);
                if whole.dim(0) != x.dim(0) || offset + dense.len() / x.dim(0) > room {
                    return Err(format!("output {dense} does not fit {whole} from element {offset} on"));
                }
                whole
            }
        };
        Ok(vec![Info::f32(out)])
    }

    fn cost(&self, io: &Io) -> Cost {
        let (x, w) = (io.inputs[0].shape, io.inputs[1].shape);
        let (oh, ow) = self.extents(&x, &w).expect("inferred before");
        let mut cost = Cost::of(io, 2.0 * (x.dim(0) * oh * ow * w.len()) as f64);
        if self.slice.is_some() {
            let rest = io.outputs[0].shape.len() - x.dim(0) * oh * ow * w.dim(0);
            cost.bytes -= (rest * io.outputs[0].dtype.bytes()) as f64;
        }
        cost
    }

    /// Scatters each input element to the outputs that it reaches (the shader gathers).
    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let dense = match self.levels {
            None => self.dense(inputs),
            Some(levels) => {
                let alone = Self { levels: None, ..self.clone() };
                let map = |x: Value| alone.dense(&[&[x], &inputs[1..]].concat());
                walks::together(&walks::maps_of(&inputs[0], levels.maps()).into_iter().map(map).collect::<Vec<_>>())
            }
        };
        let Some((whole, offset)) = self.slice else { return vec![dense] };
        let (mut y, n) = (vec![f32::NAN; whole.len()], whole.dim(0));
        for (image, values) in dense.floats().chunks_exact(dense.shape.len() / n).enumerate() {
            y[image * (whole.len() / n) + offset..][..values.len()].copy_from_slice(values);
        }
        vec![Value::f32(whole, y)]
    }

    fn settings(&self) -> Vec<Setting> {
        settings([
            ("stride", pair(1, self.stride)),
            ("pad", pair(0, self.pad)),
            ("dilation", pair(1, self.dilation)),
            ("groups", unless(1, self.groups)),
            ("unbiased", on(!self.bias)),
            self.activation.setting(),
            ("residual", on(self.residual)),
            ("live", on(self.live)),
            ("slice", slice(self.slice)),
            ("levels", self.levels.map(|levels| levels.to_string())),
        ])
    }
}

impl Conv2d {
    /// The twin's output, were it not a part of something larger: of one map.
    fn dense(&self, inputs: &[Value]) -> Value {
        let (x, w, bias) = (&inputs[0], &inputs[1], self.bias.then(|| inputs[2].floats()));
        let side = |n: usize, taps: usize, stride, pad: usize, dilation: usize| {
            walks::windows(n + 2 * pad, dilation * (taps - 1) + 1, stride)
        };
        let oh = side(x.shape.dim(1), w.shape.dim(1), self.stride.0, self.pad.0, self.dilation.0);
        let ow = side(x.shape.dim(2), w.shape.dim(2), self.stride.1, self.pad.1, self.dilation.1);
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
        let shape = Shape::from([n, oh, ow, k]);
        let mut y = vec![f32::NAN; shape.len()];
        for (i, sum) in sums.into_iter().enumerate() {
            let image = i / (oh * ow * k);
            if !live::counts(live, n, image) {
                continue;
            }
            let mut v = sum + bias.map_or(0.0, |bias| bias[i % k] as f64);
            if self.residual {
                let top = &inputs[self.residual_at()];
                let (th, tw) = (top.shape.dim(1), top.shape.dim(2));
                let (row, column) = (i / (ow * k) % oh * th / oh, i / k % ow * tw / ow);
                v += top.floats()[((image * th + row) * tw + column) * k + i % k] as f64;
            }
            y[i] = self.activation.of(v) as f32;
        }
        Value::f32(shape, y)
    }
}
