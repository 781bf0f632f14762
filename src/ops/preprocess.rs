//! Image bytes to the network's input: normalise, resize, pad.

use super::frame::{FRAME_WORDS, Frame};
use super::pillow::BITS;
use super::sampling::Filter;
use super::{Cost, Info, Io, Op, Operand, Setting, settings, value};
use crate::tensor::{Shape, Value};

/// torchvision's `GeneralizedRCNNTransform`: normalise, resize bilinearly (half-pixel centres, no antialias), pad
/// with zeros to the plan's size. With [`Filter::Area`], detectron2's: resize as Pillow does, along rows and then along
/// columns, each rounded to bytes, and then normalise and pad. With [`Filter::Fixed`], MMDetection's: resize as OpenCV does,
/// between the two nearest bytes of each axis, in whole numbers.
/// With [`Filter::Cut`], matterport's: resize as scikit-image does, pad with zeros on all sides, and then normalise.
///
/// Inputs: bytes `[words]` (RGB, 3 bytes a pixel, packed little-endian into words) of the pixels that are read, frames
/// `[B,8]`, neighbours `[B,H+W,N]` of the rows and columns ([`super::sampling::Sampling::neighbours`]), table `[3,256]` of
/// normalised values. Output
/// `[B,H,W,4]`: the fourth channel is zero, so that channels come by fours.
#[derive(Clone, Debug)]
pub struct Preprocess {
    /// Rows of the padded output.
    pub h: usize,
    /// Columns of the padded output.
    pub w: usize,
    /// What a pixel is made of.
    pub filter: Filter,
}

impl Preprocess {
    /// The table for a mean and a standard deviation of values 0..`range`, rounded as torch rounds it: the byte in that
    /// range, minus mean, over std, each in f32.
    pub fn table(range: f32, mean: [f32; 3], std: [f32; 3]) -> Value {
        // Of a range of 255 the byte itself: the product is exact.
        let entry = |i: usize| ((i % 256) as f32 * range / 255.0 - mean[i / 256]) / std[i / 256];
        Value::f32([3, 256], (0..768).map(entry).collect())
    }

    /// [`Preprocess::twin`] of bytes that are cut off: pixel by pixel, exactly.
    fn cut_twin(&self, inputs: &[Value]) -> Vec<Value> {
        let (bytes, table) = (bytemuck::cast_slice::<u32, u8>(inputs[0].ints()), inputs[3].floats());
        let (batch, words) = (inputs[1].shape.dim(0), inputs[2].shape.dim(2));
        let all = inputs[2].ints().chunks(words * (self.h + self.w));
        let mut y = Vec::with_capacity(batch * self.h * self.w * 4);
        for (b, neighbours) in all.enumerate() {
            let f = Frame::of(&inputs[1], b);
            let image = &bytes[f.first_word as usize * 4..];
            let halves = |word: u32| [word % 65_536, word / 65_536].map(u64::from);
            // Pixels and weights of a row or a column.
            let of = |at: usize| {
                let near = &neighbours[at * words..];
                halves(near[0]).into_iter().zip(halves(near[1]))
            };
            for (oy, ox, c) in (0..self.h * self.w * 4).map(|i| (i / 4 / self.w, i / 4 % self.w, i % 4)) {
                let at = (oy.checked_sub(f.top as usize), ox.checked_sub(f.left as usize));
                let byte = match at {
                    (Some(row), Some(column)) if row < f.out_h as usize && column < f.out_w as usize => {
                        let terms =
                            of(row).flat_map(|(py, wy)| of(self.h + column).map(move |(px, wx)| (py, px, wy * wx)));
                        let pixel = |py: u64, px: u64| {
                            u64::from(image[(py * u64::from(f.sent_w) + px) as usize * 3 + c.min(2)])
                        };
                        let sum: u64 = terms.map(|(py, px, weight)| weight * pixel(py, px)).sum();
                        (sum / (4 * u64::from(f.out_h) * u64::from(f.out_w))).max(f.least.into())
                    }
                    _ => 0,
                };
                y.push(if c < 3 { table[c * 256 + byte as usize] } else { 0.0 });
            }
        }
        vec![Value::f32([batch, self.h, self.w, 4], y)]
    }

    /// [`Preprocess::twin`] of areas: the whole image's rows are made, then its columns.
    fn area_twin(&self, inputs: &[Value]) -> Vec<Value> {
        let (bytes, table) = (bytemuck::cast_slice::<u32, u8>(inputs[0].ints()), inputs[3].floats());
        let (batch, words) = (inputs[1].shape.dim(0), inputs[2].shape.dim(2));
        let rounded = |sum: i64| ((sum + (1 << (BITS - 1))) >> BITS).clamp(0, 255);
        let mut y = vec![0.0; batch * self.h * self.w * 4];
        for (b, taps) in inputs[2].ints().chunks(words * (self.h + self.w)).enumerate() {
            let f = Frame::of(&inputs[1], b);
            let image = &bytes[f.first_word as usize * 4..];
            // Pixels and their weights, of an output row or column.
            let taps: Vec<Vec<(usize, i64)>> = taps
                .chunks(words)
                .map(|w| {
                    let (first, count) = (w[0] as usize % (1 << 20), w[0] as usize >> 20);
                    (0..count).map(|i| (first + i, w[1 + i] as i64)).collect()
                })
                .collect();
            let mut narrow = vec![0; f.in_h as usize * f.out_w as usize * 3];
            for (i, v) in narrow.iter_mut().enumerate() {
                let (c, x, row) = (i % 3, i / 3 % f.out_w as usize, i / 3 / f.out_w as usize);
                let pixel = |x: usize| image[(row * f.sent_w as usize + x) * 3 + c] as i64;
                *v = rounded(taps[self.h + x].iter().map(|&(x, weight)| weight * pixel(x)).sum());
            }
            for row in 0..f.out_h as usize {
                for i in 0..f.out_w as usize * 3 {
                    let pixel = |row: usize| narrow[row * f.out_w as usize * 3 + i];
                    let v = rounded(taps[row].iter().map(|&(row, weight)| weight * pixel(row)).sum());
                    y[((b * self.h + row) * self.w + i / 3) * 4 + i % 3] = table[i % 3 * 256 + v as usize];
                }
            }
        }
        vec![Value::f32([batch, self.h, self.w, 4], y)]
    }
}

impl Preprocess {
    /// [`Preprocess::twin`] of OpenCV's resize: the image's rows are made narrow first, as far as they are read, then what lies
    /// between two of them.
    fn fixed_twin(&self, inputs: &[Value]) -> Vec<Value> {
        let (bytes, table) = (bytemuck::cast_slice::<u32, u8>(inputs[0].ints()), inputs[3].floats());
        let batch = inputs[1].shape.dim(0);
        let mut y = vec![0.0; batch * self.h * self.w * 4];
        for (b, pairs) in inputs[2].ints().chunks(inputs[2].shape.dim(2) * (self.h + self.w)).enumerate() {
            let f = Frame::of(&inputs[1], b);
            let image = &bytes[f.first_word as usize * 4..];
            let pairs: Vec<[i64; 4]> = pairs
                .chunks(inputs[2].shape.dim(2))
                .map(|w| [w[0] % 65_536, w[0] / 65_536, w[1] % 65_536, w[1] / 65_536].map(i64::from))
                .collect();
            let (rows, columns) = pairs.split_at(self.h);
            // In sixteenths of 2⁻¹¹, as OpenCV keeps them in 16 bits.
            let narrow = |row: i64, x: usize, c: usize| {
                let [low, high, of_low, of_high] = columns[x];
                let at = |column: i64| i64::from(image[(row * i64::from(f.sent_w) + column) as usize * 3 + c]);
                (of_low * at(low) + of_high * at(high)) / 16
            };
            for (oy, &[low, high, of_low, of_high]) in rows[..f.out_h as usize].iter().enumerate() {
                for i in 0..f.out_w as usize * 3 {
                    let (x, c) = (i / 3, i % 3);
                    let quarters = of_low * narrow(low, x, c) / (1 << 16) + of_high * narrow(high, x, c) / (1 << 16);
                    let byte = ((quarters + 2) / 4).min(255) as usize;
                    y[((b * self.h + oy) * self.w + x) * 4 + c] = table[c * 256 + byte];
                }
            }
        }
        vec![Value::f32([batch, self.h, self.w, 4], y)]
    }
}

impl Op for Preprocess {
    fn name(&self) -> &'static str {
        "preprocess"
    }

    fn operands(&self) -> Vec<Operand> {
        vec![
            Operand::u32("bytes", 1),
            Operand::u32("frames", 2),
            Operand::u32("neighbours", 3),
            Operand::f32("table", 2),
        ]
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let [_, frames, neighbours, table] = inputs else {
            return Err(format!("takes bytes, frames, neighbours and a table, not {inputs:?}"));
        };
        let ok = frames.shape.dim(1) == FRAME_WORDS
            && neighbours.shape.dim(2) >= if self.filter == Filter::Area { 4 } else { 2 }
            && neighbours.shape == Shape::from([frames.shape.dim(0), self.h + self.w, neighbours.shape.dim(2)])
            && table.shape == Shape::from([3, 256]);
        if !ok {
            return Err(format!(
                "takes bytes, frames [B,{FRAME_WORDS}], neighbours [B,H+W,N] and a table [3,256], not {inputs:?}"
            ));
        }
        Ok(vec![Info::f32([frames.shape.dim(0), self.h, self.w, 4])])
    }

    fn cost(&self, io: &Io) -> Cost {
        // Of an area about half of the room for neighbours is taken.
        let taps = if self.filter == Filter::Area { (io.dim(2, 2) / 2).pow(2) } else { 4 };
        Cost::of(io, 6.0 * (taps * io.dim(1, 0) * self.h * self.w) as f64)
    }

    /// Interpolates along rows for the whole image first, then along columns.
    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        match self.filter {
            Filter::Area => return self.area_twin(inputs),
            Filter::Fixed | Filter::FixedRows => return self.fixed_twin(inputs),
            Filter::Cut => return self.cut_twin(inputs),
            Filter::Nearest => {}
        }
        let (bytes, table) = (bytemuck::cast_slice::<u32, u8>(inputs[0].ints()), inputs[3].floats());
        let batch = inputs[1].shape.dim(0);
        let neighbours: Vec<(usize, usize, f64)> = (inputs[2].ints().chunks(2))
            .map(|t| ((t[0] % 65_536) as usize, (t[0] / 65_536) as usize, f64::from(f32::from_bits(t[1]))))
            .collect();
        let mut y = vec![0.0; batch * self.h * self.w * 4];
        for (b, neighbours) in neighbours.chunks(self.h + self.w).enumerate() {
            let f = Frame::of(&inputs[1], b);
            let image = &bytes[f.first_word as usize * 4..];
            let (ys, xs) = neighbours.split_at(self.h);
            let (w, ys, xs) = (f.sent_w as usize, &ys[..f.out_h as usize], &xs[..f.out_w as usize]);
            let rows = ys.iter().map(|t| t.1 + 1).max().unwrap_or(0);
            let mut wide = vec![0.0; rows * xs.len() * 3];
            for (i, v) in wide.iter_mut().enumerate() {
                let (c, (x0, x1, l), row) = (i % 3, xs[i / 3 % xs.len()], i / 3 / xs.len());
                let at = |x: usize| table[c * 256 + image[(row * w + x) * 3 + c] as usize] as f64;
                *v = (1.0 - l) * at(x0) + l * at(x1);
            }
            for (oy, &(y0, y1, l)) in ys.iter().enumerate() {
                for i in 0..xs.len() * 3 {
                    let v = (1.0 - l) * wide[y0 * xs.len() * 3 + i] + l * wide[y1 * xs.len() * 3 + i];
                    y[((b * self.h + oy) * self.w + i / 3) * 4 + i % 3] = v as f32;
                }
            }
        }
        vec![Value::f32([batch, self.h, self.w, 4], y)]
    }

    fn settings(&self) -> Vec<Setting> {
        let filter = match self.filter {
            Filter::Nearest => None,
            Filter::Area => value("area"),
            Filter::Fixed | Filter::FixedRows => value("fixed"),
            Filter::Cut => value("cut"),
        };
        settings([("h", value(self.h)), ("w", value(self.w)), ("filter", filter)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shader and twin read the same table.
    #[test]
    fn the_table_has_a_row_of_bytes_for_each_channel() {
        let (mean, std) = ([0.5, 0.25, 0.0], [0.5, 0.25, 2.0]);
        let table = Preprocess::table(1.0, mean, std);
        assert_eq!(table.shape.dims(), [3, 256]);
        let of = |channel: usize, byte: usize| table.floats()[channel * 256 + byte];
        assert_eq!([0, 255].map(|byte| of(0, byte)), [-1.0, 1.0]);
        assert_eq!([0, 255].map(|byte| of(1, byte)), [-1.0, 3.0]);
        assert_eq!([0, 51, 255].map(|byte| of(2, byte)), [0.0, 0.1, 0.5]);
        let bytes = Preprocess::table(255.0, mean, std);
        assert!((0..256).all(|byte| bytes.floats()[512 + byte] == byte as f32 / 2.0));
    }
}
