//! Image bytes to the network's input: normalise, resize, pad.

use crate::rng::Rng;
use super::{Case, Kernel, Launch, Params as _, Tolerance, Variant, fold_grid};
use crate::ops::frame::Frame;
use crate::ops::preprocess::Preprocess;
use crate::ops::sampling::{Filter, Sampling};
use crate::ops::Io;
use crate::params;
use crate::target::Target;
use crate::tensor::Value;

params! { pixels: u32, h: u32, w: u32, grid_x: u32, words: u32 }

impl Kernel for Preprocess {
    fn variants(&self, _: &Io, _: &Target) -> Vec<Variant> {
        let of = |filter| self.filter == filter;
        let plain = Variant::plain().flag("QUADS", true).flag("AREA", of(Filter::Area));
        vec![plain.flag("FIXED", of(Filter::Fixed)).flag("CUT", of(Filter::Cut))]
    }

    fn f16_operands(&self, io: &Io) -> Vec<(usize, &'static str)> {
        vec![(io.inputs.len(), "Y_F16")]
    }

    fn launch(&self, io: &Io, _: &Variant) -> Launch {
        let pixels = io.dim(1, 0) * self.h * self.w;
        let grid = fold_grid(pixels.div_ceil(64));
        let params = P { pixels: pixels as u32, h: self.h as u32, w: self.w as u32, grid_x: grid[0], words: io.dim(2, 2) as u32 };
        Launch { grid, params: params.bytes() }
    }
}

/// (Rows, columns) as the image comes, and after the resize.
type Sizes = ((u32, u32), (u32, u32));

/// Enlarging, shrinking by little and by much, one pixel, one row, odd byte offsets, batches.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(4);
    let mut with = |filter: Filter, name: &str, sizes: &[Sizes], h: usize, w: usize| {
        let (mut words, mut frames, mut neighbours) = (Vec::new(), Vec::new(), Vec::new());
        let taps = sizes.iter().map(|&(input, output)| Sampling::new(input, output).filtered(filter).words()).max();
        let taps = taps.unwrap_or(2);
        for &(input, output) in sizes {
            let sampling = Sampling::new(input, output).filtered(filter);
            let frame = Frame::new(input, output, words.len() as u32);
            // Black on all sides, more below than above.
            let (top, left) = match filter {
                Filter::Cut => ((h as u32 - output.0) / 2, (w as u32 - output.1) / 2),
                _ => (0, 0),
            };
            frames.push(Frame { sent_w: sampling.x.sent(), top, left, least: if top > 0 { 40 } else { 0 }, ..frame });
            words.extend((0..sampling.bytes().div_ceil(4)).map(|_| rng.bits() as u32));
            sampling.neighbours(h, w, taps, &mut neighbours);
        }
        let inputs = vec![
            Value::u32([words.len()], words),
            Frame::value(&frames),
            Value::u32([sizes.len(), h + w, taps], neighbours),
            Preprocess::table(1.0, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ];
        // Whole numbers leave no room.
        let tolerance = match filter {
            Filter::Nearest => Tolerance::Close { absolute: 2e-4, relative: 1e-5 },
            Filter::Area | Filter::Fixed | Filter::FixedRows | Filter::Cut => Tolerance::Exact,
        };
        Case::new(name, Preprocess { h, w, filter }, inputs, tolerance)
    };
    let mut case = |name: &str, sizes: &[Sizes], h: usize, w: usize| with(Filter::Nearest, name, sizes, h, w);
    let mut cases = vec![
        case("enlarge", &[((25, 31), (62, 77))], 64, 96),
        case("shrink", &[((97, 51), (32, 16))], 32, 32),
        case("shrink to a fifth", &[((161, 85), (32, 17))], 32, 32),
        case("shrink rows only", &[((150, 31), (32, 30))], 32, 32),
        case("same size", &[((32, 32), (32, 32))], 32, 32),
        case("one pixel", &[((1, 1), (32, 32))], 32, 32),
        case("one row", &[((1, 37), (3, 111))], 32, 128),
        case("batch", &[((7, 9), (20, 26)), ((11, 5), (31, 14))], 32, 32),
    ];
    let mut area = |name: &str, sizes: &[Sizes], h: usize, w: usize| with(Filter::Area, name, sizes, h, w);
    cases.extend([
        area("area, enlarge", &[((25, 31), (62, 77))], 64, 96),
        area("area, shrink", &[((97, 51), (32, 16))], 32, 32),
        area("area, shrink to a fifth", &[((161, 85), (33, 17))], 33, 18),
        area("area, rows only", &[((150, 31), (32, 31))], 32, 32),
        area("area, one pixel", &[((1, 1), (32, 32))], 32, 32),
        area("area, batch", &[((7, 9), (20, 26)), ((111, 5), (31, 14))], 32, 32),
    ]);
    let mut fixed = |name: &str, sizes: &[Sizes], h: usize, w: usize| with(Filter::Fixed, name, sizes, h, w);
    cases.extend([
        fixed("fixed, enlarge", &[((25, 31), (62, 77))], 64, 96),
        fixed("fixed, shrink", &[((97, 51), (32, 16))], 32, 32),
        fixed("fixed, shrink to a fifth", &[((161, 85), (33, 17))], 33, 18),
        fixed("fixed, same size", &[((32, 32), (32, 32))], 32, 32),
        fixed("fixed, one pixel", &[((1, 1), (32, 32))], 32, 32),
        fixed("fixed, batch", &[((7, 9), (20, 26)), ((111, 5), (31, 14))], 32, 32),
    ]);
    let mut cut = |name: &str, sizes: &[Sizes], h: usize, w: usize| with(Filter::Cut, name, sizes, h, w);
    cases.extend([
        cut("cut, enlarge", &[((25, 31), (62, 77))], 64, 96),
        cut("cut, shrink", &[((97, 51), (32, 16))], 35, 32),
        cut("cut, shrink to a fifth", &[((161, 85), (32, 17))], 32, 17),
        cut("cut, same size", &[((31, 30), (31, 30))], 64, 64),
        cut("cut, one pixel", &[((1, 1), (32, 32))], 64, 33),
        cut("cut, batch", &[((7, 9), (20, 26)), ((11, 5), (31, 14))], 64, 64),
    ]);
    cases
}
