//! Which instance each pixel belongs to.

use crate::rng::Rng;
use super::{Case, Kernel, Launch, Params as _, Tolerance, Variant, fold_grid};
use crate::ops::Io;
use crate::ops::instance_ids::InstanceIds;
use crate::params;
use crate::target::Target;
use crate::tensor::Value;

params! { n: u32, width: u32, strips: u32, per_row: u32, capacity: u32, above: f32, grid_x: u32 }

impl Kernel for InstanceIds {
    fn variants(&self, _: &Io, _: &Target) -> Vec<Variant> {
        vec![Variant::plain()]
    }

    fn launch(&self, io: &Io, _: &Variant) -> Launch {
        let per_row = self.width.div_ceil(64);
        let grid = fold_grid(self.height * per_row);
        let params = P {
            n: io.dim(0, 1) as u32,
            width: self.width as u32,
            strips: (self.height * per_row) as u32,
            per_row: per_row as u32,
            capacity: io.dim(1, 1) as u32,
            above: self.above,
            grid_x: grid[0],
        };
        Launch { grid, params: params.bytes() }
    }
}

/// Few and many, overlaps, a score to pass, none found, masks that found no room, and widths around whole strips.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(72);
    let mut case = |name: &str, (width, height): (usize, usize), n: usize, found: u32, above: f32, room: usize| {
        let (mut places, mut needed) = (Vec::new(), 0);
        for _ in 0..n {
            let (x, y) = (rng.below(width), rng.below(height));
            let (w, h) = (rng.below(width - x + 1), rng.below(height - y + 1));
            places.extend([x as u32, y as u32, w as u32, h as u32, needed as u32, 9, 9, 9]);
            needed += w.div_ceil(32) * h;
        }
        let capacity = room.min(needed).max(1);
        // Of which no bit is beyond the mask's own columns.
        let mut bits: Vec<u32> = (0..capacity).map(|_| rng.bits() as u32 & rng.bits() as u32).collect();
        for place in places.chunks(8) {
            let row = place[2].div_ceil(32) as usize;
            for end in (1..=place[3] as usize).map(|y| place[4] as usize + y * row).filter(|&end| place[2] % 32 > 0 && end <= capacity) {
                bits[end - 1] &= (1 << (place[2] % 32)) - 1;
            }
        }
        let scores = (0..n).map(|i| 1.0 - i as f32 / n as f32).collect();
        let inputs = vec![
            Value::u32([1, n, 8], places),
            Value::u32([1, capacity], bits),
            Value::f32([1, 1, n], scores),
            Value::u32([1, 2], vec![found, needed as u32]),
        ];
        Case::new(name, InstanceIds { height, width, above }, inputs, Tolerance::Exact)
    };
    vec![
        case("few", (130, 70), 9, 7, 0.0, usize::MAX),
        case("many", (200, 90), 300, 290, 0.0, usize::MAX),
        case("a score to pass", (64, 33), 100, 100, 0.5, usize::MAX),
        case("none", (65, 5), 4, 0, 0.0, usize::MAX),
        case("no room", (190, 64), 40, 40, 0.0, 900),
        case("one pixel", (1, 1), 3, 3, 0.0, usize::MAX),
    ]
}
