//! What the kernels that pool RoIs from the levels of a pyramid have in common: a row of workgroups a RoI, and where levels lie.

use super::{LiveGrid, Variant};
use crate::ops::Io;
use crate::ops::roi_levels::{Home, RoiLevels};
use crate::target::Target;

/// Where levels lie, by level, as the shaders have it.
pub(super) struct Places {
    pub heights: [u32; 4],
    pub widths: [u32; 4],
    pub firsts: [u32; 4],
    pub cells: [u32; 4],
    pub holders: [u32; 4],
    pub scales: [f32; 4],
    pub areas: [f32; 4],
    /// Channels by four.
    pub c: u32,
}

pub(super) fn places(levels: &RoiLevels, io: &Io) -> Places {
    let homes = levels.homes(io.inputs);
    let of = |f: &dyn Fn(&Home) -> usize| std::array::from_fn(|l| homes.get(l).map_or(1, f) as u32);
    Places {
        heights: of(&|h| h.levels.maps()[h.map].0),
        widths: of(&|h| h.levels.maps()[h.map].1),
        firsts: of(&|h| h.levels.first(h.map)),
        cells: of(&|h| h.levels.cells()),
        holders: of(&|h| h.holder),
        scales: std::array::from_fn(|l| levels.scales.get(l).copied().unwrap_or(1.0)),
        areas: levels.areas(),
        c: (io.dim(2, 3) / 4) as u32,
    }
}

/// By textures where those are fast, and without.
pub(super) fn variants(levels: &RoiLevels, io: &Io, target: &Target) -> impl Iterator<Item = Variant> {
    let n = io.inputs.len() - 2;
    let defines = [("LEVELS", levels.scales.len() as u32), ("INPUTS", n as u32)];
    let plain = Variant::own("plain", &defines).flag("QUADS", true).flag("SEVERAL", n > 1);
    let textures = (2..2 + n).collect();
    let texels = Variant { textures, ..plain.clone().called("texels") }.flag("TEXELS", true);
    target.reads_texels().then_some(texels).into_iter().chain([plain])
}

pub(super) fn f16_operands(io: &Io) -> Vec<(usize, &'static str)> {
    let maps = ["MAPS_0_F16", "MAPS_1_F16", "MAPS_2_F16", "MAPS_3_F16"];
    let maps = maps.into_iter().take(io.inputs.len() - 2).enumerate().map(|(m, name)| (2 + m, name));
    maps.chain([(io.inputs.len(), "Y_F16")]).collect()
}

/// Four channels of a bin a thread, RoIs and images along the other axes.
pub(super) fn grid(io: &Io) -> [u32; 3] {
    let of_a_roi = io.outputs[0].shape.len() / io.outputs[0].shape.dim(0) / 4;
    [of_a_roi.div_ceil(256) as u32, io.dim(0, 1) as u32, io.dim(0, 0) as u32]
}

pub(super) fn live_grid(io: &Io) -> LiveGrid {
    let total = io.outputs[0].shape.dim(0) as u32;
    LiveGrid { input: 1, axis: 1, rows: 0, units: 1, first: 0, total, block: 1 }
}

/// RoIs of all sizes in an image of 640 × 640: around each border between levels, and between these; square, wide and
/// high ones.
pub(super) fn every_size() -> Vec<f32> {
    let sides = [1.0, 20.0, 55.0, 56.0, 80.0, 111.0, 111.999, 112.0, 113.0, 160.0, 223.0, 223.999, 224.0, 225.0, 300.0];
    let sides = sides.into_iter().chain([319.0, 447.0, 447.999, 448.0, 449.0, 500.0, 640.0]);
    let shapes = sides.flat_map(|side: f32| [(side, side), (side / 1.25, side * 1.25), (side * 2.0, side / 2.0)]);
    let inside = shapes.filter(|&(w, h)| w <= 640.0 && h <= 640.0);
    inside
        .enumerate()
        .flat_map(|(i, (w, h))| {
            // At the left, in the middle, at the right; on quarter pixels.
            let at = |side: f32, i: usize| ((640.0 - side) * 2.0 * (i % 3) as f32).floor() / 4.0;
            let (x, y) = (at(w, i), at(h, i / 3));
            [x, y, x + w, y + h]
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::roi_levels::{Border, level};

    /// torchvision's rule (`ops/poolers.py`: `LevelMapper`), in f64: 0 is the finest level.
    fn rule(area: f64, finest: i32, coarsest: i32) -> usize {
        let target = (4.0 + (area.sqrt() / 224.0).log2() + 1e-6).floor() as i32;
        (target.clamp(finest, coarsest) - finest) as usize
    }

    /// As the shader takes them (`shaders/shared/roi_levels.wgsl`): a level for each least area that is reached.
    fn by_areas(levels: &RoiLevels, area: f32) -> usize {
        levels.areas()[..levels.scales.len() - 1].iter().filter(|&&least| area >= least).count()
    }

    #[test]
    fn areas_are_torchvisions_levels() {
        for (scales, finest) in [
            (&[0.25, 0.125, 0.0625, 0.03125][..], 2),
            (&[0.5, 0.25, 0.125, 0.0625], 1),
            (&[0.125, 0.0625], 3),
            (&[0.0625], 4),
        ] {
            let (levels, coarsest) = (RoiLevels::new(scales), finest + scales.len() as i32 - 1);
            let mut seen = vec![0; scales.len()];
            let mut check = |area: f32| {
                let want = rule(f64::from(area), finest, coarsest);
                let side = area.sqrt();
                assert_eq!(by_areas(&levels, area), want, "area {area}, side {side}, {scales:?}");
                assert_eq!(
                    level(&[3.0, 5.0, 3.0 + area, 6.0], 224.0, scales, Border::Log),
                    want,
                    "twin: area {area}, {scales:?}"
                );
                seen[want] += 1;
            };
            for side in 1..=2000u16 {
                let side = f32::from(side);
                [0.5, 1.0, 1.25, 2.0].iter().for_each(|by| check((side * by).round() * (side / by).round()));
            }
            // Around each border: sides of 112, 224, 448, less the rule's 1e-6 of a level.
            for border in 1..7 {
                let least = 224.0 * (f64::from(border) - 4.0 - 1e-6).exp2();
                let near = (least * least) as f32;
                (2..60u32).for_each(|ulps| {
                    check(f32::from_bits(near.to_bits() - ulps));
                    check(f32::from_bits(near.to_bits() + ulps));
                });
                [0.999, 0.99999, 1.00001, 1.001].iter().for_each(|by| check(near * by));
            }
            assert!(seen.iter().all(|&n| n > 20), "{seen:?} of the levels of {scales:?}");
        }
    }

    /// What the papers' numbers say, by hand: 224 is a RoI of P4.
    #[test]
    fn a_roi_of_224_is_on_p4() {
        let levels = RoiLevels::new(&[0.25, 0.125, 0.0625, 0.03125]);
        for (side, level) in
            [(10.0, 0), (111.0, 0), (112.0, 1), (223.0, 1), (224.0, 2), (447.0, 2), (448.0, 3), (2000.0, 3)]
        {
            assert_eq!(by_areas(&levels, side * side), level, "side {side}");
        }
    }

    /// detectron2's border is about as near as an f32 can be: a RoI of half the canonical side is on the coarser, those just
    /// before on the finer.
    #[test]
    fn detectron2_s_borders() {
        let scales = [0.25, 0.125, 0.0625, 0.03125];
        let levels = RoiLevels { border: Border::Ratio, ..RoiLevels::new(&scales) };
        for (coarser, side) in [(1, 112.0f32), (2, 224.0), (3, 448.0)] {
            let border = side * side;
            for (area, want) in [
                (border, coarser),
                (f32::from_bits(border.to_bits() - 2), coarser - 1),
                (border * 0.9999995, coarser - 1),
                (border * 1.5, coarser),
            ] {
                assert_eq!(by_areas(&levels, area), want, "area {area}");
                assert_eq!(level(&[0.0, 0.0, area, 1.0], 224.0, &scales, Border::Ratio), want, "twin: area {area}");
            }
        }
        // MMDetection's is nearer than torchvision's, and further than detectron2's.
        let finest = RoiLevels { border: Border::Finest, ..RoiLevels::new(&scales) };
        for (coarser, side) in [(1, 112.0f64), (2, 224.0), (3, 448.0)] {
            for (off, want) in [(0.0, coarser), (30e-6, coarser), (90e-6, coarser - 1)] {
                let area = ((side - off) * (side - off)) as f32;
                assert_eq!(by_areas(&finest, area), want, "area {area}");
                assert_eq!(level(&[0.0, 0.0, area, 1.0], 224.0, &scales, Border::Finest), want, "twin: area {area}");
            }
        }
        let torchvisions = RoiLevels::new(&scales);
        assert_eq!(by_areas(&torchvisions, 12544.0 * 0.9999995), 1);
    }

    /// The cases have RoIs of every level, several each.
    #[test]
    fn cases_reach_every_level() {
        let scales = [0.25, 0.125, 0.0625, 0.03125];
        let mut seen = [0; 4];
        every_size().chunks(4).for_each(|roi| seen[level(roi, 224.0, &scales, Border::Log)] += 1);
        assert!(seen.iter().all(|&n| n >= 5), "{seen:?}");
    }
}
