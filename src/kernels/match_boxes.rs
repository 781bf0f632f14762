//! What each box is matched with.

use super::{Case, Kernel, Launch, Params as _, Tolerance, Variant, fold_grid};
use crate::ops::matching::{BestOverlaps, MatchBoxes};
use crate::ops::{Io, Op};
use crate::params;
use crate::rng::Rng;
use crate::target::Target;
use crate::tensor::Value;

params! { total: u32, boxes: u32, truths: u32, high: f32, low: f32, grid_x: u32 }

impl Kernel for MatchBoxes {
    fn variants(&self, _: &Io, _: &Target) -> Vec<Variant> {
        vec![Variant::plain().flag("LIVE", self.live).flag("BEST", self.best)]
    }

    fn launch(&self, io: &Io, _: &Variant) -> Launch {
        let total = io.outputs[0].shape.len();
        let grid = fold_grid(total.div_ceil(64));
        let params = P {
            total: total as u32,
            boxes: io.dim(2, 1) as u32,
            truths: io.dim(0, 1) as u32,
            high: self.high,
            low: self.low,
            grid_x: grid[0],
        };
        Launch { grid, params: params.bytes() }
    }
}

/// Truths on whole pixels, and boxes on and beside them, each several times: IoUs of every size, and ties.
pub(super) fn scene(counts: &[u32], truths: usize, boxes: usize) -> Vec<Value> {
    let (mut rng, b) = (Rng::new(71), counts.len());
    let mut whole = |n: usize| -> Vec<f32> { rng.boxes(n, 300.0, 200.0).iter().map(|v| v.round()).collect() };
    let mut of = |n: usize| -> Vec<f32> {
        let all = whole(n);
        all.chunks(4).flat_map(|r| [r[0], r[1], r[2].max(r[0] + 1.0), r[3].max(r[1] + 1.0)]).collect()
    };
    let (true_boxes, mut near) = (of(b * truths), of(b * boxes));
    let mut rng = Rng::new(72);
    for (i, near) in near.chunks_mut(4).enumerate() {
        let at = (i / boxes * truths + rng.below(truths)) * 4;
        let truth = &true_boxes[at..at + 4];
        match i % 4 {
            0 => near.copy_from_slice(truth),
            1 | 2 => {
                let side = (truth[2] - truth[0]) * [0.25, 0.5, 0.125][rng.below(3)];
                near.copy_from_slice(&[truth[0] + side.round(), truth[1], truth[2] + side.round(), truth[3]]);
            }
            _ => {}
        }
    }
    vec![
        Value::f32([b, truths, 4], true_boxes),
        Value::u32([b], counts.to_vec()),
        Value::f32([b, boxes, 4], near),
    ]
}

/// As anchors and as proposals are matched; several images, no truths, no boxes.
pub fn cases() -> Vec<Case> {
    let anchors = |name: &str, counts: &[u32], truths: usize, boxes: usize| {
        let mut inputs = scene(counts, truths, boxes);
        let mut best = BestOverlaps.twin(&inputs).remove(0);
        // A truth that is not there has none that could be met by chance.
        if let crate::tensor::Data::F32(best) = &mut best.data {
            best.iter_mut().filter(|v| v.is_nan()).for_each(|v| *v = 0.0);
        }
        inputs.push(best);
        Case::new(name, MatchBoxes { high: 0.7, low: 0.3, live: false, best: true }, inputs, Tolerance::Exact)
    };
    let rois = |name: &str, counts: &[u32], truths: usize, boxes: usize, live: &[u32]| {
        let mut inputs = scene(counts, truths, boxes);
        inputs.push(Value::u32([live.len(), 1], live.to_vec()));
        Case::new(name, MatchBoxes { high: 0.5, low: 0.5, live: true, best: false }, inputs, Tolerance::Exact)
    };
    // Truths that no box reaches the threshold of have several best boxes, one of them nearer to another truth.
    let forced = {
        let mut truths = vec![0.0, 0.0, 8.0, 8.0, 16.0, 0.0, 24.0, 8.0];
        // The last two are the same.
        truths.extend([64.0, 64.0, 96.0, 96.0].repeat(2));
        let boxes = [
            [0.0, 4.0, 8.0, 12.0],
            [0.0, -4.0, 8.0, 4.0],
            [16.0, 4.0, 24.0, 12.0],
            [80.0, 64.0, 112.0, 96.0],
            [64.0, 80.0, 96.0, 112.0],
            [64.0, 66.0, 96.0, 94.0],
            [200.0, 200.0, 208.0, 208.0],
        ];
        let mut inputs =
            vec![Value::f32([1, 4, 4], truths), Value::u32([1], vec![4]), Value::f32([1, 7, 4], boxes.concat())];
        inputs.push(BestOverlaps.twin(&inputs).remove(0));
        Case::new("ties", MatchBoxes { high: 0.7, low: 0.3, live: false, best: true }, inputs, Tolerance::Exact)
    };
    vec![
        anchors("anchors", &[9], 12, 1000),
        anchors("anchors, batch", &[3, 5, 0], 5, 70),
        anchors("anchors, no truths", &[0], 4, 300),
        forced,
        rois("proposals", &[9], 12, 500, &[411]),
        rois("proposals, batch", &[3, 0, 5], 5, 70, &[70, 33, 0]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::matching::{BACKGROUND, FIRST_TRUTH, IGNORED};

    /// The cases' matches by hand, and all three kinds in what is made up.
    #[test]
    fn cases_have_every_kind_of_match() {
        let matches = |case: &Case| case.kernel.twin(&case.inputs).remove(0).ints().to_vec();
        let all = cases();
        let first = FIRST_TRUTH;
        // Both halves of the first truth tie; of the second there is one; the third is met by one box well, and the others
        // overlap it by a third; of the two that are the same, it is the first that is met.
        assert_eq!(matches(&all[3]), [first, first, first + 1, IGNORED, IGNORED, first + 2, BACKGROUND]);
        for case in [&all[0], &all[1], &all[4]] {
            let all = matches(case);
            let some = |f: &dyn Fn(u32) -> bool| all.iter().filter(|&&m| f(m)).count() > 5;
            assert!(some(&|m| m == BACKGROUND) && some(&|m| m >= first), "{}: {all:?}", case.name);
        }
        assert!(matches(&all[0]).iter().filter(|&&m| m == IGNORED).count() > 5);
        assert!(matches(&all[2]).iter().all(|&m| m == BACKGROUND));
    }
}
