//! Where each mask lies in the image, and its bits in the result.

use super::frame::{FRAME_WORDS, Frame};
use super::{Cost, Info, Io, Op, Operand, Setting, settings, value};
use crate::tensor::Value;

/// Boxes in original pixels, the rectangle of each mask, and where its bits begin.
///
/// Inputs: rois `[B,n,4]` in resized pixels, live `[B]`, frames. Outputs: boxes `[B,n,4]` in original pixels; places
/// `[B,n,8]`: x, y, w, h of the rectangle inside the image, offset of its bits in words, x and y (signed) of the
/// pasted box, and its width and height in the low and high half of a word; header `[B,2]`: detections, words needed,
/// at most 2³² − 1.
///
/// The pasted box is the detection's box enlarged by the mask's border of one pixel and truncated toward zero
/// (torchvision, `roi_heads.py`).
///
/// With [`Pasting::Sampled`], boxes are clipped to the image (detectron2, `modeling/postprocessing.py`), and the rectangle is
/// of the pixels that a box touches, and one more on each side, as far as the image goes (`layers/mask_ops.py`); there is no
/// pasted box. A box of no area has no pixels.
///
/// With [`Pasting::Whole`], boxes are shares of the resized image's sides less a pixel, and rounded to whole pixels of the
/// image, halves to the even (matterport, `unmold_detections`): that is the pasted box.
#[derive(Clone, Debug)]
pub struct PasteLayout {
    /// Side of a soft mask: 28.
    pub mask_side: usize,
    /// How masks come into the image.
    pub pasting: Pasting,
}

/// How masks come into the image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pasting {
    /// torchvision's: enlarged to a box of whole pixels, what is above the threshold.
    #[default]
    Enlarged,
    /// detectron2's: sampled at each pixel's centre, what reaches the threshold.
    Sampled,
    /// matterport's: enlarged to a box of whole pixels that is the mask's own, what reaches the threshold.
    Whole,
}

impl Pasting {
    /// As a setting, where it is not the plain one.
    pub(super) fn setting(self) -> Option<String> {
        match self {
            Self::Enlarged => None,
            Self::Sampled => value("sampled"),
            Self::Whole => value("whole"),
        }
    }
}

impl Op for PasteLayout {
    fn name(&self) -> &'static str {
        "paste_layout"
    }

    fn operands(&self) -> Vec<Operand> {
        vec![Operand::f32("rois", 3), Operand::LIVE, Operand::FRAMES]
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let [rois, live, frames] = inputs else {
            return Err(format!("takes rois, live counts and frames, not {inputs:?}"));
        };
        let r = rois.shape;
        let fits = r.dim(2) == 4 && live.shape.len() == r.dim(0);
        if !fits || frames.shape.len() != r.dim(0) * FRAME_WORDS || self.mask_side == 0 {
            return Err(format!("these do not fit together: {inputs:?}"));
        }
        Ok(vec![*rois, Info::u32([r.dim(0), r.dim(1), 8]), Info::u32([r.dim(0), 2])])
    }

    fn cost(&self, io: &Io) -> Cost {
        Cost::of(io, 20.0 * (io.dim(0, 0) * io.dim(0, 1)) as f64)
    }

    /// In f32, since truncation to whole pixels must fall the same way.
    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let (b, n) = (inputs[0].shape.dim(0), inputs[0].shape.dim(1));
        let grow = (self.mask_side + 2) as f32 / self.mask_side as f32;
        let mut boxes = vec![f32::NAN; b * n * 4];
        let mut places = vec![u32::MAX; b * n * 8];
        let mut header = Vec::new();
        for image in 0..b {
            let f = Frame::of(&inputs[2], image);
            let live = inputs[1].ints()[image].min(n as u32);
            let mut words = 0u32;
            for i in 0..live as usize {
                let roi = &inputs[0].floats()[(image * n + i) * 4..][..4];
                let offset = [f.left, f.top].map(|v| v as f32);
                let roi: [f32; 4] = std::array::from_fn(|c| roi[c] - offset[c % 2]);
                let sampled = |a: usize, back: f32, bound: u32| {
                    let [lo, hi] = [a, a + 2].map(|a| (roi[a] * back).clamp(0.0, bound as f32));
                    let from = (lo.floor() as u32).saturating_sub(1);
                    let to = (hi.ceil() as u32 + 1).min(bound);
                    (lo, hi, 0, 0, from, to - from)
                };
                let whole = |a: usize, bound: u32| {
                    let size = [f.out_w, f.out_h][a].saturating_sub(1).max(1) as f32;
                    let [lo, hi] = [(a, 0.0), (a + 2, 1.0)]
                        .map(|(a, more)| (roi[a] / size * (bound - 1) as f32 + more).round_ties_even() as i32);
                    let (from, to) = (lo.clamp(0, bound as i32), hi.clamp(0, bound as i32));
                    (lo as f32, hi as f32, lo, (hi - lo).max(1) as u32, from as u32, (to - from).max(0) as u32)
                };
                let axis = |a: usize, back: f32, bound: u32| {
                    match self.pasting {
                        Pasting::Sampled => return sampled(a, back, bound),
                        Pasting::Whole => return whole(a, bound),
                        Pasting::Enlarged => {}
                    }
                    let (lo, hi) = (roi[a] * back, roi[a + 2] * back);
                    let (half, centre) = ((hi - lo) * 0.5 * grow, (hi + lo) * 0.5);
                    let (low, high) = ((centre - half) as i32, (centre + half) as i32);
                    let size = (high - low + 1).max(1);
                    let inside = low.max(0)..(high + 1).min(low + size).min(bound as i32);
                    (lo, hi, low, size as u32, inside.start as u32, inside.len() as u32)
                };
                let (mut x, mut y) = (axis(0, f.back_x, f.in_w), axis(1, f.back_y, f.in_h));
                if self.pasting != Pasting::Enlarged && (x.1 <= x.0 || y.1 <= y.0) {
                    (x.5, y.5) = (0, 0);
                }
                boxes[(image * n + i) * 4..][..4].copy_from_slice(&[x.0, y.0, x.1, y.1]);
                let place = [x.4, y.4, x.5, y.5, words, x.2 as u32, y.2 as u32, x.3 & 0xffff | y.3 << 16];
                places[(image * n + i) * 8..][..8].copy_from_slice(&place);
                words =
                    u32::try_from(u64::from(words) + u64::from(x.5.div_ceil(32)) * u64::from(y.5)).unwrap_or(u32::MAX);
            }
            header.extend([live, words]);
        }
        vec![Value::f32([b, n, 4], boxes), Value::u32([b, n, 8], places), Value::u32([b, 2], header)]
    }

    fn settings(&self) -> Vec<Setting> {
        settings([("mask_side", value(self.mask_side)), ("pasting", self.pasting.setting())])
    }
}
