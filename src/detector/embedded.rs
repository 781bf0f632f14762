//! In an app's own frame: pictures that are on the device, commands in the app's encoder, results that stay there.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::batch::SizedImage;
use super::{Detector, Options, Plans, internal};
use crate::compiled::{CompiledNetwork, Palettes};
use crate::gpu::{Device, Encoder, GpuImage, GpuResults, GpuTarget, SoFar};
use crate::model::{Capacity, NetworkSize};
use crate::vision::Detections;
use crate::{Error, Result};

/// What is kept for encoders: apart from what [`Detector::detect`] uses, since a run that was recorded may be submitted at any
/// time.
#[derive(Default)]
pub(super) struct Recorders {
    plans: Plans,
    palettes: Option<Arc<Palettes>>,
    /// For a frame that is recorded in parts.
    spare: Option<Plans>,
}

/// A picture whose network is recorded part by part ([`Detector::encode_in_parts`]), into as many encoders or submits as the app
/// likes, in their order.
#[must_use = "nothing is recorded before `encode_next`"]
pub struct GpuFrame {
    recorders: Arc<Mutex<Recorders>>,
    palettes: Arc<Palettes>,
    /// Its own, as others would write over its activations between two parts.
    plans: Plans,
    capacity: Capacity,
    image: GpuImage,
    target: GpuTarget,
    parts: usize,
    recorded: usize,
    so_far: SoFar,
}

impl GpuFrame {
    /// Parts that it takes.
    pub fn parts(&self) -> usize {
        self.parts
    }

    /// Whether all of it was recorded.
    pub fn is_done(&self) -> bool {
        self.recorded >= self.parts
    }

    /// Records the next part, if there is one; says whether more are to come. The last one leaves the results where they go.
    ///
    /// # Errors
    /// As [`Detector::encode`].
    pub fn encode_next(&mut self, encoder: &mut Encoder) -> Result<bool> {
        if !self.is_done() {
            let network = self.plans.networks.iter_mut().find(|n| *n.capacity() == self.capacity);
            let network = network.ok_or_else(|| internal("is of no network"))?;
            network.encode_part(encoder, &mut self.so_far, &self.image, &self.target, &self.palettes)?;
            self.recorded += 1;
        }
        Ok(!self.is_done())
    }

    /// For how long the device was at all of it, where the app has measured that (by time stamps, say): the next frame of its size is
    /// cut by it. Without, it is cut by what is predicted for a slow device of the kind.
    pub fn took(&mut self, duration: Duration) {
        self.network().for_each(|network| network.runner().took(duration));
    }

    /// For how long the device was at each part, from the first on, where the app has measured that: the next frame of its size is cut
    /// by it, layer by layer. After the first few, parts keep to `within` where predictions are off too, as they are most on CPUs:
    /// they are cut for a share of it, 0.4 to 0.9 by how much times scatter, so that about one part in a hundred is longer.
    pub fn parts_took(&mut self, durations: &[Duration]) {
        self.network().for_each(|network| network.parts_took(durations));
    }

    fn network(&mut self) -> impl Iterator<Item = &mut CompiledNetwork> {
        self.plans.networks.iter_mut().filter(|n| *n.capacity() == self.capacity)
    }
}

impl Drop for GpuFrame {
    fn drop(&mut self) {
        let plans = std::mem::take(&mut self.plans);
        lock(&self.recorders).spare.get_or_insert(plans);
    }
}

impl Detector {
    /// As [`Detector::detect`], of a picture that is on the device: its bytes do not cross to the host, what is found does.
    ///
    /// # Errors
    /// As [`Detector::detect`]. That the picture is on another device is found by wgpu.
    pub fn detect_gpu(&self, image: &GpuImage) -> Result<Detections> {
        self.detect_gpu_with(image, &Options::default())
    }

    /// As [`Detector::detect_gpu`], with what else is wanted.
    ///
    /// # Errors
    /// As [`Detector::detect_gpu`].
    pub fn detect_gpu_with(&self, image: &GpuImage, options: &Options) -> Result<Detections> {
        let image = SizedImage::on_device(&self.config, image)?;
        let found = self.run(&mut self.lock(), image.capacity, &[&image], *options)?;
        found.into_iter().next().map(|found| self.found_in(&image, found)).ok_or_else(|| internal("is of no image"))
    }

    /// Buffers for the results of pictures of that size, for [`GpuTarget::results`]; and all made ready for [`Detector::encode`] of
    /// such, as its first call would: the plan, its shaders compiled, weights and memory on the device. It may take seconds.
    ///
    /// # Errors
    /// As [`Detector::detect`].
    pub fn gpu_results(&self, width: u32, height: u32) -> Result<GpuResults> {
        let (_, capacity) = self.sized(width, height)?;
        self.recording(|plans, _| self.ready(plans, capacity)?.results())
    }

    /// Records the whole network into an encoder of the app's: from a picture on the device to where `target` says. Nothing is
    /// submitted, waited for, mapped, or written by the host; the app finishes the encoder and submits it when it likes.
    ///
    /// Several pictures may be recorded into one encoder, and several encoders at once. Each run writes over the activations of
    /// the one before, after that one's results were copied out: they are done in the order of the encoder and of the submits.
    ///
    /// The first picture of a size takes long, unless [`Detector::gpu_results`] has made all ready.
    ///
    /// # Errors
    /// [`Error::Image`] for textures that do not fit; [`Error::Config`] for masks to be
    /// drawn of a network that has none; others as [`Detector::detect`]. After an error the encoder may hold a part of the
    /// commands: drop it. That a picture or a texture is of another device, wgpu finds when the encoder is finished.
    pub fn encode(&self, encoder: &mut Encoder, image: &GpuImage, target: &GpuTarget) -> Result<()> {
        let (size, capacity) = self.sized(image.width(), image.height())?;
        self.recording(|plans, palettes| self.ready(plans, capacity)?.encode(encoder, (image, size), target, palettes))
    }

    /// As [`Detector::encode`], in parts that keep the device for no longer than `within` each, as far as times can be told: one a frame
    /// of the app's, say, so that a slow GPU neither stutters nor is taken for hung. Results are the same to the bit. While such a frame is
    /// under way it has activations of its own, a further set.
    ///
    /// # Errors
    /// As [`Detector::encode`].
    pub fn encode_in_parts(&self, image: &GpuImage, target: &GpuTarget, within: Duration) -> Result<GpuFrame> {
        let (size, capacity) = self.sized(image.width(), image.height())?;
        let (palettes, plans) = {
            let mut recorders = self.recorders();
            (recorders.palettes(&self.device)?, recorders.spare.take().unwrap_or_default())
        };
        let (image, target, so_far) = (image.clone(), target.clone(), SoFar::default());
        let recorders = self.recorders.clone();
        let mut frame = GpuFrame { recorders, palettes, plans, capacity, image, target, parts: 0, recorded: 0, so_far };
        let network = self.ready(&mut frame.plans, capacity)?;
        frame.parts = network.begin_parts((&frame.image, size), &frame.target, within)?;
        Ok(frame)
    }

    /// A picture's sizes on the way in, and the room of what is recorded for it.
    fn sized(&self, width: u32, height: u32) -> Result<(NetworkSize, Capacity)> {
        let (size, capacity) = Capacity::for_image(&self.config, height, width)?;
        let Some(masks) = self.mask_room.filter(|_| self.config.mask.is_some()) else { return Ok((size, capacity)) };
        let capacity = capacity.with_masks(masks, height, width);
        let (need, limit) = ((capacity.mask_words as u64).saturating_mul(4), self.device.max_binding());
        if need > limit {
            let what = format!("room for the bits of {masks} masks of {width}×{height} pixels");
            return Err(Error::Limit { what, need, limit, cure: "ask for fewer with `mask_room`".into() });
        }
        Ok((size, capacity))
    }

    fn recorders(&self) -> MutexGuard<'_, Recorders> {
        lock(&self.recorders)
    }

    /// Does something with what is kept for encoders; others wait meanwhile.
    fn recording<T>(&self, work: impl FnOnce(&mut Plans, &Palettes) -> Result<T>) -> Result<T> {
        let mut recorders = self.recorders();
        let palettes = recorders.palettes(&self.device)?;
        work(&mut recorders.plans, &palettes)
    }
}

fn lock(recorders: &Mutex<Recorders>) -> MutexGuard<'_, Recorders> {
    recorders.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Recorders {
    fn palettes(&mut self, device: &Device) -> Result<Arc<Palettes>> {
        if self.palettes.is_none() {
            self.palettes = Some(Arc::new(Palettes::new(device)?));
        }
        self.palettes.clone().ok_or_else(|| internal("has no colours"))
    }
}
