//! What training makes smaller: the network up to the five terms of its loss (torchvision, `models/detection/rpn.py`,
//! `roi_heads.py`; Mask R-CNN paper, section 3).
//!
//! Anchors and proposals are matched with the truths, some of them are sampled, and what the heads say of these is held
//! against what they should say. Each step is an op of its own, and what is gathered is gathered in the open, so that all that
//! lies between the weights and a term can have a derivative; matches and samples have none.
//!
//! | file | what is in it |
//! |---|---|
//! | `input` | truths and samples, as the network takes them |
//! | `sample` | who is matched with what, and who is sampled |
//! | `terms` | the terms of the RPN, the box head and the mask head |

mod input;
mod sample;
mod terms;

pub use input::{GivenSamples, Sampled, TrueObject, TruthTensors, Truths};

use sample::SampleTensors;

use super::{Builder, Capacity, Tap, backbone, image, rpn};
use crate::Result;
use crate::config::{BoxRule, Config};
use crate::graph::{Graph, Tensor};
use crate::weights::NetworkWeights;

/// torchvision's constants of training.
pub(crate) mod constants {
    /// Proposals that a level keeps before NMS, and an image after it.
    pub(crate) const PROPOSALS: usize = 2000;
    /// From which IoU on an anchor is on a truth.
    pub(crate) const ANCHOR_HIGH: f32 = 0.7;
    /// Below which IoU it is on the background.
    pub(crate) const ANCHOR_LOW: f32 = 0.3;
    /// Anchors that are sampled.
    pub(crate) const ANCHORS: usize = 256;
    /// Most of them that are on truths.
    pub(crate) const ANCHORS_ON_TRUTHS: usize = 128;
    /// From which IoU on a proposal is on a truth; below, it is on the background.
    pub(crate) const ROI_IOU: f32 = 0.5;
    /// RoIs that are sampled.
    pub(crate) const ROIS: usize = 512;
    /// Most of them that are on truths.
    pub(crate) const ROIS_ON_TRUTHS: usize = 128;
    /// From which distance on the loss of a delta is linear.
    pub(crate) const BETA: f32 = 1.0 / 9.0;
}

/// Where the samples come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SampleSource {
    /// They are drawn, by a seed.
    Drawn,
    /// They come with the image.
    Given {
        /// Room for anchors.
        anchors: usize,
        /// Room for RoIs.
        rois: usize,
        /// Room for those of them, the first, that are on truths.
        positives: usize,
    },
}

/// What a loss's graph is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LossCapacity {
    /// The image; all but its RoIs' source and its room for mask bits counts.
    pub image: Capacity,
    /// Truths an image.
    pub truths: usize,
    /// Words for the bits of the truths' masks, of all images.
    pub mask_words: usize,
    /// Where the samples come from.
    pub samples: SampleSource,
}

/// The network up to its loss, with its ends.
#[derive(Clone, Debug)]
pub struct LossNetwork {
    /// The ops.
    pub graph: Graph,
    /// Image bytes, frames and neighbours, as [`super::Network`] has them.
    pub image: [Tensor; 3],
    /// The truths.
    pub truths: TruthTensors,
    /// `[B,4]`: what chance is made of, where samples are drawn ([`crate::engine::ops::sampling_keys`]).
    pub seeds: Option<Tensor>,
    /// The samples, where they are given.
    pub given: Option<GivenSamples>,
    /// What comes out.
    pub outputs: LossOutputs,
    /// How many anchors an image has.
    pub anchors: usize,
    /// Every stage by name, for comparing with another implementation.
    pub taps: Vec<Tap>,
}

/// What a loss's network makes. k are the anchors and RoIs that there is room for.
#[derive(Clone, Copy, Debug)]
pub struct LossOutputs {
    /// `[1]`: whether there is an object, of the sampled anchors.
    pub objectness: Tensor,
    /// `[1]`: deltas of the sampled anchors on truths.
    pub rpn_box: Tensor,
    /// `[1]`: classes of the sampled RoIs.
    pub classifier: Tensor,
    /// `[1]`: deltas of the sampled RoIs on truths.
    pub bbox: Tensor,
    /// `[1]`: masks of the sampled RoIs on truths, where the network has a mask head.
    pub mask: Option<Tensor>,
    /// `[B,k]`: which anchors were sampled, those on truths first.
    pub anchors: Tensor,
    /// `[B,k]`: their matches ([`crate::engine::ops::matching`]).
    pub anchor_matches: Tensor,
    /// `[B,1]` each: how many anchors were sampled, and how many of them are on truths.
    pub anchor_counts: [Tensor; 2],
    /// `[B,k,4]`: which RoIs were sampled, those on truths first.
    pub rois: Tensor,
    /// `[B,k]`: their matches.
    pub roi_matches: Tensor,
    /// `[B,1]` each: how many RoIs were sampled, and how many of them are on truths.
    pub roi_counts: [Tensor; 2],
}

impl LossOutputs {
    /// All of them, the terms first.
    pub fn tensors(&self) -> Vec<Tensor> {
        let mut out = vec![self.objectness, self.rpn_box, self.classifier, self.bbox];
        out.extend([self.anchors, self.anchor_matches, self.rois, self.roi_matches]);
        out.extend(self.anchor_counts.into_iter().chain(self.roi_counts).chain(self.mask));
        out
    }
}

/// Builds the network that `config` describes, from image bytes and truths to the terms of its loss. The RPN proposes as many
/// boxes as torchvision's does in training, whatever `config` has for detection; normalisation is that of detection.
///
/// # Errors
/// [`crate::Error::Shape`] where weights and configuration do not fit each other; [`crate::Error::Config`] for boxes that are
/// not encoded as torchvision's are.
pub fn build_loss(config: &Config, weights: &NetworkWeights, capacity: &LossCapacity) -> Result<LossNetwork> {
    if config.box_rule != BoxRule::Corners {
        let reason = "is normalized, as matterport's networks have it, and the loss is torchvision's: it would be of other \
                      boxes than these networks were trained on";
        return Err(crate::Error::Config { setting: "box_rule".into(), reason: reason.into() });
    }
    config.expect_exclusive(
        "the loss is torchvision's: it would be of other boxes than these networks were trained on",
    )?;
    let mut b = Builder { g: Graph::new(), taps: Vec::new() };
    let room = &capacity.image;
    let (image, x) = image(&mut b, config, room)?;
    let frames = image[1];
    let features = backbone::features(&mut b, config, &weights.body, x)?;
    let pyramid = backbone::neck(&mut b, config, &weights.fpn, &features, room)?;
    let truths = TruthTensors::new(&mut b, capacity, config.mask.is_some());
    let samples = SampleTensors::new(&mut b, capacity);

    let mut training = config.clone();
    (training.rpn.pre_nms_top_n, training.rpn.post_nms_top_n) = (constants::PROPOSALS, constants::PROPOSALS);
    let of_anchors = rpn::outputs(&mut b, &training, &weights.rpn, &pyramid, room)?;
    let anchors = sample::anchors(&mut b, &of_anchors, &truths, &samples)?;
    let [objectness, rpn_box] = terms::rpn(&mut b, &of_anchors, &anchors, &truths)?;
    let rois = sample::rois(&mut b, &training, &of_anchors, &truths, &samples, frames)?;
    let [classifier, bbox] = terms::boxes(&mut b, config, weights, &pyramid, &rois, &truths, room)?;
    let mask = terms::masks(&mut b, config, weights, &pyramid, &rois, &truths, (room, frames))?;

    let outputs = LossOutputs {
        objectness,
        rpn_box,
        classifier,
        bbox,
        mask,
        anchors: anchors.indices,
        anchor_matches: anchors.matches,
        anchor_counts: anchors.counts,
        rois: rois.boxes,
        roi_matches: rois.matches,
        roi_counts: rois.counts,
    };
    outputs.tensors().into_iter().for_each(|t| b.g.keep(t));
    let anchors = of_anchors.logits.dim(1);
    Ok(LossNetwork {
        graph: b.g,
        image,
        truths,
        seeds: samples.seeds(),
        given: samples.given(),
        outputs,
        anchors,
        taps: b.taps,
    })
}
