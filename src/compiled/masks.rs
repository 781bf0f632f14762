//! The bits of masks, also where they pass the room that was made for them, or what one buffer holds.

use super::outputs::words_needed;
use super::{CompiledNetwork, OutputValues, internal};
use crate::ops::paste::Paste;
use crate::tensor::{ELEMENT_BYTES, Value};
use crate::vision::Mask;
use crate::{Error, Result};

/// Most words of the masks of one image (4 GiB): the host has to hold them, too.
const MOST_WORDS: usize = 1 << 30;

impl CompiledNetwork {
    /// The masks of each image of its last run, empty ones where the network has no mask head; and how often the paste
    /// alone was run for them: again with more room where the bits found none, and in several rounds where they pass a
    /// binding.
    ///
    /// # Errors
    /// [`Error::Limit`] where they cannot be held; others where the device fails.
    pub fn masks(&mut self, run: &mut OutputValues) -> Result<(Vec<Vec<Mask>>, u64)> {
        let counts = run.found();
        let Some(values) = &mut run.masks else {
            return Ok((counts.into_iter().map(|n| vec![Mask::default(); n]).collect(), 0));
        };
        let needed = words_needed(&run.header);
        let capacity = values.bits.shape.dim(1);
        if needed <= capacity {
            let images = counts.iter().enumerate();
            let masks = images.map(|(image, &n)| masks_of(&values.places, &values.bits, image, n));
            return Ok((masks.collect::<Result<_>>()?, 0));
        }
        log::debug!("the bits of masks take {needed} words, and there are {capacity}: they are pasted again");
        let capacity = self.room_for(&counts, &values.places, needed)?;
        values.bits = self.paste(capacity, 0)?;
        let (mut masks, mut first, mut replays) = (Vec::with_capacity(counts.len()), 0, 1);
        for (image, &count) in counts.iter().enumerate() {
            let mut some = Vec::with_capacity(count);
            for place in places(&values.places, image, count) {
                let offset = place[4] as usize;
                if offset + words(place) > first + capacity {
                    first = offset;
                    values.bits = self.paste(capacity, first)?;
                    replays += 1;
                }
                some.push(mask(place, first, bits(&values.bits, image))?);
            }
            masks.push(some);
        }
        if first > 0 {
            // The next image begins with its first mask.
            self.place_paste(capacity, 0)?;
        }
        Ok((masks, replays))
    }

    /// Words to paste into where `needed` are.
    fn room_for(&self, counts: &[usize], values: &Value, needed: usize) -> Result<usize> {
        let batch = counts.len();
        let most = (self.runner.max_binding() / (batch * ELEMENT_BYTES) as u64) as usize;
        let all = counts.iter().enumerate().flat_map(|(image, &n)| places(values, image, n));
        let largest = all.map(words).max().unwrap_or(0);
        // Batches are cut in halves down to one image; of that, rounds of any size do.
        let limit = if batch > 1 { most } else { MOST_WORDS };
        let found = counts.iter().sum::<usize>();
        for (what, need, limit) in [
            (format!("the bits of the masks of {found} objects"), needed, limit),
            ("the bits of the largest mask".into(), largest, most),
        ] {
            if need > limit {
                let [need, limit] = [need, limit].map(|words| (words * ELEMENT_BYTES) as u64);
                let cure = "allow fewer detections, or scale the image down".into();
                return Err(Error::Limit { what, need, limit, cure });
            }
        }
        Ok(needed.next_power_of_two().min(most))
    }

    /// Pastes again: the masks whose bits lie in `capacity` words from word `first` on.
    fn paste(&mut self, capacity: usize, first: usize) -> Result<Value> {
        let (step, bits) = self.place_paste(capacity, first)?;
        Ok(self.runner.run_steps(step..step + 1, &[], &[bits])?.remove(0))
    }

    fn place_paste(&mut self, capacity: usize, first: usize) -> Result<(usize, crate::graph::Tensor)> {
        let missing = || internal("has masks that nothing pastes");
        let masks = self.network.outputs.masks.as_mut().ok_or_else(missing)?;
        let step = self.runner.plan().step_of(masks.bits).ok_or_else(missing)?;
        masks.bits = self.runner.replace(step, Paste { capacity, first, ..self.paste.clone() })?;
        Ok((step, masks.bits))
    }
}

/// The first `count` masks of an image of a batch, from the places and bits that the network gives.
///
/// # Errors
/// [`Error::Internal`] where a mask's bits do not lie in the image's.
pub fn masks_of(all: &Value, values: &Value, image: usize, count: usize) -> Result<Vec<Mask>> {
    places(all, image, count).map(|place| mask(place, 0, bits(values, image))).collect()
}

/// The places of the first `count` masks of an image.
fn places(values: &Value, image: usize, count: usize) -> impl Iterator<Item = &[u32]> {
    values.ints().chunks_exact(8).skip(image * values.shape.dim(1)).take(count)
}

/// The bits of an image's masks.
fn bits(values: &Value, image: usize) -> &[u32] {
    let capacity = values.shape.dim(1);
    &values.ints()[image * capacity..(image + 1) * capacity]
}

/// Words of the bits of a mask at this place.
fn words(place: &[u32]) -> usize {
    place[2].div_ceil(32) as usize * place[3] as usize
}

/// The mask at a place, of bits that begin with word `first` of all.
fn mask(place: &[u32], first: usize, bits: &[u32]) -> Result<Mask> {
    let [x, y, w, h] = [0, 1, 2, 3].map(|i| place[i]);
    if w == 0 || h == 0 {
        return Ok(Mask::default());
    }
    let from = (place[4] as usize).checked_sub(first);
    let part = from.and_then(|from| bits.get(from..from + words(place)));
    Mask::from_bits(x, y, w, h, part.ok_or_else(|| internal("has a mask out of place"))?.to_vec())
}
