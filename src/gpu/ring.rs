//! Buffers that cross between host and device: a run takes them, and they are given back when it is done with them.

use std::sync::{Arc, Mutex};

use super::device::{Device, lock};
use crate::Result;

/// Most buffers that a ring keeps while nobody has them: as many as runs are in flight at once, but no more than a few.
const KEPT: usize = 4;

/// Sizes are multiples of this, so that images that differ little share buffers.
const STEP: u64 = 1 << 16;

/// Buffers of one kind that are free. Cloning shares.
#[derive(Clone, Default)]
pub(super) struct Ring {
    free: Arc<Mutex<Vec<wgpu::Buffer>>>,
}

impl Ring {
    /// A free buffer of at least `size` bytes, else what `make` makes of a size.
    pub(super) fn take(
        &self,
        device: &Device,
        size: u64,
        make: impl FnOnce(u64) -> Result<wgpu::Buffer>,
    ) -> Result<wgpu::Buffer> {
        if let Some(buffer) = self.find(size) {
            return Ok(buffer);
        }
        let round = size.max(1).next_multiple_of(STEP);
        // The host maps whole words.
        make(if round <= device.shared.max_buffer { round } else { size.next_multiple_of(16) })
    }

    /// The smallest that is large enough. Where there are only smaller ones, one of them makes way for a new one.
    fn find(&self, size: u64) -> Option<wgpu::Buffer> {
        let mut free = lock(&self.free);
        let fits = (0..free.len()).filter(|&i| free[i].size() >= size).min_by_key(|&i| free[i].size());
        let smallest = (0..free.len()).min_by_key(|&i| free[i].size());
        let buffer = free.swap_remove(fits.or(smallest)?);
        fits.map(|_| buffer)
    }

    /// Gives a buffer back that the device is done with: one to be written is mapped, one to be read is not.
    pub(super) fn give(&self, buffer: wgpu::Buffer) {
        let mut free = lock(&self.free);
        if free.len() < KEPT {
            free.push(buffer);
        }
    }
}
