//! Soft masks to bits of the original image.

use super::paste_layout::Pasting;
use super::{Cost, Info, Io, Op, Operand, Setting, settings, unless, value};
use crate::tensor::Value;

/// Pastes masks (torchvision, `roi_heads.py: paste_mask_in_image`): border of zeros, bilinear enlargement
/// (half-pixel centres) to the pasted box, `> threshold`.
///
/// Inputs: soft masks `[B·n,M,M]`, places `[B,n,8]` of [`PasteLayout`](super::paste_layout::PasteLayout), live `[B]`. Output: bits `[B,capacity]` in
/// words; a mask whose bits would begin before the first word or end past the capacity is left out.
///
/// With [`Pasting::Sampled`] (detectron2, `layers/mask_ops.py`), and the boxes `[B,n,4]` of that layout as one input more: the
/// mask is spread over the box as it is and read at the centre of every pixel, with zeros around it, `>= threshold`.
///
/// With [`Pasting::Whole`] (matterport, `unmold_mask`): the mask is enlarged to the pasted box as scikit-image does it, which
/// lets no value be less than the least, `>= threshold`.
#[derive(Clone, Debug)]
pub struct Paste {
    /// Words for the bits of all masks of an image.
    pub capacity: usize,
    /// The place of the first of these words: where all masks would pass a binding, they are pasted in rounds.
    pub first: usize,
    /// A pixel belongs to the mask above this, or from it on.
    pub threshold: f32,
    /// How.
    pub pasting: Pasting,
}

impl Op for Paste {
    fn name(&self) -> &'static str {
        "paste"
    }

    fn operands(&self) -> Vec<Operand> {
        let boxes = (self.pasting == Pasting::Sampled).then(|| Operand::f32("boxes", 3));
        [Operand::f32("masks", 3), Operand::u32("places", 3), Operand::LIVE].into_iter().chain(boxes).collect()
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let (masks, places, live) = match (inputs, self.pasting) {
            ([masks, places, live], Pasting::Enlarged | Pasting::Whole) => (masks, places, live),
            ([masks, places, live, boxes], Pasting::Sampled) if boxes.shape.len() * 2 == places.shape.len() => {
                (masks, places, live)
            }
            _ => return Err(format!("takes masks, places, live counts and, to sample, boxes, not {inputs:?}")),
        };
        let (m, p) = (masks.shape, places.shape);
        let fits = m.dim(1) == m.dim(2) && p.dim(2) == 8;
        if !fits || m.dim(0) != p.dim(0) * p.dim(1) || live.shape.len() != p.dim(0) || self.capacity == 0 {
            return Err(format!("these do not fit together: {inputs:?}"));
        }
        Ok(vec![Info::u32([p.dim(0), self.capacity])])
    }

    fn cost(&self, io: &Io) -> Cost {
        Cost::of(io, 0.0)
    }

    /// Enlarges along x for all rows of the padded mask, then along y.
    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let (sampled, whole) = (self.pasting == Pasting::Sampled, self.pasting == Pasting::Whole);
        let (m, b, n) = (inputs[0].shape.dim(1), inputs[1].shape.dim(0), inputs[1].shape.dim(1));
        let mut bits = vec![u32::MAX; b * self.capacity];
        for mask in 0..b * n {
            let image = mask / n;
            if mask % n >= inputs[2].ints()[image] as usize {
                continue;
            }
            let place = &inputs[1].ints()[mask * 8..][..8];
            let (x, y, w, h) = (place[0], place[1], place[2] as usize, place[3] as usize);
            let row_words = w.div_ceil(32);
            let Some(offset) = (place[4] as usize).checked_sub(self.first) else { continue };
            if offset + row_words * h > self.capacity {
                continue;
            }
            let soft = &inputs[0].floats()[mask * m * m..][..m * m];
            let least = soft.iter().copied().fold(f32::MAX, f32::min).into();
            let mut padded = vec![0.0f64; (m + 2) * (m + 2)];
            for (i, &v) in soft.iter().enumerate() {
                padded[(i / m + 1) * (m + 2) + i % m + 1] = v as f64;
            }
            // In the padded mask, a pixel of which begins a whole step before the box.
            let sample = |at: u32, axis: usize| {
                let (lo, hi) = (inputs[3].floats()[mask * 4 + axis], inputs[3].floats()[mask * 4 + 2 + axis]);
                let s = (at as f32 + 0.5 - lo) / (hi - lo) * m as f32 + 0.5;
                let s = s.clamp(0.0, (m + 1) as f32);
                (s as usize, (s as usize + 1).min(m + 1), (s - s.floor()) as f64)
            };
            let tap = |at: u32, axis: usize, low: u32, size: u32| {
                if sampled {
                    return sample(at, axis);
                }
                let d = at as i32 - low as i32;
                if whole {
                    let s = (f64::from(d) + 0.5) * m as f64 / f64::from(size) + 0.5;
                    return (s as usize, s as usize + 1, s.fract());
                }
                let s = ((d as f32 + 0.5) * ((m + 2) as f32 / size as f32) - 0.5).max(0.0);
                let i = (s as usize).min(m + 1);
                (i, (i + 1).min(m + 1), (s - i as f32) as f64)
            };
            let mut wide = vec![0.0; (m + 2) * w];
            for (i, v) in wide.iter_mut().enumerate() {
                let (i0, i1, l) = tap(x + (i % w) as u32, 0, place[5], place[7] & 0xffff);
                let row = &padded[i / w * (m + 2)..][..m + 2];
                *v = (1.0 - l) * row[i0] + l * row[i1];
            }
            bits[image * self.capacity + offset..][..row_words * h].fill(0);
            for i in 0..w * h {
                let (i0, i1, l) = tap(y + (i / w) as u32, 1, place[6], place[7] >> 16);
                let v = (1.0 - l) * wide[i0 * w + i % w] + l * wide[i1 * w + i % w];
                let v = if whole { v.max(least) } else { v };
                if v > self.threshold as f64 || (sampled || whole) && v == self.threshold as f64 {
                    bits[image * self.capacity + offset + i / w * row_words + i % w / 32] |= 1 << (i % w % 32);
                }
            }
        }
        vec![Value::u32([b, self.capacity], bits)]
    }

    fn settings(&self) -> Vec<Setting> {
        settings([
            ("capacity", value(self.capacity)),
            ("first", unless(0, self.first)),
            ("threshold", value(self.threshold)),
            ("pasting", self.pasting.setting()),
        ])
    }
}
