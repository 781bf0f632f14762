//! Instances drawn on their picture.

use crate::rng::Rng;
use super::{Case, Kernel, Launch, Params as _, Tolerance, Variant, fold_grid};
use crate::ops::Io;
use crate::ops::gather_pixels::{PixelLayout, PixelRows};
use crate::ops::tint::Tint;
use crate::params;
use crate::target::Target;
use crate::tensor::Value;

params! {
    total: u32, width: u32, height: u32, pitch: u32, offset: u32, stride: u32, pixel: u32, red: u32, green: u32, blue: u32,
    fill: u32, rim: u32, line: u32, colours: u32, by_class: u32, bgra: u32, picture: u32, grid_x: u32,
}

impl Kernel for Tint {
    fn variants(&self, _: &Io, _: &Target) -> Vec<Variant> {
        vec![Variant::plain()]
    }

    fn launch(&self, io: &Io, _: &Variant) -> Launch {
        let (height, pitch) = (io.dim(0, 0), io.dim(0, 1));
        let grid = fold_grid((height * pitch).div_ceil(64));
        let none = PixelRows { layout: PixelLayout::GREY, offset: 0, stride: 0 };
        let PixelRows { layout: PixelLayout { bytes, rgb: [red, green, blue] }, offset, stride } =
            self.picture.unwrap_or(none);
        let params = P {
            total: (height * pitch) as u32,
            width: self.width as u32,
            height: height as u32,
            pitch: pitch as u32,
            offset,
            stride,
            pixel: bytes,
            red,
            green,
            blue,
            fill: self.fill,
            rim: self.rim,
            line: self.line,
            colours: io.inputs[3].shape.len() as u32,
            by_class: self.by_class.into(),
            bgra: self.bgra.into(),
            picture: self.picture.is_some().into(),
            grid_x: grid[0],
        };
        Launch { grid, params: params.bytes() }
    }
}

/// With and without the picture, thin and thick rims, by instance and by class, either order of bytes.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(73);
    let mut case = |name: &str, (width, height): (usize, usize), layout: Option<PixelLayout>, line: u32, by_class: bool| {
        let pitch = width.next_multiple_of(64);
        let (n, block) = (40, 6);
        // Blocks of one instance or none.
        let blocks: Vec<u32> = (0..(pitch / block + 1) * (height / block + 1)).map(|_| rng.below(n + 1) as u32).collect();
        let id = |i: usize| blocks[i / pitch / block * (pitch / block + 1) + i % pitch / block];
        let ids = (0..height * pitch).map(|i| if i % pitch < width { id(i) } else { 0 }).collect();
        let rows = |layout: PixelLayout| PixelRows { layout, offset: 8, stride: width as u32 * layout.bytes + 7 };
        let picture = layout.map(rows);
        let words = picture.map_or(1, |p| p.end(height as u32, width as u32).div_ceil(4) as usize);
        let inputs = vec![
            Value::u32([height, pitch], ids),
            Value::u32([words], (0..words).map(|_| rng.bits() as u32).collect()),
            Value::u32([1, n], (0..n).map(|_| rng.below(5) as u32).collect()),
            Value::u32([7], (0..7).map(|_| rng.bits() as u32 & 0xff_ffff).collect()),
        ];
        let op = Tint { picture, width, fill: 77, rim: 250, line, by_class, bgra: line.is_multiple_of(2) };
        Case::new(name, op, inputs, Tolerance::Exact)
    };
    vec![
        case("on rgba", (100, 40), Some(PixelLayout::RGBA), 1, false),
        case("on bgra", (64, 31), Some(PixelLayout::BGRA), 2, true),
        case("on rgb", (29, 50), Some(PixelLayout::RGB), 3, false),
        case("on nothing", (75, 20), None, 1, true),
        case("without a rim", (75, 20), None, 0, false),
        case("one pixel", (1, 1), Some(PixelLayout::GREY), 4, false),
    ]
}
