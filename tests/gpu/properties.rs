//! Kernels on the GPU against their twins for random shapes and settings, in every variant. Shapes are parameters, so a
//! new one compiles nothing.

use crate::common::{Twins, device, difference, run_case, target};
use maskrcnn::engine::kernels::{Case, Kernel, Tolerance, Variant};
use maskrcnn::engine::ops::activation::Activation;
use maskrcnn::engine::ops::conv2d::Conv2d;
use maskrcnn::engine::ops::deconv2d::Deconv2d;
use maskrcnn::engine::ops::frame::Frame;
use maskrcnn::engine::ops::levels::Levels;
use maskrcnn::engine::ops::linear::Linear;
use maskrcnn::engine::ops::max_pool::MaxPool;
use maskrcnn::engine::ops::nms::Nms;
use maskrcnn::engine::ops::paste::Paste;
use maskrcnn::engine::ops::paste_layout::{PasteLayout, Pasting};
use maskrcnn::engine::ops::predict::{Output, Predict};
use maskrcnn::engine::ops::preprocess::Preprocess;
use maskrcnn::engine::ops::roi_align::{Pooling, RoiAlign};
use maskrcnn::engine::ops::roi_levels::RoiLevels;
use maskrcnn::engine::ops::roi_pool::{RoiPool, Rounding};
use maskrcnn::engine::ops::sampling::{Filter, Sampling};
use maskrcnn::engine::ops::soft_nms::{Decay, SoftNms};
use maskrcnn::engine::ops::topk::{NONE, TopK};
use maskrcnn::engine::ops::{Info, Io, Op};
use maskrcnn::engine::rng::Rng;
use maskrcnn::engine::tensor::{Shape, Value};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{RngSeed, TestCaseError};

/// So many cases, the same on every machine and in every run.
fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, rng_seed: RngSeed::Fixed(7), ..ProptestConfig::default() }
}

/// Runs a kernel in every variant and compares each output with the twin's.
fn agree(kernel: impl Kernel + 'static, inputs: Vec<Value>, tolerance: Tolerance) -> Result<(), TestCaseError> {
    let case = Case::new(format!("{kernel:?}"), kernel, inputs, tolerance);
    let infos: Vec<Info> = case.inputs.iter().map(|v| Info { shape: v.shape, dtype: v.dtype() }).collect();
    let outputs = case.kernel.infer(&infos).map_err(TestCaseError::fail)?;
    let (plain, twins) = (Variant::plain(), Twins::new(&case));
    for (info, value) in outputs.iter().zip(twins.of(&plain)) {
        prop_assert_eq!(*info, Info { shape: value.shape, dtype: value.dtype() }, "the twin's shape");
    }
    let variants = case.kernel.variants(&Io { inputs: &infos, outputs: &outputs }, &target());
    for variant in variants.into_iter().take(crate::kernels::most_variants()) {
        let got = run_case(device(), &case, variant.name, false, 1).remove(0);
        for (i, (got, want)) in got.iter().zip(twins.of(&variant)).enumerate() {
            if let Some(d) = difference(got, want, case.tolerance) {
                return Err(TestCaseError::fail(format!("{variant}, output {i}, inputs {infos:?}: {d}")));
            }
        }
    }
    Ok(())
}

/// Live counts for `rows` rows in so many batches, from none to all.
fn live(rng: &mut Rng, batches: usize, rows: usize) -> Value {
    Value::u32([batches], (0..batches).map(|_| rng.below(rows / batches + 1) as u32).collect())
}

/// Channels on both sides of every tile and of the step by four.
fn channels() -> impl Strategy<Value = usize> {
    prop_oneof![1..10usize, select(vec![4, 8, 12, 16, 20, 28, 32, 36, 64])]
}

const SUMS: Tolerance = Tolerance::Norm { relative: 3e-6 };

proptest! {
    #![proptest_config(cases(24))]

    #[test]
    fn conv2d(
        (h, w, c, k) in (1..14usize, 1..14usize, channels(), channels()),
        (r, s) in (1..5usize, 1..5usize),
        stride in (1..4usize, 1..4usize),
        pad in (0..4usize, 0..4usize),
        dilation in (1..3usize, 1..3usize),
        (batches, rows, groups) in (1..3usize, 1..4usize, select(vec![1, 1, 1, 2, 3])),
        (relu, residual, live_counts, slice) in any::<(bool, bool, bool, bool)>(),
        seed in any::<u64>(),
    ) {
        let mut rng = Rng::new(seed);
        let n = batches * rows;
        // Windows that fit, and channels that divide.
        let (h, w) = (h.max(dilation.0 * (r - 1) + 1), w.max(dilation.1 * (s - 1) + 1));
        let (c, k) = (c.next_multiple_of(groups), k.next_multiple_of(groups));
        let mut kernel = Conv2d {
            stride, pad, dilation, groups, bias: true, activation: Activation::relu(relu), residual, live: live_counts, slice: None, levels: None,
        };
        let mut inputs = vec![rng.tensor([n, h, w, c]), rng.tensor([k, r, s, c / groups]), rng.tensor([k])];
        let side = |n: usize, k: usize, stride, pad, dilation| (n + 2 * pad - dilation * (k - 1) - 1) / stride + 1;
        let (oh, ow) = (side(h, r, stride.0, pad.0, dilation.0), side(w, s, stride.1, pad.1, dilation.1));
        if kernel.residual {
            let whole = rng.below(2) == 0;
            let (h, w) = if whole { (oh, ow) } else { (1 + rng.below(oh), 1 + rng.below(ow)) };
            inputs.push(rng.tensor([n, h, w, k]));
        }
        if live_counts {
            inputs.push(live(&mut rng, batches, n));
        }
        if slice {
            let (before, after) = (rng.below(9), rng.below(9));
            kernel.slice = Some((Shape::from([n, before + oh * ow * k + after]), before));
        }
        agree(kernel, inputs, SUMS)?;
    }

    #[test]
    fn convolution_of_levels(
        maps in prop::collection::vec((1..14usize, 1..14usize), 1..=Levels::MOST),
        (n, c, k, half) in (1..3usize, 1..20usize, 1..40usize, 0..2usize),
        (relu, slice) in any::<(bool, bool)>(),
        seed in any::<u64>(),
    ) {
        let mut rng = Rng::new(seed);
        let levels = Levels::new(&maps);
        let (cells, side) = (levels.unwrap().cells(), 2 * half + 1);
        let slice = slice.then(|| (Shape::from([n, 1, cells + 3, k]), 2 * k));
        let kernel = Conv2d { pad: (half, half), activation: Activation::relu(relu), slice, levels, ..Conv2d::default() };
        let inputs = vec![rng.tensor([n, 1, cells, c]), rng.tensor([k, side, side, c]), rng.tensor([k])];
        agree(kernel, inputs, SUMS)?;
    }

    #[test]
    fn linear(
        (batches, rows, c, k) in (1..4usize, 1..40usize, prop_oneof![1..9usize, (1..40usize).prop_map(|q| 4 * q)], channels()),
        (relu, counts) in any::<(bool, bool)>(),
        seed in any::<u64>(),
    ) {
        let mut rng = Rng::new(seed);
        let n = batches * rows;
        let mut inputs = vec![rng.tensor([n, c]), rng.tensor([k, c]), rng.tensor([k])];
        if counts {
            inputs.push(live(&mut rng, batches, n));
        }
        agree(Linear { bias: true, activation: Activation::relu(relu), live: counts }, inputs, SUMS)?;
    }

    #[test]
    fn predict(
        (batches, rows, c) in (1..4usize, 1..30usize, prop_oneof![1..9usize, (1..20usize).prop_map(|q| 4 * q)]),
        ks in (channels(), channels()),
        (between, counts) in any::<(bool, bool)>(),
        seed in any::<u64>(),
    ) {
        let mut rng = Rng::new(seed);
        let n = batches * rows;
        // A row, or a batch of them, is an image of outputs that may lie between others.
        let images = if between { batches } else { n };
        let outputs = [ks.0, ks.1].map(|k| {
            let (before, after) = if between { (rng.below(9), rng.below(9)) } else { (0, 0) };
            Output { k, whole: Shape::from([images, before + n / images * k + after]), offset: before }
        });
        let k = ks.0 + ks.1;
        let mut inputs = vec![rng.tensor([n, c]), rng.tensor([k, c]), rng.tensor([k])];
        if counts {
            inputs.push(live(&mut rng, batches, n));
        }
        agree(Predict { outputs, live: counts }, inputs, SUMS)?;
    }

    #[test]
    fn deconv2d(
        (h, w, c, k) in (1..8usize, 1..8usize, channels(), channels()),
        (stride, more, pad) in (1..4usize, 0..3usize, 0..2usize),
        (batches, rows) in (1..3usize, 1..4usize),
        (relu, counts) in any::<(bool, bool)>(),
        seed in any::<u64>(),
    ) {
        let mut rng = Rng::new(seed);
        let n = batches * rows;
        // Windows as wide as the step, which the tiled variants take, and wider ones, which overlap.
        let r = stride + more;
        let pad = if (h.min(w) - 1) * stride + r > 2 * pad { pad } else { 0 };
        let mut inputs = vec![rng.tensor([n, h, w, c]), rng.tensor([k, r, r, c]), rng.tensor([k])];
        if counts {
            inputs.push(live(&mut rng, batches, n));
        }
        agree(Deconv2d { stride, pad, bias: true, relu, live: counts }, inputs, SUMS)?;
    }

    #[test]
    fn max_pool(
        (n, h, w, c) in (1..3usize, 1..16usize, 1..16usize, channels()),
        (kernel, stride, pad) in (1..5usize, 1..4usize, 0..3usize),
        seed in any::<u64>(),
    ) {
        let pad = pad.min(kernel / 2);
        let (h, w) = (h.max(kernel), w.max(kernel));
        agree(MaxPool { kernel, stride, pad, after: pad }, vec![Rng::new(seed).tensor([n, h, w, c])], Tolerance::Exact)?;
    }

    /// Few different values, so that ties decide; nothings among them; segments apart, empty and overlapping.
    #[test]
    fn topk(
        k in select(vec![1, 5, 31, 32, 100, 257]),
        (batch, length) in (1..4usize, 1..1500usize),
        parts in prop::collection::vec((0.0..1.0f64, 0.0..1.0f64), 1..5),
        (values, nothings) in (1..40usize, 0..4usize),
        seed in any::<u64>(),
    ) {
        let mut rng = Rng::new(seed);
        let mut segments = Vec::new();
        for (begin, share) in parts {
            let begin = (begin * length as f64) as usize;
            segments.extend([begin as u32, (share * (length - begin + 1) as f64) as u32]);
        }
        let value = |rng: &mut Rng| match rng.below(4) {
            i if i < nothings => NONE,
            // Both zeros, both signs, small and large.
            _ => (rng.below(values) as f32 - (values / 2) as f32) * [1.0, -0.0, 1e-20, 1e20][rng.below(4)],
        };
        let x: Vec<f32> = (0..batch * length).map(|_| value(&mut rng)).collect();
        let inputs = vec![Value::f32([batch, length], x), Value::u32([segments.len() / 2, 2], segments)];
        agree(TopK { k }, inputs, Tolerance::Exact)?;
    }

    /// Whole coordinates, so that only the division can round.
    #[test]
    fn nms(
        (groups, k, side) in (1..5usize, 1..200usize, select(vec![2.0f32, 9.0, 40.0, 200.0])),
        threshold in select(vec![0.0f32, 0.3, 0.5, 0.7, 1.0]),
        any_corners in any::<bool>(),
        holes in 0..3usize,
        seed in any::<u64>(),
    ) {
        let mut rng = Rng::new(seed);
        let mut boxes: Vec<f32> = rng.boxes(groups * k, side + 1.0, side + 1.0).into_iter().map(f32::round).collect();
        // Whichever corner comes first.
        for b in boxes.chunks_mut(4) {
            let axis = rng.below(5);
            if axis < 2 {
                b.swap(axis, axis + 2);
            }
        }
        let mut scores = Vec::new();
        for _ in 0..groups {
            let mut some: Vec<f32> = (0..k).map(|_| rng.below(50) as f32 / 8.0).collect();
            some.sort_by(|a, b| b.total_cmp(a));
            scores.extend(some.into_iter().map(|s| if rng.below(4) < holes { NONE } else { s }));
        }
        // A count past the capacity stands for all.
        let counts = (0..groups).map(|_| rng.below(k + 3) as u32).collect();
        let inputs =
            vec![Value::f32([groups, k, 4], boxes), Value::f32([groups, k], scores), Value::u32([groups], counts)];
        agree(Nms { threshold, any_corners }, inputs, Tolerance::Exact)?;
    }

    /// Scores that lie apart, since of two that are nearly the same either may be the first to be taken.
    #[test]
    fn soft_nms(
        (groups, k, side) in (1..4usize, 1..200usize, select(vec![9.0f32, 40.0, 200.0])),
        decay in select(vec![Decay::Linear(0.0), Decay::Linear(0.3), Decay::Linear(0.7), Decay::Gaussian(0.5), Decay::Gaussian(0.1)]),
        (holes, least) in (0..3usize, select(vec![0.0f32, 0.05, 0.3])),
        seed in any::<u64>(),
    ) {
        let mut rng = Rng::new(seed);
        let boxes = rng.boxes(groups * k, side + 1.0, side + 1.0).into_iter().map(f32::round).collect();
        let mut scores: Vec<f32> = (0..groups * k).map(|_| rng.uniform(0.001, 1.0)).collect();
        scores.chunks_mut(k).for_each(|group| group.sort_by(|a, b| b.total_cmp(a)));
        scores.iter_mut().for_each(|s| *s = if rng.below(4) < holes { NONE } else { *s });
        let counts = (0..groups).map(|_| rng.below(k + 3) as u32).collect();
        let inputs =
            vec![Value::f32([groups, k, 4], boxes), Value::f32([groups, k], scores), Value::u32([groups], counts)];
        agree(SoftNms { decay, least }, inputs, Tolerance::Close { absolute: 2e-6, relative: 1e-4 })?;
    }

    /// Boxes on quarter pixels, inside and over the border. The number of adaptive samples must not hang on a
    /// division's last bit, so the bins are powers of two there.
    #[test]
    fn roi_align(
        (batch, n, quads) in (1..3usize, 1..6usize, 1..4usize),
        (levels, pooled, sampling) in (1..5usize, select(vec![1usize, 2, 4, 7, 8]), 0..4usize),
        (h, w) in (8..33usize, 8..33usize),
        (aligned, max) in any::<(bool, bool)>(),
        seed in any::<u64>(),
    ) {
        let mut rng = Rng::new(seed);
        let pooled = if sampling == 0 { pooled.next_power_of_two() } else { pooled };
        let scales: Vec<f32> = (0..levels).map(|l| 0.25 / (1 << l) as f32).collect();
        let kernel = RoiAlign {
            pooled,
            sampling,
            aligned,
            pooling: if max { Pooling::Max } else { Pooling::Average },
            // Small, so that small boxes reach every level.
            levels: RoiLevels { canonical: 56.0, ..RoiLevels::new(&scales) },
        };
        let (width, height) = (w as f32 * 4.0, h as f32 * 4.0);
        let mut rois = rng.boxes(batch * n, width, height);
        for roi in rois.chunks_mut(4) {
            let (dx, dy) = (rng.uniform(-9.0, 9.0), rng.uniform(-9.0, 9.0));
            for (i, v) in roi.iter_mut().enumerate() {
                *v = ((*v + if i % 2 == 0 { dx } else { dy }) * 4.0).round() / 4.0;
            }
            if rng.below(5) == 0 {
                roi.copy_from_slice(&[0.0, 0.0, width, height]);
            }
        }
        let mut inputs = vec![Value::f32([batch, n, 4], rois), live(&mut rng, batch, batch * n)];
        inputs.extend((0..levels).map(|l| rng.tensor([batch, (h >> l).max(1), (w >> l).max(1), 4 * quads])));
        agree(kernel, inputs, Tolerance::Close { absolute: 3e-5, relative: 1e-4 })?;
    }

    /// Boxes anywhere, inside, over the border and past it, on halves of their level's pixels among others.
    #[test]
    fn roi_pool(
        (batch, n, quads) in (1..3usize, 1..12usize, 1..4usize),
        (levels, pooled) in (1..5usize, 1..65usize),
        (h, w) in (8..33usize, 8..33usize),
        (down, halves) in any::<(bool, bool)>(),
        seed in any::<u64>(),
    ) {
        let mut rng = Rng::new(seed);
        let scales: Vec<f32> = (0..levels).map(|l| 0.25 / (1 << l) as f32).collect();
        let rounding = if down { Rounding::Down } else { Rounding::Nearest };
        let kernel = RoiPool { pooled, rounding, levels: RoiLevels { canonical: 56.0, ..RoiLevels::new(&scales) } };
        let (width, height) = (w as f32 * 4.0, h as f32 * 4.0);
        let mut rois: Vec<f32> = (0..batch * n)
            .flat_map(|_| {
                let (x, y) = (rng.uniform(-40.0, width), rng.uniform(-40.0, height));
                [x, y, x + rng.uniform(-9.0, width), y + rng.uniform(-9.0, height)]
            })
            .collect();
        if halves {
            rois.iter_mut().for_each(|v| *v = (*v / 2.0).round() * 2.0);
        }
        let mut inputs = vec![Value::f32([batch, n, 4], rois), live(&mut rng, batch, batch * n)];
        inputs.extend((0..levels).map(|l| rng.tensor([batch, (h >> l).max(1), (w >> l).max(1), 4 * quads])));
        agree(kernel, inputs, Tolerance::Exact)?;
    }

    /// Enlarged, shrunk or both, at any byte offset of a row, with and without padding.
    #[test]
    fn preprocess(
        sizes in prop::collection::vec(((1..90u32, 1..90u32), (1..64u32, 1..64u32)), 1..4),
        more in (0..33usize, 0..33usize),
        area in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let mut rng = Rng::new(seed);
        let (mut words, mut frames, mut neighbours) = (Vec::new(), Vec::new(), Vec::new());
        let h = sizes.iter().map(|s| s.1.0 as usize).max().unwrap_or(1) + more.0;
        let w = sizes.iter().map(|s| s.1.1 as usize).max().unwrap_or(1) + more.1;
        let filter = if area { Filter::Area } else { Filter::Nearest };
        let taps = sizes.iter().map(|s| Sampling::new(s.0, s.1).filtered(filter).words()).max().unwrap_or(2);
        for &(input, output) in &sizes {
            let sampling = Sampling::new(input, output).filtered(filter);
            frames.push(Frame { sent_w: sampling.x.sent(), ..Frame::new(input, output, words.len() as u32) });
            words.extend((0..sampling.bytes().div_ceil(4)).map(|_| rng.bits() as u32));
            sampling.neighbours(h, w, taps, &mut neighbours);
        }
        let neighbours = Value::u32([sizes.len(), h + w, taps], neighbours);
        let table = Preprocess::table(1.0, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
        let inputs = vec![Value::u32([words.len()], words), Frame::value(&frames), neighbours, table];
        agree(Preprocess { h, w, filter }, inputs, Tolerance::Close { absolute: 2e-4, relative: 1e-5 })?;
    }

    /// The rectangles, and the bits in them, of boxes inside and over the border, with room for all or not.
    #[test]
    fn paste(
        (batch, n, side) in (1..3usize, 1..8usize, select(vec![1, 2, 7, 28])),
        input in (1..120u32, 1..120u32),
        scale in select(vec![1u32, 2, 4]),
        room in 0.2..1.5f64,
        sampled in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let mut rng = Rng::new(seed);
        let output = (input.0 * scale, input.1 * scale);
        let frames: Vec<Frame> = (0..batch).map(|_| Frame::new(input, output, 0)).collect();
        let mut rois = rng.boxes(batch * n, output.1 as f32 + 3.0, output.0 as f32 + 3.0);
        for v in &mut rois {
            // Away from whole pixels after the way back, so that truncation falls the same way on every device.
            *v = (*v * 4.0).round() / 4.0 + 0.07;
        }
        let live = live(&mut rng, batch, batch * n);
        let inputs = vec![Value::f32([batch, n, 4], rois), live.clone(), Frame::value(&frames)];
        let pasting = if sampled { Pasting::Sampled } else { Pasting::Enlarged };
        let placed = PasteLayout { mask_side: side, pasting }.twin(&inputs);
        agree(PasteLayout { mask_side: side, pasting }, inputs, Tolerance::Close { absolute: 1e-4, relative: 1e-6 })?;

        // As networks make them: near 0 or 1, so that no pixel lies on the threshold by chance.
        let mut masks = Vec::new();
        for _ in 0..batch * n {
            let m = side as f32;
            let (cx, cy, r) = (rng.uniform(0.3, 0.7) * m, rng.uniform(0.3, 0.7) * m, rng.uniform(0.1, 0.6) * m);
            for i in 0..side * side {
                let (dx, dy) = ((i % side) as f32 - cx, (i / side) as f32 - cy);
                masks.push(1.0 / (1.0 + ((dx * dx + dy * dy).sqrt() - r).exp()));
            }
        }
        let words = placed[2].ints().chunks(2).map(|h| h[1]).max().unwrap_or(0);
        let capacity = ((words as f64 * room) as usize).max(1);
        let mut inputs = vec![Value::f32([batch * n, side, side], masks), placed[1].clone(), live];
        inputs.extend(sampled.then(|| placed[0].clone()));
        agree(Paste { capacity, first: 0, threshold: 0.5, pasting }, inputs, Tolerance::Exact)?;
    }
}
