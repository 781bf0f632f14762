//! A network on pictures that are on the device, its results left there.

use std::time::Duration;

use super::{CompiledNetwork, Run};
use crate::gpu::{
    Buffer, Colours, Device, Drawable, Drawing, Encoder, Fed, Feed, FeedKey, GpuImage, GpuResults, GpuTarget, SoFar,
};
use crate::graph::Tensor;
use crate::model::{Input, NetworkSize, Outputs};
use crate::vision::{class_colour, instance_colour};
use crate::{Error, Result};

/// Pictures that lie differently, for which what feeds them is kept; the one that was not used for longest makes way.
const FEEDS: usize = 8;

/// Colours that are told apart; a further instance or class has the first one's again.
const COLOURS: u32 = 256;

/// What a network keeps for pictures on the device.
#[derive(Default)]
pub(super) struct Embedded {
    /// Most recently used last.
    feeds: Vec<Feed>,
    drawing: Option<Drawing>,
}

impl Embedded {
    /// The one that was made ready.
    fn feed(&self) -> Result<&Feed> {
        self.feeds.last().ok_or_else(|| Error::Internal("nothing feeds the network".into()))
    }
}

/// Colours of instances and of classes, on a device.
pub struct Palettes {
    instances: Colours,
    classes: Colours,
}

impl Palettes {
    /// Puts them there.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], [`Error::Device`].
    pub fn new(device: &Device) -> Result<Self> {
        let instances: Vec<[u8; 3]> = (0..COLOURS as usize).map(instance_colour).collect();
        let classes: Vec<[u8; 3]> = (0..COLOURS).map(class_colour).collect();
        Ok(Self { instances: Colours::new(device, &instances)?, classes: Colours::new(device, &classes)? })
    }
}

impl CompiledNetwork {
    /// Makes what feeds pictures that lie like this one, and are of that size, the last of the feeds.
    fn ready_to_feed(&mut self, image: &GpuImage, size: NetworkSize) -> Result<()> {
        let device = self.runner.device();
        let key = FeedKey::of(device, image)?;
        let feeds = &mut self.embedded.feeds;
        if let Some(at) = feeds.iter().position(|feed| key.is_of(feed)) {
            feeds[at..].rotate_left(1);
        } else {
            let sampling = size.sampling();
            let input = Input::without_bytes(size, self.capacity.height, self.capacity.width, self.capacity.taps);
            let (network, places) = (&self.network, sampling.places());
            let fixed: Vec<_> = input.of(network).into_iter().filter(|(t, _)| t.id != network.bytes.id).collect();
            let fed = Fed { bytes: network.bytes, places: &places, rows: sampling.y.sent() as usize, fixed: &fixed };
            let made = Feed::new(device, key, &fed)?;
            if feeds.len() >= FEEDS {
                feeds.remove(0);
            }
            feeds.push(made);
        }
        Ok(())
    }

    /// As [`CompiledNetwork::submit`], of one picture that is on the device.
    ///
    /// # Errors
    /// As [`CompiledNetwork::run`].
    pub fn submit_gpu(&mut self, image: &GpuImage, size: NetworkSize, soft: bool) -> Result<Run> {
        let tensors = self.network.outputs.tensors(soft);
        self.ready_to_feed(image, size)?;
        let Self { runner, embedded, .. } = self;
        let feed = embedded.feed()?;
        Ok(Run { submitted: runner.submit_fed(feed, image, &tensors)?, tensors })
    }

    /// Buffers for the results of one image.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn results(&self) -> Result<GpuResults> {
        let out = &self.network.outputs;
        let lies = |t| self.runner.lies(t);
        let masks = out.masks.map(|m| [m.places, m.bits].map(lies));
        GpuResults::new(self.runner.device(), [out.header, out.boxes, out.scores, out.labels].map(lies), masks)
    }

    /// Records a run of one picture into somebody's encoder, and what becomes of its results.
    ///
    /// # Errors
    /// As [`CompiledNetwork::run`]; [`Error::Image`] for textures that do not fit; [`Error::Config`] where masks are to be drawn of a
    /// network that has none.
    pub fn encode(
        &mut self,
        encoder: &mut Encoder,
        (image, size): (&GpuImage, NetworkSize),
        target: &GpuTarget,
        palettes: &Palettes,
    ) -> Result<()> {
        self.check(image, target)?;
        self.ready_to_feed(image, size)?;
        let results = results_to(&self.network.outputs, target);
        self.runner.encode(encoder, self.embedded.feed()?, image, &results)?;
        self.draw(encoder, (image, None), target, palettes)
    }

    /// Makes ready to record a run of one picture in parts that take no longer than `within` each, as far as times can be told; says
    /// how many.
    ///
    /// # Errors
    /// As [`CompiledNetwork::encode`].
    pub fn begin_parts(
        &mut self,
        (image, size): (&GpuImage, NetworkSize),
        target: &GpuTarget,
        within: Duration,
    ) -> Result<usize> {
        self.check(image, target)?;
        self.ready_to_feed(image, size)?;
        self.runner.begin_slices((image, target), within)
    }

    /// For how long the device was at each part of such a run.
    pub fn parts_took(&mut self, durations: &[Duration]) {
        self.runner.slices_took(durations);
    }

    /// Records the next part. Nothing else may run in the pool until the last.
    ///
    /// # Errors
    /// As [`CompiledNetwork::encode`].
    pub fn encode_part(
        &mut self,
        encoder: &mut Encoder,
        so_far: &mut SoFar,
        image: &GpuImage,
        target: &GpuTarget,
        palettes: &Palettes,
    ) -> Result<()> {
        if so_far.slices() < self.runner.submits() {
            let results = results_to(&self.network.outputs, target);
            return self.runner.encode_slice(encoder, so_far, (self.embedded.feed()?, image), &results);
        }
        self.draw(encoder, (image, Some(so_far.next_drawn())), target, palettes)
    }

    /// Records what is drawn of the run before, or a slice of it.
    fn draw(
        &mut self,
        encoder: &mut Encoder,
        (image, slice): (&GpuImage, Option<usize>),
        target: &GpuTarget,
        palettes: &Palettes,
    ) -> Result<()> {
        let out = self.network.outputs;
        let Some(masks) = out.masks else { return Ok(()) };
        let drawable = Drawable {
            places: masks.places,
            bits: masks.bits,
            scores: out.scores,
            header: out.header,
            labels: out.labels,
        };
        let colours = if target.is_by_class() { &palettes.classes } else { &palettes.instances };
        self.runner.draw(encoder, (image, target), &drawable, colours, (&mut self.embedded.drawing, slice))
    }

    /// What would be found too late, when the encoder is finished.
    fn check(&self, image: &GpuImage, target: &GpuTarget) -> Result<()> {
        target.check(image.width(), image.height())?;
        if target.draws() && self.network.outputs.masks.is_none() {
            let reason = "must be given: overlays and ids are made of masks, which this network has not".into();
            return Err(Error::Config { setting: "mask".into(), reason });
        }
        Ok(())
    }
}

/// Which result goes where.
fn results_to<'a>(out: &Outputs, target: &'a GpuTarget) -> Vec<(Tensor, &'a Buffer)> {
    let Some(to) = target.wanted_results() else { return Vec::new() };
    let mut results =
        vec![(out.header, &to.header), (out.boxes, &to.boxes), (out.scores, &to.scores), (out.labels, &to.labels)];
    if let (Some(from), Some(to)) = (out.masks, &to.masks) {
        results.extend([(from.places, &to.places), (from.bits, &to.bits)]);
    }
    results
}
