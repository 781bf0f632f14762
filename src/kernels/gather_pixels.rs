//! Pixels that lie on the device already.

use crate::rng::Rng;
use super::{Case, Kernel, Launch, Params as _, Tolerance, Variant, fold_grid};
use crate::ops::Io;
use crate::ops::gather_pixels::{GatherPixels, PixelLayout, PixelRows};
use crate::params;
use crate::target::Target;
use crate::tensor::Value;

params! {
    words: u32, columns: u32, rows: u32, total: u32, offset: u32, stride: u32, pixel: u32, red: u32, green: u32, blue: u32,
    grid_x: u32,
}

impl Kernel for GatherPixels {
    fn variants(&self, _: &Io, _: &Target) -> Vec<Variant> {
        vec![Variant::plain()]
    }

    fn launch(&self, _: &Io, _: &Variant) -> Launch {
        let grid = fold_grid(self.words().div_ceil(64));
        let PixelLayout { bytes, rgb: [red, green, blue] } = self.from.layout;
        let params = P {
            words: self.words() as u32,
            columns: self.columns as u32,
            rows: self.rows as u32,
            total: (3 * self.rows * self.columns) as u32,
            offset: self.from.offset,
            stride: self.from.stride,
            pixel: bytes,
            red,
            green,
            blue,
            grid_x: grid[0],
        };
        Launch { grid, params: params.bytes() }
    }
}

/// Every layout, gaps between rows, an offset within a word, rows and columns left out and twice.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(71);
    let mut case = |name: &str, layout: PixelLayout, (w, h): (u32, u32), gap: u32, offset: u32, step: u32| {
        let from = PixelRows { layout, offset, stride: w * layout.bytes + gap };
        let words = from.end(h, w).div_ceil(4) as usize;
        let pixels = Value::u32([words], (0..words).map(|_| rng.bits() as u32).collect());
        let picked = |n: u32| (0..n).step_by(step as usize).chain([n - 1]).collect::<Vec<u32>>();
        let (rows, columns) = (picked(h), picked(w));
        let op = GatherPixels { from, rows: rows.len(), columns: columns.len() };
        let places = [rows, columns].concat();
        Case::new(name, op, vec![pixels, Value::u32([places.len()], places)], Tolerance::Exact)
    };
    vec![
        case("rgba", PixelLayout::RGBA, (37, 21), 256 - 37 * 4, 0, 1),
        case("bgra, every third", PixelLayout::BGRA, (61, 30), 0, 12, 3),
        case("rgb in the middle of a word", PixelLayout::RGB, (25, 17), 5, 3, 1),
        case("grey, every other", PixelLayout::GREY, (70, 9), 1, 1, 2),
        case("one pixel", PixelLayout::RGBA, (1, 1), 0, 0, 1),
    ]
}
