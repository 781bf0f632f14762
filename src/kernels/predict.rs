//! A head's two last layers as one: logits and deltas of the same rows.

use crate::rng::Rng;
use super::tiled::Product;
use super::{Case, Kernel, Launch, LiveGrid, Params as _, Tolerance, Variant, tiled};
use crate::ops::predict::{Output, Predict, extents};
use crate::ops::Io;
use crate::params;
use crate::target::Target;
use crate::tensor::{Shape, Value};

params! {
    pixels: u32, h: u32, w: u32, c: u32, k: u32, r: u32, s: u32, oh: u32, ow: u32,
    stride_h: u32, stride_w: u32, pad_h: u32, pad_w: u32, dilation_h: u32, dilation_w: u32,
    images_per_batch: u32, grid_x: u32, rows: u32, logits_k: u32, logits_offset: u32, logits_gap: u32,
    deltas_offset: u32, deltas_gap: u32,
}

impl Kernel for Predict {
    fn variants(&self, io: &Io, target: &Target) -> Vec<Variant> {
        let (n, c, k) = extents(io);
        let mut out = Vec::new();
        if c.is_multiple_of(4) {
            let places = self.outputs.iter().flat_map(|output| [output.k, output.offset, output.stride()]);
            let product = Product { n, c, k, taps: 1, quads: places.into_iter().all(|e| e.is_multiple_of(4)), plain: false };
            out.extend(tiled::variants(product, target).into_iter().map(|mut v| {
                // Where all rows are one block, which of the two outputs a row belongs to is known when it is compiled.
                if v.schedule.tile().is_some_and(|tile| k <= tile.extents()[1]) {
                    v.features.extend([("ROWS", k as u32), ("LOGITS", self.outputs[0].k as u32)]);
                }
                v.flag("POINTWISE", true)
            }));
        }
        out.push(Variant::plain().flag("PLAIN", true));
        out.into_iter().map(|v| v.flag("LIVE", self.live)).collect()
    }

    fn f16_operands(&self, io: &Io) -> Vec<(usize, &'static str)> {
        let by_four = extents(io).1.is_multiple_of(4);
        by_four.then_some((0, "X_F16")).into_iter().collect()
    }

    fn launch(&self, io: &Io, variant: &Variant) -> Launch {
        let (n, c, k) = extents(io);
        let grid = tiled::grid(n, k, variant);
        let batches = if self.live { io.inputs[3].shape.len() } else { 1 };
        let rows = n / self.images();
        let [logits, deltas] = self.outputs;
        let gap = |output: Output| (output.stride() - rows * output.k) as u32;
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

    fn executed(&self, io: &Io, variant: &Variant) -> f64 {
        let (n, c, k) = extents(io);
        tiled::executed(n, k, c, variant)
    }

    fn weight_layout(&self, index: usize, variant: &Variant) -> Option<String> {
        self.layer().weight_layout(index, variant)
    }

    fn pack(&self, index: usize, value: &Value, variant: &Variant) -> Value {
        self.layer().pack(index, value, variant)
    }
}

/// Levels of the RPN, box heads, and ragged ones.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(46);
    let mut case = |name: &str, x: &[usize], c: usize, outputs: [Output; 2], live: Option<Vec<u32>>| {
        let k = outputs[0].k + outputs[1].k;
        let kernel = Predict { outputs, live: live.is_some() };
        let mut inputs = vec![rng.tensor(Shape::new(x)), rng.tensor([k, c]), rng.tensor([k])];
        inputs.extend(live.map(|l| Value::u32([l.len()], l)));
        Case::new(name, kernel, inputs, Tolerance::Norm { relative: 3e-6 })
    };
    let dense = |n: usize, ks: [usize; 2]| ks.map(|k| Output::dense(n, k));
    // Of so many anchors at each of all cells, those from `first` on.
    let level = |images: usize, anchors: usize, total: usize, first: usize| {
        let (logits, deltas) = (Shape::from([images, total]), Shape::from([images, total, 4]));
        [
            Output { k: anchors, whole: logits, offset: first },
            Output { k: 4 * anchors, whole: deltas, offset: 4 * first },
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
