//! Every anchor of an image.

use super::{Cost, Info, Io, Op, Operand, Setting, settings, value};
use crate::tensor::Value;

/// The anchors that logits and deltas are of, as boxes in resized pixels: level after level, in (H, W, A) order. Those that
/// reach over the image's border are among them.
///
/// Input: levels `[S, 4 + 4A]` as [`super::rpn_decode::RpnDecode`] takes them. Output `[B,anchors,4]`, the same for each
/// image.
#[derive(Clone, Debug)]
pub struct Anchors {
    /// Images.
    pub batch: usize,
    /// Anchors of all levels.
    pub count: usize,
}

impl Op for Anchors {
    fn name(&self) -> &'static str {
        "anchors"
    }

    fn operands(&self) -> Vec<Operand> {
        vec![Operand::f32("levels", 2)]
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let levels = inputs[0].shape;
        if levels.dim(1) < 8 || !levels.dim(1).is_multiple_of(4) {
            return Err(format!("takes levels [S,4 + 4A], not {levels}"));
        }
        if self.batch == 0 || self.count == 0 {
            return Err(format!("makes no anchors of {} images", self.batch));
        }
        Ok(vec![Info::f32([self.batch, self.count, 4])])
    }

    fn cost(&self, io: &Io) -> Cost {
        Cost::of(io, 4.0 * (self.batch * self.count) as f64)
    }

    /// Level by level, row by row.
    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let levels: Vec<&[f32]> = inputs[0].floats().chunks(inputs[0].shape.dim(1)).collect();
        let mut image = Vec::with_capacity(4 * self.count);
        for (i, level) in levels.iter().enumerate() {
            let end = levels.get(i + 1).map_or(self.count, |next| next[0] as usize);
            let (mut x, mut y) = (0.0, 0.0);
            while image.len() < 4 * end {
                for cell in level[4..].chunks(4) {
                    let shift = [x * level[2], y * level[3]];
                    image.extend(cell.iter().enumerate().map(|(c, v)| v + shift[c % 2]));
                }
                x += 1.0;
                if x == level[1] {
                    (x, y) = (0.0, y + 1.0);
                }
            }
        }
        vec![Value::f32([self.batch, self.count, 4], image.repeat(self.batch))]
    }

    fn settings(&self) -> Vec<Setting> {
        settings([("batch", value(self.batch)), ("count", value(self.count))])
    }
}
