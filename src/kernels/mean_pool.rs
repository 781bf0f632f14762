//! The mean of a map.

use super::{Case, Kernel, Launch, LiveGrid, Params as _, Tolerance, Variant, fold_grid};
use crate::ops::Io;
use crate::ops::mean_pool::MeanPool;
use crate::params;
use crate::rng::Rng;
use crate::target::Target;
use crate::tensor::Value;

/// Threads that share a map's pixels.
const LANES: usize = 16;

params! { total: u32, pixels: u32, c: u32, images_per_batch: u32, grid_x: u32 }

impl Kernel for MeanPool {
    fn variants(&self, io: &Io, _: &Target) -> Vec<Variant> {
        let by_four = io.dim(0, 3).is_multiple_of(4);
        let quads = by_four.then(|| Variant::own("quads", &[("QUADS", 1)]));
        let shared = by_four.then(|| Variant::own("shared", &[("QUADS", 1), ("LANES", LANES as u32)]));
        let mut out: Vec<Variant> = quads.into_iter().chain(shared).chain([Variant::plain()]).collect();
        // Of a large map, a thread a channel is too few threads and too long a way.
        if by_four && io.dim(0, 1) * io.dim(0, 2) >= 16 * LANES {
            out.swap(0, 1);
        }
        out.into_iter().map(|v| v.flag("LIVE", self.live)).collect()
    }

    fn f16_operands(&self, _: &Io) -> Vec<(usize, &'static str)> {
        vec![(0, "X_F16")]
    }

    fn launch(&self, io: &Io, variant: &Variant) -> Launch {
        let lanes = variant.find("QUADS").map_or(1, |_| 4);
        let (x, total) = (io.inputs[0].shape, io.outputs[0].shape.len() / lanes);
        let batches = if self.live { io.inputs[1].shape.len() } else { 1 };
        let grid = fold_grid(total.div_ceil(64 / variant.find("LANES").unwrap_or(1) as usize));
        let params = P {
            total: total as u32,
            pixels: (x.dim(1) * x.dim(2)) as u32,
            c: (x.dim(3) / lanes) as u32,
            images_per_batch: (x.dim(0) / batches) as u32,
            grid_x: grid[0],
        };
        Launch { grid, params: params.bytes() }
    }

    fn live_grid(&self, io: &Io, variant: &Variant) -> Option<LiveGrid> {
        let units = (io.dim(0, 3) / variant.find("QUADS").map_or(1, |_| 4)) as u32;
        let rows = io.dim(0, 0) as u32;
        self.live.then(|| LiveGrid { input: 1, axis: 0, rows, units, first: 0, total: units * rows, block: 64 / variant.find("LANES").unwrap_or(1) })
    }
}

/// RoIs of a C4 network, ragged channels, one pixel.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(71);
    let mut case = |name: &str, x: [usize; 4], live: Option<Vec<u32>>| {
        let op = MeanPool { live: live.is_some() };
        let live = live.map(|l| Value::u32([l.len()], l));
        let inputs = [rng.tensor(x)].into_iter().chain(live).collect();
        Case::new(name, op, inputs, Tolerance::Close { absolute: 1e-6, relative: 1e-5 })
    };
    vec![
        case("RoIs", [12, 7, 7, 64], Some(vec![3, 5])),
        case("odd channels", [2, 3, 5, 7], None),
        case("one pixel", [3, 1, 1, 4], None),
        case("a large map", [2, 31, 43, 24], None),
        case("large maps, some live", [4, 20, 17, 8], Some(vec![1, 2])),
        case("none live", [4, 2, 2, 8], Some(vec![0])),
    ]
}
