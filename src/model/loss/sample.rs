//! Who is matched with what, and who is sampled.

use std::sync::Arc;

use super::constants::{ANCHOR_HIGH, ANCHOR_LOW, ANCHORS, ANCHORS_ON_TRUTHS, ROI_IOU, ROIS, ROIS_ON_TRUTHS};
use super::{GivenSamples, LossCapacity, SampleSource, TruthTensors};
use crate::Result;
use crate::config::Config;
use crate::graph::Tensor;
use crate::model::Builder;
use crate::model::rpn::{self, RpnOutputs};
use crate::ops::Info;
use crate::ops::anchors::Anchors;
use crate::ops::append_boxes::AppendBoxes;
use crate::ops::gather_rows::GatherRows;
use crate::ops::matching::{BestOverlaps, MatchBoxes};
use crate::ops::samples::Samples;
use crate::ops::sampling_keys::{SEED_WORDS, SamplingKeys};
use crate::tensor::Value;

/// The streams of chance.
const OF_ANCHORS: u32 = 0;
const OF_ROIS: u32 = 1;

/// What samples are drawn by, or the samples themselves.
pub(super) enum SampleTensors {
    /// Seeds `[B,4]`.
    Drawn(Tensor),
    /// What comes with the image.
    Given(Box<GivenSamples>),
}

impl SampleTensors {
    pub(super) fn new(b: &mut Builder, capacity: &LossCapacity) -> Self {
        match capacity.samples {
            SampleSource::Drawn => Self::Drawn(b.g.input("seeds", Info::u32([capacity.image.batch, SEED_WORDS]))),
            SampleSource::Given { anchors, rois, positives } => {
                Self::Given(GivenSamples::new(b, capacity.image.batch, [anchors, rois, positives]).into())
            }
        }
    }

    pub(super) fn seeds(&self) -> Option<Tensor> {
        match self {
            Self::Drawn(seeds) => Some(*seeds),
            Self::Given(_) => None,
        }
    }

    pub(super) fn given(&self) -> Option<GivenSamples> {
        match self {
            Self::Drawn(_) => None,
            Self::Given(given) => Some(**given),
        }
    }
}

/// Boxes that were sampled, those on truths first.
pub(super) struct SampledBoxes {
    /// `[B,k]`: which they are among all; of RoIs that were given, nothing.
    pub indices: Tensor,
    /// `[B,k,4]`.
    pub boxes: Tensor,
    /// `[B,k]`.
    pub matches: Tensor,
    /// `[B,1]` each: how many there are, and how many of them are on truths.
    pub counts: [Tensor; 2],
    /// The most of an image that can be on truths.
    pub positives: usize,
}

/// Draws k of the boxes that are matched so, of which `positives` at most are on truths: indices, and the counts of
/// [`SampledBoxes`].
fn draw(
    b: &mut Builder,
    name: &str,
    (k, positives): (usize, usize),
    stream: u32,
    matches: Tensor,
    seeds: Tensor,
) -> Result<(Tensor, [Tensor; 2])> {
    let n = matches.dim(1);
    let keys = b.g.op1(&format!("{name}.keys"), SamplingKeys { stream }, &[matches, seeds])?;
    let halves = Value::u32([2, 2], vec![0, n as u32, n as u32, n as u32]);
    let halves = b.g.constant(&format!("{name}.halves"), Arc::new(halves));
    let [_, best, counts] = b.g.top_k(&format!("{name}.draw"), k, [keys, halves])?;
    let drawn = b.g.op(&format!("{name}.samples"), Samples { positives }, &[best, counts])?;
    Ok((drawn[0], [drawn[1], drawn[2]]))
}

/// Those of `boxes` and of their matches that were sampled.
fn sampled(
    b: &mut Builder,
    name: &str,
    [boxes, matches]: [Tensor; 2],
    (indices, counts): (Tensor, [Tensor; 2]),
    positives: usize,
) -> Result<SampledBoxes> {
    let gather = |b: &mut Builder, what: &str, x: Tensor, integers: bool| {
        b.g.op1(&format!("{name}.gather.{what}"), GatherRows { integers }, &[x, indices, counts[0]])
    };
    let boxes = gather(b, "boxes", boxes, false)?;
    let matches = gather(b, "matches", matches, true)?;
    Ok(SampledBoxes { indices, boxes, matches, counts, positives })
}

/// The anchors that the RPN's terms are of.
pub(super) fn anchors(
    b: &mut Builder,
    outputs: &RpnOutputs,
    truths: &TruthTensors,
    samples: &SampleTensors,
) -> Result<SampledBoxes> {
    b.g.stage("matching");
    let (batch, count) = (outputs.logits.dim(0), outputs.logits.dim(1));
    let anchors = b.g.op1("anchors", Anchors { batch, count }, &[outputs.table])?;
    let best = b.g.op1("anchors.best", BestOverlaps, &[truths.boxes, truths.counts, anchors])?;
    let by_iou = MatchBoxes { high: ANCHOR_HIGH, low: ANCHOR_LOW, live: false, best: true };
    let matches = b.g.op1("anchors.match", by_iou, &[truths.boxes, truths.counts, anchors, best])?;
    b.tap("anchors", anchors);
    b.tap("anchors.matches", matches);
    b.g.stage("sampling");
    let (chosen, positives) = match samples {
        SampleTensors::Drawn(seeds) => {
            let how = (ANCHORS, ANCHORS_ON_TRUTHS);
            (draw(b, "anchors", how, OF_ANCHORS, matches, *seeds)?, ANCHORS_ON_TRUTHS)
        }
        SampleTensors::Given(given) => ((given.anchors, given.anchor_counts), given.anchors.dim(1)),
    };
    sampled(b, "anchors", [anchors, matches], chosen, positives)
}

/// The RoIs that the heads' terms are of: of the RPN's proposals and the truths themselves.
pub(super) fn rois(
    b: &mut Builder,
    config: &Config,
    outputs: &RpnOutputs,
    truths: &TruthTensors,
    samples: &SampleTensors,
    frames: Tensor,
) -> Result<SampledBoxes> {
    let by_iou = || MatchBoxes { high: ROI_IOU, low: ROI_IOU, live: true, best: false };
    let seeds = match samples {
        SampleTensors::Given(given) => {
            b.g.stage("matching");
            let inputs = [truths.boxes, truths.counts, given.rois, given.roi_counts[0]];
            let matches = b.g.op1("rois.match", by_iou(), &inputs)?;
            b.tap("rois.matches", matches);
            return Ok(SampledBoxes {
                indices: matches,
                boxes: given.rois,
                matches,
                counts: given.roi_counts,
                positives: given.positives,
            });
        }
        SampleTensors::Drawn(seeds) => *seeds,
    };
    // Boxes end where their last pixels do: `build_loss` takes no others.
    let proposals = rpn::select(b, config, outputs, (0, 0), frames)?;
    b.g.stage("matching");
    let inputs = [proposals.boxes, proposals.counts, truths.boxes, truths.counts];
    let all = b.g.op("rois.append", AppendBoxes, &inputs)?;
    let matches = b.g.op1("rois.match", by_iou(), &[truths.boxes, truths.counts, all[0], all[1]])?;
    b.tap("rois", all[0]);
    b.tap("rois.count", all[1]);
    b.tap("rois.matches", matches);
    b.g.stage("sampling");
    let chosen = draw(b, "rois", (ROIS, ROIS_ON_TRUTHS), OF_ROIS, matches, seeds)?;
    sampled(b, "rois", [all[0], matches], chosen, ROIS_ON_TRUTHS)
}
