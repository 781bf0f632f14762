//! What crosses between host and device beside a run's inputs: constants up, results down.

use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::device::{Constant, Device, Memory, lock};
use super::ring::Ring;
use crate::tensor::Value;
use crate::{Error, Result};

/// Who waits on an app's device does so for no longer at a time: wgpu lets nobody present a surface, or destroy a texture,
/// meanwhile.
const TURN: Duration = Duration::from_millis(1);

/// A buffer that is read when the device is done, and then given back.
pub(super) struct Reading {
    submitted: wgpu::SubmissionIndex,
    mapped: Receiver<Mapped>,
}

/// A buffer on its way back to its ring, and whether the host may read it. Whoever drops it gives it back, be it read or
/// not. Before it is mapped nobody does: the device still writes to it.
struct Mapped {
    buffer: wgpu::Buffer,
    outcome: std::result::Result<(), wgpu::BufferAsyncError>,
    ring: Ring,
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // What could not be mapped is of a device that is gone.
        if self.outcome.is_ok() {
            self.buffer.unmap();
            self.ring.give(self.buffer.clone());
        }
    }
}

impl Device {
    /// Submits and waits.
    pub(super) fn submit_and_wait(&self, encoder: wgpu::CommandEncoder) -> Result<()> {
        self.guarded(|| self.submit_and_wait_unguarded(encoder))
    }

    fn submit_and_wait_unguarded(&self, encoder: wgpu::CommandEncoder) -> Result<()> {
        let s = &self.shared;
        self.submit([encoder.finish()]);
        s.counters.waits.fetch_add(1, Ordering::Relaxed);
        let waited = s.device.poll(wgpu::PollType::wait_indefinitely());
        self.check()?;
        waited.map_err(|e| self.failed(format!("waiting for the work: {e}")))?;
        Ok(())
    }

    /// Submits.
    pub(super) fn submit(&self, commands: impl IntoIterator<Item = wgpu::CommandBuffer>) -> wgpu::SubmissionIndex {
        self.shared.counters.submits.fetch_add(1, Ordering::Relaxed);
        self.shared.queue.submit(commands)
    }

    /// Submits, and asks for a buffer of `ring` to be read once that is done.
    pub(super) fn submit_to_read(
        &self,
        commands: impl IntoIterator<Item = wgpu::CommandBuffer>,
        buffer: wgpu::Buffer,
        ring: &Ring,
    ) -> Reading {
        let s = &self.shared;
        let (tx, mapped) = channel();
        let (read, ring) = (buffer.clone(), ring.clone());
        let submitted = self.submit(commands);
        buffer.slice(..).map_async(wgpu::MapMode::Read, move |outcome| {
            // The receiver is gone where nobody waits any more.
            let _ = tx.send(Mapped { buffer: read, outcome, ring });
        });
        s.counters.maps.fetch_add(1, Ordering::Relaxed);
        Reading { submitted, mapped }
    }

    /// Waits for what was submitted; gives what `take` takes of it.
    pub(super) fn read<T>(&self, reading: Reading, take: impl FnOnce(&[u8]) -> T) -> Result<T> {
        self.guarded(|| self.read_unguarded(reading, take))
    }

    fn read_unguarded<T>(&self, reading: Reading, take: impl FnOnce(&[u8]) -> T) -> Result<T> {
        let s = &self.shared;
        let Reading { submitted, mapped } = reading;
        s.counters.waits.fetch_add(1, Ordering::Relaxed);
        // Not for what was submitted after it.
        let waited = loop {
            let waited = s.device.poll(wgpu::PollType::Wait {
                submission_index: Some(submitted.clone()),
                timeout: s.borrowed.then_some(TURN),
            });
            if !matches!(waited, Err(wgpu::PollError::Timeout)) {
                break waited;
            }
        };
        self.check()?;
        waited.map_err(|e| self.failed(format!("waiting for the result: {e}")))?;
        let mapped = mapped.recv().map_err(|e| self.failed(format!("the result never came: {e}")))?;
        mapped.outcome.clone().map_err(|e| self.failed(format!("the result could not be mapped: {e}")))?;
        let view = mapped.buffer.get_mapped_range(..).map_err(|e| self.failed(format!("reading the result: {e}")))?;
        // The view is gone before the buffer is given back.
        Ok(take(&view))
    }

    /// A constant, uploaded once for each value and form: as a texture or as a buffer.
    pub(super) fn constant(
        &self,
        label: &str,
        value: &Arc<Value>,
        form: Option<&str>,
        packed: impl FnOnce() -> Option<Value>,
        texture: bool,
    ) -> Result<Memory> {
        let form = format!("{}{}", form.unwrap_or_default(), if texture { ", a texture" } else { "" });
        let key = (Arc::as_ptr(value) as usize, form);
        let mut known = lock(&self.shared.constants);
        // An address may be reused by another value after its first owner is gone.
        known.retain(|_, c| c.value.strong_count() > 0);
        if let Some(c) = known.get(&key) {
            return Ok(c.memory.clone());
        }
        let packed = packed();
        let bytes = packed.as_ref().unwrap_or(value).bytes();
        if !texture && bytes.len() as u64 > self.max_binding() {
            return Err(Error::Limit {
                what: format!("weights `{label}`"),
                need: bytes.len() as u64,
                limit: self.max_binding(),
                cure: "use a device with larger bindings".into(),
            });
        }
        let memory = if texture {
            let texture = self.texture(label, bytes.len() as u64)?;
            let staged = self.filled(label, bytes, wgpu::BufferUsages::COPY_SRC)?;
            let mut encoder = self.shared.device.create_command_encoder(&Default::default());
            texture.copy_from(&mut encoder, &staged, bytes.len() as u64);
            self.shared.queue.submit([encoder.finish()]);
            Memory::Texture(texture)
        } else {
            Memory::Buffer(self.filled(label, bytes, wgpu::BufferUsages::STORAGE)?)
        };
        let value: Weak<Value> = Arc::downgrade(value);
        known.insert(key, Constant { value, memory: memory.clone() });
        Ok(memory)
    }
}
