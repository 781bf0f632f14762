//! The terms of the loss. Each is a number, made of what a head said and of what it should have said, with sums in a fixed
//! order: the same on every run.

use super::{Cost, Info, Io, Op, Operand, Setting, live, settings, value};
use crate::tensor::Value;

/// The mean of binary cross-entropies with logits, `max(x, 0) − x·t + ln(1 + exp(−|x|))`, over all elements of the rows that
/// count, of all images; 0 where none does. Its derivative by x is `(sigmoid(x) − t) / n`.
///
/// Inputs: logits x of any shape, targets t of as many elements, 0..1, live `[B]` of its outermost rows. Output `[1]`.
#[derive(Clone, Debug)]
pub struct BinaryLoss {
    /// Rows of x, of all images together.
    pub rows: usize,
}

impl Op for BinaryLoss {
    fn name(&self) -> &'static str {
        "binary_loss"
    }

    fn operands(&self) -> Vec<Operand> {
        vec![Operand::f32("logits", 0).of_any_rank(), Operand::f32("targets", 0).of_any_rank(), Operand::LIVE]
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let (x, targets) = (inputs[0].shape.len(), inputs[1].shape.len());
        if x != targets || self.rows == 0 || !x.is_multiple_of(self.rows) {
            return Err(format!("takes {} rows of logits and as many targets, not {inputs:?}", self.rows));
        }
        live::check(&inputs[2], self.rows, "rows of logits")?;
        Ok(vec![Info::f32([1])])
    }

    fn cost(&self, io: &Io) -> Cost {
        Cost::of(io, 8.0 * io.inputs[0].shape.len() as f64)
    }

    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let a_row = inputs[0].shape.len() / self.rows;
        let (mut sum, mut n) = (0.0, 0);
        for (i, (&x, &t)) in inputs[0].floats().iter().zip(inputs[1].floats()).enumerate() {
            if live::counts(Some(inputs[2].ints()), self.rows, i / a_row) {
                let (x, t) = (f64::from(x), f64::from(t));
                // −ln of the sigmoid, on the side where it does not overflow.
                let both = if x > 0.0 { (-x).exp().ln_1p() } else { x.exp().ln_1p() - x };
                sum += both + (1.0 - t) * x;
                n += 1;
            }
        }
        vec![Value::f32([1], vec![(sum / f64::from(n.max(1))) as f32])]
    }

    fn settings(&self) -> Vec<Setting> {
        settings([("rows", value(self.rows))])
    }
}

/// The mean of cross-entropies, `ln Σ exp(x_j) − x_label`, over the rows that count, of all images; 0 where none does. Its
/// derivative by x is `(softmax(x) − 1 at the label) / n`.
///
/// Inputs: logits `[R,K]`, labels of R rows, live `[B]`. Output `[1]`.
#[derive(Clone, Debug)]
pub struct ClassLoss;

impl Op for ClassLoss {
    fn name(&self) -> &'static str {
        "class_loss"
    }

    fn operands(&self) -> Vec<Operand> {
        vec![Operand::f32("logits", 2), Operand::u32("labels", 0).of_any_rank(), Operand::LIVE]
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let x = inputs[0].shape;
        if inputs[1].shape.len() != x.dim(0) {
            return Err(format!("takes logits [R,K] and R labels, not {inputs:?}"));
        }
        live::check(&inputs[2], x.dim(0), "rows of logits")?;
        Ok(vec![Info::f32([1])])
    }

    fn cost(&self, io: &Io) -> Cost {
        Cost::of(io, 4.0 * io.inputs[0].shape.len() as f64)
    }

    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let (rows, k) = (inputs[0].shape.dim(0), inputs[0].shape.dim(1));
        let (mut sum, mut n) = (0.0, 0);
        for (i, x) in inputs[0].floats().chunks(k).enumerate() {
            if live::counts(Some(inputs[2].ints()), rows, i) {
                let own = f64::from(x[(inputs[1].ints()[i] as usize).min(k - 1)]);
                // Against its own logit, which needs no largest one in f64.
                sum += x.iter().map(|&v| (f64::from(v) - own).exp()).sum::<f64>().ln();
                n += 1;
            }
        }
        vec![Value::f32([1], vec![(sum / f64::from(n.max(1))) as f32])]
    }
}

/// The sum of smooth L1 distances (`d² / 2β` where d is less than β, `d − β/2` elsewhere) of the rows that are on a truth, over
/// the number of all rows that count, of all images; 0 where none does. Its derivative by a delta is `(x − t)/β`, between −1
/// and 1, over that number.
///
/// Inputs: deltas of R rows by 4, targets of as many, the rows' labels (0: on no truth), live `[B]`. Output `[1]`.
#[derive(Clone, Debug)]
pub struct BoxLoss {
    /// β: from which distance on it is linear.
    pub beta: f32,
}

impl Op for BoxLoss {
    fn name(&self) -> &'static str {
        "box_loss"
    }

    fn operands(&self) -> Vec<Operand> {
        vec![
            Operand::f32("deltas", 0).of_any_rank(),
            Operand::f32("targets", 0).of_any_rank(),
            Operand::u32("labels", 0).of_any_rank(),
            Operand::LIVE,
        ]
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let rows = inputs[2].shape.len();
        if inputs[..2].iter().any(|v| v.shape.len() != 4 * rows) {
            return Err(format!("takes deltas and targets of R rows by 4, and R labels, not {inputs:?}"));
        }
        live::check(&inputs[3], rows, "rows of deltas")?;
        Ok(vec![Info::f32([1])])
    }

    fn cost(&self, io: &Io) -> Cost {
        Cost::of(io, 5.0 * io.inputs[0].shape.len() as f64)
    }

    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let (rows, beta) = (inputs[2].shape.len(), f64::from(self.beta));
        let pairs: Vec<f64> = inputs[0]
            .floats()
            .iter()
            .zip(inputs[1].floats())
            .map(|(&x, &t)| (f64::from(x) - f64::from(t)).abs())
            .collect();
        let (mut sum, mut n) = (0.0, 0);
        for (i, row) in pairs.chunks(4).enumerate() {
            if live::counts(Some(inputs[3].ints()), rows, i) {
                let one = |&d: &f64| if d < beta { d * d / (2.0 * beta) } else { d - beta / 2.0 };
                sum += if inputs[2].ints()[i] > 0 { row.iter().map(one).sum() } else { 0.0 };
                n += 1;
            }
        }
        vec![Value::f32([1], vec![(sum / f64::from(n.max(1))) as f32])]
    }

    fn settings(&self) -> Vec<Setting> {
        settings([("beta", value(self.beta))])
    }
}
