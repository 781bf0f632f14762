//! The glue: an image to a plan to detections.

mod batch;
mod masks;
mod profile;
mod trace;

pub use profile::{Live, Profile, StageTime, StepTime};

use std::path::Path;
use std::sync::{Arc, Mutex};

use batch::Sized;

use crate::gpu::{Counters, Device, Pool, Runner};
use crate::graph::{Choices, Plan};
use crate::model::{self, Config, Network, NetworkSize, Outputs, Precision, Room};
use crate::ops::topk::NONE;
use crate::target::Target;
use crate::tensor::Value;
use crate::vision::{Detection, Detections, Image, Mask};
use crate::weights::{NetworkWeights, WeightsFile};
use crate::{Error, Result};

/// Plans that are kept; a further size pushes out the one that was not used for longest.
const KEPT_PLANS: usize = 8;

/// The logit from which on the RPN takes an anchor for an object: 0.9. With the default model, the weakest of the anchors
/// that NMS was given of a level had -1.5 at most in an image of 84 nuclei, and 9.3 in one of 1,500.
const LIKELY: f32 = 2.197;

/// The default model: Mask R-CNN for cell nuclei, trained for this project on CC0 images.
#[cfg(all(feature = "embedded-model", not(model_left_out)))]
static EMBEDDED: Option<&[u8]> = Some(include_bytes!("../assets/nuclei.safetensors"));
/// The registry's package has no room for it.
#[cfg(all(feature = "embedded-model", model_left_out))]
static EMBEDDED: Option<&[u8]> = None;

/// A network on a device. Shared freely between threads; images are done one after the other.
pub struct Detector {
    device: Device,
    config: Config,
    classes: Arc<[String]>,
    weights: NetworkWeights,
    /// What kernels may use: the device's, at the precision asked for.
    target: Target,
    plans: Mutex<Plans>,
}

#[derive(Default)]
struct Plans {
    /// Most recently used last.
    ready: Vec<Ready>,
    replays: u64,
    /// Batches that the device could not take.
    refused: Vec<Room>,
    /// Slots of all plans.
    pool: Pool,
}

impl Plans {
    fn forget(&mut self) {
        self.ready.clear();
        self.pool = Pool::new();
    }
}

struct Ready {
    /// What the plan is for.
    room: Room,
    runner: Runner,
    network: Network,
    /// The step that pastes, if there are masks.
    paste: Option<usize>,
    /// The soft mask's threshold.
    threshold: f32,
    /// Most proposals of an image.
    proposals: usize,
}

impl Detector {
    /// The embedded default model, on the best device here.
    ///
    /// # Errors
    /// [`Error::NoAdapter`] where there is no GPU driver.
    #[cfg(feature = "embedded-model")]
    pub fn embedded() -> Result<Self> {
        Self::embedded_on(&Device::open(None)?)
    }

    /// The embedded default model, on a device.
    ///
    /// # Errors
    /// [`Error::Limit`], [`Error::Device`] where the device cannot take it.
    #[cfg(feature = "embedded-model")]
    pub fn embedded_on(device: &Device) -> Result<Self> {
        Self::new(device, &Self::embedded_weights()?)
    }

    /// The embedded default model's file, to look at or to run with other settings ([`Detector::with_config`]).
    ///
    /// # Errors
    /// [`Error::Weights`] where the crate was built from the registry's package, which has no room for the model.
    #[cfg(feature = "embedded-model")]
    pub fn embedded_weights() -> Result<WeightsFile> {
        let name = "the embedded default model";
        let bytes = EMBEDDED.ok_or_else(|| Error::Weights {
            file: name.into(),
            reason: "is not in the registry's package: build from the repository, or give a weights file".into(),
        })?;
        WeightsFile::from_bytes(bytes, name)
    }

    /// A weights file, on the best device here.
    ///
    /// # Errors
    /// [`Error::Weights`], [`Error::Tensor`], [`Error::Config`] for what is wrong with the file;
    /// [`Error::NoAdapter`] where there is no GPU driver.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let file = WeightsFile::open(path)?;
        Self::new(&Device::open(None)?, &file)
    }

    /// A weights file with its own settings ([`WeightsFile::settings`]), on a device.
    ///
    /// # Errors
    /// As [`Detector::open`].
    pub fn new(device: &Device, file: &WeightsFile) -> Result<Self> {
        Self::with_config(device, file, file.config()?)
    }

    /// A weights file with a configuration of the caller's, on a device.
    ///
    /// # Errors
    /// As [`Detector::open`].
    pub fn with_config(device: &Device, file: &WeightsFile, config: Config) -> Result<Self> {
        let weights = NetworkWeights::load(file, &config)?;
        let classes = config.class_names.clone().into();
        let target = device.target();
        Ok(Self { device: device.clone(), config, classes, weights, target, plans: Mutex::default() })
    }

    /// The same detector with its products computed in another precision than [`Precision::F32`], which all begin with:
    ///
    /// ```no_run
    /// # #[cfg(feature = "embedded-model")]
    /// # fn main() -> maskrcnn::Result<()> {
    /// use maskrcnn::{Detector, Precision};
    ///
    /// let detector = Detector::embedded()?.with_precision(Precision::Auto)?;
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "embedded-model"))]
    /// # fn main() {}
    /// ```
    ///
    /// # Errors
    /// [`Error::Device`] where f16 is asked of a device whose shaders lack it.
    pub fn with_precision(self, precision: Precision) -> Result<Self> {
        let target = precision.on(self.device.name(), self.device.target())?;
        // Plans of the former precision are not those of this one.
        Ok(Self { target, plans: Mutex::default(), ..self })
    }

    /// What its products are computed in here: f32 or f16, also where [`Precision::Auto`] was asked for.
    pub fn precision(&self) -> Precision {
        if self.target.wants_f16() { Precision::F16 } else { Precision::F32 }
    }

    /// Every setting of the network.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The device that it runs on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// How often the device was spoken to, by everyone on it.
    pub fn counters(&self) -> Counters {
        self.device.counters()
    }

    /// How often the bits of an image's masks found no room, so that the paste alone was run again.
    pub fn paste_replays(&self) -> u64 {
        self.lock().replays
    }

    /// Instances in an image, by falling score: all that the configuration's score threshold lets through.
    ///
    /// # Errors
    /// [`Error::Image`] for an image that is too long and narrow; [`Error::Limit`] and [`Error::Device`] where the
    /// device cannot take it.
    pub fn detect(&self, image: &Image) -> Result<Detections> {
        let (size, room) = Room::for_image(&self.config, image.height(), image.width())?;
        let found = self.run(&mut self.lock(), room, &[(image, size)])?;
        found.into_iter().next().map(|found| self.found_in(image, found)).ok_or_else(|| internal("is of no image"))
    }

    /// Makes all ready for images of that size, as their first [`Detector::detect`] would: the plan, its shaders compiled
    /// ([`Device::watch_compiling`]), weights and memory on the device.
    ///
    /// # Errors
    /// As [`Detector::detect`].
    pub fn warm_up(&self, height: u32, width: u32) -> Result<()> {
        let (_, room) = Room::for_image(&self.config, height, width)?;
        self.ready(&mut self.lock(), room).map(|_| ())
    }

    /// Runs images whose rooms fit into `room`; gives what is in each.
    fn run(&self, plans: &mut Plans, room: Room, images: &[Sized]) -> Result<Vec<Found>> {
        let index = self.ready(plans, room)?;
        let result = plans.ready[index].run(images);
        plans.replays += result.as_ref().map_or(0, |r| r.1);
        if result.is_err() {
            // What a failed run left behind is not trusted with the next image.
            plans.forget();
        }
        Ok(result?.0)
    }

    /// The plan for an image of that size, as `detect` would run it.
    ///
    /// # Errors
    /// As [`Detector::detect`].
    pub fn plan(&self, height: u32, width: u32) -> Result<Plan> {
        Ok(plan(&self.config, &self.weights, &self.target, &self.device.choices(), height, width)?.1)
    }

    fn ready(&self, plans: &mut Plans, room: Room) -> Result<usize> {
        if let Some(at) = plans.ready.iter().position(|r| r.room == room) {
            plans.ready[at..].rotate_left(1);
            return Ok(plans.ready.len() - 1);
        }
        if plans.ready.len() >= KEPT_PLANS {
            plans.ready.remove(0);
        }
        let network = model::build(&self.config, &self.weights, &room)?;
        let plan = Plan::choosing(network.graph.clone(), &self.target, &self.device.choices())?;
        let paste = network.outputs.masks.map(|_| plan.steps.len() - 1);
        // Plans that hold on to slots which the new one outgrows would keep those in memory.
        plans.ready.iter_mut().for_each(|r| r.runner.forget_bindings());
        let runner = Runner::with_pool(&self.device, plan, &plans.pool)?;
        let threshold = self.config.mask.as_ref().map_or(0.5, |m| m.threshold);
        let proposals = self.config.rpn.post_nms_top_n;
        plans.ready.push(Ready { room, runner, network, paste, threshold, proposals });
        Ok(plans.ready.len() - 1)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Plans> {
        self.plans.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// The plan for an image of that size as [`Detector::detect`] would run it for `target`, with these
/// choices among the ways to run an op, and the sizes on the way there. No device is needed.
///
/// # Errors
/// [`Error::Image`] for an image that is too long and narrow, [`Error::Limit`] for one that no device can take.
pub fn plan(
    config: &Config,
    weights: &NetworkWeights,
    target: &Target,
    choices: &Choices,
    height: u32,
    width: u32,
) -> Result<(NetworkSize, Plan)> {
    let (size, room) = Room::for_image(config, height, width)?;
    let network = model::build(config, weights, &room)?;
    Ok((size, Plan::choosing(network.graph, target, choices)?))
}

impl Ready {
    /// Runs as many images as the plan is for; says how often the paste had to be run again.
    fn run(&mut self, images: &[Sized]) -> Result<(Vec<Found>, u64)> {
        let input = self.packed(images);
        let o = self.network.outputs;
        let mut wanted = vec![o.header, o.boxes, o.scores, o.labels, o.candidates, o.anchors[0], o.anchors[1]];
        if let Some(m) = o.masks {
            wanted.extend([m.places, m.bits]);
        }
        let mut values = self.runner.run(&input.of(&self.network), &wanted)?;
        let (masks, replays) = match self.paste.zip(values.pop_if(|_| o.masks.is_some())) {
            Some((step, bits)) => self.masks(step, &values[0], &values[7], bits)?,
            None => (counts(&values[0], o).into_iter().map(|n| vec![Mask::default(); n]).collect(), 0),
        };
        let found =
            masks.into_iter().enumerate().map(|(image, masks)| Found::of(&values, image, masks, self.proposals));
        Ok((found.collect::<Result<_>>()?, replays))
    }
}

fn internal(reason: &str) -> Error {
    Error::Device { device: "result".into(), reason: reason.into() }
}

/// How many were found in each image.
fn counts(header: &Value, outputs: Outputs) -> Vec<usize> {
    header.ints().chunks_exact(2).map(|h| (h[0] as usize).min(outputs.labels.dim(1))).collect()
}

/// What was found in an image.
struct Found {
    items: Vec<Detection>,
    left_out: Vec<f32>,
    crowded: bool,
}

impl Found {
    /// Image number `image` of a batch, a mask for each detection, made of at most `most` proposals.
    fn of(values: &[Value], image: usize, masks: Vec<Mask>, most: usize) -> Result<Self> {
        let [header, boxes, scores, labels, candidates, anchors, proposals, ..] = values else {
            return Err(internal("is incomplete"));
        };
        let batch = header.shape.dim(0);
        let of_image = |v: &'_ Value| v.shape.len() / batch * image..v.shape.len() / batch * (image + 1);
        let (boxes, scores) = (&boxes.floats()[of_image(boxes)], &scores.floats()[of_image(scores)]);
        let labels = &labels.ints()[of_image(labels)];
        let items = masks.into_iter().enumerate().map(|(i, mask)| {
            let bbox = std::array::from_fn(|c| boxes[4 * i + c]);
            Detection { bbox, score: scores[i], label: labels[i], mask }
        });
        let items: Vec<Detection> = items.collect();
        let mut left_out: Vec<f32> =
            candidates.floats()[of_image(candidates)].iter().copied().filter(|&s| s > NONE).collect();
        left_out.sort_by(|a, b| b.total_cmp(a));
        left_out.drain(..items.len().min(left_out.len()));
        let [levels, k] = [1, 2].map(|axis| anchors.shape.dim(axis));
        let (anchors, proposals) = (&anchors.floats()[of_image(anchors)], &proposals.floats()[of_image(proposals)]);
        let likely = proposals.iter().filter(|&&logit| logit >= LIKELY).count();
        let cut = (0..levels).any(|l| anchors[l * k + k - 1] >= LIKELY);
        let crowded = cut || likely > most;
        Ok(Self { items, left_out, crowded })
    }
}
