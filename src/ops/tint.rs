//! Instances drawn on their picture.

use super::gather_pixels::PixelRows;
use super::instance_ids::ROW_WORDS;
use super::{Cost, Info, Io, Op, Operand, Setting, on, settings, value};
use crate::tensor::Value;

/// Shares of a colour are told in so many parts.
pub const WHOLE: u32 = 256;

/// Tints each instance's pixels, and draws a line along its rim, within it.
///
/// Inputs: ids `[rows,pitch]` of [`InstanceIds`](super::instance_ids::InstanceIds); source `[words]`, the picture's bytes in words;
/// labels `[1,n]`; colours `[count]`, red in the lowest byte, then green and blue. Output: `[rows,pitch]`, four bytes a pixel:
/// red, green, blue and alpha, or blue first.
#[derive(Clone, Debug)]
pub struct Tint {
    /// Where the picture's pixels lie; without, instances stand on nothing: their colour (not multiplied by alpha) and how much
    /// of it, and zeros where there is none.
    pub picture: Option<PixelRows>,
    /// Columns of the image.
    pub width: usize,
    /// How much of the colour the inside of an instance takes, of [`WHOLE`].
    pub fill: u32,
    /// The same of its rim.
    pub rim: u32,
    /// Pixels from which another instance, or none, is seen: the rim's width. None at the picture's border.
    pub line: u32,
    /// Colours go by the class, and not by the instance's number.
    pub by_class: bool,
    /// Blue is the first byte.
    pub bgra: bool,
}

impl Op for Tint {
    fn name(&self) -> &'static str {
        "tint"
    }

    fn operands(&self) -> Vec<Operand> {
        vec![Operand::u32("ids", 2), Operand::u32("source", 1), Operand::u32("labels", 2), Operand::u32("colours", 1)]
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let (ids, source) = (inputs[0], inputs[1]);
        let (h, pitch) = (ids.shape.dim(0), ids.shape.dim(1));
        let read = self.picture.map_or(0, |p| p.end(h as u32, self.width as u32));
        if pitch != self.width.next_multiple_of(ROW_WORDS) || read > source.bytes() as u64 {
            return Err(format!("these do not go with {} columns: {inputs:?}", self.width));
        }
        Ok(vec![ids])
    }

    fn cost(&self, io: &Io) -> Cost {
        Cost::of(io, 0.0)
    }

    /// Looks for rims along rows and columns of the whole picture first.
    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let (h, pitch, w) = (inputs[0].shape.dim(0), inputs[0].shape.dim(1), self.width);
        let (source, colours): (&[u8], _) = (bytemuck::cast_slice(inputs[1].ints()), inputs[3].ints());
        let rows: Vec<&[u32]> = inputs[0].ints().chunks(pitch).map(|row| &row[..w]).collect();
        let mut rim = vec![false; h * w];
        for far in 1..=self.line as usize {
            for y in 0..h {
                for x in 0..w {
                    if x + far < w && rows[y][x] != rows[y][x + far] {
                        (rim[y * w + x], rim[y * w + x + far]) = (true, true);
                    }
                    if y + far < h && rows[y][x] != rows[y + far][x] {
                        (rim[y * w + x], rim[(y + far) * w + x]) = (true, true);
                    }
                }
            }
        }
        let mut out = vec![0; h * pitch];
        for (i, &rim) in rim.iter().enumerate() {
            let (y, x) = (i / w, i % w);
            let id = rows[y][x] as usize;
            let mut pixel = [0; 4];
            if let Some(from) = self.picture {
                let line = &source[from.offset as usize..][y * from.stride as usize..];
                let bytes = &line[x * from.layout.bytes as usize..];
                pixel = [0, 1, 2, 3].map(|c| from.layout.rgb.get(c).map_or(255, |&at| u32::from(bytes[at as usize])));
            }
            if id > 0 {
                let share = if rim { self.rim } else { self.fill };
                let key = if self.by_class { inputs[2].ints()[id - 1] as usize } else { id - 1 };
                let colour = colours[key % colours.len()].to_le_bytes().map(u32::from);
                for c in 0..3 {
                    let mixed = (pixel[c] * (WHOLE - share) + colour[c] * share + WHOLE / 2) / WHOLE;
                    pixel[c] = if self.picture.is_some() { mixed } else { colour[c] };
                }
                pixel[3] = if self.picture.is_some() { 255 } else { (share * 255 + WHOLE / 2) / WHOLE };
            }
            if self.bgra {
                pixel.swap(0, 2);
            }
            out[y * pitch + x] = u32::from_le_bytes(pixel.map(|v| v as u8));
        }
        vec![Value::u32([h, pitch], out)]
    }

    fn settings(&self) -> Vec<Setting> {
        let own = [
            ("width", value(self.width)),
            ("fill", value(self.fill)),
            ("rim", value(self.rim)),
            ("line", value(self.line)),
            ("by_class", on(self.by_class)),
            ("bgra", on(self.bgra)),
        ];
        settings(own.into_iter().chain(self.picture.iter().flat_map(PixelRows::settings)))
    }
}
