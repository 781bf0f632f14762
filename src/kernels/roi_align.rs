//! RoIAlign over the levels of an FPN.

use crate::rng::Rng;
use super::{Case, Kernel, Launch, LiveGrid, Params as _, Tolerance, Variant};
use crate::ops::levels::Levels;
use crate::ops::roi_align::{Home, Pooling, RoiAlign};
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
        let n = io.inputs.len() - 2;
        let defines = [("LEVELS", self.scales.len() as u32), ("INPUTS", n as u32)];
        let plain = Variant::own("plain", &defines).flag("QUADS", true).flag("SEVERAL", n > 1).flag("MAX", self.pooling == Pooling::Max);
        let textures = (2..2 + n).collect();
        let texels = Variant { textures, ..plain.clone().called("texels") }.flag("TEXELS", true);
        if target.reads_texels() { vec![texels, plain] } else { vec![plain] }
    }

    fn f16_operands(&self, io: &Io) -> Vec<(usize, &'static str)> {
        let maps = ["MAPS_0_F16", "MAPS_1_F16", "MAPS_2_F16", "MAPS_3_F16"];
        let maps = maps.into_iter().take(io.inputs.len() - 2).enumerate().map(|(m, name)| (2 + m, name));
        maps.chain([(io.inputs.len(), "Y_F16")]).collect()
    }

    fn launch(&self, io: &Io, _: &Variant) -> Launch {
        let homes = self.homes(io.inputs);
        let of = |f: &dyn Fn(&Home) -> usize| std::array::from_fn(|l| homes.get(l).map_or(1, f) as u32);
        let c = io.dim(2, 3) / 4;
        let quads = self.pooled * self.pooled * c;
        let grid = [quads.div_ceil(256) as u32, io.dim(0, 1) as u32, io.dim(0, 0) as u32];
        let params = P {
            heights: of(&|h| h.levels.maps()[h.map].0),
            widths: of(&|h| h.levels.maps()[h.map].1),
            firsts: of(&|h| h.levels.first(h.map)),
            cells: of(&|h| h.levels.cells()),
            holders: of(&|h| h.holder),
            scales: std::array::from_fn(|l| self.scales.get(l).copied().unwrap_or(1.0)),
            areas: self.areas(),
            c: c as u32,
            pooled: self.pooled as u32,
            sampling: self.sampling as u32,
            aligned: self.aligned as u32,
            capacity: io.dim(0, 1) as u32,
        };
        Launch { grid, params: params.bytes() }
    }

    fn live_grid(&self, io: &Io, _: &Variant) -> Option<LiveGrid> {
        let total = io.outputs[0].shape.dim(0) as u32;
        Some(LiveGrid { input: 1, axis: 1, rows: 0, units: 1, first: 0, total, block: 1 })
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
        let side = kernel.maps.first().map_or(sizes[0].0, |m| m.maps()[0].0) as f32 / kernel.scales[0];
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
        scales: vec![0.25, 0.125, 0.0625, 0.03125],
        canonical: 224.0,
        maps: Vec::new(),
    };
    let pyramid = |maps: &[(usize, usize)]| {
        // A coarsest one, which no RoI is on, lies there too.
        let coarsest = (maps.len() > 1).then_some((10, 6));
        Levels::new(&maps.iter().copied().chain(coarsest).collect::<Vec<_>>()).expect("maps")
    };
    let maps: &[(usize, usize)] = &[(160, 168), (80, 84), (40, 42), (20, 21)];
    const FINER: &[(usize, usize)] = &[(320, 320), (160, 160), (80, 80), (40, 40)];
    let one = || RoiAlign { maps: vec![pyramid(maps)], ..fpn(7) };
    let mut out = vec![
        case("box head", fpn(7), maps, vec![23], 25),
        case("mask head", fpn(14), maps, vec![6], 6),
        case("none live", fpn(7), maps, vec![0], 4),
        case("batch, three levels", RoiAlign { scales: vec![0.25, 0.125, 0.0625], ..fpn(7) }, &maps[..3], vec![2, 4], 5),
        case("aligned, adaptive", RoiAlign { aligned: true, sampling: 0, ..fpn(7) }, maps, vec![15], 15),
        case("adaptive", RoiAlign { sampling: 0, ..fpn(7) }, maps, vec![15], 15),
        case("maximum", RoiAlign { pooling: Pooling::Max, ..fpn(7) }, maps, vec![15], 15),
        case("a pyramid as one", one(), &[(1, 35760)], vec![9, 7], 9),
        case(
            "a pyramid as two",
            RoiAlign { maps: vec![pyramid(&maps[..1]), pyramid(&maps[1..])], ..fpn(7) },
            &[(1, 26880), (1, 8880)],
            vec![11],
            12,
        ),
        case("one level", RoiAlign { scales: vec![0.0625], aligned: true, ..fpn(14) }, &[(13, 14)], vec![5], 5),
        case("three samples", RoiAlign { sampling: 3, ..fpn(5) }, maps, vec![5], 5),
    ];
    // Samples past one pixel outside are zero, nearer ones are those of the edge.
    let over = [[-40.0, -30.0, 30.0, 50.0], [600.0, 590.0, 690.0, 700.0], [-9.0, 620.0, 700.0, 660.0], [645.0, 9.0, 700.0, 40.0]];
    out.push(with("over the border", RoiAlign { sampling: 3, ..fpn(7) }, maps, vec![4], over.concat()));
    let sizes = every_size();
    let live = || vec![sizes.len() as u32 / 4];
    out.extend([
        with("every size", fpn(7), maps, live(), sizes.clone()),
        with("every size, a pyramid as one", one(), &[(1, 35760)], live(), sizes.clone()),
        // The sides of a small first image: all levels are one finer.
        with("every size, finer", RoiAlign { scales: vec![0.5, 0.25, 0.125, 0.0625], ..fpn(3) }, FINER, live(), sizes.clone()),
        with("every size, two levels", RoiAlign { scales: vec![0.125, 0.0625], ..fpn(3) }, &maps[1..3], live(), sizes.clone()),
    ]);
    out
}

/// RoIs of all sizes in an image of 640 × 640: around each border between levels, and between these; square, wide and
/// high ones.
fn every_size() -> Vec<f32> {
    let sides = [1.0, 20.0, 55.0, 56.0, 80.0, 111.0, 111.999, 112.0, 113.0, 160.0, 223.0, 223.999, 224.0, 225.0, 300.0];
    let sides = sides.into_iter().chain([319.0, 447.0, 447.999, 448.0, 449.0, 500.0, 640.0]);
    let shapes = sides.flat_map(|side: f32| [(side, side), (side / 1.25, side * 1.25), (side * 2.0, side / 2.0)]);
    let inside = shapes.filter(|&(w, h)| w <= 640.0 && h <= 640.0);
    inside.enumerate().flat_map(|(i, (w, h))| {
        // At the left, in the middle, at the right; on quarter pixels.
        let at = |side: f32, i: usize| ((640.0 - side) * 2.0 * (i % 3) as f32).floor() / 4.0;
        let (x, y) = (at(w, i), at(h, i / 3));
        [x, y, x + w, y + h]
    }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::roi_align::level;

    /// torchvision's rule (`ops/poolers.py`: `LevelMapper`), in f64: 0 is the finest level.
    fn rule(area: f64, finest: i32, coarsest: i32) -> usize {
        let target = (4.0 + (area.sqrt() / 224.0).log2() + 1e-6).floor() as i32;
        (target.clamp(finest, coarsest) - finest) as usize
    }

    fn fpn(scales: &[f32]) -> RoiAlign {
        let scales = scales.to_vec();
        RoiAlign { pooled: 7, sampling: 2, aligned: false, pooling: Pooling::Average, scales, canonical: 224.0, maps: vec![] }
    }

    /// As the shader takes them (`shaders/roi_align.wgsl`): a level for each least area that is reached.
    fn by_areas(kernel: &RoiAlign, area: f32) -> usize {
        kernel.areas()[..kernel.scales.len() - 1].iter().filter(|&&least| area >= least).count()
    }

    #[test]
    fn areas_are_torchvisions_levels() {
        for (scales, finest) in [
            (&[0.25, 0.125, 0.0625, 0.03125][..], 2),
            (&[0.5, 0.25, 0.125, 0.0625], 1),
            (&[0.125, 0.0625], 3),
            (&[0.0625], 4),
        ] {
            let (kernel, coarsest) = (fpn(scales), finest + scales.len() as i32 - 1);
            let mut seen = vec![0; scales.len()];
            let mut check = |area: f32| {
                let want = rule(f64::from(area), finest, coarsest);
                let side = area.sqrt();
                assert_eq!(by_areas(&kernel, area), want, "area {area}, side {side}, {scales:?}");
                assert_eq!(level(&[3.0, 5.0, 3.0 + area, 6.0], 224.0, scales), want, "twin: area {area}, {scales:?}");
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
        let kernel = fpn(&[0.25, 0.125, 0.0625, 0.03125]);
        for (side, level) in [(10.0, 0), (111.0, 0), (112.0, 1), (223.0, 1), (224.0, 2), (447.0, 2), (448.0, 3), (2000.0, 3)] {
            assert_eq!(by_areas(&kernel, side * side), level, "side {side}");
        }
    }

    /// The cases have RoIs of every level, several each.
    #[test]
    fn cases_reach_every_level() {
        let scales = [0.25, 0.125, 0.0625, 0.03125];
        let mut seen = [0; 4];
        every_size().chunks(4).for_each(|roi| seen[level(roi, 224.0, &scales)] += 1);
        assert!(seen.iter().all(|&n| n >= 5), "{seen:?}");
    }
}
