//! Where each mask lies in the image, and its bits in the result.

use crate::rng::Rng;
use super::{Case, Kernel, Launch, Params as _, Tolerance, Variant};
use crate::ops::frame::Frame;
use crate::ops::paste_layout::{PasteLayout, Pasting};
use crate::ops::Io;
use crate::params;
use crate::target::Target;
use crate::tensor::Value;

params! { n: u32, mask_side: u32, spare_0: u32, spare_1: u32 }

impl Kernel for PasteLayout {
    fn variants(&self, _: &Io, _: &Target) -> Vec<Variant> {
        vec![Variant::own("one workgroup", &[]).flag("SAMPLED", self.pasting == Pasting::Sampled).flag("WHOLE", self.pasting == Pasting::Whole)]
    }

    fn launch(&self, io: &Io, _: &Variant) -> Launch {
        let params = P { n: io.dim(0, 1) as u32, mask_side: self.mask_side as u32, spare_0: 0, spare_1: 0 };
        Launch { grid: [io.dim(0, 0) as u32, 1, 1], params: params.bytes() }
    }
}

/// Boxes inside, over the border, tiny ones; none, and a full house.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(15);
    let mut with = |pasting, name: &str, live: Vec<u32>, n: usize, input: (u32, u32), output: (u32, u32)| {
        let b = live.len();
        let mut rois = rng.boxes(b * n, output.1 as f32, output.0 as f32);
        // Quarters, away from whole pixels after the way back: truncation falls the same way on every device.
        for v in &mut rois {
            *v = (*v * 4.0).round() / 4.0 + 0.07;
        }
        let frames: Vec<Frame> = (0..b).map(|_| Frame::new(input, output, 0)).collect();
        let inputs = vec![Value::f32([b, n, 4], rois), Value::u32([b], live), Frame::value(&frames)];
        let tolerance = Tolerance::Close { absolute: 1e-4, relative: 1e-6 };
        Case::new(name, PasteLayout { mask_side: 28, pasting }, inputs, tolerance)
    };
    let mut case = |name: &str, live, n, input, output| with(Pasting::Enlarged, name, live, n, input, output);
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
    let mut sampled = |name: &str, live, n, input, output| with(Pasting::Sampled, name, live, n, input, output);
    out.push(sampled("sampled", vec![250], 300, (256, 256), (640, 640)));
    let mut outside = sampled("sampled, boxes outside of the image", vec![3, 9], 9, (100, 140), (64, 90));
    let mut rois = outside.inputs[0].floats().to_vec();
    rois.chunks_mut(4).enumerate().filter(|(i, _)| i % 3 == 0).for_each(|(i, roi)| {
        let by = if i % 2 == 0 { 30.0 } else { -60.0 };
        roi.iter_mut().for_each(|v| *v += by);
    });
    // Nothing is left of one.
    rois[4..8].copy_from_slice(&[95.25, 10.0, 99.0, 20.0]);
    outside.inputs[0] = Value::f32([2, 9, 4], rois);
    out.push(outside);
    let mut whole = |name: &str, live, n, input, output| {
        let mut case = with(Pasting::Whole, name, live, n, input, output);
        let (top, left) = (7, 19);
        let frames = vec![Frame { top, left, ..Frame::new(input, output, 0) }; case.inputs[1].shape.len()];
        case.inputs[2] = Frame::value(&frames);
        // Within the image, and away from halves of pixels.
        let rois = case.inputs[0].floats().to_vec();
        let away = |(i, v): (usize, f32)| {
            let (side, of, offset) = [(output.1, input.1, left), (output.0, input.0, top)][i % 2];
            let share = v.clamp(0.0, (side - 1) as f32) / (side.max(2) - 1) as f32 * (of - 1) as f32;
            let share = if (share.fract() - 0.5).abs() < 0.05 { share + 0.1 } else { share };
            share * (side.max(2) - 1) as f32 / (of.max(2) - 1) as f32 + offset as f32
        };
        case.inputs[0] = Value::f32(case.inputs[0].shape, rois.into_iter().enumerate().map(away).collect());
        case
    };
    let mut empty = whole("whole pixels, batch", vec![3, 9], 9, (100, 140), (64, 90));
    let mut rois = empty.inputs[0].floats().to_vec();
    // Less than a pixel that rounds to none, and one that rounds to one.
    rois[..8].copy_from_slice(&[30.0, 20.0, 29.0, 40.0, 40.0, 20.0, 40.0, 20.0]);
    empty.inputs[0] = Value::f32([2, 9, 4], rois);
    out.extend([whole("whole pixels", vec![250], 300, (256, 256), (640, 640)), empty]);
    out
}
