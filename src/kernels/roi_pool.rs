//! RoIPool over the levels of an FPN.

use super::roi_levels::{self, Places};
use super::{Case, Kernel, Launch, LiveGrid, Params as _, Tolerance, Variant};
use crate::ops::Io;
use crate::ops::levels::Levels;
use crate::ops::roi_levels::RoiLevels;
use crate::ops::roi_pool::{RoiPool, Rounding};
use crate::params;
use crate::rng::Rng;
use crate::target::Target;
use crate::tensor::Value;

params! {
    heights: [u32; 4], widths: [u32; 4], firsts: [u32; 4], cells: [u32; 4], holders: [u32; 4], scales: [f32; 4], areas: [f32; 4],
    c: u32, pooled: u32, capacity: u32,
}

impl Kernel for RoiPool {
    fn variants(&self, io: &Io, target: &Target) -> Vec<Variant> {
        let down = self.rounding == Rounding::Down;
        roi_levels::variants(&self.levels, io, target).map(|v| v.flag("DOWN", down)).collect()
    }

    fn f16_operands(&self, io: &Io) -> Vec<(usize, &'static str)> {
        roi_levels::f16_operands(io)
    }

    fn launch(&self, io: &Io, _: &Variant) -> Launch {
        let Places { heights, widths, firsts, cells, holders, scales, areas, c } = roi_levels::places(&self.levels, io);
        let (pooled, capacity) = (self.pooled as u32, io.dim(0, 1) as u32);
        let params = P { heights, widths, firsts, cells, holders, scales, areas, c, pooled, capacity };
        Launch { grid: roi_levels::grid(io), params: params.bytes() }
    }

    fn live_grid(&self, io: &Io, _: &Variant) -> Option<LiveGrid> {
        Some(roi_levels::live_grid(io))
    }
}

/// Both roundings: four levels as in the network, in tensors of their own and joined, one level as in C4, a batch; RoIs of
/// all sizes, on halves of pixels, of no area, over the border and past it; more bins than pixels.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(14);
    let maps: &[(usize, usize)] = &[(160, 168), (80, 84), (40, 42), (20, 21)];
    let fpn = RoiLevels::new(&[0.25, 0.125, 0.0625, 0.03125]);
    let joined = |maps: &[(usize, usize)]| Levels::new(maps).expect("maps");
    let mut out = Vec::new();
    for rounding in [Rounding::Nearest, Rounding::Down] {
        let name = |of: &str| format!("{of}, {}", if rounding == Rounding::Down { "down" } else { "nearest" });
        let mut case = |of: &str, pooled, levels: &RoiLevels, sizes: &[(usize, usize)], live: Vec<u32>, rois: Vec<f32>| {
            let (b, c) = (live.len(), 8);
            let mut inputs = vec![Value::f32([b, rois.len() / 4 / b, 4], rois), Value::u32([b], live)];
            inputs.extend(sizes.iter().map(|&(h, w)| rng.tensor([b, h, w, c])));
            let kernel = RoiPool { pooled, rounding, levels: levels.clone() };
            out.push(Case::new(name(of), kernel, inputs, Tolerance::Exact));
        };
        let sizes = roi_levels::every_size();
        let n = sizes.len() as u32 / 4;
        case("every size", 7, &fpn, maps, vec![n], sizes.clone());
        let one = RoiLevels { maps: vec![joined(maps)], ..fpn.clone() };
        case("every size, a pyramid as one", 7, &one, &[(1, 35760 - 60)], vec![n - 3], sizes.clone());
        let two = RoiLevels { maps: vec![joined(&maps[..1]), joined(&maps[1..])], ..fpn.clone() };
        case("a batch, a pyramid as two", 3, &two, &[(1, 26880), (1, 8820)], vec![9, 7], sizes[..80].to_vec());
        case("none live", 7, &fpn, maps, vec![0], sizes[..16].to_vec());
        // Halves of a pixel of stride 16, both signs; RoIs of no area, turned round, over the border, past it.
        let odd = [
            [8.0, 24.0, 40.0, 56.0],
            [-8.0, -24.0, 40.0, 8.0],
            [7.999, 24.001, 39.999, 56.0],
            [30.0, 30.0, 30.0, 30.0],
            [60.0, 90.0, 50.0, 20.0],
            [-100.0, -50.0, 100.0, 300.0],
            [150.0, 120.0, 900.0, 260.0],
            [700.0, 700.0, 800.0, 800.0],
            [-900.0, 10.0, -500.0, 20.0],
            [-1e9, -1e9, 1e9, 1e9],
        ];
        let c4 = RoiLevels::new(&[0.0625]);
        case("one level", 14, &c4, &[(13, 14)], vec![odd.len() as u32], odd.concat());
        // Every number of pixels that f32's quotient decides about.
        let sides = (1..=200u32).flat_map(|n| [0.0, 0.0, (n - 1) as f32, (n + 6) as f32]);
        case("every side", 7, &RoiLevels::new(&[1.0]), &[(210, 204)], vec![200], sides.collect());
    }
    out
}
