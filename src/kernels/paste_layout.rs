//! Where each mask lies in the image, and its bits in the result.

use super::case::Rng;
use super::frame::{FRAME_WORDS, Frame};
use super::{Caps, Case, Cost, Info, Io, Kernel, Launch, Params as _, Tolerance, Variant};
use crate::params;
use crate::tensor::{DType, Value};

params! { n: u32, mask_side: u32, spare_0: u32, spare_1: u32 }

/// Boxes in original pixels, the rectangle of each mask, and where its bits begin.
///
/// Inputs: rois `[B,n,4]` in resized pixels, live `[B]`, frames. Outputs: boxes `[B,n,4]` in original pixels; places
/// `[B,n,8]`: x, y, w, h of the rectangle inside the image, offset of its bits in words, x and y (signed) of the
/// pasted box, and its width and height in the low and high half of a word; header `[B,2]`: detections, words needed,
/// at most 2³² − 1.
///
/// The pasted box is the detection's box enlarged by the mask's border of one pixel and truncated toward zero
/// (torchvision, `roi_heads.py`).
#[derive(Clone, Debug)]
pub struct PasteLayout {
    /// Side of a soft mask: 28.
    pub mask_side: usize,
}

impl Kernel for PasteLayout {
    fn name(&self) -> &'static str {
        "paste_layout"
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let [rois, live, frames] = inputs else {
            return Err(format!("takes rois, live counts and frames, not {inputs:?}"));
        };
        let r = rois.shape;
        let fits = r.rank() == 3 && r.dim(2) == 4 && live.dtype == DType::U32 && live.shape.len() == r.dim(0);
        if !fits || frames.shape.len() != r.dim(0) * FRAME_WORDS || self.mask_side == 0 {
            return Err(format!("these do not fit together: {inputs:?}"));
        }
        Ok(vec![*rois, Info::u32([r.dim(0), r.dim(1), 8]), Info::u32([r.dim(0), 2])])
    }

    fn integers(&self) -> Vec<usize> {
        vec![1, 2]
    }

    fn variants(&self, _: &Io, _: &Caps) -> Vec<Variant> {
        vec![Variant::new("one workgroup", &[])]
    }

    fn launch(&self, io: &Io, _: &Variant) -> Launch {
        let params = P { n: io.dim(0, 1) as u32, mask_side: self.mask_side as u32, spare_0: 0, spare_1: 0 };
        Launch { grid: [io.dim(0, 0) as u32, 1, 1], params: params.bytes() }
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
                let axis = |a: usize, back: f32, bound: u32| {
                    let (lo, hi) = (roi[a] * back, roi[a + 2] * back);
                    let (half, centre) = ((hi - lo) * 0.5 * grow, (hi + lo) * 0.5);
                    let (low, high) = ((centre - half) as i32, (centre + half) as i32);
                    let size = (high - low + 1).max(1);
                    let inside = low.max(0)..(high + 1).min(low + size).min(bound as i32);
                    (lo, hi, low, size as u32, inside.start as u32, inside.len() as u32)
                };
                let x = axis(0, f.back_x, f.in_w);
                let y = axis(1, f.back_y, f.in_h);
                boxes[(image * n + i) * 4..][..4].copy_from_slice(&[x.0, y.0, x.1, y.1]);
                let place = [x.4, y.4, x.5, y.5, words, x.2 as u32, y.2 as u32, x.3 & 0xffff | y.3 << 16];
                places[(image * n + i) * 8..][..8].copy_from_slice(&place);
                words = u32::try_from(u64::from(words) + u64::from(x.5.div_ceil(32)) * u64::from(y.5)).unwrap_or(u32::MAX);
            }
            header.extend([live, words]);
        }
        vec![Value::f32([b, n, 4], boxes), Value::u32([b, n, 8], places), Value::u32([b, 2], header)]
    }
}

/// Boxes inside, over the border, tiny ones; none, and a full house.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(15);
    let mut case = |name: &str, live: Vec<u32>, n: usize, input: (u32, u32), output: (u32, u32)| {
        let b = live.len();
        let mut rois = rng.boxes(b * n, output.1 as f32, output.0 as f32);
        // Quarters, away from whole pixels after the way back: truncation falls the same way on every device.
        for v in &mut rois {
            *v = (*v * 4.0).round() / 4.0 + 0.07;
        }
        let frames: Vec<Frame> = (0..b).map(|_| Frame::new(input, output, 0)).collect();
        let inputs = vec![Value::f32([b, n, 4], rois), Value::u32([b], live), Frame::value(&frames)];
        let tolerance = Tolerance::Close { absolute: 1e-4, relative: 1e-6 };
        Case::new(name, PasteLayout { mask_side: 28 }, inputs, tolerance)
    };
    let mut out = vec![
        case("nuclei", vec![250], 300, (256, 256), (640, 640)),
        case("batch", vec![3, 9], 9, (100, 140), (64, 90)),
        case("none", vec![0], 9, (100, 140), (64, 90)),
        case("a thousand", vec![1000], 1000, (300, 400), (800, 1067)),
        case("one pixel", vec![3], 3, (1, 1), (32, 32)),
    ];
    // Masks of the whole of a large image: 2^25 words each.
    let mut large = case("more words than can be counted", vec![200], 200, (1 << 15, 1 << 15), (800, 800));
    large.inputs[0] = Value::f32([1, 200, 4], [0.0, 0.0, 800.0, 800.0].repeat(200));
    out.push(large);
    out
}
