//! Soft masks to bits of the original image.

use super::case::Rng;
use super::frame::Frame;
use super::paste_layout::PasteLayout;
use super::{Caps, Case, Cost, Info, Io, Kernel, Launch, Params as _, Tolerance, Variant, fold_grid};
use crate::params;
use crate::tensor::{DType, Value};

params! { n: u32, side: u32, capacity: u32, first: u32, blocks: u32, threshold: f32, grid_x: u32 }

/// Workgroups that share one mask; each of their threads makes words of 32 pixels.
const BLOCKS: usize = 8;

/// Pastes masks (torchvision, `roi_heads.py: paste_mask_in_image`): border of zeros, bilinear enlargement
/// (half-pixel centres) to the pasted box, `> threshold`.
///
/// Inputs: soft masks `[B·n,M,M]`, places `[B,n,8]` of [`PasteLayout`], live `[B]`. Output: bits `[B,capacity]` in
/// words; a mask whose bits would begin before the first word or end past the capacity is left out.
#[derive(Clone, Debug)]
pub struct Paste {
    /// Words for the bits of all masks of an image.
    pub capacity: usize,
    /// The place of the first of these words: where all masks would pass a binding, they are pasted in rounds.
    pub first: usize,
    /// A pixel belongs to the mask above this.
    pub threshold: f32,
}

impl Kernel for Paste {
    fn name(&self) -> &'static str {
        "paste"
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let [masks, places, live] = inputs else {
            return Err(format!("takes masks, places and live counts, not {inputs:?}"));
        };
        let (m, p) = (masks.shape, places.shape);
        let fits = m.rank() == 3 && m.dim(1) == m.dim(2) && p.rank() == 3 && p.dim(2) == 8 && places.dtype == DType::U32;
        if !fits || m.dim(0) != p.dim(0) * p.dim(1) || live.shape.len() != p.dim(0) || self.capacity == 0 {
            return Err(format!("these do not fit together: {inputs:?}"));
        }
        Ok(vec![Info::u32([p.dim(0), self.capacity])])
    }

    fn integers(&self) -> Vec<usize> {
        vec![1, 2]
    }

    fn variants(&self, _: &Io, _: &Caps) -> Vec<Variant> {
        vec![Variant::new("plain", &[])]
    }

    fn launch(&self, io: &Io, _: &Variant) -> Launch {
        let grid = fold_grid(io.dim(0, 0) * BLOCKS);
        let params = P {
            n: io.dim(1, 1) as u32,
            side: io.dim(0, 1) as u32,
            capacity: self.capacity as u32,
            first: self.first as u32,
            blocks: BLOCKS as u32,
            threshold: self.threshold,
            grid_x: grid[0],
        };
        Launch { grid, params: params.bytes() }
    }

    fn cost(&self, io: &Io) -> Cost {
        Cost::of(io, 0.0)
    }

    /// Enlarges along x for all rows of the padded mask, then along y.
    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
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
            let mut padded = vec![0.0f64; (m + 2) * (m + 2)];
            for (i, &v) in inputs[0].floats()[mask * m * m..][..m * m].iter().enumerate() {
                padded[(i / m + 1) * (m + 2) + i % m + 1] = v as f64;
            }
            let tap = |at: u32, low: u32, size: u32| {
                let d = at as i32 - low as i32;
                let s = ((d as f32 + 0.5) * ((m + 2) as f32 / size as f32) - 0.5).max(0.0);
                let i = (s as usize).min(m + 1);
                (i, (i + 1).min(m + 1), (s - i as f32) as f64)
            };
            let mut wide = vec![0.0; (m + 2) * w];
            for (i, v) in wide.iter_mut().enumerate() {
                let (i0, i1, l) = tap(x + (i % w) as u32, place[5], place[7] & 0xffff);
                let row = &padded[i / w * (m + 2)..][..m + 2];
                *v = (1.0 - l) * row[i0] + l * row[i1];
            }
            bits[image * self.capacity + offset..][..row_words * h].fill(0);
            for i in 0..w * h {
                let (i0, i1, l) = tap(y + (i / w) as u32, place[6], place[7] >> 16);
                let v = (1.0 - l) * wide[i0 * w + i % w] + l * wide[i1 * w + i % w];
                if v > self.threshold as f64 {
                    bits[image * self.capacity + offset + i / w * row_words + i % w / 32] |= 1 << (i % w % 32);
                }
            }
        }
        vec![Value::u32([b, self.capacity], bits)]
    }
}

/// Large and small boxes, the border, batches, too little room.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(16);
    let mut case = |name: &str, live: Vec<u32>, n: usize, input: (u32, u32), output: (u32, u32), (first, capacity)| {
        let b = live.len();
        let rois = rng.boxes(b * n, output.1 as f32, output.0 as f32);
        let frames: Vec<Frame> = (0..b).map(|_| Frame::new(input, output, 0)).collect();
        let rois = Value::f32([b, n, 4], rois);
        let live = Value::u32([b], live);
        let placed = PasteLayout { mask_side: 28 }.twin(&[rois, live.clone(), Frame::value(&frames)]);
        // Soft masks as networks make them: near 0 or 1, so that no pixel lies on the threshold by chance.
        let mut masks = Vec::new();
        for _ in 0..b * n {
            let (cx, cy, r) = (rng.uniform(8.0, 20.0), rng.uniform(8.0, 20.0), rng.uniform(4.0, 16.0));
            for i in 0..28 * 28 {
                let (dx, dy) = ((i % 28) as f32 - cx, (i / 28) as f32 - cy);
                masks.push(1.0 / (1.0 + ((dx * dx + dy * dy).sqrt() - r).exp()));
            }
        }
        let inputs = vec![Value::f32([b * n, 28, 28], masks), placed[1].clone(), live];
        Case::new(name, Paste { capacity, first, threshold: 0.5 }, inputs, Tolerance::Exact)
    };
    vec![
        case("nuclei", vec![40], 50, (256, 256), (640, 640), (0, 16384)),
        case("photo", vec![6], 9, (700, 900), (800, 1029), (0, 60000)),
        case("batch", vec![3, 9], 9, (100, 140), (64, 90), (0, 2000)),
        case("too little room", vec![9], 9, (100, 140), (64, 90), (0, 300)),
        case("a later round", vec![9], 9, (100, 140), (64, 90), (150, 300)),
        case("none", vec![0], 9, (100, 140), (64, 90), (0, 300)),
        case("one pixel", vec![3], 3, (1, 1), (32, 32), (0, 16)),
    ]
}
