//! The glue: an image to a plan to detections.

mod anatomy;
mod augmented;
mod batch;
mod builder;
mod crops;
mod detecting;
mod embedded;
mod given;
mod loss;
mod pending;
mod profile;
mod results;
mod tiled;
mod trace;

pub use anatomy::{Anatomy, LevelAnatomy};
pub use augmented::{Augmented, View};
pub use builder::DetectorBuilder;
pub use detecting::Detecting;
pub use embedded::GpuFrame;
pub use loss::{LossOptions, Losses, Truth};
pub use pending::{Options, Pending};
pub use profile::{Live, Profile, StageTime, StepTime};
pub use tiled::{Tiled, Tiling};

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use loss::CompiledLoss;
use pending::Desk;

use crate::compiled::{CompiledCrops, CompiledNetwork, PlannedNetwork};
use crate::config::Config;
use crate::gpu::{Counters, Device, Pool};
use crate::graph::{Plan, Tuning};
use crate::model::{Capacity, Precision};
use crate::target::Target;
use crate::vision::{Detections, Pixels};
use crate::weights::NetworkWeights;
use crate::{Error, Result};

/// Networks that stay compiled; a further size pushes out the one that was not used for longest.
const COMPILED: usize = 8;

/// A network on a device. Shared freely between threads; images are done one after the other.
pub struct Detector {
    device: Device,
    config: Config,
    classes: Arc<[String]>,
    weights: NetworkWeights,
    /// What kernels may use: the device's, at the precision asked for.
    target: Target,
    /// How ops are run, where that is not left to the best guess.
    tuning: Tuning,
    slice: Option<Duration>,
    /// Masks of the picture's size that what is recorded has room for, where that was said.
    mask_room: Option<u32>,
    plans: Arc<Mutex<Plans>>,
    recorders: Arc<Mutex<embedded::Recorders>>,
    /// Who works for futures, where there were some.
    worker: OnceLock<detecting::Worker>,
}

#[derive(Default)]
struct Plans {
    /// One for each size, most recently used last.
    networks: Vec<CompiledNetwork>,
    /// R-CNN's, of the last image that it was done with.
    crops: Option<CompiledCrops>,
    /// The same of losses.
    losses: Vec<CompiledLoss>,
    replays: u64,
    /// From submits to what they brought.
    busy: Duration,
    desk: Desk,
    /// Batches that the device could not take.
    refused: Vec<Capacity>,
    /// Slots of all plans.
    pool: Pool,
}

impl Plans {
    fn forget(&mut self) {
        self.networks.clear();
        self.crops = None;
        self.losses.clear();
        self.pool = Pool::new();
    }
}

impl Detector {
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
    ///
    /// **Unstable**, as all of the [`engine`](crate::engine).
    pub fn counters(&self) -> Counters {
        self.device.counters()
    }

    /// How often the bits of an image's masks found no room, so that the paste alone was run again.
    ///
    /// **Unstable**, as all of the [`engine`](crate::engine).
    pub fn paste_replays(&self) -> u64 {
        self.lock().replays
    }

    /// For how long the device worked so far: from each submit until its results were there, as seen from here. Where
    /// [`Pending::wait`] comes late, that counts, too.
    ///
    /// **Unstable**, as all of the [`engine`](crate::engine).
    pub fn busy(&self) -> Duration {
        self.lock().busy
    }

    /// Instances in an [`Image`](crate::Image) or in [`Pixels`] that are somebody else's, by falling score: all that the
    /// configuration's score threshold lets through.
    ///
    /// # Errors
    /// [`Error::Image`] for an image that is too long and narrow; [`Error::Limit`] and [`Error::OutOfMemory`] where the
    /// device cannot take it; [`Error::DeviceLost`] and [`Error::Device`] where it fails.
    pub fn detect<'a>(&self, image: impl Into<Pixels<'a>>) -> Result<Detections> {
        self.detect_with(image, &Options::default())
    }

    /// Makes all ready for images of that size, as their first [`Detector::detect`] would: the plan, its shaders compiled
    /// ([`Device::watch_compiling`]), weights and memory on the device.
    ///
    /// # Errors
    /// As [`Detector::detect`].
    pub fn warm_up(&self, height: u32, width: u32) -> Result<()> {
        let (_, capacity) = Capacity::for_image(&self.config, height, width)?;
        self.ready(&mut self.lock(), capacity).map(|_| ())
    }

    /// The same weights on the same device by other settings, none of which they depend on: other poolings, thresholds or
    /// sizes, or no masks ([`Config::without_masks`]). Weights are not there twice; activations are.
    ///
    /// # Errors
    /// [`Error::Config`] for settings that cannot be. Such as do not fit the weights are an [`Error::Shape`] of the first image.
    pub fn beside(&self, config: Config) -> Result<Self> {
        self.beside_in(config, &Pool::new())
    }

    /// The same with its activations in `pool`, for who sees to it that all that use it take turns.
    fn beside_in(&self, config: Config, pool: &Pool) -> Result<Self> {
        config.validate()?;
        Ok(Self {
            device: self.device.clone(),
            classes: self.classes.clone(),
            weights: self.weights.clone(),
            target: self.target,
            tuning: self.tuning.clone(),
            slice: self.slice,
            mask_room: self.mask_room,
            plans: Arc::new(Mutex::new(Plans { pool: pool.clone(), ..Plans::default() })),
            recorders: Arc::default(),
            worker: OnceLock::new(),
            config,
        })
    }

    /// The plan for an image of that size, as `detect` would run it.
    ///
    /// # Errors
    /// As [`Detector::detect`].
    ///
    /// **Unstable**, as all of the [`engine`](crate::engine).
    pub fn plan(&self, height: u32, width: u32) -> Result<Plan> {
        let (config, weights) = (&self.config, &self.weights);
        Ok(PlannedNetwork::for_image(config, weights, &self.target, &self.tuning, (height, width))?.1.plan)
    }

    /// The network for images that fit into `room`, when nothing else is on the device.
    fn ready<'p>(&self, plans: &'p mut Plans, capacity: Capacity) -> Result<&'p mut CompiledNetwork> {
        self.settle(plans);
        let networks = &mut plans.networks;
        if let Some(at) = networks.iter().position(|n| *n.capacity() == capacity) {
            networks[at..].rotate_left(1);
        } else {
            if networks.len() >= COMPILED {
                networks.remove(0);
            }
            let planned = PlannedNetwork::new(&self.config, &self.weights, capacity, &self.target, &self.tuning)?;
            // Those that hold on to slots which the new one outgrows would keep these in memory.
            networks.iter_mut().for_each(|n| n.runner().forget_bindings());
            plans.crops.iter_mut().for_each(CompiledCrops::forget_bindings);
            plans.losses.iter_mut().for_each(CompiledLoss::forget_bindings);
            let mut network = planned.compile(&self.device, &plans.pool)?;
            self.slice.iter().for_each(|&within| network.runner().slice(within));
            networks.push(network);
        }
        networks.last_mut().ok_or_else(|| internal("is of no network"))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Plans> {
        self.plans.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn internal(reason: &str) -> Error {
    Error::Internal(format!("the result {reason}"))
}
