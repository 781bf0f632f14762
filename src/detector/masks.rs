//! The bits of masks, also where they pass the room that was made for them, or what one buffer holds.

use super::{Ready, counts, internal};
use crate::ops::paste::Paste;
use crate::tensor::{ELEMENT_BYTES, Value};
use crate::vision::Mask;
use crate::{Error, Result};

/// Most words of the masks of one image (4 GiB): the host has to hold them, too.
const MOST_WORDS: usize = 1 << 30;

impl Ready {
    /// The masks of each image, of a run's header, places and bits. Where the bits found no room, step `step`, the
    /// paste, is run again with more; where they pass a binding, in several rounds. Says how often.
    pub(super) fn masks(
        &mut self,
        step: usize,
        header: &Value,
        places: &Value,
        mut bits: Value,
    ) -> Result<(Vec<Vec<Mask>>, u64)> {
        let counts = counts(header, self.network.outputs);
        let (batch, n) = (counts.len(), places.shape.dim(1));
        let places: Vec<&[u32]> = places.ints().chunks_exact(8).collect();
        let of = |image: usize| &places[image * n..image * n + counts[image]];
        let needed = header.ints().chunks_exact(2).map(|h| h[1]).max().unwrap_or(0) as usize;
        let (mut capacity, mut replays) = (bits.shape.dim(1), 0);
        if needed > capacity {
            let most = (self.runner.max_binding() / (batch * ELEMENT_BYTES) as u64) as usize;
            let largest = (0..batch).flat_map(of).map(|place| words(place)).max().unwrap_or(0);
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
            capacity = needed.next_power_of_two().min(most);
            bits = self.paste(step, capacity, 0)?;
            replays = 1;
        }
        let mut masks = Vec::with_capacity(batch);
        let mut first = 0;
        for (image, &count) in counts.iter().enumerate() {
            let mut some = Vec::with_capacity(count);
            for place in of(image) {
                let offset = place[4] as usize;
                if offset + words(place) > first + capacity {
                    first = offset;
                    bits = self.paste(step, capacity, first)?;
                    replays += 1;
                }
                let bits = &bits.ints()[image * capacity..(image + 1) * capacity];
                some.push(mask(place, offset - first, bits)?);
            }
            masks.push(some);
        }
        if first > 0 {
            // The next image begins with its first mask.
            self.place_paste(step, capacity, 0)?;
        }
        Ok((masks, replays))
    }

    /// Pastes again: the masks whose bits lie in `capacity` words from word `first` on.
    fn paste(&mut self, step: usize, capacity: usize, first: usize) -> Result<Value> {
        let bits = self.place_paste(step, capacity, first)?;
        Ok(self.runner.run_steps(step..step + 1, &[], &[bits])?.remove(0))
    }

    fn place_paste(&mut self, step: usize, capacity: usize, first: usize) -> Result<crate::graph::Tensor> {
        let masks = self.network.outputs.masks.as_mut().ok_or_else(|| internal("a paste without masks"))?;
        masks.bits = self.runner.replace(step, Paste { capacity, first, threshold: self.threshold })?;
        Ok(masks.bits)
    }
}

/// Words of the bits of a mask at this place.
fn words(place: &[u32]) -> usize {
    place[2].div_ceil(32) as usize * place[3] as usize
}

fn mask(place: &[u32], from: usize, bits: &[u32]) -> Result<Mask> {
    let [x, y, w, h] = [0, 1, 2, 3].map(|i| place[i]);
    if w == 0 || h == 0 {
        return Ok(Mask::default());
    }
    let part = bits.get(from..from + words(place)).ok_or_else(|| internal("has a mask out of place"))?;
    Mask::from_bits(x, y, w, h, part.to_vec())
}
