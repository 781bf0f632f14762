//! Buffers that plans share: slot `i` of every plan lies in the same buffer, which only grows.

use std::sync::{Arc, Mutex};

use super::device::{Device, lock};
use super::ring::Ring;
use super::texture::Texture;
use crate::Result;

pub(super) const SLOT_USAGE: wgpu::BufferUsages = wgpu::BufferUsages::STORAGE
    .union(wgpu::BufferUsages::COPY_SRC)
    .union(wgpu::BufferUsages::COPY_DST)
    .union(wgpu::BufferUsages::INDIRECT);

/// Slots shared by the plans of one owner, who runs them one at a time. Cloning shares.
#[derive(Clone, Default)]
pub struct Pool {
    pub(super) slots: Arc<Mutex<Slots>>,
    /// What inputs go up in: free ones are mapped.
    pub(super) uploads: Ring,
    /// What outputs come down in.
    pub(super) read_backs: Ring,
    /// Pictures on the device, one of each kind of [`Scratch`](super::feed::Scratch).
    pub(super) scratch: Arc<Mutex<[Option<wgpu::Buffer>; 3]>>,
}

/// A plan's slots come largest first, so that those of different plans match well.
#[derive(Default)]
pub(super) struct Slots {
    pub buffers: Vec<wgpu::Buffer>,
    pub textures: Vec<Texture>,
    /// Counts replaced buffers: bind groups of another generation are stale.
    pub generation: u64,
}

impl Pool {
    /// An empty pool.
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes of all its slots, buffers and textures.
    pub fn bytes(&self) -> u64 {
        let buffers: u64 = lock(&self.slots).buffers.iter().map(wgpu::Buffer::size).sum();
        buffers + self.texture_bytes()
    }

    /// Bytes of its textures alone.
    pub fn texture_bytes(&self) -> u64 {
        lock(&self.slots).textures.iter().map(Texture::bytes).sum()
    }
}

impl Slots {
    /// Makes slot `i` at least so large. What was in it is lost where it grows.
    pub(super) fn ensure(&mut self, device: &Device, i: usize, bytes: u64, label: &str) -> Result<()> {
        match self.buffers.get(i) {
            Some(b) if b.size() >= bytes => {}
            Some(_) => {
                self.buffers[i] = device.buffer(label, bytes, SLOT_USAGE)?;
                self.generation += 1;
            }
            None => self.buffers.push(device.buffer(label, bytes, SLOT_USAGE)?),
        }
        Ok(())
    }

    /// As [`Slots::ensure`], of texture slot `i`.
    pub(super) fn ensure_texture(&mut self, device: &Device, i: usize, bytes: u64) -> Result<()> {
        let label = format!("texture slot {i}");
        match self.textures.get(i) {
            Some(t) if t.bytes() >= bytes => {}
            Some(_) => {
                self.textures[i] = device.texture(&label, bytes)?;
                self.generation += 1;
            }
            None => self.textures.push(device.texture(&label, bytes)?),
        }
        Ok(())
    }
}
