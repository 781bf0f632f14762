//! A head's two last layers as one: logits and deltas of the same rows.

use super::case::Rng;
use super::linear::Linear;
use super::tiled::{self, Product};
use super::{Caps, Case, Cost, Info, Io, Kernel, Launch, LiveGrid, Params as _, Tolerance, Variant, fold_grid};
use crate::params;
use crate::tensor::{DType, ELEMENT_BYTES, Shape, Value};

params! {
    pixels: u32, h: u32, w: u32, c: u32, k: u32, r: u32, s: u32, oh: u32, ow: u32,
    stride_h: u32, stride_w: u32, pad_h: u32, pad_w: u32, dilation_h: u32, dilation_w: u32,
    images_per_batch: u32, grid_x: u32, rows: u32, logits_k: u32, logits_offset: u32, logits_gap: u32,
    deltas_offset: u32, deltas_gap: u32,
}

/// `y[n,k] = bias[k] + Σ x[n,c] · w[k,c]`, the first rows of weights into one output, the others into a second.
///
/// Inputs: x of N rows of C (`[N, …]`, `[B,H,W,C]`: the innermost extents that make C are a row), weight `[K,C]`, bias
/// `[K]`, and live `[B]` where said: N is then B times a capacity, and rows past a batch's count are not written.
/// Outputs: the wholes of `parts`, in which every image has as many rows of x.
#[derive(Clone, Debug)]
pub struct Predict {
    /// Logits, then deltas; together they have all rows of weights.
    pub parts: [Part; 2],
    /// Whether a live count is given.
    pub live: bool,
}

/// One of the outputs, or a part of a larger tensor.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// Rows of weights that make it.
    pub k: usize,
    /// Shape of the tensor that it lies in, images outermost.
    pub whole: Shape,
    /// The element of each image at which it begins.
    pub offset: usize,
}

impl Part {
    /// `[n,k]`, and nothing beside.
    pub fn dense(n: usize, k: usize) -> Self {
        Self { k, whole: Shape::from([n, k]), offset: 0 }
    }

    /// Elements from one image to the next.
    fn stride(&self) -> usize {
        self.whole.len() / self.whole.dim(0)
    }
}

impl Predict {
    /// The two layers as one of all rows of weights.
    fn layer(&self) -> Linear {
        Linear { relu: false, live: self.live }
    }

    /// Images of the outputs.
    fn images(&self) -> usize {
        self.parts[0].whole.dim(0)
    }
}

/// Rows of x, elements of a row, rows of weights.
fn extents(io: &Io) -> (usize, usize, usize) {
    let c = io.dim(1, 1);
    (io.inputs[0].shape.len() / c, c, io.dim(1, 0))
}

impl Kernel for Predict {
    fn name(&self) -> &'static str {
        "predict"
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let want = 3 + self.live as usize;
        if inputs.len() != want || inputs[1].shape.rank() != 2 {
            return Err(format!("takes x [N,C], weight [K,C] and {} more, not {inputs:?}", want - 2));
        }
        let (x, w) = (inputs[0].shape, inputs[1].shape);
        let a_row = |from: usize| x.dims()[from..].iter().map(|&d| d as usize).product::<usize>() == w.dim(1);
        if x.is_empty() || w.is_empty() || !(0..x.rank()).any(a_row) {
            return Err(format!("weight {w} does not fit the rows of x {x}"));
        }
        if inputs[2].shape != Shape::from([w.dim(0)]) {
            return Err(format!("bias {} does not fit weight {w}", inputs[2].shape));
        }
        let n = x.len() / w.dim(1);
        if self.live {
            let live = inputs[3];
            if live.dtype != DType::U32 || live.shape.is_empty() || !n.is_multiple_of(live.shape.len()) {
                return Err(format!("live counts {live:?} do not divide the {n} rows of x"));
            }
        }
        let ks = self.parts.map(|part| part.k);
        if ks.contains(&0) || ks[0] + ks[1] != w.dim(0) {
            return Err(format!("outputs of {ks:?} rows do not make up the rows of weight {w}"));
        }
        let wholes = self.parts.map(|part| part.whole);
        if wholes.iter().any(|whole| whole.rank() == 0 || whole.is_empty()) || wholes[0].dim(0) != wholes[1].dim(0) {
            return Err(format!("outputs {} and {} have not the same images", wholes[0], wholes[1]));
        }
        if !n.is_multiple_of(self.images()) {
            return Err(format!("the {} images of {} do not divide the {n} rows of x", self.images(), wholes[0]));
        }
        let rows = n / self.images();
        if let Some(part) = self.parts.iter().find(|part| part.offset + rows * part.k > part.stride()) {
            let Part { k, whole, offset } = part;
            return Err(format!("{rows} rows of {k} an image do not fit {whole} from element {offset} on"));
        }
        Ok(wholes.map(Info::f32).to_vec())
    }

    fn integers(&self) -> Vec<usize> {
        if self.live { vec![3] } else { Vec::new() }
    }

    fn variants(&self, io: &Io, caps: &Caps) -> Vec<Variant> {
        let (n, c, k) = extents(io);
        let mut out = Vec::new();
        if c.is_multiple_of(4) {
            let places = self.parts.iter().flat_map(|part| [part.k, part.offset, part.stride()]);
            let product = Product { n, c, k, taps: 1, quads: places.into_iter().all(|e| e.is_multiple_of(4)) };
            out.extend(tiled::variants(product, caps).into_iter().map(|mut v| {
                // Where all rows are one block, which of the two outputs a row belongs to is known when it is compiled.
                if v.find("TP").is_some() && k <= tiled::tile(&v) {
                    v.defines.extend([("ROWS", k as u32), ("LOGITS", self.parts[0].k as u32)]);
                }
                v.flag("POINTWISE", true)
            }));
        }
        out.push(Variant::new("plain", &[("PLAIN", 1)]));
        out.into_iter().map(|v| v.flag("LIVE", self.live)).collect()
    }

    fn launch(&self, io: &Io, variant: &Variant) -> Launch {
        let (n, c, k) = extents(io);
        let grid = if variant.name == "plain" {
            fold_grid((n * k).div_ceil(64))
        } else {
            tiled::grid(n, k, variant)
        };
        let batches = if self.live { io.inputs[3].shape.len() } else { 1 };
        let rows = n / self.images();
        let [logits, deltas] = self.parts;
        let gap = |part: Part| (part.stride() - rows * part.k) as u32;
        // A row is an image of one pixel.
        let params = P {
            pixels: n as u32,
            h: 1,
            w: 1,
            c: c as u32,
            k: k as u32,
            r: 1,
            s: 1,
            oh: 1,
            ow: 1,
            images_per_batch: (n / batches) as u32,
            grid_x: grid[0],
            rows: rows as u32,
            logits_k: logits.k as u32,
            logits_offset: logits.offset as u32,
            logits_gap: gap(logits),
            deltas_offset: deltas.offset as u32,
            deltas_gap: gap(deltas),
            ..P::default()
        };
        Launch { grid, params: params.bytes() }
    }

    fn live_grid(&self, io: &Io, variant: &Variant) -> Option<LiveGrid> {
        tiled::live_grid(3, 1, extents(io).0, variant).filter(|_| self.live)
    }

    fn cost(&self, io: &Io) -> Cost {
        let (n, c, k) = extents(io);
        let mut cost = Cost::of(io, 2.0 * (n * c * k) as f64);
        let wholes: usize = self.parts.iter().map(|part| part.whole.len()).sum();
        cost.bytes -= ((wholes - n * k) * ELEMENT_BYTES) as f64;
        cost
    }

    fn executed(&self, io: &Io, variant: &Variant) -> f64 {
        let (n, c, k) = extents(io);
        tiled::executed(n, k, c, variant)
    }

    /// One layer of all rows of weights, taken apart.
    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let c = inputs[1].shape.dim(1);
        let n = inputs[0].shape.len() / c;
        let flat = Value::f32([n, c], inputs[0].floats().to_vec());
        let dense = self.layer().twin(&[&[flat], &inputs[1..]].concat()).remove(0);
        let mut first = 0;
        let part = |part: &Part| {
            let (images, k) = (part.whole.dim(0), part.k);
            let columns = first..first + k;
            first += k;
            let mut rows = dense.floats().chunks_exact(dense.shape.dim(1));
            let mut y = vec![f32::NAN; part.whole.len()];
            // An image after the other, and in it the rows of x that are its share.
            for image in y.chunks_exact_mut(part.whole.len() / images) {
                for (out, row) in image[part.offset..].chunks_exact_mut(k).zip(rows.by_ref().take(n / images)) {
                    out.copy_from_slice(&row[columns.clone()]);
                }
            }
            Value::f32(part.whole, y)
        };
        self.parts.iter().map(part).collect()
    }

    fn form(&self, index: usize, variant: &Variant) -> Option<String> {
        self.layer().form(index, variant)
    }

    fn pack(&self, index: usize, value: &Value, variant: &Variant) -> Value {
        self.layer().pack(index, value, variant)
    }
}

/// Levels of the RPN, box heads, and ragged ones.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(46);
    let mut case = |name: &str, x: &[usize], c: usize, parts: [Part; 2], live: Option<Vec<u32>>| {
        let k = parts[0].k + parts[1].k;
        let kernel = Predict { parts, live: live.is_some() };
        let mut inputs = vec![rng.tensor(Shape::new(x)), rng.tensor([k, c]), rng.tensor([k])];
        inputs.extend(live.map(|l| Value::u32([l.len()], l)));
        Case::new(name, kernel, inputs, Tolerance::Norm { relative: 3e-6 })
    };
    let dense = |n: usize, ks: [usize; 2]| ks.map(|k| Part::dense(n, k));
    // Of so many anchors at each of all cells, those from `first` on.
    let level = |images: usize, anchors: usize, total: usize, first: usize| {
        let (logits, deltas) = (Shape::from([images, total]), Shape::from([images, total, 4]));
        [
            Part { k: anchors, whole: logits, offset: first },
            Part { k: 4 * anchors, whole: deltas, offset: 4 * first },
        ]
    };
    vec![
        case("one by one", &[1, 1], 1, dense(1, [1, 1]), None),
        case("rpn into slices", &[2, 6, 8, 128], 128, level(2, 3, 301, 101), None),
        case("rpn, all cells", &[1, 1, 170, 64], 64, level(1, 3, 510, 0), None),
        case("rpn by four", &[2, 5, 7, 64], 64, level(2, 4, 200, 40), None),
        case("box head", &[70, 256], 256, dense(70, [2, 8]), Some(vec![69])),
        case("91 classes", &[40, 64], 64, dense(40, [91, 364]), Some(vec![33])),
        case("batches by four", &[12, 2, 2, 4], 16, dense(12, [4, 16]), Some(vec![1, 6])),
        case("batches", &[12, 8], 8, dense(12, [5, 20]), Some(vec![4, 0])),
        case("ragged channels", &[2, 3, 5, 7], 7, level(2, 3, 60, 5), None),
        case("ragged rows of x", &[13, 7, 4], 28, dense(13, [3, 7]), None),
    ]
}
