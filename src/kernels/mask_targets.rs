//! RoIAlign of the truths' masks.

use super::box_targets::matches;
use super::{Case, Kernel, Launch, Params as _, Tolerance, Variant, fold_grid};
use crate::ops::Io;
use crate::ops::frame::Frame;
use crate::ops::targets::MaskTargets;
use crate::params;
use crate::rng::Rng;
use crate::target::Target;
use crate::tensor::Value;

params! { total: u32, k: u32, truths: u32, side: u32, grid_x: u32 }

impl Kernel for MaskTargets {
    fn variants(&self, _: &Io, _: &Target) -> Vec<Variant> {
        vec![Variant::plain()]
    }

    fn launch(&self, io: &Io, _: &Variant) -> Launch {
        let total = io.outputs[0].shape.len();
        let grid = fold_grid(total.div_ceil(64));
        let params = P {
            total: total as u32,
            k: io.dim(2, 1) as u32,
            truths: io.dim(0, 1) as u32,
            side: self.side as u32,
            grid_x: grid[0],
        };
        Launch { grid, params: params.bytes() }
    }
}

/// Masks of noise that are enlarged and reduced; RoIs over the border, smaller than a pixel, and as large as the image.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(79);
    let mut case = |name: &str, input: (u32, u32), output: (u32, u32), k: usize, truths: usize, live: &[u32]| {
        let b = live.len();
        let (mut places, mut bits) = (Vec::new(), Vec::new());
        for _ in 0..b * truths {
            let (w, h) = (1 + rng.below(input.1 as usize) as u32, 1 + rng.below(input.0 as usize) as u32);
            let (x, y) = (rng.below((input.1 - w + 1) as usize), rng.below((input.0 - h + 1) as usize));
            places.extend([x as u32, y as u32, w, h, bits.len() as u32, 0]);
            // Blots rather than single pixels; what lies past a row's last column is noise, too, and counts as nothing.
            bits.extend((0..h * w.div_ceil(32)).map(|_| {
                let word = rng.bits() as u32;
                word | word << 1 | word << 2
            }));
        }
        let (h, w) = (output.0 as f32, output.1 as f32);
        let mut rois = rng.boxes(b * k, w, h);
        for (i, roi) in rois.chunks_mut(4).enumerate() {
            match i % 5 {
                0 => roi.copy_from_slice(&[0.0, 0.0, w, h]),
                1 => roi.copy_from_slice(&[-3.25, h * 0.5, w * 0.3, h + 2.5]),
                2 => roi[2] = roi[0] + 0.3,
                // Bins of whole pixels.
                3 => (roi[2], roi[3]) = (roi[0] + 56.0, roi[1] + 28.0),
                _ => {}
            }
        }
        let frames: Vec<Frame> = (0..b).map(|_| Frame::new(input, output, 0)).collect();
        let inputs = vec![
            Value::u32([b, truths, 6], places),
            Value::u32([bits.len()], bits),
            Value::f32([b, k, 4], rois),
            matches(&mut rng, b, k, truths),
            Value::u32([b], live.to_vec()),
            Frame::value(&frames),
        ];
        Case::new(name, MaskTargets { side: 28 }, inputs, Tolerance::Close { absolute: 2e-5, relative: 1e-5 })
    };
    vec![
        case("enlarged", (40, 50), (97, 120), 12, 3, &[12]),
        case("twice as large", (40, 50), (80, 100), 10, 3, &[9]),
        case("reduced", (120, 90), (64, 48), 10, 2, &[10]),
        case("batch", (33, 65), (50, 99), 6, 2, &[6, 3, 0]),
    ]
}
