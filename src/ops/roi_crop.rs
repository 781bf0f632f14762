//! TensorFlow's `crop_and_resize` over the levels of an FPN.

use super::roi_levels::{LiveRoi, RoiLevels};
use super::{Cost, Info, Io, Op, Operand, Setting, settings, value};
use crate::tensor::Value;

/// How far past the first and the last pixel a sample still counts as on it: what f32 makes of a RoI on the input's border.
pub(crate) const SLACK: f32 = 1e-3;

/// A bilinear sample for each bin (matterport, `PyramidROIAlign`): those of the outermost bins lie on the RoI's border, the
/// others evenly between. The first and the last pixel of the input are the first and the last of each level; a sample
/// outside of these is 0.
///
/// Inputs: rois `[B,n,4]` in pixels of the input, live `[B]`, then one to four levels `[B,H,W,C]`, C a multiple of 4, finest
/// first, or fewer tensors that hold several each. Output `[B·n,P,P,C]`; RoIs past the live count are not written.
#[derive(Clone, Debug)]
pub struct RoiCrop {
    /// P: bins along each side, at least 2.
    pub pooled: usize,
    /// Rows and columns of the input, at least 2.
    pub input: (usize, usize),
    /// What they are pooled from.
    pub levels: RoiLevels,
}

impl Op for RoiCrop {
    fn name(&self) -> &'static str {
        "roi_crop"
    }

    fn operands(&self) -> Vec<Operand> {
        self.levels.operands()
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        if self.pooled < 2 || self.input.0.min(self.input.1) < 2 {
            return Err(format!("takes 2 bins and 2 pixels at least, not {} of {:?}", self.pooled, self.input));
        }
        self.levels.infer(inputs, self.pooled)
    }

    fn cost(&self, io: &Io) -> Cost {
        Cost::of(io, (io.outputs[0].shape.len() * 8) as f64)
    }

    /// With one tent weight for every pixel near enough, in f64.
    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let (rois, levels) = self.levels.walk(inputs);
        let (all, c, p) = (inputs[0].shape.len() / 4, levels[0].shape.dim(3), self.pooled);
        let mut out = vec![f32::NAN; all * p * p * c];
        for LiveRoi { number, image, roi, level } in rois {
            let x = &levels[level];
            let (extent, input) = ([x.shape.dim(1), x.shape.dim(2)], [self.input.0, self.input.1]);
            // Per axis (rows, columns): the weights of a bin's sample on pixels.
            let axis = |a: usize| -> Vec<Vec<(usize, f64)>> {
                let last = (extent[a] - 1) as f64;
                let scale = last / (input[a] - 1) as f64;
                let [from, to] = [roi[1 - a], roi[3 - a]].map(|v| f64::from(v) * scale);
                let weights = |q: usize| {
                    let at = from + (to - from) * q as f64 / (p - 1) as f64;
                    let slack = f64::from(SLACK);
                    let tent = |j: usize| (1.0 - (at.clamp(0.0, last) - j as f64).abs()).max(0.0);
                    let near = (0..extent[a]).map(|j| (j, tent(j))).filter(|w| w.1 > 0.0);
                    if (-slack..=last + slack).contains(&at) { near.collect() } else { Vec::new() }
                };
                (0..p).map(weights).collect()
            };
            let (ys, xs) = (axis(0), axis(1));
            for (q, ch) in (0..p * p * c).map(|i| (i / c, i % c)) {
                let at = |j: usize, k: usize| f64::from(x.floats()[((image * extent[0] + j) * extent[1] + k) * c + ch]);
                let row = |&(j, wj): &(usize, f64)| xs[q % p].iter().map(|&(k, wk)| wj * wk * at(j, k)).sum::<f64>();
                out[(number * p * p + q) * c + ch] = ys[q / p].iter().map(row).sum::<f64>() as f32;
            }
        }
        vec![Value::f32([all, p, p, c], out)]
    }

    fn settings(&self) -> Vec<Setting> {
        let own = [("pooled", value(self.pooled)), ("input", value(format!("{}x{}", self.input.0, self.input.1)))];
        settings(own.into_iter().chain(self.levels.settings()))
    }
}
