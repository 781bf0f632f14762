//! RoIAlign over the levels of an FPN.

use crate::rng::Rng;
use super::roi_levels::{self, Places};
use super::{Case, Kernel, Launch, LiveGrid, Params as _, Tolerance, Variant};
use crate::ops::levels::Levels;
use crate::ops::roi_align::{Pooling, RoiAlign};
use crate::ops::roi_levels::{Border, RoiLevels};
use crate::ops::Io;
use crate::params;
use crate::target::Target;
use crate::tensor::Value;

params! {
    heights: [u32; 4], widths: [u32; 4], firsts: [u32; 4], cells: [u32; 4], holders: [u32; 4], scales: [f32; 4], areas: [f32; 4],
    c: u32, pooled: u32, sampling: u32, aligned: u32, capacity: u32,
}

impl Kernel for RoiAlign {
    fn variants(&self, io: &Io, target: &Target) -> Vec<Variant> {
        roi_levels::variants(&self.levels, io, target).map(|v| v.flag("MAX", self.pooling == Pooling::Max)).collect()
    }

    fn f16_operands(&self, io: &Io) -> Vec<(usize, &'static str)> {
        roi_levels::f16_operands(io)
    }

    fn launch(&self, io: &Io, _: &Variant) -> Launch {
        let Places { heights, widths, firsts, cells, holders, scales, areas, c } = roi_levels::places(&self.levels, io);
        let params = P {
            heights,
            widths,
            firsts,
            cells,
            holders,
            scales,
            areas,
            c,
            pooled: self.pooled as u32,
            sampling: self.sampling as u32,
            aligned: self.aligned as u32,
            capacity: io.dim(0, 1) as u32,
        };
        Launch { grid: roi_levels::grid(io), params: params.bytes() }
    }

    fn live_grid(&self, io: &Io, _: &Variant) -> Option<LiveGrid> {
        Some(roi_levels::live_grid(io))
    }
}

/// Four levels as in the network, one as in C4, every mode, RoIs on the image's border and of no area, and RoIs of all
/// sizes, those of the levels' borders among them.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(12);
    let mut with = |name: &str, kernel: RoiAlign, sizes: &[(usize, usize)], live: Vec<u32>, rois: Vec<f32>| {
        let (b, c) = (live.len(), 8);
        let mut inputs = vec![Value::f32([b, rois.len() / 4 / b, 4], rois), Value::u32([b], live)];
        inputs.extend(sizes.iter().map(|&(h, w)| rng.tensor([b, h, w, c])));
        Case::new(name, kernel, inputs, Tolerance::Close { absolute: 3e-5, relative: 1e-4 })
    };
    let mut places = Rng::new(13);
    let mut case = |name: &str, kernel: RoiAlign, sizes: &[(usize, usize)], live: Vec<u32>, n: usize| {
        let side = kernel.levels.maps.first().map_or(sizes[0].0, |m| m.maps()[0].0) as f32 / kernel.levels.scales[0];
        let mut rois = places.boxes(live.len() * n, side, side);
        for (i, roi) in rois.chunks_mut(4).enumerate() {
            match i % 5 {
                0 => roi.copy_from_slice(&[0.0, 0.0, side, side]),
                1 => roi[2] = roi[0],
                2 => roi[3] = side,
                _ => {}
            }
        }
        with(name, kernel, sizes, live, rois)
    };
    let fpn = |pooled: usize| RoiAlign {
        pooled,
        sampling: 2,
        aligned: false,
        pooling: Pooling::Average,
        levels: RoiLevels::new(&[0.25, 0.125, 0.0625, 0.03125]),
    };
    let on = |scales: &[f32], kernel: RoiAlign| RoiAlign { levels: RoiLevels::new(scales), ..kernel };
    let in_maps = |maps: Vec<Levels>| {
        let fpn = fpn(7);
        RoiAlign { levels: RoiLevels { maps, ..fpn.levels }, ..fpn }
    };
    let pyramid = |maps: &[(usize, usize)]| {
        // A coarsest one, which no RoI is on, lies there too.
        let coarsest = (maps.len() > 1).then_some((10, 6));
        Levels::new(&maps.iter().copied().chain(coarsest).collect::<Vec<_>>()).expect("maps")
    };
    let maps: &[(usize, usize)] = &[(160, 168), (80, 84), (40, 42), (20, 21)];
    const FINER: &[(usize, usize)] = &[(320, 320), (160, 160), (80, 80), (40, 40)];
    let one = || in_maps(vec![pyramid(maps)]);
    let mut out = vec![
        case("box head", fpn(7), maps, vec![23], 25),
        case("mask head", fpn(14), maps, vec![6], 6),
        case("none live", fpn(7), maps, vec![0], 4),
        case("batch, three levels", on(&[0.25, 0.125, 0.0625], fpn(7)), &maps[..3], vec![2, 4], 5),
        case("aligned, adaptive", RoiAlign { aligned: true, sampling: 0, ..fpn(7) }, maps, vec![15], 15),
        case("adaptive", RoiAlign { sampling: 0, ..fpn(7) }, maps, vec![15], 15),
        case("maximum", RoiAlign { pooling: Pooling::Max, ..fpn(7) }, maps, vec![15], 15),
        case("a pyramid as one", one(), &[(1, 35760)], vec![9, 7], 9),
        case(
            "a pyramid as two",
            in_maps(vec![pyramid(&maps[..1]), pyramid(&maps[1..])]),
            &[(1, 26880), (1, 8880)],
            vec![11],
            12,
        ),
        case("one level", on(&[0.0625], RoiAlign { aligned: true, ..fpn(14) }), &[(13, 14)], vec![5], 5),
        case("three samples", RoiAlign { sampling: 3, ..fpn(5) }, maps, vec![5], 5),
    ];
    // Samples past one pixel outside are zero, nearer ones are those of the edge.
    let over = [[-40.0, -30.0, 30.0, 50.0], [600.0, 590.0, 690.0, 700.0], [-9.0, 620.0, 700.0, 660.0], [645.0, 9.0, 700.0, 40.0]];
    out.push(with("over the border", RoiAlign { sampling: 3, ..fpn(7) }, maps, vec![4], over.concat()));
    let sizes = roi_levels::every_size();
    let wider = || RoiAlign { levels: RoiLevels { extent: 1.0, border: Border::Canonical, ..fpn(7).levels }, ..fpn(7) };
    let live = || vec![sizes.len() as u32 / 4];
    out.extend([
        with("every size", fpn(7), maps, live(), sizes.clone()),
        with("every size, a pixel wider", wider(), maps, live(), sizes.clone()),
        with("every size, a pyramid as one", one(), &[(1, 35760)], live(), sizes.clone()),
        // The sides of a small first image: all levels are one finer.
        with("every size, finer", on(&[0.5, 0.25, 0.125, 0.0625], fpn(3)), FINER, live(), sizes.clone()),
        with("every size, two levels", on(&[0.125, 0.0625], fpn(3)), &maps[1..3], live(), sizes.clone()),
    ]);
    out
}
