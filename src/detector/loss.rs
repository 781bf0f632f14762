//! The loss of a network on an image with its truths.

use super::batch::SizedImage;
use super::{COMPILED, Detector, Plans, internal};
use crate::config::Config;
use crate::gpu::Runner;
use crate::graph::{Plan, Tensor};
use crate::model::{Input, LossCapacity, LossNetwork, SampleSource, Sampled, TrueObject, Truths, build_loss};
use crate::ops::matching::{BACKGROUND, FIRST_TRUTH};
use crate::tensor::Value;
use crate::vision::{Mask, Pixels};
use crate::{Error, Result};

/// An object that is really in an image.
#[derive(Clone, Debug, PartialEq)]
pub struct Truth {
    /// x1, y1, x2, y2 in pixels of the image.
    pub bbox: [f32; 4],
    /// The class; 0 is the background.
    pub label: u32,
    /// Its pixels. Of a network without a mask head they are not looked at.
    pub mask: Mask,
}

/// By which chance anchors and RoIs are sampled: the same of the same seed and number, on every device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LossOptions {
    /// The run's seed.
    pub seed: u64,
    /// The image's number: images of different numbers have different chances.
    pub image: u32,
}

/// The terms of a loss, and what they are of.
#[derive(Clone, Debug, PartialEq)]
pub struct Losses {
    /// Binary cross-entropy of the sampled anchors' logits: torchvision's `loss_objectness`.
    pub objectness: f32,
    /// Smooth L1 of the deltas of the sampled anchors on truths: `loss_rpn_box_reg`.
    pub rpn_box: f32,
    /// Cross-entropy of the sampled RoIs' classes: `loss_classifier`.
    pub classifier: f32,
    /// Smooth L1 of the deltas of the sampled RoIs on truths: `loss_box_reg`.
    pub bbox: f32,
    /// Binary cross-entropy of the masks of the sampled RoIs on truths: `loss_mask`. None of a network without a mask head.
    pub mask: Option<f32>,
    /// Which anchors and RoIs were sampled.
    pub sampled: Sampled,
}

impl Losses {
    /// The sum of the terms.
    pub fn total(&self) -> f32 {
        self.objectness + self.rpn_box + self.classifier + self.bbox + self.mask.unwrap_or(0.0)
    }
}

/// A loss's network on a device.
pub(super) struct CompiledLoss {
    capacity: LossCapacity,
    network: LossNetwork,
    runner: Runner,
}

impl CompiledLoss {
    /// Lets go of what it has bound of the pool.
    pub(super) fn forget_bindings(&mut self) {
        self.runner.forget_bindings();
    }
}

impl Detector {
    /// The loss of the network on an image with what is really in it, each term as torchvision has it in training, with its
    /// constants: RPN 0.7 and 0.3 and each truth's best anchors, 256 anchors, at most half of them on truths; 2,000 proposals
    /// and the truths themselves, matched at IoU 0.5, 512 of them, at most a quarter on truths. BatchNorm is that of the
    /// weights, not of the image. Where there is no truth, all that is sampled is background.
    ///
    /// The terms are sums in a fixed order: the same on every run. In f16 ([`Detector::precision`]) they are of products that
    /// were rounded to it.
    ///
    /// # Errors
    /// [`Error::GivenBox`] for a truth whose box is empty, not a number or outside of the image, whose label is no class, or
    /// whose mask reaches out of the image; [`Error::Limit`] for too many of them; others as [`Detector::detect`].
    pub fn loss<'a>(&self, image: impl Into<Pixels<'a>>, truths: &[Truth], options: &LossOptions) -> Result<Losses> {
        let [low, high] = [options.seed as u32, (options.seed >> 32) as u32];
        let seeds = [low, high, options.image, 0];
        self.loss_with(image.into(), truths, SampleSource::Drawn, |network| {
            Ok(network.seeds.iter().map(|&to| (to, bytemuck::cast_slice(&seeds).to_vec())).collect())
        })
    }

    /// The same with anchors and RoIs that somebody else has sampled: another program, or an earlier run.
    ///
    /// # Errors
    /// As [`Detector::loss`]; [`Error::Dataset`] for samples that are none of this image: an anchor that there is not, one that
    /// is given as on a truth and lies on none, or a RoI that is no box.
    pub fn loss_of<'a>(&self, image: impl Into<Pixels<'a>>, truths: &[Truth], sampled: &Sampled) -> Result<Losses> {
        let wrong = |reason| Error::Dataset { file: "the given samples".into(), reason };
        let source = SampleSource::of(sampled).map_err(wrong)?;
        let losses = self.loss_with(image.into(), truths, source, |network| {
            let all = sampled.positive_anchors.iter().chain(&sampled.negative_anchors);
            if let Some(anchor) = all.copied().find(|&a| a as usize >= network.anchors) {
                return Err(wrong(format!("there is no anchor {anchor} among {}", network.anchors)));
            }
            Ok(network.given.iter().flat_map(|to| to.filled(sampled)).collect())
        })?;
        Ok(Losses { sampled: sampled.clone(), ..losses })
    }

    fn loss_with(
        &self,
        image: Pixels,
        truths: &[Truth],
        samples: SampleSource,
        of_samples: impl FnOnce(&LossNetwork) -> Result<Vec<(Tensor, Vec<u8>)>>,
    ) -> Result<Losses> {
        let image = SizedImage::new(&self.config, image)?;
        let objects: Vec<TrueObject> = truths.iter().map(|t| object(t, &self.config)).collect();
        let truths = Truths::new(&objects, &image.size, self.config.num_classes)?;
        let (room, mask_words) = truths.room();
        let capacity = LossCapacity { image: image.capacity, truths: room, mask_words, samples };
        let given = [image.given()];
        let input = Input::new(&given, capacity.image.height, capacity.image.width, capacity.image.taps);
        let mut plans = self.lock();
        let compiled = self.ready_loss(&mut plans, capacity)?;
        let samples = of_samples(&compiled.network)?;
        let mut inputs: Vec<(Tensor, &[u8])> = input.of_image(compiled.network.image).to_vec();
        inputs.extend(truths.of(&compiled.network.truths));
        inputs.extend(samples.iter().map(|(to, bytes)| (*to, bytes.as_slice())));
        let outputs = compiled.network.outputs.tensors();
        match compiled.runner.run(&inputs, &outputs) {
            Ok(values) => read(&values),
            Err(e) => {
                plans.forget();
                Err(e)
            }
        }
    }

    fn ready_loss<'p>(&self, plans: &'p mut Plans, capacity: LossCapacity) -> Result<&'p mut CompiledLoss> {
        self.settle(plans);
        if let Some(at) = plans.losses.iter().position(|l| l.capacity == capacity) {
            plans.losses[at..].rotate_left(1);
        } else {
            if plans.losses.len() >= COMPILED {
                plans.losses.remove(0);
            }
            let network = build_loss(&self.config, &self.weights, &capacity)?;
            let plan = Plan::choosing(network.graph.clone(), &self.target, &self.tuning)?;
            // Those that hold on to slots which the new one outgrows would keep these in memory.
            plans.networks.iter_mut().for_each(|n| n.runner().forget_bindings());
            plans.losses.iter_mut().for_each(CompiledLoss::forget_bindings);
            let mut runner = Runner::with_pool(&self.device, plan, &plans.pool)?;
            self.slice.iter().for_each(|&within| runner.slice(within));
            plans.losses.push(CompiledLoss { capacity, network, runner });
        }
        plans.losses.last_mut().ok_or_else(|| internal("is of no network"))
    }
}

fn object<'a>(truth: &'a Truth, config: &Config) -> TrueObject<'a> {
    let Mask { x, y, w, h, ref bits } = truth.mask;
    let (place, bits) = if config.mask.is_some() { ([x, y, w, h], &bits[..]) } else { ([0; 4], &[][..]) };
    TrueObject { bbox: truth.bbox, label: truth.label, place, bits }
}

/// The values of [`LossOutputs::tensors`](crate::model::LossOutputs::tensors).
fn read(values: &[Value]) -> Result<Losses> {
    let [objectness, rpn_box, classifier, bbox, anchors, anchor_matches, rois, roi_matches, counts @ ..] = values
    else {
        return Err(internal("is incomplete"));
    };
    let [n_anchors, on_anchors, n_rois, on_rois, mask @ ..] = counts else { return Err(internal("is incomplete")) };
    let count = |v: &Value| v.ints().first().map_or(0, |&n| n as usize);
    let term = |v: &Value| v.floats().first().copied().ok_or_else(|| internal("has an empty term"));
    let boxes: Vec<[f32; 4]> = rois.floats().chunks_exact(4).map(|b| [b[0], b[1], b[2], b[3]]).collect();
    let (positive_anchors, negative_anchors) =
        split(anchors.ints(), anchor_matches.ints(), count(on_anchors), count(n_anchors), "anchor")?;
    let (positive_rois, negative_rois) = split(&boxes, roi_matches.ints(), count(on_rois), count(n_rois), "RoI")?;
    Ok(Losses {
        objectness: term(objectness)?,
        rpn_box: term(rpn_box)?,
        classifier: term(classifier)?,
        bbox: term(bbox)?,
        mask: mask.first().map(term).transpose()?,
        sampled: Sampled { positive_anchors, negative_anchors, positive_rois, negative_rois },
    })
}

/// What is on truths, and what is on the background; an error where a match says something else of one of them.
fn split<T: Clone + std::fmt::Debug>(
    all: &[T],
    matches: &[u32],
    on: usize,
    n: usize,
    what: &str,
) -> Result<(Vec<T>, Vec<T>)> {
    for (i, (sample, &to)) in all.iter().zip(matches).take(n).enumerate() {
        let (said, fits) = if i < on { ("a truth", to >= FIRST_TRUTH) } else { ("the background", to == BACKGROUND) };
        if !fits {
            let reason = format!(
                "the {what} {sample:?} is said to be on {said}, and by the truths it is not: are the samples of another image, \
                 or of other annotations?"
            );
            return Err(Error::Dataset { file: "the given samples".into(), reason });
        }
    }
    let all = all.iter().take(n);
    Ok((all.clone().take(on).cloned().collect(), all.skip(on).cloned().collect()))
}
