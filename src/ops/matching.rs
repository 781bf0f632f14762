//! Boxes matched with the objects that are really there (torchvision, `_utils.py`: `Matcher`).
//!
//! What a box is matched with is a number, its *match*: [`IGNORED`], [`BACKGROUND`], or [`FIRST_TRUTH`] and the truth's number.

use super::nms::iou;
use super::{Cost, Info, Io, Op, Operand, Setting, on, settings, value};
use crate::tensor::Value;

/// The match of a box that is neither an object nor background, or is not there.
pub const IGNORED: u32 = 0;
/// The match of a box on the background.
pub const BACKGROUND: u32 = 1;
/// The match of a box on the first truth.
pub const FIRST_TRUTH: u32 = 2;

/// The largest IoU that each truth has with any of the boxes.
///
/// Inputs: truths `[B,G,4]`, their counts `[B]`, boxes `[B,n,4]`. Output `[B,G]`, of the truths that are there.
#[derive(Clone, Debug)]
pub struct BestOverlaps;

impl Op for BestOverlaps {
    fn name(&self) -> &'static str {
        "best_overlaps"
    }

    fn operands(&self) -> Vec<Operand> {
        operands().to_vec()
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        check(inputs)?;
        Ok(vec![Info::f32([inputs[0].shape.dim(0), inputs[0].shape.dim(1)])])
    }

    fn cost(&self, io: &Io) -> Cost {
        Cost::of(io, 14.0 * (io.dim(0, 0) * io.dim(0, 1) * io.dim(2, 1)) as f64)
    }

    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let (b, g) = (inputs[0].shape.dim(0), inputs[0].shape.dim(1));
        let mut best = vec![f32::NAN; b * g];
        for (image, (truths, boxes)) in images(inputs).enumerate() {
            for (i, truth) in truths.iter().enumerate() {
                best[image * g + i] = boxes.iter().map(|b| iou(truth, b)).fold(0.0, f32::max);
            }
        }
        vec![Value::f32([b, g], best)]
    }
}

/// The match of each box: the truth of its largest IoU, the first of several, where that is `high` or more; background where
/// it is less than `low`; between the two it is ignored. Where no truth is there, all are background.
///
/// Inputs: truths `[B,G,4]`, their counts `[B]`, boxes `[B,n,4]`; then, with `live`, how many of the boxes count `[B]`; then,
/// with `best`, what [`BestOverlaps`] makes of all boxes: a box that has any truth's largest IoU is matched, too, and as the
/// others with the truth of its own largest. Output `[B,n]`.
#[derive(Clone, Debug)]
pub struct MatchBoxes {
    /// From which IoU on a box is on a truth.
    pub high: f32,
    /// Below which IoU it is on the background.
    pub low: f32,
    /// Whether not all boxes count.
    pub live: bool,
    /// Whether each truth's best boxes are matched with less than `high`.
    pub best: bool,
}

impl Op for MatchBoxes {
    fn name(&self) -> &'static str {
        "match_boxes"
    }

    fn operands(&self) -> Vec<Operand> {
        let more = [self.live.then_some(Operand::LIVE), self.best.then_some(Operand::f32("best", 2))];
        operands().into_iter().chain(more.into_iter().flatten()).collect()
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        check(inputs)?;
        let (truths, boxes) = (inputs[0].shape, inputs[2].shape);
        if self.live && inputs[3].shape.len() != boxes.dim(0) {
            return Err(format!("live counts {} are not of {} images", inputs[3].shape, boxes.dim(0)));
        }
        if self.best && inputs[inputs.len() - 1].shape.dims() != &truths.dims()[..2] {
            return Err(format!("{:?} are not the best of truths {truths}", inputs[inputs.len() - 1]));
        }
        Ok(vec![Info::u32([boxes.dim(0), boxes.dim(1)])])
    }

    fn cost(&self, io: &Io) -> Cost {
        Cost::of(io, 14.0 * (io.dim(0, 0) * io.dim(0, 1) * io.dim(2, 1)) as f64)
    }

    /// In torchvision's order: thresholds first, and then the truths' best.
    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let (b, g, n) = (inputs[0].shape.dim(0), inputs[0].shape.dim(1), inputs[2].shape.dim(1));
        let mut out = Vec::with_capacity(b * n);
        for (image, (truths, boxes)) in images(inputs).enumerate() {
            let live = if self.live { inputs[3].ints()[image] as usize } else { n };
            for (i, candidate) in boxes.iter().enumerate() {
                let overlaps: Vec<f32> = truths.iter().map(|truth| iou(truth, candidate)).collect();
                // `max_by` gives the last of equals.
                let most = overlaps.iter().enumerate().rev().max_by(|a, b| a.1.total_cmp(b.1));
                let own = most.map_or(BACKGROUND, |(truth, _)| FIRST_TRUTH + truth as u32);
                let mut to = match most {
                    None => BACKGROUND,
                    Some((_, &v)) if v >= self.high => own,
                    Some((_, &v)) if v >= self.low => IGNORED,
                    Some(_) => BACKGROUND,
                };
                if self.best {
                    let best = &inputs[inputs.len() - 1].floats()[image * g..];
                    if overlaps.iter().zip(best).any(|(v, best)| v == best) {
                        to = own;
                    }
                }
                out.push(if i < live { to } else { IGNORED });
            }
        }
        vec![Value::u32([b, n], out)]
    }

    fn settings(&self) -> Vec<Setting> {
        settings([
            ("high", value(self.high)),
            ("low", value(self.low)),
            ("live", on(self.live)),
            ("best", on(self.best)),
        ])
    }
}

/// Of both ops.
fn operands() -> [Operand; 3] {
    [Operand::f32("truths", 3), Operand { name: "truth counts", ..Operand::LIVE }, Operand::f32("boxes", 3)]
}

fn check(inputs: &[Info]) -> Result<(), String> {
    let (truths, boxes) = (inputs[0].shape, inputs[2].shape);
    let fits = truths.dim(2) == 4 && boxes.dim(2) == 4 && truths.dim(0) == boxes.dim(0);
    if !fits || inputs[1].shape.len() != truths.dim(0) {
        return Err(format!("takes truths [B,G,4], their counts [B] and boxes [B,n,4], not {inputs:?}"));
    }
    Ok(())
}

/// For the twins: the truths that are there, and the boxes, of each image.
fn images(inputs: &[Value]) -> impl Iterator<Item = (Vec<&[f32]>, Vec<&[f32]>)> {
    let rows = |v: &'_ Value| v.shape.dim(1) * 4;
    let truths = inputs[0].floats().chunks(rows(&inputs[0])).zip(inputs[1].ints());
    let boxes = inputs[2].floats().chunks(rows(&inputs[2]));
    truths.zip(boxes).map(|((t, &n), b)| (t.chunks(4).take(n as usize).collect(), b.chunks(4).collect()))
}
