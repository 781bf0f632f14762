//! A head's two last layers as one: logits and deltas of the same rows.

use std::fmt;

use super::linear::Linear;
use super::{Cost, Info, Io, Op, Operand, Setting, live, on, settings, value};
use crate::tensor::{ELEMENT_BYTES, Shape, Value};

/// `y[n,k] = bias[k] + Σ x[n,c] · w[k,c]`, the first rows of weights into one output, the others into a second.
///
/// Inputs: x of N rows of C (`[N, …]`, `[B,H,W,C]`: the innermost extents that make C are a row), weight `[K,C]`, bias
/// `[K]`, and live `[B]` where said: N is then B times a capacity, and rows past a batch's count are not written.
/// Outputs: the wholes of `outputs`, in which every image has as many rows of x.
#[derive(Clone, Debug)]
pub struct Predict {
    /// Logits, then deltas; together they have all rows of weights.
    pub outputs: [Output; 2],
    /// Whether a live count is given.
    pub live: bool,
}

/// One of the outputs, or a part of a larger tensor.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// Rows of weights that make it.
    pub k: usize,
    /// Shape of the tensor that it lies in, images outermost.
    pub whole: Shape,
    /// The element of each image at which it begins.
    pub offset: usize,
}

impl Output {
    /// `[n,k]`, and nothing beside.
    pub fn dense(n: usize, k: usize) -> Self {
        Self { k, whole: Shape::from([n, k]), offset: 0 }
    }

    /// Elements from one image to the next.
    pub(crate) fn stride(&self) -> usize {
        self.whole.len() / self.whole.dim(0)
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}in{}+{}", self.k, self.whole, self.offset)
    }
}

impl Predict {
    /// The two layers as one of all rows of weights.
    pub(crate) fn layer(&self) -> Linear {
        Linear { bias: true, live: self.live, ..Linear::default() }
    }

    /// Images of the outputs.
    pub(crate) fn images(&self) -> usize {
        self.outputs[0].whole.dim(0)
    }
}

/// Rows of x, elements of a row, rows of weights.
pub(crate) fn extents(io: &Io) -> (usize, usize, usize) {
    let c = io.dim(1, 1);
    (io.inputs[0].shape.len() / c, c, io.dim(1, 0))
}

impl Op for Predict {
    fn name(&self) -> &'static str {
        "predict"
    }

    fn operands(&self) -> Vec<Operand> {
        vec![Operand::f32("x", 0).of_any_rank(), Operand::f32("weight", 2), Operand::f32("bias", 1)]
            .into_iter()
            .chain(self.live.then_some(Operand::LIVE))
            .collect()
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let (x, w) = (inputs[0].shape, inputs[1].shape);
        let a_row = |from: usize| x.dims()[from..].iter().map(|&d| d as usize).product::<usize>() == w.dim(1);
        if !(0..x.rank()).any(a_row) {
            return Err(format!("weight {w} does not fit the rows of x {x}"));
        }
        if inputs[2].shape != Shape::from([w.dim(0)]) {
            return Err(format!("bias {} does not fit weight {w}", inputs[2].shape));
        }
        let n = x.len() / w.dim(1);
        if self.live {
            live::check(&inputs[3], n, "rows of x")?;
        }
        let ks = self.outputs.map(|output| output.k);
        if ks.contains(&0) || ks[0] + ks[1] != w.dim(0) {
            return Err(format!("outputs of {ks:?} rows do not make up the rows of weight {w}"));
        }
        let wholes = self.outputs.map(|output| output.whole);
        if wholes.iter().any(|whole| whole.rank() == 0 || whole.is_empty()) || wholes[0].dim(0) != wholes[1].dim(0) {
            return Err(format!("outputs {} and {} have not the same images", wholes[0], wholes[1]));
        }
        if !n.is_multiple_of(self.images()) {
            return Err(format!("the {} images of {} do not divide the {n} rows of x", self.images(), wholes[0]));
        }
        let rows = n / self.images();
        if let Some(output) = self.outputs.iter().find(|output| output.offset + rows * output.k > output.stride()) {
            let Output { k, whole, offset } = output;
            return Err(format!("{rows} rows of {k} an image do not fit {whole} from element {offset} on"));
        }
        Ok(wholes.map(Info::f32).to_vec())
    }

    fn cost(&self, io: &Io) -> Cost {
        let (n, c, k) = extents(io);
        let mut cost = Cost::of(io, 2.0 * (n * c * k) as f64);
        let wholes: usize = self.outputs.iter().map(|output| output.whole.len()).sum();
        cost.bytes -= ((wholes - n * k) * ELEMENT_BYTES) as f64;
        cost
    }

    /// One layer of all rows of weights, taken apart.
    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let c = inputs[1].shape.dim(1);
        let n = inputs[0].shape.len() / c;
        let flat = Value::f32([n, c], inputs[0].floats().to_vec());
        let dense = self.layer().twin(&[&[flat], &inputs[1..]].concat()).remove(0);
        let mut first = 0;
        let output = |output: &Output| {
            let (images, k) = (output.whole.dim(0), output.k);
            let columns = first..first + k;
            first += k;
            let mut rows = dense.floats().chunks_exact(dense.shape.dim(1));
            let mut y = vec![f32::NAN; output.whole.len()];
            // An image after the other, and in it the rows of x that are its share.
            for image in y.chunks_exact_mut(output.whole.len() / images) {
                for (out, row) in image[output.offset..].chunks_exact_mut(k).zip(rows.by_ref().take(n / images)) {
                    out.copy_from_slice(&row[columns.clone()]);
                }
            }
            Value::f32(output.whole, y)
        };
        self.outputs.iter().map(output).collect()
    }

    fn settings(&self) -> Vec<Setting> {
        settings([("logits", value(self.outputs[0])), ("deltas", value(self.outputs[1])), ("live", on(self.live))])
    }
}
