//! RoIAlign over the levels of an FPN.

use super::levels::Levels;
use super::{Cost, Info, Io, Op, Operand, Setting, on, settings, unless, value, walks};
use crate::tensor::{DType, Value};

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
pub(crate) struct Home {
    /// The tensor.
    pub holder: usize,
    /// The map.
    pub map: usize,
    /// All maps of that tensor.
    pub levels: Levels,
}

impl RoiAlign {
    /// The least area of a RoI on levels 1, 2, 3. The rule is `⌊4 + log2(√area / 224) + 1e-6⌋` counted from the
    /// finest level; comparing areas avoids `log2`, whose allowed error is as large as the rule's 1e-6.
    pub(crate) fn areas(&self) -> [f32; 4] {
        let finest = -(self.scales[0] as f64).log2();
        std::array::from_fn(|i| {
            let level = finest + 1.0 + i as f64;
            let side = self.canonical as f64 * (level - 4.0 - 1e-6).exp2();
            (side * side) as f32
        })
    }

    /// Where each level lies.
    pub(crate) fn homes(&self, inputs: &[Info]) -> Vec<Home> {
        let own = |i: &Info| Levels::new(&[(i.shape.dim(1), i.shape.dim(2))]);
        let maps: Vec<Levels> =
            if self.maps.is_empty() { inputs[2..].iter().filter_map(own).collect() } else { self.maps.clone() };
        let all = maps
            .into_iter()
            .enumerate()
            .flat_map(|(holder, levels)| (0..levels.maps().len()).map(move |map| Home { holder, map, levels }));
        all.take(self.scales.len()).collect()
    }
}

/// The level of a RoI among those of such scales, for the twin: torchvision's `LevelMapper` in f64, and nothing of
/// [`RoiAlign::areas`]. The area is f32 as in the shader, for a RoI may lie on the border of two levels.
pub(crate) fn level(roi: &[f32], canonical: f32, scales: &[f32]) -> usize {
    let area = (roi[2] - roi[0]) * (roi[3] - roi[1]);
    let target = (4.0 + (f64::from(area).sqrt() / f64::from(canonical)).log2() + 1e-6).floor();
    let ends = [scales[0], scales[scales.len() - 1]].map(|scale| -f64::from(scale).log2());
    (target.clamp(ends[0], ends[1]) - ends[0]) as usize
}

impl Op for RoiAlign {
    fn name(&self) -> &'static str {
        "roi_align"
    }

    fn operands(&self) -> Vec<Operand> {
        let holders = if self.maps.is_empty() { self.scales.len() } else { self.maps.len() };
        let levels = std::iter::repeat_n(Operand::f32("levels", 4), holders);
        [Operand::f32("rois", 3), Operand::LIVE].into_iter().chain(levels).collect()
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
                let sample =
                    |q: usize, s: usize| weights(start + q as f32 * bin + (s as f32 + 0.5) * bin / steps as f32);
                (0..p).map(|q| (0..steps).map(|s| sample(q, s)).collect()).collect()
            };
            let (ys, xs) = (axis(0), axis(1));
            for q in 0..p * p {
                for ch in 0..c {
                    let mut values = Vec::new();
                    for sy in &ys[q / p] {
                        for sx in &xs[q % p] {
                            let at =
                                |j: usize, k: usize| x.floats()[((b * extent[0] + j) * extent[1] + k) * c + ch] as f64;
                            let row =
                                |&(j, wj): &(usize, f64)| sx.iter().map(|&(k, wk)| wj * wk * at(j, k)).sum::<f64>();
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

    fn settings(&self) -> Vec<Setting> {
        settings([
            ("pooled", value(self.pooled)),
            ("sampling", value(self.sampling)),
            ("aligned", on(self.aligned)),
            ("max", on(self.pooling == Pooling::Max)),
            ("scales", value(join(self.scales.iter().map(f32::to_string)))),
            ("canonical", unless(224.0, self.canonical)),
            ("maps", (!self.maps.is_empty()).then(|| join(self.maps.iter().map(Levels::to_string)))),
        ])
    }
}

fn join(all: impl Iterator<Item = String>) -> String {
    all.collect::<Vec<_>>().join(",")
}
