//! RoIAlign over the levels of an FPN.

use super::roi_levels::{LiveRoi, RoiLevels};
use super::{Cost, Info, Io, Op, Operand, Setting, on, settings, value};
use crate::tensor::Value;

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
    /// What they are pooled from.
    pub levels: RoiLevels,
}

impl Op for RoiAlign {
    fn name(&self) -> &'static str {
        "roi_align"
    }

    fn operands(&self) -> Vec<Operand> {
        self.levels.operands()
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        self.levels.infer(inputs, self.pooled)
    }

    fn cost(&self, io: &Io) -> Cost {
        let samples = self.sampling.max(1) * self.sampling.max(1);
        Cost::of(io, (io.outputs[0].shape.len() * samples * 8) as f64)
    }

    /// Samples with one tent weight for every pixel near enough, instead of four taps. Coordinates are f32 as in the
    /// shader: a sample may lie on the border of the rule "outside is zero".
    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let (rois, levels) = self.levels.walk(inputs);
        let (all, c, p) = (inputs[0].shape.len() / 4, levels[0].shape.dim(3), self.pooled);
        let mut out = vec![f32::NAN; all * p * p * c];
        for LiveRoi { number, image, roi, level } in rois {
            let (x, scale) = (&levels[level], self.levels.scales[level]);
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
                            let at = |j: usize, k: usize| {
                                x.floats()[((image * extent[0] + j) * extent[1] + k) * c + ch] as f64
                            };
                            let row =
                                |&(j, wj): &(usize, f64)| sx.iter().map(|&(k, wk)| wj * wk * at(j, k)).sum::<f64>();
                            values.push(sy.iter().map(row).sum::<f64>());
                        }
                    }
                    out[(number * p * p + q) * c + ch] = match self.pooling {
                        _ if values.is_empty() => 0.0,
                        Pooling::Average => values.iter().sum::<f64>() / values.len() as f64,
                        Pooling::Max => values.iter().copied().fold(f64::MIN, f64::max),
                    } as f32;
                }
            }
        }
        vec![Value::f32([all, p, p, c], out)]
    }

    fn settings(&self) -> Vec<Setting> {
        let own = [
            ("pooled", value(self.pooled)),
            ("sampling", value(self.sampling)),
            ("aligned", on(self.aligned)),
            ("max", on(self.pooling == Pooling::Max)),
        ];
        settings(own.into_iter().chain(self.levels.settings()))
    }
}
