//! Which instance each pixel belongs to.

use super::{Cost, Info, Io, Op, Operand, Setting, settings, value};
use crate::tensor::Value;

/// Rows of pictures that are copied to textures begin at multiples of so many words (WebGPU: 256 bytes).
pub const ROW_WORDS: usize = 64;

/// Instances as numbers, a word a pixel: 0 where there is none, else 1 + the detection's number. Where masks overlap, the one
/// with the higher score wins, which is the one that comes first.
///
/// Inputs, of one image: places `[1,n,8]` of [`PasteLayout`](super::paste_layout::PasteLayout), bits `[1,words]`, scores
/// `[1,1,n]`, header `[1,2]`. Output: `[rows,pitch]`, the width rounded up to [`ROW_WORDS`], zeros beyond the image. A mask
/// whose bits found no room is left out.
#[derive(Clone, Debug)]
pub struct InstanceIds {
    /// Rows of the image.
    pub height: usize,
    /// Columns of the image.
    pub width: usize,
    /// Detections below this score are left out.
    pub above: f32,
}

impl Op for InstanceIds {
    fn name(&self) -> &'static str {
        "instance_ids"
    }

    fn operands(&self) -> Vec<Operand> {
        vec![Operand::u32("places", 3), Operand::u32("bits", 2), Operand::f32("scores", 3), Operand::u32("header", 2)]
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let [places, bits, scores, header] = inputs else {
            return Err(format!("takes places, bits, scores and a header, not {inputs:?}"));
        };
        let n = places.shape.dim(1);
        let fits = places.shape.dims() == [1, n as u32, 8]
            && bits.shape.dim(0) == 1
            && scores.shape.len() == n
            && header.shape.len() == 2;
        if !fits || self.height * self.width == 0 {
            return Err(format!("these are not of one image: {inputs:?}"));
        }
        Ok(vec![Info::u32([self.height, self.width.next_multiple_of(ROW_WORDS)])])
    }

    fn cost(&self, io: &Io) -> Cost {
        Cost::of(io, 0.0)
    }

    /// Paints whole masks, the last first.
    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let (places, bits) = (inputs[0].ints(), inputs[1].ints());
        let (scores, found) = (inputs[2].floats(), inputs[3].ints()[0] as usize);
        let pitch = self.width.div_ceil(ROW_WORDS) * ROW_WORDS;
        let mut ids = vec![0; self.height * pitch];
        for (i, place) in places.chunks(8).enumerate().take(found).rev() {
            let [x, y, w, h, at] = [0, 1, 2, 3, 4].map(|k| place[k] as usize);
            let words = w.div_ceil(32);
            // NaN is not above anything.
            let counts = scores[i] >= self.above;
            if !counts || at + words * h > bits.len() {
                continue;
            }
            for (row, line) in bits[at..at + words * h].chunks(words.max(1)).enumerate() {
                for column in 0..w {
                    if line[column / 32] >> (column % 32) & 1 == 1 && y + row < self.height && x + column < self.width {
                        ids[(y + row) * pitch + x + column] = i as u32 + 1;
                    }
                }
            }
        }
        vec![Value::u32([self.height, pitch], ids)]
    }

    fn settings(&self) -> Vec<Setting> {
        settings([("height", value(self.height)), ("width", value(self.width)), ("above", value(self.above))])
    }
}
