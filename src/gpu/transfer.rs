//! What crosses between host and device beside a run's inputs: constants up, results down.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use super::device::{Constant, Device, Memory, lock};
use crate::tensor::Value;
use crate::{Error, Result};

/// A buffer that is read when the device is done.
pub(super) struct Reading {
    submitted: wgpu::SubmissionIndex,
    buffer: wgpu::Buffer,
    mapped: std::sync::mpsc::Receiver<std::result::Result<(), wgpu::BufferAsyncError>>,
}

impl Device {
    /// Submits and waits.
    pub(super) fn submit_and_wait(&self, encoder: wgpu::CommandEncoder) -> Result<()> {
        let s = &self.shared;
        s.queue.submit([encoder.finish()]);
        s.counters.submits.fetch_add(1, Ordering::Relaxed);
        s.counters.waits.fetch_add(1, Ordering::Relaxed);
        let waited = s.device.poll(wgpu::PollType::wait_indefinitely());
        self.check()?;
        waited.map_err(|e| self.failed(format!("waiting for the work: {e}")))?;
        Ok(())
    }

    /// Submits, and asks for a buffer to be read once that is done.
    pub(super) fn submit_to_read(&self, encoder: wgpu::CommandEncoder, buffer: wgpu::Buffer) -> Reading {
        let s = &self.shared;
        let submitted = s.queue.submit([encoder.finish()]);
        s.counters.submits.fetch_add(1, Ordering::Relaxed);
        let (tx, mapped) = std::sync::mpsc::channel();
        buffer.slice(..).map_async(wgpu::MapMode::Read, move |r| {
            // The receiver is gone where nobody waits any more.
            let _ = tx.send(r);
        });
        s.counters.maps.fetch_add(1, Ordering::Relaxed);
        Reading { submitted, buffer, mapped }
    }

    /// Waits for what was submitted, and reads it.
    pub(super) fn read(&self, reading: Reading) -> Result<Vec<u8>> {
        let s = &self.shared;
        let Reading { submitted, buffer, mapped } = reading;
        s.counters.waits.fetch_add(1, Ordering::Relaxed);
        // Not for what was submitted after it.
        let waited = s.device.poll(wgpu::PollType::Wait { submission_index: Some(submitted), timeout: None });
        self.check()?;
        waited.map_err(|e| self.failed(format!("waiting for the result: {e}")))?;
        mapped
            .recv()
            .map_err(|e| self.failed(format!("the result never came: {e}")))?
            .map_err(|e| self.failed(format!("the result could not be mapped: {e}")))?;
        let view = buffer.get_mapped_range(..).map_err(|e| self.failed(format!("reading the result: {e}")))?;
        Ok(view.to_vec())
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
