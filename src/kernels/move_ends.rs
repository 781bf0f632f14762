//! Boxes as others write them down.

use crate::rng::Rng;
use super::{Case, Kernel, Launch, Params as _, Tolerance, Variant, fold_grid};
use crate::ops::Io;
use crate::ops::frame::Frame;
use crate::ops::move_ends::MoveEnds;
use crate::params;
use crate::target::Target;
use crate::tensor::Value;

params! { total: u32, n: u32, by: f32, in_image: u32, grid_x: u32 }

impl Kernel for MoveEnds {
    fn variants(&self, _: &Io, _: &Target) -> Vec<Variant> {
        vec![Variant::plain()]
    }

    fn launch(&self, io: &Io, _: &Variant) -> Launch {
        let total = io.inputs[0].shape.len() / 4;
        let grid = fold_grid(total.div_ceil(64));
        let n = (total / io.dim(0, 0)) as u32;
        let params = P { total: total as u32, n, by: self.by, in_image: self.in_image.into(), grid_x: grid[0] };
        Launch { grid, params: params.bytes() }
    }
}

/// Both kinds of pixels, batches, classes, one box.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(23);
    let mut case = |name: &str, b: usize, n: usize, by: f32, in_image: bool| {
        let frames: Vec<Frame> = (0..b as u32).map(|i| Frame::new((40, 50), (80 + i, 125), 0)).collect();
        let boxes = Value::f32([b, n, 4], rng.boxes(b * n, 125.0, 80.0));
        let tolerance = Tolerance::Close { absolute: 2e-5, relative: 1e-6 };
        Case::new(name, MoveEnds { by, in_image }, vec![boxes, Frame::value(&frames)], tolerance)
    };
    let mut all = vec![
        case("resized pixels", 1, 100, -1.0, false),
        case("batch, pixels of the image", 2, 70, -1.0, true),
        case("one", 1, 1, 0.5, false),
    ];
    // Those of classes, of which an image has more than one row.
    let frames: Vec<Frame> = (0..2).map(|i| Frame::new((40, 50), (80 + i, 125), 0)).collect();
    let boxes = Value::f32([2, 3, 30, 4], Rng::new(24).boxes(180, 125.0, 80.0));
    let tolerance = Tolerance::Close { absolute: 2e-5, relative: 1e-6 };
    let of_classes = MoveEnds { by: -1.0, in_image: true };
    all.push(Case::new("classes", of_classes, vec![boxes, Frame::value(&frames)], tolerance));
    all
}
