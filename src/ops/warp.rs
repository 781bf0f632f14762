//! Crops of an image, each warped to the same square: R-CNN's input.

use super::{Cost, Info, Io, Op, Operand, Setting, settings, value};
use crate::tensor::{Shape, Value};

/// Words of a row or column of a warped crop.
pub const PLACE_WORDS: usize = 4;

/// What R-CNN does to each proposal: normalise, and warp it to a square, whatever its shape, bilinearly (half-pixel centres,
/// no antialias). What a window has beyond the image is zero, which is the mean.
///
/// Inputs: bytes `[words]` (RGB, 3 bytes a pixel, packed little-endian into words), places `[B,2·S,4]` of the square's rows,
/// then its columns: the two neighbours, counted in pixels of the image from its first (a row's from its own first), the
/// upper one's weight as the bits of an f32, and 1 inside of the image or 0; table `[3,256]` of normalised values
/// ([`Preprocess::table`](super::preprocess::Preprocess::table)). Output `[B,S,S,4]`, the fourth channel zero.
#[derive(Clone, Debug)]
pub struct Warp {
    /// S: the side of the square.
    pub side: usize,
}

impl Op for Warp {
    fn name(&self) -> &'static str {
        "warp"
    }

    fn operands(&self) -> Vec<Operand> {
        vec![Operand::u32("bytes", 1), Operand::u32("places", 3), Operand::f32("table", 2)]
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let [_, places, table] = inputs else {
            return Err(format!("takes bytes, places and a table, not {inputs:?}"));
        };
        let ok = (places.shape.dim(1), places.shape.dim(2)) == (2 * self.side, PLACE_WORDS)
            && self.side > 0
            && table.shape == Shape::from([3, 256]);
        if !ok {
            return Err(format!("takes bytes, places [B,2·S,{PLACE_WORDS}] and a table [3,256], not {inputs:?}"));
        }
        Ok(vec![Info::f32([places.shape.dim(0), self.side, self.side, 4])])
    }

    fn cost(&self, io: &Io) -> Cost {
        Cost::of(io, 24.0 * (io.dim(1, 0) * self.side * self.side) as f64)
    }

    /// Normalises the four pixels of each first, and mixes them by area.
    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let (bytes, table) = (bytemuck::cast_slice::<u32, u8>(inputs[0].ints()), inputs[2].floats());
        let places: Vec<&[u32]> = inputs[1].ints().chunks(PLACE_WORDS).collect();
        let mut y = Vec::new();
        for crop in places.chunks(2 * self.side) {
            let (rows, columns) = crop.split_at(self.side);
            for row in rows {
                for column in columns {
                    let pixel = (0..4).map(|channel| {
                        if channel == 3 || row[3] == 0 || column[3] == 0 {
                            return 0.0;
                        }
                        let corner = |down: usize, right: usize| {
                            let byte = bytes[3 * (row[down] + column[right]) as usize + channel];
                            let share = |place: &[u32], upper: usize| {
                                let weight = f64::from(f32::from_bits(place[2]));
                                if upper == 1 { weight } else { 1.0 - weight }
                            };
                            share(row, down)
                                * share(column, right)
                                * f64::from(table[channel * 256 + usize::from(byte)])
                        };
                        (corner(0, 0) + corner(0, 1) + corner(1, 0) + corner(1, 1)) as f32
                    });
                    y.extend(pixel);
                }
            }
        }
        vec![Value::f32([inputs[1].shape.dim(0), self.side, self.side, 4], y)]
    }

    fn settings(&self) -> Vec<Setting> {
        settings([("side", value(self.side))])
    }
}
