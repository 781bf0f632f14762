//! Which level of a pyramid a RoI is pooled from, and where that level lies.

use super::levels::Levels;
use super::{Info, Operand, unless, value, walks};
use crate::tensor::Value;

/// Where the border of two levels is: a RoI of just half the canonical side is on the coarser.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Border {
    /// torchvision's: 1e-6 is added to the logarithm.
    #[default]
    Log,
    /// detectron2's: 1e-8 is added to what the logarithm is taken of.
    Ratio,
    /// MMDetection's: 1e-6 is added to it, of a quarter of the canonical side.
    Finest,
    /// matterport's: the logarithm is rounded to the nearest, so that the border is half a level lower.
    Half,
    /// Detectron's and maskrcnn-benchmark's: 1e-6 is added to it.
    Canonical,
}

/// The levels that RoIs are pooled from: one to four, finest first.
#[derive(Clone, Debug)]
pub struct RoiLevels {
    /// Level pixels a resized pixel, of each level.
    pub scales: Vec<f32>,
    /// The side of a RoI that belongs on the level of stride 16; torchvision's 224.
    pub canonical: f32,
    /// How close to the next level a RoI may be before it is on it.
    pub border: Border,
    /// How much more than the difference of its corners a RoI's side counts as, for its level.
    pub extent: f32,
    /// Of each tensor of levels `[B,1,cells,C]`, the maps that lie in it, those that no RoI is on included; empty where
    /// every level is a tensor `[B,H,W,C]`.
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

impl RoiLevels {
    /// Levels of such scales, each a tensor; a RoI of 224 belongs on that of stride 16.
    pub fn new(scales: &[f32]) -> Self {
        Self { scales: scales.to_vec(), canonical: 224.0, border: Border::Log, extent: 0.0, maps: Vec::new() }
    }

    /// The least area of a RoI on levels 1, 2, 3. The rule is `⌊4 + log2(√area / 224) + 1e-6⌋` counted from the
    /// finest level; comparing areas avoids `log2`, whose allowed error is as large as the rule's 1e-6. The last is the
    /// extent.
    pub(crate) fn areas(&self) -> [f32; 4] {
        let finest = -(self.scales[0] as f64).log2();
        std::array::from_fn(|i| {
            let level = finest + 1.0 + i as f64;
            let side = self.canonical as f64
                * match self.border {
                    Border::Log => (level - 4.0 - 1e-6).exp2(),
                    Border::Ratio => (level - 4.0).exp2() - 1e-8,
                    Border::Finest => (level - 4.0).exp2() - 1e-6 / 4.0,
                    Border::Half => (level - 4.5).exp2(),
                    Border::Canonical => (level - 4.0).exp2() - 1e-6,
                };
            if i == 3 { self.extent } else { (side * side) as f32 }
        })
    }

    /// Where each level lies, of inputs of which the first two are RoIs and live counts.
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

    /// How many tensors hold them.
    fn holders(&self) -> usize {
        if self.maps.is_empty() { self.scales.len() } else { self.maps.len() }
    }

    /// RoIs, live counts, levels.
    pub(crate) fn operands(&self) -> Vec<Operand> {
        let levels = std::iter::repeat_n(Operand::f32("levels", 4), self.holders());
        [Operand::f32("rois", 3), Operand::LIVE].into_iter().chain(levels).collect()
    }

    /// What is pooled from such inputs: `[B·n,P,P,C]`.
    pub(crate) fn infer(&self, inputs: &[Info], pooled: usize) -> Result<Vec<Info>, String> {
        let tensors = self.holders();
        if !(1..=4).contains(&self.scales.len()) || pooled == 0 {
            return Err(format!("takes rois, live counts and {tensors} tensors of levels, not {inputs:?}"));
        }
        let (rois, live) = (inputs[0].shape, inputs[1]);
        if rois.dim(2) != 4 || live.shape.len() != rois.dim(0) {
            return Err(format!("takes rois [B,n,4] and live counts [B], not {inputs:?}"));
        }
        let levels = &inputs[2..];
        let c = levels[0].shape.dim(3);
        let fits = |l: &Info| l.shape.dim(0) == rois.dim(0) && l.shape.dim(3) == c;
        if !levels.iter().all(fits) || !c.is_multiple_of(4) {
            return Err(format!("levels must be [B,H,W,C] with the same C, a multiple of 4, not {levels:?}"));
        }
        let holds = |(l, maps): (&Info, &Levels)| (l.shape.dim(1), l.shape.dim(2)) == (1, maps.cells());
        if !levels.iter().zip(&self.maps).all(holds) || self.homes(inputs).len() != self.scales.len() {
            return Err(format!("{levels:?} do not hold {} levels as {:?} say", self.scales.len(), self.maps));
        }
        Ok(vec![Info::f32([rois.dim(0) * rois.dim(1), pooled, pooled, c])])
    }

    /// What tells one from another.
    pub(crate) fn settings(&self) -> [(&'static str, Option<String>); 5] {
        [
            ("scales", value(join(self.scales.iter().map(f32::to_string)))),
            ("canonical", unless(224.0, self.canonical)),
            (
                "border",
                match self.border {
                    Border::Log => None,
                    Border::Ratio => value("ratio"),
                    Border::Finest => value("finest"),
                    Border::Half => value("half"),
                    Border::Canonical => value("canonical"),
                },
            ),
            ("extent", unless(0.0, self.extent)),
            ("maps", (!self.maps.is_empty()).then(|| join(self.maps.iter().map(Levels::to_string)))),
        ]
    }

    /// For the twins: each live RoI's number, image and level, and the levels, each a tensor of its own.
    pub(crate) fn walk<'a>(&'a self, inputs: &'a [Value]) -> (Vec<LiveRoi<'a>>, Vec<Value>) {
        let holders = inputs[2..].iter().enumerate();
        let levels = holders.flat_map(|(i, x)| match self.maps.get(i) {
            None => vec![x.clone()],
            Some(levels) => walks::maps_of(x, levels.maps()),
        });
        let (n, live) = (inputs[0].shape.dim(1), inputs[1].ints());
        let rois = inputs[0].floats().chunks(4).enumerate().map(|(number, roi)| LiveRoi {
            number,
            image: number / n,
            roi,
            level: level_of(roi, self.canonical, &self.scales, (self.border, self.extent)),
        });
        (rois.filter(|r| r.number % n < live[r.image] as usize).collect(), levels.collect())
    }
}

/// A RoI that counts.
pub(crate) struct LiveRoi<'a> {
    /// Among those of all images.
    pub number: usize,
    pub image: usize,
    /// In resized pixels.
    pub roi: &'a [f32],
    pub level: usize,
}

/// The level of a RoI among those of such scales, for the twins: torchvision's `LevelMapper`, or detectron2's
/// `assign_boxes_to_levels`, in f64, and nothing of
/// [`RoiLevels::areas`]. The area is f32 as in the shader, for a RoI may lie on the border of two levels.
#[cfg(test)]
pub(crate) fn level(roi: &[f32], canonical: f32, scales: &[f32], border: Border) -> usize {
    level_of(roi, canonical, scales, (border, 0.0))
}

/// The same of a RoI whose sides count as so much more.
pub(crate) fn level_of(roi: &[f32], canonical: f32, scales: &[f32], (border, extent): (Border, f32)) -> usize {
    let area = (roi[2] - roi[0] + extent) * (roi[3] - roi[1] + extent);
    let ratio = f64::from(area).sqrt() / f64::from(canonical);
    let target = match border {
        Border::Log => (4.0 + ratio.log2() + 1e-6).floor(),
        Border::Ratio => (4.0 + (ratio + 1e-8).log2()).floor(),
        Border::Finest => (2.0 + (4.0 * ratio + 1e-6).log2()).floor(),
        Border::Half => 4.0 + ratio.log2().round_ties_even(),
        Border::Canonical => (4.0 + (ratio + 1e-6).log2()).floor(),
    };
    let ends = [scales[0], scales[scales.len() - 1]].map(|scale| -f64::from(scale).log2());
    (target.clamp(ends[0], ends[1]) - ends[0]) as usize
}

fn join(all: impl Iterator<Item = String>) -> String {
    all.collect::<Vec<_>>().join(",")
}
