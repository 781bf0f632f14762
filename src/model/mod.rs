//! The networks, as functions that build a [`Graph`]: body, FPN, RPN, box and mask heads.
//!
//! | file | what is in it |
//! |---|---|
//! | `precision` | f32 or f16 |
//! | `size` | from an image's size to the network's input |
//! | `input` | what a network is given for a batch of images |
//! | `given` | RoIs that come with the image |
//! | `crops` | R-CNN: a crop at a time through the whole body |
//! | `anchors` | the anchors of each level |
//! | `layer` | a convolution, its norm, and what follows |
//! | `backbone` | ResNet bodies and the FPN |
//! | `mobilenet` | MobileNetV3-large as a body |
//! | `pyramid` | the levels of the FPN as few tensors |
//! | `rpn` | region proposals |
//! | `heads` | box head and mask head |
//! | `detections` | class NMS, paste, and everything in original pixels |
//! | `loss` | what training makes smaller: the network up to the five terms of its loss |

mod anchors;
mod backbone;
mod crops;
mod detections;
mod given;
mod heads;
mod input;
mod layer;
mod loss;
mod mobilenet;
mod precision;
mod pyramid;
mod rpn;
mod size;

pub(crate) use anchors::cells_of as cell_anchors;
pub use crops::{CropCapacity, CropNetwork, CropResults, Crops, Window};
pub use given::{Given, GivenTensors, KnownBox, RoiSource};
pub(crate) use given::{check_box, room_for_boxes};
pub(crate) use heads::level_of;
pub use input::Input;
pub use loss::{
    GivenSamples, LossCapacity, LossNetwork, LossOutputs, SampleSource, Sampled, TrueObject, TruthTensors, Truths,
    build_loss,
};
pub use precision::Precision;
pub use size::NetworkSize;

use std::sync::Arc;

pub(crate) use detections::pasting;
use heads::BoxOutputs;

use crate::Result;
use crate::config::Config;
use crate::graph::{Graph, Tensor};
use crate::ops::Info;
use crate::ops::frame::FRAME_WORDS;
use crate::ops::levels::Levels;
use crate::ops::preprocess::Preprocess;
use crate::tensor::Value;
use crate::weights::NetworkWeights;

/// What a graph is made for: the padded input and the room for what changes from image to image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Capacity {
    /// Rows of the padded network input.
    pub height: usize,
    /// Columns of the padded network input.
    pub width: usize,
    /// Images a run.
    pub batch: usize,
    /// [`NetworkSize::roi_shift`] of them all.
    pub roi_shift: u32,
    /// Words of the buffer of image bytes: of the pixels that the resize reads.
    pub image_words: usize,
    /// Words for the neighbours of a row or a column of the input: [`Sampling::words`](crate::ops::sampling::Sampling::words).
    pub taps: usize,
    /// Words for the bits of all masks of an image.
    pub mask_words: usize,
    /// Most bytes of a tensor that holds several levels of the pyramid.
    pub pyramid_bytes: u64,
    /// Where RoIs come from.
    pub rois: RoiSource,
}

impl Capacity {
    /// Larger ones are held too long for what they gain: from the coarsest level's making on, where P2 is the last to be
    /// made. P2 of a ResNet-50-FPN at 800×1216 is alone, for 72 MiB less (benches/NOTES.md).
    pub const PYRAMID_BYTES: u64 = 64 << 20;

    /// Bytes that a binding may have on every device (WebGPU's default limit).
    pub const LEAST_BINDING: usize = 128 << 20;

    /// The least room for image bytes and mask bits, in words: sizes grow from here by doubling, so that images of
    /// slightly different sizes share a plan.
    const LEAST_WORDS: usize = 1 << 14;

    /// Most bytes of an image: what is counted from them fits 32 bits.
    const MOST_BYTES: u64 = u32::MAX as u64;

    /// For one image of so many rows and columns: its sizes on the way in, and a capacity that similar images share.
    ///
    /// # Errors
    /// [`crate::Error::Image`] for an image that is too long and narrow, [`crate::Error::Limit`] for one that no device
    /// can take.
    pub fn for_image(config: &Config, height: u32, width: u32) -> Result<(NetworkSize, Self)> {
        let size = NetworkSize::new("", height, width, &config.transform)?;
        let pixels = u64::from(height) * u64::from(width);
        let bytes = pixels.saturating_mul(3);
        if bytes > Self::MOST_BYTES {
            return Err(crate::Error::Limit {
                what: format!("an image of {width}×{height} pixels"),
                need: bytes,
                limit: Self::MOST_BYTES,
                cure: "cut it into pieces".into(),
            });
        }
        let capacity = Self {
            height: size.padded.0 as usize,
            width: size.padded.1 as usize,
            batch: 1,
            roi_shift: size.roi_shift(config.roi_levels),
            taps: size.sampling().words(),
            image_words: Self::words(size.sampling().bytes() as usize),
            // A byte a pixel: eight masks that cover the whole image, as far as the least of bindings goes.
            mask_words: Self::words(pixels as usize).min(Self::LEAST_BINDING / 4),
            pyramid_bytes: Self::PYRAMID_BYTES,
            rois: RoiSource::Rpn,
        };
        Ok((size, capacity))
    }

    /// With room for the bits of so many masks, each of a whole image of so many rows and columns.
    pub fn with_masks(self, masks: u32, height: u32, width: u32) -> Self {
        let words = u64::from(width.div_ceil(32)) * u64::from(height) * u64::from(masks);
        Self { mask_words: Self::words(usize::try_from(words.saturating_mul(4)).unwrap_or(usize::MAX / 2)), ..self }
    }

    /// Whether images of the two can be in one batch: their padded inputs are alike, and nothing comes with them.
    pub fn shares_a_batch(&self, other: &Self) -> bool {
        let key = |r: &Self| (r.height, r.width, r.roi_shift);
        self.rois == RoiSource::Rpn && other.rois == RoiSource::Rpn && key(self) == key(other)
    }

    /// For the images of both in one batch ([`Capacity::shares_a_batch`]).
    pub fn joined(self, other: Self) -> Self {
        Self {
            batch: self.batch + other.batch,
            taps: self.taps.max(other.taps),
            image_words: self.image_words + other.image_words,
            mask_words: self.mask_words.max(other.mask_words),
            ..self
        }
    }

    /// Capacity in words for so many bytes: doubling up to 16 MiB, then steps of 4 MiB, since there doubling would give
    /// away too much for the sake of sharing a plan.
    fn words(bytes: usize) -> usize {
        const LARGE: usize = 1 << 22;
        let words = bytes.div_ceil(4).max(Self::LEAST_WORDS);
        if words <= LARGE { words.next_power_of_two() } else { words.next_multiple_of(LARGE / 4) }
    }
}

/// A network as a graph, with its ends.
#[derive(Clone, Debug)]
pub struct Network {
    /// The ops.
    pub graph: Graph,
    /// Image bytes, `[words]`.
    pub bytes: Tensor,
    /// Frames, `[B,12]`.
    pub frames: Tensor,
    /// Neighbours of each row and column of the resize, `[B,H+W,2]`.
    pub neighbours: Tensor,
    /// What comes with the image, where something does.
    pub given: Option<GivenTensors>,
    /// What comes out.
    pub outputs: Outputs,
    /// Every stage by name, for comparing with another implementation: "transform", "c2", "p2", "rpn.logits", …
    pub taps: Vec<Tap>,
}

/// A stage's result by name.
#[derive(Clone, Debug)]
pub struct Tap {
    /// The stage.
    pub name: String,
    /// What it wrote.
    pub tensor: Tensor,
    /// Where it is one of several maps in that tensor: which.
    pub map: Option<(Levels, usize)>,
}

impl Tap {
    /// The stage's result of the tensor's value.
    pub fn of(&self, value: &Value) -> Value {
        self.map.map_or_else(|| value.clone(), |(levels, map)| levels.cut(value, map))
    }
}

/// What a network makes. n is the configuration's detections an image.
#[derive(Clone, Copy, Debug)]
pub struct Outputs {
    /// `[B,2]`: detections found, words of bits needed.
    pub header: Tensor,
    /// `[B,n,4]`, original pixels.
    pub boxes: Tensor,
    /// `[B,1,n]`, falling.
    pub scores: Tensor,
    /// `[B,n]`.
    pub labels: Tensor,
    /// `[B,classes,proposals]`: scores of all that passed the score threshold and NMS, the n best among them; where there is a
    /// box head.
    pub candidates: Option<Tensor>,
    /// `[B,levels,k]` each: logits of the anchors that the RPN's NMS was given, by falling logit, and of what it kept; where
    /// there is an RPN.
    pub anchors: Option<[Tensor; 2]>,
    /// The masks, where the network has a mask head.
    pub masks: Option<MaskOutputs>,
}

/// What the mask head makes.
#[derive(Clone, Copy, Debug)]
pub struct MaskOutputs {
    /// `[B,n,8]`: see [`crate::ops::paste_layout::PasteLayout`].
    pub places: Tensor,
    /// `[B·n,M,M]`, 0..1.
    pub soft: Tensor,
    /// `[B,words]`.
    pub bits: Tensor,
}

/// A graph under construction with its taps.
struct Builder {
    g: Graph,
    taps: Vec<Tap>,
}

impl Builder {
    fn tap(&mut self, name: impl Into<String>, tensor: Tensor) {
        self.taps.push(Tap { name: name.into(), tensor, map: None });
    }

    fn tap_map(&mut self, name: String, tensor: Tensor, levels: Levels, map: usize) {
        self.taps.push(Tap { name, tensor, map: Some((levels, map)) });
    }
}

/// What the body is given: bytes, frames and neighbours as inputs, and what the resize makes of them.
fn image(b: &mut Builder, config: &Config, capacity: &Capacity) -> Result<([Tensor; 3], Tensor)> {
    b.g.stage("resize");
    let bytes = b.g.input("image bytes", Info::u32([capacity.image_words]));
    let frames = b.g.input("frames", Info::u32([capacity.batch, FRAME_WORDS]));
    let neighbours =
        b.g.input("neighbours", Info::u32([capacity.batch, capacity.height + capacity.width, capacity.taps]));
    let transform = &config.transform;
    let table = Preprocess::table(transform.image_range, transform.image_mean, transform.image_std);
    let table = b.g.constant("normalisation", Arc::new(table));
    let filter = size::filter(transform.resize);
    let preprocess = Preprocess { h: capacity.height, w: capacity.width, filter };
    let x = b.g.op1("transform", preprocess, &[bytes, frames, neighbours, table])?;
    b.tap("transform", x);
    Ok(([bytes, frames, neighbours], x))
}

/// Builds the network that `config` describes, from image bytes to mask bits.
///
/// # Errors
/// [`crate::Error::Shape`] where weights and configuration do not fit each other.
pub fn build(config: &Config, weights: &NetworkWeights, capacity: &Capacity) -> Result<Network> {
    let mut b = Builder { g: Graph::new(), taps: Vec::new() };
    let ([bytes, frames, neighbours], x) = image(&mut b, config, capacity)?;
    let features = backbone::features(&mut b, config, &weights.body, x)?;
    let pyramid = backbone::neck(&mut b, config, &weights.fpn, &features, capacity)?;
    let given = GivenTensors::new(&mut b, capacity);
    let (found, anchors, counts) = match given {
        Some(GivenTensors { boxes, counts, known: Some([labels, scores]) }) => {
            (BoxOutputs { boxes, scores, labels, counts, candidates: None }, None, vec![counts])
        }
        _ => {
            let proposals = match given {
                Some(given) => given.proposals(&mut b),
                None => rpn::proposals(&mut b, config, &weights.rpn, &pyramid, capacity, frames)?,
            };
            let found = heads::boxes(&mut b, config, weights, &pyramid, &proposals, capacity, frames)?;
            let counts = vec![proposals.counts, found.counts];
            (found, proposals.candidates, counts)
        }
    };
    let outputs = heads::masks(&mut b, config, weights, &pyramid, (anchors, &found), capacity, frames)?;

    let mut kept = vec![outputs.header, outputs.boxes, outputs.scores, outputs.labels];
    kept.extend(outputs.candidates);
    kept.extend(outputs.anchors.into_iter().flatten());
    // The counts tell a profile how much of the heads' work was real.
    kept.extend(counts);
    if let Some(m) = outputs.masks {
        kept.extend([m.places, m.soft, m.bits]);
    }
    kept.into_iter().for_each(|t| b.g.keep(t));
    Ok(Network { graph: b.g, bytes, frames, neighbours, given, outputs, taps: b.taps })
}
