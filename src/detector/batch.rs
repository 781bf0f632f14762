//! Several images a submit.

use std::borrow::Cow;

use super::results::ImageResult;
use super::{Detector, Options, Plans};
use crate::config::{Config, PasteRule};
use crate::gpu::GpuImage;
use crate::model::{Capacity, Given, NetworkSize, RoiSource};
use crate::vision::{Detections, Pixels};
use crate::{Error, Result};

/// Most images of one submit: systems end what keeps a GPU busy for seconds.
const MOST: usize = 8;

/// Where an image's pixels are.
enum Where<'a> {
    /// RGB, 3 bytes a pixel.
    Host(Cow<'a, [u8]>),
    Device(&'a GpuImage),
}

/// An image with its sizes on the way into the network, and the room that it takes alone.
pub(super) struct SizedImage<'a> {
    pub width: u32,
    pub height: u32,
    pixels: Where<'a>,
    pub size: NetworkSize,
    pub capacity: Capacity,
    /// What comes with it.
    pub rois: Option<Given>,
}

impl<'a> SizedImage<'a> {
    pub(super) fn new(config: &Config, image: Pixels<'a>) -> Result<Self> {
        let (width, height) = (image.width(), image.height());
        let (size, capacity) = Capacity::for_image(config, height, width)?;
        Ok(Self { width, height, pixels: Where::Host(image.rgb()), size, capacity, rois: None })
    }

    /// One whose pixels are on the device.
    pub(super) fn on_device(config: &Config, image: &'a GpuImage) -> Result<Self> {
        let (width, height) = (image.width(), image.height());
        let (size, capacity) = Capacity::for_image(config, height, width)?;
        Ok(Self { width, height, pixels: Where::Device(image), size, capacity, rois: None })
    }

    /// The same image with RoIs.
    pub(super) fn with(self, rois: Given) -> Self {
        let capacity = Capacity { rois: rois.source(), ..self.capacity };
        Self { capacity, rois: Some(rois), ..self }
    }

    /// What the network is given from here: no bytes, where those are on the device.
    pub(super) fn given(&self) -> (&[u8], NetworkSize) {
        match &self.pixels {
            Where::Host(rgb) => (rgb, self.size),
            Where::Device(_) => (&[], self.size),
        }
    }

    /// The picture on the device, where it is there.
    pub(super) fn gpu(&self) -> Option<&GpuImage> {
        match self.pixels {
            Where::Host(_) => None,
            Where::Device(image) => Some(image),
        }
    }
}

impl Detector {
    /// Instances in each image, in the images' order: what [`Detector::detect`] finds one by one, but for the last
    /// digits.
    ///
    /// Images whose network inputs have the same padded size go through the network together, by eights, fours and
    /// twos: one submit, one wait and one read-back each. What is left over runs alone. A batch needs its number of
    /// times the memory of one image, which the detector keeps. Where the device cannot take that (a tensor larger than
    /// a binding may be, or memory that runs out), the batch is cut in halves, as often as needed, and the detector does
    /// not try that size again.
    ///
    /// # Errors
    /// [`Error::Image`] for an image that is too long and narrow, by its number, before any is run; [`Error::Limit`] and
    /// [`Error::OutOfMemory`] where the device cannot take even one image alone; [`Error::DeviceLost`] and
    /// [`Error::Device`] where it fails.
    pub fn detect_batch<'a, I>(&self, images: I) -> Result<Vec<Detections>>
    where
        I: IntoIterator,
        I::Item: Into<Pixels<'a>>,
    {
        let images: Vec<Pixels> = images.into_iter().map(Into::into).collect();
        let number = |e: Error, i: usize| match e {
            Error::Image { reason, .. } => Error::Image { name: format!("{} of {}", i + 1, images.len()), reason },
            other => other,
        };
        let sized = images.iter().enumerate();
        let sized = sized.map(|(i, image)| SizedImage::new(&self.config, *image).map_err(|e| number(e, i)));
        let sized = sized.collect::<Result<Vec<SizedImage>>>()?;
        let mut groups: Vec<Vec<usize>> = Vec::new();
        for (i, image) in sized.iter().enumerate() {
            match groups.iter_mut().find(|members| sized[members[0]].capacity.shares_a_batch(&image.capacity)) {
                Some(members) => members.push(i),
                None => groups.push(vec![i]),
            }
        }
        let mut out: Vec<Option<Detections>> = vec![None; images.len()];
        for members in groups {
            let mut rest = members.as_slice();
            while !rest.is_empty() {
                // Powers of two: few plans serve all numbers of images.
                let (batch, left) = rest.split_at(MOST.min(1 << rest.len().ilog2()));
                let images: Vec<&SizedImage> = batch.iter().map(|&i| &sized[i]).collect();
                for (&i, found) in batch.iter().zip(self.together(&images)?) {
                    out[i] = Some(found);
                }
                rest = left;
            }
        }
        Ok(out.into_iter().flatten().collect())
    }

    /// Images that share a padded size, in as few submits as the device can take.
    fn together(&self, images: &[&SizedImage]) -> Result<Vec<Detections>> {
        if let Some(found) = self.at_once(&mut self.lock(), images)? {
            return Ok(images.iter().zip(found).map(|(image, found)| self.found_in(image, found)).collect());
        }
        let (a, b) = images.split_at(images.len() / 2);
        let mut found = self.together(a)?;
        found.extend(self.together(b)?);
        Ok(found)
    }

    /// As one batch; nothing where the device cannot take it, and halves may be tried.
    fn at_once(&self, plans: &mut Plans, images: &[&SizedImage]) -> Result<Option<Vec<ImageResult>>> {
        let Some(capacity) = images.iter().map(|image| image.capacity).reduce(Capacity::joined) else {
            return Ok(Some(Vec::new()));
        };
        if plans.refused.contains(&capacity) {
            return Ok(None);
        }
        match self.run(plans, capacity, images, Options::default()) {
            Ok(found) => Ok(Some(found)),
            // Half of the batch may fit, in the memory that this one took.
            Err(e @ (Error::Limit { .. } | Error::OutOfMemory { .. })) if images.len() > 1 => {
                log::warn!("a batch of {} images does not fit and is cut in halves, for good: {e}", images.len());
                plans.forget();
                plans.refused.push(capacity);
                Ok(None)
            }
            Err(e) => Err(e),
        }
    }

    pub(super) fn found_in(&self, image: &SizedImage, mut found: ImageResult) -> Detections {
        // Known boxes are answered one by one, whatever is left of them.
        let known = matches!(image.capacity.rois, RoiSource::Boxes(_));
        if self.config.paste == PasteRule::Whole && !known {
            found.items.retain(|item| item.bbox[2] > item.bbox[0] && item.bbox[3] > item.bbox[1]);
        }
        self.detections(image.width, image.height, found)
    }

    /// What was found in an image of that size.
    pub(super) fn detections(&self, width: u32, height: u32, found: ImageResult) -> Detections {
        let ImageResult { items, left_out, crowded } = found;
        let found = Detections::new(width, height, self.classes.clone(), items);
        Detections { left_out, crowded, ..found }
    }
}
