//! Pixels that lie on the device already, as an image's bytes lie that come from the host.

use super::{Cost, Info, Io, Op, Operand, Setting, settings, unless, value};
use crate::tensor::Value;

/// Where the samples of a pixel lie, 8 bits each, and how far pixels and rows are apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PixelLayout {
    /// Bytes of a pixel.
    pub bytes: u32,
    /// Which of its bytes are red, green and blue.
    pub rgb: [u32; 3],
}

impl PixelLayout {
    /// Red, green, blue.
    pub const RGB: Self = Self { bytes: 3, rgb: [0, 1, 2] };
    /// Red, green, blue, and a byte that is not looked at.
    pub const RGBA: Self = Self { bytes: 4, rgb: [0, 1, 2] };
    /// Blue, green, red, and a byte that is not looked at.
    pub const BGRA: Self = Self { bytes: 4, rgb: [2, 1, 0] };
    /// One sample for all three.
    pub const GREY: Self = Self { bytes: 1, rgb: [0, 0, 0] };
}

/// Rows of pixels in a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PixelRows {
    /// What a pixel is.
    pub layout: PixelLayout,
    /// Byte of the first pixel.
    pub offset: u32,
    /// Bytes from one row to the next.
    pub stride: u32,
}

impl PixelRows {
    /// Bytes up to the end of the last of `height` rows of `width` pixels.
    pub fn end(&self, height: u32, width: u32) -> u64 {
        let rows = u64::from(height.saturating_sub(1)) * u64::from(self.stride);
        u64::from(self.offset) + rows + u64::from(width) * u64::from(self.layout.bytes)
    }

    /// The settings that tell one from another.
    pub(crate) fn settings(&self) -> [(&'static str, Option<String>); 4] {
        let PixelLayout { bytes, rgb: [r, g, b] } = self.layout;
        [
            ("pixel", value(bytes)),
            ("rgb", value(format!("{r},{g},{b}"))),
            ("offset", unless(0, self.offset)),
            ("stride", value(self.stride)),
        ]
    }
}

/// Gathers the pixels that a resize reads ([`super::sampling`]), three bytes each, as
/// [`Preprocess`](super::preprocess::Preprocess) takes them: the same bytes that the host would have sent.
///
/// Inputs: source `[words]`, bytes in words; places `[rows+columns]`: which row of the source each row is, then which column each
/// column is. Output: `[words]`, the last of which ends with zeros.
#[derive(Clone, Debug)]
pub struct GatherPixels {
    /// Where the source's pixels lie.
    pub from: PixelRows,
    /// Rows that are gathered.
    pub rows: usize,
    /// Columns that are gathered.
    pub columns: usize,
}

impl GatherPixels {
    /// Words of the output.
    pub fn words(&self) -> usize {
        (3 * self.rows * self.columns).div_ceil(4)
    }
}

impl Op for GatherPixels {
    fn name(&self) -> &'static str {
        "gather_pixels"
    }

    fn operands(&self) -> Vec<Operand> {
        vec![Operand::u32("source", 1), Operand::u32("places", 1)]
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        if inputs[1].shape.len() != self.rows + self.columns || self.words() == 0 {
            return Err(format!("takes a source and {} places, not {inputs:?}", self.rows + self.columns));
        }
        Ok(vec![Info::u32([self.words()])])
    }

    fn cost(&self, io: &Io) -> Cost {
        let gathered = (self.from.layout.bytes as usize * self.rows * self.columns) as f64;
        Cost { flops: 0.0, bytes: gathered + (io.inputs[1].bytes() + io.outputs[0].bytes()) as f64 }
    }

    /// Row by row, pixel by pixel.
    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let source: &[u8] = bytemuck::cast_slice(inputs[0].ints());
        let (rows, columns) = inputs[1].ints().split_at(self.rows);
        let mut out: Vec<u8> = Vec::new();
        for &row in rows {
            let row = &source[self.from.offset as usize..][row as usize * self.from.stride as usize..];
            for &column in columns {
                let pixel = row.chunks(self.from.layout.bytes as usize).nth(column as usize).unwrap_or_default();
                out.extend(self.from.layout.rgb.map(|at| pixel[at as usize]));
            }
        }
        out.resize(out.len().next_multiple_of(4), 0);
        vec![Value::u32([out.len() / 4], bytemuck::pod_collect_to_vec(&out))]
    }

    fn settings(&self) -> Vec<Setting> {
        let own = [("rows", value(self.rows)), ("columns", value(self.columns))];
        settings(own.into_iter().chain(self.from.settings()))
    }
}
