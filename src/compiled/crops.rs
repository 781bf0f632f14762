//! R-CNN's two networks on a device: crops to logits and deltas, and those of all crops to what is in the image.

use super::OutputValues;
use crate::Result;
use crate::config::Config;
use crate::gpu::{Clock, Device, Pool, Runner};
use crate::graph::{Plan, Tensor, Tuning};
use crate::model::{CropCapacity, CropNetwork, CropResults, Window};
use crate::ops::frame::Frame;
use crate::target::Target;
use crate::weights::NetworkWeights;

/// The networks, which share the slots of a pool: its owner runs one at a time.
pub struct CompiledCrops {
    capacity: CropCapacity,
    network: CropNetwork,
    runner: Runner,
    results: Option<(usize, CropResults, Runner)>,
}

/// The image that crops are made of.
#[derive(Clone, Copy)]
pub struct CropSource<'a> {
    /// 3 bytes a pixel.
    pub rgb: &'a [u8],
    /// Width and height.
    pub size: (u32, u32),
    /// Whether the crops before these were of another.
    pub is_new: bool,
}

/// What a run is given.
struct Batch<'a> {
    places: Vec<u32>,
    live: Vec<u32>,
    /// The image, where it is another than before.
    rgb: Option<&'a [u8]>,
}

impl Batch<'_> {
    fn of(&self, net: &CropNetwork) -> Vec<(Tensor, &[u8])> {
        let (places, live) = (bytemuck::cast_slice(&self.places), bytemuck::cast_slice(&self.live));
        [(net.places, places), (net.live, live)].into_iter().chain(self.rgb.map(|rgb| (net.bytes, rgb))).collect()
    }
}

/// Logits and deltas of crops, one after the other.
#[derive(Clone, Debug, Default)]
pub struct CropPredictions {
    /// K of each.
    pub logits: Vec<f32>,
    /// 4K of each, or 4.
    pub deltas: Vec<f32>,
}

impl CompiledCrops {
    /// Plans and compiles the network of the crops.
    ///
    /// # Errors
    /// As [`PlannedNetwork::new`](super::PlannedNetwork::new) and [`PlannedNetwork::compile`](super::PlannedNetwork::compile).
    pub fn new(
        config: &Config,
        weights: &NetworkWeights,
        capacity: CropCapacity,
        (target, tuning): (&Target, &Tuning),
        (device, pool): (&Device, &Pool),
    ) -> Result<Self> {
        let network = CropNetwork::new(config, weights, &capacity)?;
        let plan = Plan::choosing(network.graph.clone(), target, tuning)?;
        Ok(Self { capacity, network, runner: Runner::with_pool(device, plan, pool)?, results: None })
    }

    /// What it is for.
    pub fn capacity(&self) -> &CropCapacity {
        &self.capacity
    }

    /// The network of the crops, with its ends.
    pub fn network(&self) -> &CropNetwork {
        &self.network
    }

    /// What replays that network's plan.
    pub fn runner(&mut self) -> &mut Runner {
        &mut self.runner
    }

    /// Lets go of its buffers; the next run binds again.
    pub fn forget_bindings(&mut self) {
        self.runner.forget_bindings();
        self.results.iter_mut().for_each(|(_, _, runner)| runner.forget_bindings());
    }

    /// Runs windows of an image, no more than go through the body together; adds what comes out to `to`.
    ///
    /// # Errors
    /// As [`CompiledNetwork::run`](super::CompiledNetwork::run).
    pub fn run(&mut self, source: &CropSource, windows: &[Window], to: &mut CropPredictions) -> Result<()> {
        let batch = self.batch(source, windows)?;
        let net = &self.network;
        let values = self.runner.run(&batch.of(net), &[net.logits, net.deltas])?;
        for (value, to) in values.iter().zip([&mut to.logits, &mut to.deltas]) {
            let one = value.shape.len() / self.capacity.crops.batch;
            to.extend_from_slice(&value.floats()[..one * windows.len()]);
        }
        Ok(())
    }

    /// Seconds of each stage of a run of as many windows as go through the body together, in the network's order.
    ///
    /// # Errors
    /// As [`CompiledCrops::run`].
    pub fn stages(
        &mut self,
        source: &CropSource,
        windows: &[Window],
        clock: Clock,
    ) -> Result<Vec<(&'static str, f64)>> {
        let batch = self.batch(source, windows)?;
        let seconds = self.runner.profile(&batch.of(&self.network), clock)?;
        let plan = self.runner.plan();
        let mut out: Vec<(&'static str, f64)> = Vec::new();
        for (step, seconds) in plan.steps.iter().zip(seconds) {
            let stage = plan.graph.nodes[step.op].stage;
            match out.iter_mut().find(|s| s.0 == stage) {
                Some(of_stage) => of_stage.1 += seconds,
                None => out.push((stage, seconds)),
            }
        }
        Ok(out)
    }

    fn batch<'s>(&self, source: &CropSource<'s>, windows: &[Window]) -> Result<Batch<'s>> {
        let crops = self.capacity.crops;
        let (mut places, mut live) = (Vec::new(), Vec::with_capacity(crops.batch));
        for i in 0..crops.batch {
            // What is left over of a batch is seen again, and does not count.
            let window = windows.get(i).or(windows.first()).ok_or_else(|| super::internal("is of no crop"))?;
            window.places(crops.side, source.size, &mut places);
            live.push(u32::from(i < windows.len()));
        }
        Ok(Batch { places, live, rgb: source.is_new.then_some(source.rgb) })
    }

    /// Class NMS over all crops of an image of that size (width, height), and what is left of them.
    ///
    /// # Errors
    /// As [`CompiledCrops::new`] and [`CompiledCrops::run`].
    pub fn results(
        &mut self,
        config: &Config,
        (target, tuning): (&Target, &Tuning),
        (device, pool): (&Device, &Pool),
        (windows, predictions): (&[Window], &CropPredictions),
        (width, height): (u32, u32),
    ) -> Result<OutputValues> {
        let room = CropResults::room(windows.len());
        if self.results.as_ref().is_none_or(|(n, ..)| *n != room) {
            self.results = None;
            let network = CropResults::new(config, room)?;
            let plan = Plan::choosing(network.graph.clone(), target, tuning)?;
            // The crops' slots may be replaced by larger ones.
            self.runner.forget_bindings();
            self.results = Some((room, network, Runner::with_pool(device, plan, pool)?));
        }
        let (_, network, runner) = self.results.as_mut().ok_or_else(|| super::internal("has no network"))?;
        let mut boxes: Vec<f32> = windows.iter().flat_map(Window::bbox).collect();
        boxes.resize(4 * room, 0.0);
        let filled = |values: &[f32], one: usize| {
            let mut all = values.to_vec();
            all.resize(one * room, 0.0);
            all
        };
        let logits = filled(&predictions.logits, network.logits.dim(1));
        let deltas = filled(&predictions.deltas, network.deltas.dim(1));
        let (live, frame) = ([windows.len() as u32], [Frame::new((height, width), (height, width), 0)]);
        let inputs = [
            (network.logits, bytemuck::cast_slice(&logits)),
            (network.deltas, bytemuck::cast_slice(&deltas)),
            (network.windows, bytemuck::cast_slice(&boxes)),
            (network.live, bytemuck::cast_slice(&live)),
            (network.frames, bytemuck::cast_slice(&frame)),
        ];
        let tensors = network.outputs.tensors(false);
        let values = runner.run(&inputs, &tensors)?;
        network.outputs.read(tensors.into_iter().zip(values))
    }
}
