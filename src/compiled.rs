//! A network on its way from a configuration to results: built and planned for a class of devices, compiled for one of
//! them, run, and read.
//!
//! | file | what is in it |
//! |---|---|
//! | `crops` | R-CNN's two networks |
//! | `outputs` | results by name |
//! | `embedded` | pictures that are on the device, and results that stay there |
//! | `masks` | bits to masks, also where they pass the capacity that was made for them |

mod crops;
mod embedded;
mod masks;
mod outputs;

pub use crops::{CompiledCrops, CropPredictions, CropSource};
pub use embedded::Palettes;
pub use masks::masks_of;
pub use outputs::{MaskValues, OutputValues};

use crate::config::Config;
use crate::gpu::{Counts, Device, Pool, Runner, Submitted};
use crate::graph::{Plan, Tensor, Tuning};
use crate::model::{self, Capacity, Input, Network, NetworkSize};
use crate::ops::paste::Paste;
use crate::target::Target;
use crate::weights::NetworkWeights;
use crate::{Error, Result};

/// A network planned for a size and a class of devices. No device is needed.
#[derive(Clone, Debug)]
pub struct PlannedNetwork {
    /// What it is for.
    pub capacity: Capacity,
    /// Its graph as it was built, with its ends.
    pub network: Network,
    /// How it is run.
    pub plan: Plan,
    /// How masks are pasted again where they found no room.
    paste: Paste,
}

impl PlannedNetwork {
    /// Builds and plans the network that `config` and `weights` describe, for images that fit into `capacity` and devices
    /// such as `target`; `tuning` says how ops are run where that is not left to the best guess.
    ///
    /// # Errors
    /// [`Error::Shape`] where weights and configuration do not fit each other.
    pub fn new(
        config: &Config,
        weights: &NetworkWeights,
        capacity: Capacity,
        target: &Target,
        tuning: &Tuning,
    ) -> Result<Self> {
        Self::keeping(config, weights, capacity, target, tuning, |_| Vec::new())
    }

    /// As [`PlannedNetwork::new`], with more tensors of the network kept to be read than its results.
    ///
    /// # Errors
    /// As [`PlannedNetwork::new`].
    pub fn keeping(
        config: &Config,
        weights: &NetworkWeights,
        capacity: Capacity,
        target: &Target,
        tuning: &Tuning,
        kept: impl FnOnce(&Network) -> Vec<Tensor>,
    ) -> Result<Self> {
        let mut network = model::build(config, weights, &capacity)?;
        kept(&network).into_iter().for_each(|t| network.graph.keep(t));
        let plan = Plan::choosing(network.graph.clone(), target, tuning)?;
        let threshold = config.mask.as_ref().map_or(0.5, |m| m.threshold);
        let paste =
            Paste { capacity: capacity.mask_words, first: 0, threshold, pasting: crate::model::pasting(config) };
        Ok(Self { capacity, network, plan, paste })
    }

    /// As a [`Detector`](crate::Detector) plans it for one image of so many rows and columns, and the sizes on the way
    /// there.
    ///
    /// # Errors
    /// As [`PlannedNetwork::new`]; [`Error::Image`] for an image that is too long and narrow, [`Error::Limit`] for one
    /// that no device can take.
    pub fn for_image(
        config: &Config,
        weights: &NetworkWeights,
        target: &Target,
        tuning: &Tuning,
        (height, width): (u32, u32),
    ) -> Result<(NetworkSize, Self)> {
        let (size, capacity) = Capacity::for_image(config, height, width)?;
        Ok((size, Self::new(config, weights, capacity, target, tuning)?))
    }

    /// Makes it ready to run: shaders compiled, weights and memory on the device. Its activations lie in the pool's
    /// slots, which it may share with others whose owner runs them one at a time.
    ///
    /// # Errors
    /// [`Error::Limit`] where a tensor or a grid is too large for the device, [`Error::Shader`] where a kernel does not
    /// compile, [`Error::OutOfMemory`] where memory runs out.
    pub fn compile(self, device: &Device, pool: &Pool) -> Result<CompiledNetwork> {
        let Self { capacity, network, plan, paste } = self;
        let runner = Runner::with_pool(device, plan, pool)?;
        Ok(CompiledNetwork { capacity, network, runner, paste, embedded: embedded::Embedded::default() })
    }
}

/// A run that a network's device was given.
pub struct Run {
    submitted: Submitted,
    tensors: Vec<Tensor>,
}

/// A network on a device.
pub struct CompiledNetwork {
    capacity: Capacity,
    network: Network,
    runner: Runner,
    paste: Paste,
    embedded: embedded::Embedded,
}

impl CompiledNetwork {
    /// What it is for.
    pub fn capacity(&self) -> &Capacity {
        &self.capacity
    }

    /// Its graph as it was built, with its ends.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// How it is run.
    pub fn plan(&self) -> &Plan {
        self.runner.plan()
    }

    /// What it holds on the device.
    pub fn counts(&self) -> Counts {
        self.runner.counts()
    }

    /// What replays the plan, for who measures steps or feeds them.
    pub fn runner(&mut self) -> &mut Runner {
        &mut self.runner
    }

    /// What goes in for as many images as it is for (RGB, 3 bytes a pixel, with their sizes on the way in).
    pub fn input<'a>(&self, images: &[(&'a [u8], NetworkSize)]) -> Input<'a> {
        Input::new(images, self.capacity.height, self.capacity.width, self.capacity.taps)
    }

    /// Runs as many images as it is for.
    ///
    /// # Errors
    /// [`Error::DeviceLost`], [`Error::OutOfMemory`], [`Error::Device`] where the device fails.
    pub fn run(&mut self, images: &[(&[u8], NetworkSize)]) -> Result<OutputValues> {
        let input = self.input(images);
        let run = self.submit(&input, false)?;
        self.wait(run)
    }

    /// Gives the device a run of [`CompiledNetwork::input`], and does not wait for it. [`CompiledNetwork::masks`] needs
    /// what that leaves on the device: until then, nothing else may run in the pool.
    ///
    /// # Errors
    /// As [`CompiledNetwork::run`].
    pub fn submit(&mut self, input: &Input, soft: bool) -> Result<Run> {
        let tensors = self.network.outputs.tensors(soft);
        let steps = 0..self.plan().steps.len();
        let submitted = self.runner.submit_steps(steps, &input.of(&self.network), &tensors)?;
        Ok(Run { submitted, tensors })
    }

    /// Waits for a run of this network.
    ///
    /// # Errors
    /// As [`CompiledNetwork::run`].
    pub fn wait(&self, run: Run) -> Result<OutputValues> {
        let Run { submitted, tensors } = run;
        let bits = self.network.outputs.masks.map(|masks| masks.bits.id);
        // The header comes first. Of the bits, of which there is room for many, it says how many there are.
        let values = submitted.wait_for(|read| {
            let next = tensors.get(read.len())?.id;
            read.first().filter(|_| Some(next) == bits).map(outputs::words_needed)
        })?;
        self.network.outputs.read(tensors.into_iter().zip(values))
    }

    /// As [`CompiledNetwork::run`], and reads other tensors than the results: such as are kept.
    ///
    /// # Errors
    /// As [`CompiledNetwork::run`].
    pub fn run_for(
        &mut self,
        images: &[(&[u8], NetworkSize)],
        tensors: &[Tensor],
    ) -> Result<Vec<crate::tensor::Value>> {
        let input = self.input(images);
        self.runner.run(&input.of(&self.network), tensors)
    }
}

fn internal(reason: &str) -> Error {
    Error::Internal(format!("the result {reason}"))
}
