//! TensorFlow's `crop_and_resize` over the levels of an FPN.

use super::roi_levels::{self, Places};
use super::{Case, Kernel, Launch, LiveGrid, Params as _, Tolerance, Variant};
use crate::ops::Io;
use crate::ops::levels::Levels;
use crate::ops::roi_crop::{RoiCrop, SLACK};
use crate::ops::roi_levels::{Border, RoiLevels};
use crate::params;
use crate::rng::Rng;
use crate::target::Target;
use crate::tensor::Value;

params! {
    heights: [u32; 4], widths: [u32; 4], firsts: [u32; 4], cells: [u32; 4], holders: [u32; 4], scales: [f32; 4], areas: [f32; 4],
    c: u32, pooled: u32, capacity: u32, slack: f32, input: [f32; 2],
}

impl Kernel for RoiCrop {
    fn variants(&self, io: &Io, target: &Target) -> Vec<Variant> {
        roi_levels::variants(&self.levels, io, target).collect()
    }

    fn f16_operands(&self, io: &Io) -> Vec<(usize, &'static str)> {
        roi_levels::f16_operands(io)
    }

    fn launch(&self, io: &Io, _: &Variant) -> Launch {
        let Places { heights, widths, firsts, cells, holders, scales, areas, c } = roi_levels::places(&self.levels, io);
        let (pooled, capacity) = (self.pooled as u32, io.dim(0, 1) as u32);
        let input = [self.input.1, self.input.0].map(|side| (side - 1) as f32);
        let params = P {
            heights, widths, firsts, cells, holders, scales, areas, c, pooled, capacity, slack: SLACK, input,
        };
        Launch { grid: roi_levels::grid(io), params: params.bytes() }
    }

    fn live_grid(&self, io: &Io, _: &Variant) -> Option<LiveGrid> {
        Some(roi_levels::live_grid(io))
    }
}

/// Four levels as in the network, in tensors of their own and joined, one level, a batch; RoIs of all sizes, of no area, on
/// the input's border and past it.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(24);
    let maps: &[(usize, usize)] = &[(160, 168), (80, 84), (40, 42), (20, 21)];
    let fpn = RoiLevels { border: Border::Half, ..RoiLevels::new(&[0.25, 0.125, 0.0625, 0.03125]) };
    let joined = |maps: &[(usize, usize)]| Levels::new(maps).expect("maps");
    let mut case = |name: &str, pooled, levels: &RoiLevels, sizes: &[(usize, usize)], live: Vec<u32>, rois: Vec<f32>| {
        let (b, c) = (live.len(), 8);
        let mut inputs = vec![Value::f32([b, rois.len() / 4 / b, 4], rois), Value::u32([b], live)];
        inputs.extend(sizes.iter().map(|&(h, w)| rng.tensor([b, h, w, c])));
        let kernel = RoiCrop { pooled, input: (640, 672), levels: levels.clone() };
        Case::new(name, kernel, inputs, Tolerance::Close { absolute: 2e-4, relative: 1e-4 })
    };
    let sizes = roi_levels::every_size();
    let n = sizes.len() as u32 / 4;
    let one = RoiLevels { maps: vec![joined(maps)], ..fpn.clone() };
    let two = RoiLevels { maps: vec![joined(&maps[..1]), joined(&maps[1..])], ..fpn.clone() };
    // The whole input, its corners, of no area, over the border by less and by more than counts, past it.
    let odd = [
        [0.0, 0.0, 671.0, 639.0],
        [600.0, 600.0, 671.0, 639.0],
        [30.0, 30.0, 30.0, 90.0],
        [30.0, 30.0, 30.0, 30.0],
        [-0.003, 10.0, 671.003, 20.0],
        [-40.0, -30.0, 90.0, 80.0],
        [600.0, 590.0, 700.0, 660.0],
        [700.0, 700.0, 800.0, 800.0],
    ];
    vec![
        case("every size", 7, &fpn, maps, vec![n], sizes.clone()),
        case("every size, a pyramid as one", 7, &one, &[(1, 35760 - 60)], vec![n - 3], sizes.clone()),
        case("a batch, a pyramid as two", 3, &two, &[(1, 26880), (1, 8820)], vec![9, 7], sizes[..80].to_vec()),
        case("none live", 7, &fpn, maps, vec![0], sizes[..16].to_vec()),
        case("on the border", 14, &RoiLevels::new(&[0.0625]), &[(40, 42)], vec![odd.len() as u32], odd.concat()),
    ]
}
