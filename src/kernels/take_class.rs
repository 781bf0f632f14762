//! What a head says of a row's own class.

use super::{Case, Kernel, Launch, Params as _, Tolerance, Variant, fold_grid};
use crate::ops::Io;
use crate::ops::take_class::TakeClass;
use crate::params;
use crate::rng::Rng;
use crate::target::Target;
use crate::tensor::{Shape, Value};

params! { total: u32, size: u32, classes: u32, inner: u32, rows_per_image: u32, grid_x: u32 }

impl Kernel for TakeClass {
    fn variants(&self, _: &Io, _: &Target) -> Vec<Variant> {
        vec![Variant::plain()]
    }

    fn launch(&self, io: &Io, _: &Variant) -> Launch {
        let (total, rows) = (io.outputs[0].shape.len(), io.inputs[1].shape.len());
        let grid = fold_grid(total.div_ceil(64));
        let params = P {
            total: total as u32,
            size: (total / rows) as u32,
            classes: self.classes as u32,
            inner: self.inner as u32,
            rows_per_image: (rows / io.inputs[2].shape.len()) as u32,
            grid_x: grid[0],
        };
        Launch { grid, params: params.bytes() }
    }
}

/// Deltas and masks; one class for all; several images.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(80);
    let mut case = |name: &str, shape: &[usize], rows: usize, (classes, inner): (usize, usize), live: &[u32]| {
        let labels = (0..rows).map(|_| rng.below(classes.max(3)) as u32).map(|l| if classes > 1 { l % classes as u32 } else { l });
        let labels = Value::u32([rows], labels.collect());
        let inputs = vec![rng.tensor(Shape::new(shape)), labels, Value::u32([live.len(), 1], live.to_vec())];
        Case::new(name, TakeClass { classes, inner }, inputs, Tolerance::Exact)
    };
    vec![
        case("deltas", &[90, 4 * 91], 90, (91, 4), &[77]),
        case("masks", &[6, 14, 14, 5], 6, (5, 1), &[5]),
        case("one class for all", &[20, 4], 20, (1, 4), &[20]),
        case("batch", &[12, 4 * 3], 12, (3, 4), &[4, 1, 0]),
    ]
}
