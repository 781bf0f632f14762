//! Several images a submit.

use super::{Detector, Found, Plans, Ready};
use crate::model::{Input, NetworkSize, Room};
use crate::vision::{Detections, Image};
use crate::{Error, Result};

/// Most images of one submit: systems end what keeps a GPU busy for seconds.
const MOST: usize = 8;

/// An image with its sizes on the way into the network.
pub(super) type Sized<'a> = (&'a Image, NetworkSize);

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
    /// [`Error::Device`] where the device cannot take even one image alone.
    pub fn detect_batch(&self, images: &[Image]) -> Result<Vec<Detections>> {
        let mut groups: Vec<(Room, Vec<usize>)> = Vec::new();
        let mut sizes = Vec::with_capacity(images.len());
        for (i, image) in images.iter().enumerate() {
            let (size, room) = Room::for_image(&self.config, image.height(), image.width()).map_err(|e| match e {
                Error::Image { reason, .. } => Error::Image { name: format!("{} of {}", i + 1, images.len()), reason },
                other => other,
            })?;
            sizes.push(size);
            match groups.iter_mut().find(|(r, _)| r.shares_a_batch(&room)) {
                Some((_, members)) => members.push(i),
                None => groups.push((room, vec![i])),
            }
        }
        let mut out: Vec<Option<Detections>> = vec![None; images.len()];
        for (_, members) in groups {
            let mut rest = members.as_slice();
            while !rest.is_empty() {
                // Powers of two: few plans serve all numbers of images.
                let (batch, left) = rest.split_at(MOST.min(1 << rest.len().ilog2()));
                let sized: Vec<Sized> = batch.iter().map(|&i| (&images[i], sizes[i])).collect();
                for (&i, found) in batch.iter().zip(self.together(&sized)?) {
                    out[i] = Some(found);
                }
                rest = left;
            }
        }
        Ok(out.into_iter().flatten().collect())
    }

    /// Images that share a padded size, in as few submits as the device can take.
    fn together(&self, images: &[Sized]) -> Result<Vec<Detections>> {
        if let [(image, _)] = images {
            return Ok(vec![self.detect(image)?]);
        }
        if let Some(found) = self.at_once(&mut self.lock(), images)? {
            return Ok(found);
        }
        let (a, b) = images.split_at(images.len() / 2);
        let mut found = self.together(a)?;
        found.extend(self.together(b)?);
        Ok(found)
    }

    /// As one batch; nothing where the device cannot take it.
    fn at_once(&self, plans: &mut Plans, images: &[Sized]) -> Result<Option<Vec<Detections>>> {
        let mut rooms = Vec::with_capacity(images.len());
        for (image, _) in images {
            rooms.push(Room::for_image(&self.config, image.height(), image.width())?.1);
        }
        let Some(room) = rooms.into_iter().reduce(Room::joined).filter(|r| !plans.refused.contains(r)) else {
            return Ok(None);
        };
        match self.run(plans, room, images) {
            Ok(found) => {
                let whole = images.iter().zip(found);
                Ok(Some(whole.map(|((image, _), found)| self.found_in(image, found)).collect()))
            }
            Err(e @ (Error::Limit { .. } | Error::Device { .. })) => {
                if matches!(e, Error::Device { .. }) {
                    // Half of the batch is to find the memory that this one took.
                    plans.forget();
                }
                plans.refused.push(room);
                Ok(None)
            }
            Err(e) => Err(e),
        }
    }

    pub(super) fn found_in(&self, image: &Image, found: Found) -> Detections {
        let Found { items, left_out, crowded } = found;
        let found = Detections::new(image.width(), image.height(), self.classes.clone(), items);
        Detections { left_out, crowded, ..found }
    }
}

impl Ready {
    /// What the network is given for images that it is for.
    pub(super) fn packed<'a>(&self, images: &[Sized<'a>]) -> Input<'a> {
        let images: Vec<(&[u8], NetworkSize)> = images.iter().map(|(image, size)| (image.rgb(), *size)).collect();
        Input::new(&images, self.room.height, self.room.width)
    }
}
