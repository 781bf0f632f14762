//! RoIPool over the levels of an FPN: what RoIAlign took the place of.

use super::roi_levels::{LiveRoi, RoiLevels};
use super::{Cost, Info, Io, Op, Operand, Setting, on, settings, value};
use crate::tensor::Value;

/// How a RoI is brought to whole pixels of its level, and these to bins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// To the nearest, halves away from zero; both corners are pixels of the RoI. Bins overlap where the RoI's pixels do not
    /// divide among them: bin i of P begins at `⌊i · n / P⌋` and ends before `⌈(i + 1) · n / P⌉` (Fast R-CNN, torchvision's
    /// `roi_pool_kernel.cpp`).
    Nearest,
    /// Down, as in the drawings that RoIPool is explained by: the corner, the side and the side of a bin, so that what does
    /// not divide among the bins is lost. A RoI has one pixel at least; one of fewer pixels than bins shows some of them
    /// twice.
    Down,
}

/// RoIPool: the maximum of each bin's pixels, 0 where none of them is on the map.
///
/// Inputs: rois `[B,n,4]` in resized pixels, live `[B]`, then one to four levels `[B,H,W,C]`, C a multiple of 4,
/// finest first, or fewer tensors that hold several each. Output `[B·n,P,P,C]`; RoIs past the live count are not written.
#[derive(Clone, Debug)]
pub struct RoiPool {
    /// P: bins along each side; 64 at most.
    pub pooled: usize,
    /// How coordinates become whole.
    pub rounding: Rounding,
    /// What they are pooled from.
    pub levels: RoiLevels,
}

/// Pixels that a RoI may have along a side, and bins: what the shader divides exactly.
pub(crate) const MOST_PIXELS: u32 = 1 << 16;
pub(crate) const MOST_BINS: usize = 64;

/// The pixels of each of `bins`, from the first to before the last, of a RoI that lies from `low` to `high` on an axis of
/// the level's pixels; they may be outside of the map.
pub(crate) fn bins(rounding: Rounding, [low, high]: [f32; 2], bins: usize) -> Vec<[i64; 2]> {
    let most = i64::from(MOST_PIXELS);
    match rounding {
        Rounding::Nearest => {
            // Rust's `round` is C's: halves away from zero.
            let (first, last) = (low.round() as i64, high.round() as i64);
            let n = (last - first + 1).clamp(1, most);
            // In f32, as torchvision has it: 7 · (5 / 7) is 5 there, and in other types more than that.
            let bin = n as f32 / bins as f32;
            let from = |i: usize| (i as f32 * bin).floor() as i64;
            let to = |i: usize| ((i + 1) as f32 * bin).ceil() as i64;
            (0..bins).map(|i| [first + from(i), first + to(i)]).collect()
        }
        Rounding::Down => {
            let first = low.floor() as i64;
            let n = ((high - low).floor() as i64).clamp(1, most);
            let size = (n / bins as i64).max(1);
            let from = |i: i64| if n >= bins as i64 { i * size } else { i * n / bins as i64 };
            (0..bins as i64).map(|i| [first + from(i), first + from(i) + size]).collect()
        }
    }
}

impl Op for RoiPool {
    fn name(&self) -> &'static str {
        "roi_pool"
    }

    fn operands(&self) -> Vec<Operand> {
        self.levels.operands()
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        if self.pooled > MOST_BINS {
            return Err(format!("has {} bins along a side, allowed {MOST_BINS}", self.pooled));
        }
        self.levels.infer(inputs, self.pooled)
    }

    /// A RoI of the canonical side has 14 pixels along a side of its level.
    fn cost(&self, io: &Io) -> Cost {
        let pixels = 14usize.div_ceil(self.pooled).pow(2);
        Cost::of(io, (io.outputs[0].shape.len() * pixels) as f64)
    }

    /// From each pixel of the map to the bins that it is in, instead of from each bin to its pixels.
    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let (rois, levels) = self.levels.walk(inputs);
        let (all, c, p) = (inputs[0].shape.len() / 4, levels[0].shape.dim(3), self.pooled);
        let mut out = vec![f32::NAN; all * p * p * c];
        for LiveRoi { number, image, roi, level } in rois {
            let (x, scale) = (&levels[level], self.levels.scales[level]);
            let side = |i: usize| bins(self.rounding, [roi[i] * scale, roi[i + 2] * scale], p);
            let (columns, rows) = (side(0), side(1));
            let own = &mut out[number * p * p * c..][..p * p * c];
            own.fill(f32::NEG_INFINITY);
            let pixels = x.floats().chunks(c).skip(image * x.shape.dim(1) * x.shape.dim(2));
            for (at, pixel) in pixels.take(x.shape.dim(1) * x.shape.dim(2)).enumerate() {
                let (i, j) = ((at / x.shape.dim(2)) as i64, (at % x.shape.dim(2)) as i64);
                let within = |bins: &[[i64; 2]], at: i64| -> Vec<usize> {
                    (0..p).filter(|&q| (bins[q][0]..bins[q][1]).contains(&at)).collect()
                };
                let along = within(&columns, j);
                for row in within(&rows, i) {
                    for column in &along {
                        let bin = &mut own[(row * p + column) * c..][..c];
                        bin.iter_mut().zip(pixel).for_each(|(most, v)| *most = most.max(*v));
                    }
                }
            }
            own.iter_mut().filter(|v| **v == f32::NEG_INFINITY).for_each(|v| *v = 0.0);
        }
        vec![Value::f32([all, p, p, c], out)]
    }

    fn settings(&self) -> Vec<Setting> {
        let own = [("pooled", value(self.pooled)), ("down", on(self.rounding == Rounding::Down))];
        settings(own.into_iter().chain(self.levels.settings()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The drawing: an image of 512 × 512 at stride 32 is a map of 16 × 16; a box at x 240, y 100 of 80 × 150 pixels; 3 × 3
    /// bins.
    ///
    /// Down: 240 / 32 = 7.5 → x 7; 100 / 32 = 3.125 → y 3; 80 / 32 = 2.5 → w 2; 150 / 32 = 4.6875 → h 4. A bin is
    /// ⌊4 / 3⌋ = 1 row high: rows 3, 4 and 5; row 6 is lost. Two columns among three bins: 7, 7 and 8.
    ///
    /// Nearest: 7.5 → 8, (240 + 80) / 32 = 10 → 10, so 3 columns, one a bin: 8, 9, 10. 3.125 → 3, 250 / 32 = 7.8125 → 8, so 6
    /// rows, two a bin: 3 and 4, 5 and 6, 7 and 8.
    #[test]
    fn the_drawing_s_example() {
        let (x, y) = ([240.0 / 32.0, 320.0 / 32.0], [100.0 / 32.0, 250.0 / 32.0]);
        assert_eq!(bins(Rounding::Down, x, 3), [[7, 8], [7, 8], [8, 9]]);
        assert_eq!(bins(Rounding::Down, y, 3), [[3, 4], [4, 5], [5, 6]]);
        assert_eq!(bins(Rounding::Nearest, x, 3), [[8, 9], [9, 10], [10, 11]]);
        assert_eq!(bins(Rounding::Nearest, y, 3), [[3, 5], [5, 7], [7, 9]]);
        // With as many bins as pixels and none: a pixel each, and the RoI's own.
        assert_eq!(bins(Rounding::Down, [7.5, 9.9], 2), [[7, 8], [8, 9]]);
        assert_eq!(bins(Rounding::Down, [7.5, 7.6], 2), [[7, 8], [7, 8]]);
    }

    /// Halves go away from zero, and f32's own quotients decide: 7 · (5 / 7) is 5.
    #[test]
    fn roundings_are_torchvision_s() {
        assert_eq!(bins(Rounding::Nearest, [-0.5, 0.5], 1), [[-1, 2]]);
        assert_eq!(bins(Rounding::Nearest, [2.5, 1.0], 2), [[3, 4], [3, 4]]);
        let five = bins(Rounding::Nearest, [0.0, 4.0], 7);
        assert_eq!(five, [[0, 1], [0, 2], [1, 3], [2, 3], [2, 4], [3, 5], [4, 5]]);
    }
}
