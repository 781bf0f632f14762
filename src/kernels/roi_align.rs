//! RoIAlign over the levels of an FPN.

use super::case::Rng;
use super::levels::Levels;
use super::{Caps, Case, Cost, Info, Io, Kernel, Launch, LiveGrid, Params as _, Tolerance, Variant, walks};
use crate::params;
use crate::tensor::{DType, Value};

params! {
    heights: [u32; 4], widths: [u32; 4], firsts: [u32; 4], cells: [u32; 4], holders: [u32; 4], scales: [f32; 4], areas: [f32; 4],
    c: u32, pooled: u32, sampling: u32, aligned: u32, capacity: u32,
}

/// How the samples of a bin become one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// Their mean.
    Average,
    /// Their maximum: of the bilinear values, as the paper has it.
    Max,
}

/// RoIAlign (torchvision, `roi_align_common.h` and `poolers.py`).
///
/// Inputs: rois `[B,n,4]` in resized pixels, live `[B]`, then one to four levels `[B,H,W,C]`, C a multiple of 4,
/// finest first, or fewer tensors that hold several each. Output `[B·n,P,P,C]`; RoIs past the live count are not written.
#[derive(Clone, Debug)]
pub struct RoiAlign {
    /// P: bins along each side.
    pub pooled: usize,
    /// Samples a bin along each axis; 0: `⌈side / P⌉`, from the RoI.
    pub sampling: usize,
    /// Whether pixel centres lie at i + 0.5 (and a side may be less than one pixel).
    pub aligned: bool,
    /// Mean or maximum.
    pub pooling: Pooling,
    /// Level pixels a resized pixel, of each level.
    pub scales: Vec<f32>,
    /// The side of a RoI that belongs on the level of stride 16; torchvision's 224.
    pub canonical: f32,
    /// Of each tensor of levels `[B,1,cells,C]`, the maps that lie in it, those that no RoI is on included; empty where
    /// every level is a tensor.
    pub maps: Vec<Levels>,
}

/// Where a level lies: the tensor that holds it, and which of its maps it is.
struct Home {
    holder: usize,
    map: usize,
    levels: Levels,
}

impl RoiAlign {
    /// The least area of a RoI on levels 1, 2, 3. The rule is `⌊4 + log2(√area / 224) + 1e-6⌋` counted from the
    /// finest level; comparing areas avoids `log2`, whose allowed error is as large as the rule's 1e-6.
    fn areas(&self) -> [f32; 4] {
        let finest = -(self.scales[0] as f64).log2();
        std::array::from_fn(|i| {
            let level = finest + 1.0 + i as f64;
            let side = self.canonical as f64 * (level - 4.0 - 1e-6).exp2();
            (side * side) as f32
        })
    }

    /// Where each level lies.
    fn homes(&self, inputs: &[Info]) -> Vec<Home> {
        let own = |i: &Info| Levels::new(&[(i.shape.dim(1), i.shape.dim(2))]);
        let maps: Vec<Levels> =
            if self.maps.is_empty() { inputs[2..].iter().filter_map(own).collect() } else { self.maps.clone() };
        let all = maps.into_iter().enumerate().flat_map(|(holder, levels)| {
            (0..levels.maps().len()).map(move |map| Home { holder, map, levels })
        });
        all.take(self.scales.len()).collect()
    }
}

/// The level of a RoI among those of such scales, for the twin: torchvision's `LevelMapper` in f64, and nothing of
/// [`RoiAlign::areas`]. The area is f32 as in the shader, for a RoI may lie on the border of two levels.
fn level(roi: &[f32], canonical: f32, scales: &[f32]) -> usize {
    let area = (roi[2] - roi[0]) * (roi[3] - roi[1]);
    let target = (4.0 + (f64::from(area).sqrt() / f64::from(canonical)).log2() + 1e-6).floor();
    let ends = [scales[0], scales[scales.len() - 1]].map(|scale| -f64::from(scale).log2());
    (target.clamp(ends[0], ends[1]) - ends[0]) as usize
}

impl Kernel for RoiAlign {
    fn name(&self) -> &'static str {
        "roi_align"
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let tensors = if self.maps.is_empty() { self.scales.len() } else { self.maps.len() };
        if !(1..=4).contains(&self.scales.len()) || inputs.len() != 2 + tensors || self.pooled == 0 {
            return Err(format!("takes rois, live counts and {tensors} tensors of levels, not {inputs:?}"));
        }
        let (rois, live) = (inputs[0].shape, inputs[1]);
        if rois.rank() != 3 || rois.dim(2) != 4 || live.dtype != DType::U32 || live.shape.len() != rois.dim(0) {
            return Err(format!("takes rois [B,n,4] and live counts [B], not {inputs:?}"));
        }
        let levels = &inputs[2..];
        let c = levels[0].shape.dims().last().copied().unwrap_or(0) as usize;
        let fits = |l: &Info| l.shape.rank() == 4 && l.shape.dim(0) == rois.dim(0) && l.shape.dim(3) == c;
        if !levels.iter().all(fits) || c == 0 || !c.is_multiple_of(4) {
            return Err(format!("levels must be [B,H,W,C] with the same C, a multiple of 4, not {levels:?}"));
        }
        let holds = |(l, maps): (&Info, &Levels)| (l.shape.dim(1), l.shape.dim(2)) == (1, maps.cells());
        if !levels.iter().zip(&self.maps).all(holds) || self.homes(inputs).len() != self.scales.len() {
            return Err(format!("{levels:?} do not hold {} levels as {:?} say", self.scales.len(), self.maps));
        }
        Ok(vec![Info::f32([rois.dim(0) * rois.dim(1), self.pooled, self.pooled, c])])
    }

    fn integers(&self) -> Vec<usize> {
        vec![1]
    }

    fn variants(&self, io: &Io, caps: &Caps) -> Vec<Variant> {
        let n = io.inputs.len() - 2;
        let defines = [("LEVELS", self.scales.len() as u32), ("INPUTS", n as u32)];
        let plain = Variant::new("plain", &defines).flag("SEVERAL", n > 1).flag("MAX", self.pooling == Pooling::Max);
        let textures = (2..2 + n).collect();
        let texels = Variant { name: "texels", textures, ..plain.clone() }.flag("TEXELS", true);
        if caps.texels { vec![texels, plain] } else { vec![plain] }
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

    fn cost(&self, io: &Io) -> Cost {
        let samples = self.sampling.max(1) * self.sampling.max(1);
        Cost::of(io, (io.outputs[0].shape.len() * samples * 8) as f64)
    }

    /// Samples with one tent weight for every pixel near enough, instead of four taps. Coordinates are f32 as in the
    /// shader: a sample may lie on the border of the rule "outside is zero".
    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let (rois, live) = (&inputs[0], inputs[1].ints());
        let holders = inputs[2..].iter().enumerate();
        let levels: Vec<Value> = holders
            .flat_map(|(i, x)| match self.maps.get(i) {
                None => vec![x.clone()],
                Some(levels) => walks::maps_of(x, levels.maps()),
            })
            .collect();
        let (n, c, p) = (rois.shape.dim(1), levels[0].shape.dim(3), self.pooled);
        let mut out = vec![f32::NAN; live.len() * n * p * p * c];
        for (i, roi) in rois.floats().chunks(4).enumerate() {
            let b = i / n;
            if i % n >= live[b] as usize {
                continue;
            }
            let level = level(roi, self.canonical, &self.scales);
            let (x, scale) = (&levels[level], self.scales[level]);
            let extent = [x.shape.dim(1), x.shape.dim(2)];
            // Per axis (rows, columns): the samples' weights on pixels, grouped by bin.
            let axis = |a: usize| -> Vec<Vec<Vec<(usize, f64)>>> {
                let offset = if self.aligned { 0.5 } else { 0.0 };
                let start = roi[1 - a] * scale - offset;
                let side = roi[3 - a] * scale - offset - start;
                let side = if self.aligned { side } else { side.max(1.0) };
                let bin = side / p as f32;
                let steps = if self.sampling > 0 { self.sampling } else { bin.ceil().max(0.0) as usize };
                let weights = |at: f32| -> Vec<(usize, f64)> {
                    if at < -1.0 || at > extent[a] as f32 {
                        return Vec::new();
                    }
                    let at = at.clamp(0.0, (extent[a] - 1) as f32) as f64;
                    let tent = |j: usize| (1.0 - (at - j as f64).abs()).max(0.0);
                    (0..extent[a]).map(|j| (j, tent(j))).filter(|w| w.1 > 0.0).collect()
                };
                let sample = |q: usize, s: usize| {
                    weights(start + q as f32 * bin + (s as f32 + 0.5) * bin / steps as f32)
                };
                (0..p).map(|q| (0..steps).map(|s| sample(q, s)).collect()).collect()
            };
            let (ys, xs) = (axis(0), axis(1));
            for q in 0..p * p {
                for ch in 0..c {
                    let mut values = Vec::new();
                    for sy in &ys[q / p] {
                        for sx in &xs[q % p] {
                            let at = |j: usize, k: usize| x.floats()[((b * extent[0] + j) * extent[1] + k) * c + ch] as f64;
                            let row = |&(j, wj): &(usize, f64)| sx.iter().map(|&(k, wk)| wj * wk * at(j, k)).sum::<f64>();
                            values.push(sy.iter().map(row).sum::<f64>());
                        }
                    }
                    out[(i * p * p + q) * c + ch] = match self.pooling {
                        _ if values.is_empty() => 0.0,
                        Pooling::Average => values.iter().sum::<f64>() / values.len() as f64,
                        Pooling::Max => values.iter().copied().fold(f64::MIN, f64::max),
                    } as f32;
                }
            }
        }
        vec![Value::f32([live.len() * n, p, p, c], out)]
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
