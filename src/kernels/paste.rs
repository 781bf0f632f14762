//! Soft masks to bits of the original image.

use crate::rng::Rng;
use super::{Case, Kernel, Launch, Params as _, Tolerance, Variant, fold_grid};
use crate::ops::frame::Frame;
use crate::ops::paste::Paste;
use crate::ops::paste_layout::{PasteLayout, Pasting};
use crate::ops::{Io, Op};
use crate::params;
use crate::target::Target;
use crate::tensor::Value;

params! { n: u32, side: u32, capacity: u32, first: u32, blocks: u32, threshold: f32, grid_x: u32, batch: u32 }

/// Workgroups that share one mask; each of their threads makes words of 32 pixels.
const BLOCKS: usize = 8;

impl Kernel for Paste {
    fn variants(&self, _: &Io, _: &Target) -> Vec<Variant> {
        vec![Variant::plain().flag("SAMPLED", self.pasting == Pasting::Sampled).flag("WHOLE", self.pasting == Pasting::Whole)]
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
            batch: io.dim(1, 0) as u32,
        };
        Launch { grid, params: params.bytes() }
    }
}

/// Large and small boxes, the border, batches, too little room.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(16);
    let mut with = |pasting, name: &str, live: Vec<u32>, n: usize, input: (u32, u32), output: (u32, u32), (first, capacity)| {
        let b = live.len();
        let rois = rng.boxes(b * n, output.1 as f32, output.0 as f32);
        let frames: Vec<Frame> = (0..b).map(|_| Frame::new(input, output, 0)).collect();
        let rois = Value::f32([b, n, 4], rois);
        let live = Value::u32([b], live);
        let placed = PasteLayout { mask_side: 28, pasting }.twin(&[rois, live.clone(), Frame::value(&frames)]);
        // Soft masks as networks make them: near 0 or 1, so that no pixel lies on the threshold by chance.
        let mut masks = Vec::new();
        for _ in 0..b * n {
            let (cx, cy, r) = (rng.uniform(8.0, 20.0), rng.uniform(8.0, 20.0), rng.uniform(4.0, 16.0));
            for i in 0..28 * 28 {
                let (dx, dy) = ((i % 28) as f32 - cx, (i / 28) as f32 - cy);
                masks.push(1.0 / (1.0 + ((dx * dx + dy * dy).sqrt() - r).exp()));
            }
        }
        let mut inputs = vec![Value::f32([b * n, 28, 28], masks), placed[1].clone(), live];
        if pasting == Pasting::Sampled {
            inputs.push(placed[0].clone());
        }
        Case::new(name, Paste { capacity, first, threshold: 0.5, pasting }, inputs, Tolerance::Exact)
    };
    let mut case = |name: &str, live, n, input, output, room| with(Pasting::Enlarged, name, live, n, input, output, room);
    let mut cases = vec![
        case("nuclei", vec![40], 50, (256, 256), (640, 640), (0, 16384)),
        case("photo", vec![6], 9, (700, 900), (800, 1029), (0, 60000)),
        case("batch", vec![3, 9], 9, (100, 140), (64, 90), (0, 2000)),
        case("too little room", vec![9], 9, (100, 140), (64, 90), (0, 300)),
        case("a later round", vec![9], 9, (100, 140), (64, 90), (150, 300)),
        case("none", vec![0], 9, (100, 140), (64, 90), (0, 300)),
        case("one pixel", vec![3], 3, (1, 1), (32, 32), (0, 16)),
    ];
    let mut sampled = |name: &str, live, n, input, output, room| with(Pasting::Sampled, name, live, n, input, output, room);
    cases.extend([
        sampled("sampled, nuclei", vec![40], 50, (256, 256), (640, 640), (0, 16384)),
        sampled("sampled, photo", vec![6], 9, (700, 900), (800, 1029), (0, 60000)),
        sampled("sampled, batch", vec![3, 9], 9, (100, 140), (64, 90), (0, 2000)),
        sampled("sampled, a later round", vec![9], 9, (100, 140), (64, 90), (150, 300)),
    ]);
    cases.push(on_the_threshold());
    cases.extend(whole());
    cases
}

/// Masks that fill their boxes: of boxes that are larger and smaller than they, of one pixel, and of values that all pass the
/// threshold, so that the black around them makes no border.
fn whole() -> Vec<Case> {
    let mut rng = Rng::new(19);
    let mut case = |name: &str, live: Vec<u32>, n: usize, input: (u32, u32), output: (u32, u32), (first, capacity): (usize, usize)| {
        let (b, pasting) = (live.len(), Pasting::Whole);
        let rois = Value::f32([b, n, 4], rng.boxes(b * n, (output.1 - 1) as f32, (output.0 - 1) as f32));
        let frames = vec![Frame::new(input, output, 0); b];
        let live = Value::u32([b], live);
        let placed = PasteLayout { mask_side: 28, pasting }.twin(&[rois, live.clone(), Frame::value(&frames)]);
        let mut masks = Vec::new();
        for mask in 0..b * n {
            let (cx, cy, r) = (rng.uniform(8.0, 20.0), rng.uniform(8.0, 20.0), rng.uniform(4.0, 16.0));
            for i in 0..28 * 28 {
                let (dx, dy) = ((i % 28) as f32 - cx, (i / 28) as f32 - cy);
                let soft = 1.0 / (1.0 + ((dx * dx + dy * dy).sqrt() - r).exp());
                masks.push(if mask % 3 == 0 { 0.501 + 0.4 * soft } else { soft });
            }
        }
        let inputs = vec![Value::f32([b * n, 28, 28], masks), placed[1].clone(), live];
        Case::new(name, Paste { capacity, first, threshold: 0.5, pasting }, inputs, Tolerance::Exact)
    };
    vec![
        case("whole, nuclei", vec![40], 50, (256, 256), (640, 640), (0, 16384)),
        case("whole, photo", vec![6], 9, (700, 900), (800, 1029), (0, 60000)),
        case("whole, batch", vec![3, 9], 9, (100, 140), (64, 90), (0, 2000)),
        case("whole, a later round", vec![9], 9, (100, 140), (64, 90), (150, 300)),
    ]
}

/// Sampled masks of nothing but the threshold, of sides that are exact in f32: they belong to the mask.
fn on_the_threshold() -> Case {
    let rois = Value::f32([1, 2, 4], vec![4.0, 4.0, 20.0, 20.0, 8.0, 2.0, 24.0, 34.0]);
    let (live, frames) = (Value::u32([1], vec![2]), Frame::value(&[Frame::new((40, 30), (40, 30), 0)]));
    let pasting = Pasting::Sampled;
    let placed = PasteLayout { mask_side: 8, pasting }.twin(&[rois, live.clone(), frames]);
    let inputs = vec![Value::f32([2, 8, 8], vec![0.5; 128]), placed[1].clone(), live, placed[0].clone()];
    Case::new("sampled, on the threshold", Paste { capacity: 200, first: 0, threshold: 0.5, pasting }, inputs, Tolerance::Exact)
}
