//! Images on their way: given to the device, and not waited for.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Instant;

use super::batch::SizedImage;
use super::results::ImageResult;
use super::{Detector, Plans, internal};
use crate::Result;
use crate::compiled::Run;
use crate::gpu::GpuImage;
use crate::model::{Capacity, Input};
use crate::vision::{Detections, Pixels};

/// What is wanted of an image beside what is always given. Take the rest as it is by default, so that options may be
/// added: `Options { soft_masks: true, ..Options::default() }`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Each detection's mask before it is cut at its threshold ([`Detection::soft`](crate::Detection::soft)).
    pub soft_masks: bool,
}

/// An image that the device works on ([`Detector::submit`]). Dropping it gives up its answer.
#[must_use = "the answer is had by `wait`"]
pub struct Pending<'d> {
    detector: Holder<'d>,
    ticket: u64,
    width: u32,
    height: u32,
}

/// The detector that works on an image: its caller's, or held for as long as it takes.
pub(super) enum Holder<'d> {
    Lent(&'d Detector),
    Held(Arc<Detector>),
}

impl Deref for Holder<'_> {
    type Target = Detector;

    fn deref(&self) -> &Detector {
        match self {
            Self::Lent(detector) => detector,
            Self::Held(detector) => detector,
        }
    }
}

/// The run that the device was given last, until it is read.
pub(super) struct InFlight {
    ticket: u64,
    capacity: Capacity,
    run: Run,
    begun: Instant,
}

/// Answers that were read before anyone asked for them, by ticket.
#[derive(Default)]
pub(super) struct Desk {
    tickets: u64,
    in_flight: Option<InFlight>,
    answers: Vec<(u64, Result<Vec<ImageResult>>)>,
}

impl Desk {
    /// The answer to a ticket, if it is here.
    pub(super) fn take(&mut self, ticket: u64) -> Option<Result<Vec<ImageResult>>> {
        let at = self.answers.iter().position(|a| a.0 == ticket)?;
        Some(self.answers.swap_remove(at).1)
    }
}

impl Detector {
    /// As [`Detector::detect`], with what else is wanted.
    ///
    /// # Errors
    /// As [`Detector::detect`].
    pub fn detect_with<'a>(&self, image: impl Into<Pixels<'a>>, options: &Options) -> Result<Detections> {
        let image = SizedImage::new(&self.config, image.into())?;
        let found = self.run(&mut self.lock(), image.capacity, &[&image], *options)?;
        found.into_iter().next().map(|found| self.found_in(&image, found)).ok_or_else(|| internal("is of no image"))
    }

    /// Gives the device an image, and does not wait for the answer: what the caller does until [`Pending::wait`] overlaps
    /// with the device's work. The pixels are read before this returns.
    ///
    /// One image is on the device at a time. While there is one, a further call (of any thread, on this detector) makes
    /// its own ready, then waits for the other and keeps its answer for [`Pending::wait`]. So the way to keep the device
    /// busy is to submit the next image first, and then to use the answer before it:
    ///
    /// ```no_run
    /// # fn write(found: maskrcnn::Detections) {}
    /// # fn main() -> maskrcnn::Result<()> {
    /// # let images: Vec<maskrcnn::Image> = Vec::new();
    /// # let detector = maskrcnn::Detector::open("model.pth")?;
    /// let mut before: Option<maskrcnn::Pending> = None;
    /// for image in &images {
    ///     let now = detector.submit(image)?;
    ///     if let Some(pending) = before.replace(now) {
    ///         write(pending.wait()?); // while the device works on `image`
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Detector::detect`].
    pub fn submit<'a>(&self, image: impl Into<Pixels<'a>>) -> Result<Pending<'_>> {
        self.submit_with(image, &Options::default())
    }

    /// As [`Detector::submit`], with what else is wanted.
    ///
    /// # Errors
    /// As [`Detector::detect`].
    pub fn submit_with<'a>(&self, image: impl Into<Pixels<'a>>, options: &Options) -> Result<Pending<'_>> {
        Holder::Lent(self).submit(&SizedImage::new(&self.config, image.into())?, options)
    }

    /// As [`Detector::submit_with`], of a picture that is on the device: it is read when the device comes to it.
    ///
    /// # Errors
    /// As [`Detector::detect_gpu`].
    pub fn submit_gpu(&self, image: &GpuImage, options: &Options) -> Result<Pending<'_>> {
        Holder::Lent(self).submit(&SizedImage::on_device(&self.config, image)?, options)
    }

    /// Runs images that fit into `capacity`; gives what is in each.
    pub(super) fn run(
        &self,
        plans: &mut Plans,
        capacity: Capacity,
        images: &[&SizedImage],
        options: Options,
    ) -> Result<Vec<ImageResult>> {
        let ticket = self.give(plans, capacity, images, options)?;
        self.answer(plans, ticket)
    }

    /// Gives the device images that fit into `capacity`.
    fn give(&self, plans: &mut Plans, capacity: Capacity, images: &[&SizedImage], options: Options) -> Result<u64> {
        // Of images that are on the device already there is one.
        let on_device = images.first().and_then(|image| Some((image.gpu()?, image.size)));
        let submitted = match on_device {
            Some((image, size)) => self.ready(plans, capacity)?.submit_gpu(image, size, options.soft_masks),
            None => {
                // Of images that something comes with there is one.
                let rois = images.iter().find_map(|image| image.rois.clone());
                let images: Vec<_> = images.iter().map(|image| image.given()).collect();
                // What is done here is done while the device works on another.
                let input = Input::new(&images, capacity.height, capacity.width, capacity.taps).with(rois);
                self.ready(plans, capacity)?.submit(&input, options.soft_masks)
            }
        };
        let run = match submitted {
            Ok(run) => run,
            Err(e) => {
                plans.forget();
                return Err(e);
            }
        };
        plans.desk.tickets += 1;
        let ticket = plans.desk.tickets;
        plans.desk.in_flight = Some(InFlight { ticket, capacity, run, begun: Instant::now() });
        Ok(ticket)
    }

    /// The answer to a ticket.
    fn answer(&self, plans: &mut Plans, ticket: u64) -> Result<Vec<ImageResult>> {
        if let Some(answer) = plans.desk.take(ticket) {
            return answer;
        }
        self.settle(plans);
        plans.desk.take(ticket).unwrap_or_else(|| Err(internal("was given away")))
    }

    /// Waits for what the device was given, and keeps its answer: what comes next may write over what masks are still made
    /// from.
    pub(super) fn settle(&self, plans: &mut Plans) {
        let Some(InFlight { ticket, capacity, run, begun }) = plans.desk.in_flight.take() else { return };
        let answer = self.finish(plans, capacity, run, begun);
        if answer.is_err() {
            // What a failed run left behind is not trusted with the next image.
            plans.forget();
        }
        plans.desk.answers.push((ticket, answer));
    }

    fn finish(&self, plans: &mut Plans, capacity: Capacity, run: Run, begun: Instant) -> Result<Vec<ImageResult>> {
        let network = plans.networks.iter_mut().find(|n| *n.capacity() == capacity);
        let network = network.ok_or_else(|| internal("is of no network"))?;
        let mut values = network.wait(run)?;
        plans.busy += begun.elapsed();
        let (masks, replays) = network.masks(&mut values)?;
        plans.replays += replays;
        Ok(ImageResult::of(&values, masks, self.config.rpn.post_nms_top_n))
    }
}

impl<'d> Holder<'d> {
    /// Gives the device an image.
    pub(super) fn submit(self, image: &SizedImage, options: &Options) -> Result<Pending<'d>> {
        let ticket = self.give(&mut self.lock(), image.capacity, &[image], *options)?;
        Ok(Pending { detector: self, ticket, width: image.width, height: image.height })
    }
}

impl Pending<'_> {
    /// Waits until the device is done with it; what was found.
    ///
    /// # Errors
    /// As [`Detector::detect`].
    pub fn wait(self) -> Result<Detections> {
        let found = self.detector.answer(&mut self.detector.lock(), self.ticket)?;
        let found = found.into_iter().next().ok_or_else(|| internal("is of no image"))?;
        Ok(self.detector.detections(self.width, self.height, found))
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        let desk = &mut self.detector.lock().desk;
        // What the device is at, it ends by itself.
        desk.in_flight.take_if(|f| f.ticket == self.ticket);
        desk.take(self.ticket);
    }
}
