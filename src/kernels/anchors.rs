//! Every anchor of an image.

use super::{Case, Kernel, Launch, Params as _, Tolerance, Variant, fold_grid};
use crate::ops::Io;
use crate::ops::anchors::Anchors;
use crate::params;
use crate::target::Target;
use crate::tensor::Value;

params! { total: u32, count: u32, levels: u32, cells: u32, grid_x: u32 }

impl Kernel for Anchors {
    fn variants(&self, _: &Io, _: &Target) -> Vec<Variant> {
        vec![Variant::plain()]
    }

    fn launch(&self, io: &Io, _: &Variant) -> Launch {
        let total = self.batch * self.count;
        let grid = fold_grid(total.div_ceil(64));
        let params = P {
            total: total as u32,
            count: self.count as u32,
            levels: io.dim(0, 0) as u32,
            cells: (io.dim(0, 1) / 4 - 1) as u32,
            grid_x: grid[0],
        };
        Launch { grid, params: params.bytes() }
    }
}

/// Levels of several sizes, strides that differ by axis; one anchor a cell, one level.
pub fn cases() -> Vec<Case> {
    let case = |name: &str, batch: usize, maps: &[(usize, usize)], cells: &[[f32; 4]]| {
        let (mut first, mut levels) = (0, Vec::new());
        for (i, &(h, w)) in maps.iter().enumerate() {
            let stride = (4 << i) as f32;
            levels.extend([first as f32, w as f32, stride, stride + 1.0]);
            levels.extend(cells.iter().flatten().map(|c| c * (i + 1) as f32));
            first += h * w * cells.len();
        }
        let levels = Value::f32([maps.len(), 4 + 4 * cells.len()], levels);
        Case::new(name, Anchors { batch, count: first }, vec![levels], Tolerance::Exact)
    };
    let cells = [[-23.0, -11.0, 23.0, 11.0], [-16.0, -16.0, 16.0, 16.0], [-11.0, -23.0, 11.0, 23.0]];
    vec![
        case("five levels", 1, &[(20, 24), (10, 12), (5, 6), (3, 3), (2, 2)], &cells),
        case("batch", 2, &[(6, 8), (3, 4)], &cells),
        case("one level, one a cell", 1, &[(5, 7)], &cells[1..2]),
    ]
}
