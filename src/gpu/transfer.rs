//! What crosses between host and device beside a run's inputs: constants up, results down.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use super::device::{Constant, Device, lock};
use crate::tensor::Value;
use crate::{Error, Result};

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

    /// Submits, waits, and reads a buffer.
    pub(super) fn submit_and_read(&self, encoder: wgpu::CommandEncoder, buffer: &wgpu::Buffer) -> Result<Vec<u8>> {
        let s = &self.shared;
        s.queue.submit([encoder.finish()]);
        s.counters.submits.fetch_add(1, Ordering::Relaxed);
        let (tx, rx) = std::sync::mpsc::channel();
        buffer.slice(..).map_async(wgpu::MapMode::Read, move |r| {
            // The receiver is gone only where the wait below has failed already.
            let _ = tx.send(r);
        });
        s.counters.maps.fetch_add(1, Ordering::Relaxed);
        s.counters.waits.fetch_add(1, Ordering::Relaxed);
        let waited = s.device.poll(wgpu::PollType::wait_indefinitely());
        self.check()?;
        waited.map_err(|e| self.failed(format!("waiting for the result: {e}")))?;
        rx.recv()
            .map_err(|e| self.failed(format!("the result never came: {e}")))?
            .map_err(|e| self.failed(format!("the result could not be mapped: {e}")))?;
        let view = buffer.get_mapped_range(..).map_err(|e| self.failed(format!("reading the result: {e}")))?;
        Ok(view.to_vec())
    }

    /// A constant's buffer, uploaded once for each value and form.
    pub(super) fn constant(
        &self,
        label: &str,
        value: &Arc<Value>,
        form: String,
        packed: Option<&Value>,
    ) -> Result<wgpu::Buffer> {
        let key = (Arc::as_ptr(value) as usize, form);
        let mut known = lock(&self.shared.constants);
        // An address may be reused by another value after its first owner is gone.
        known.retain(|_, c| c.value.strong_count() > 0);
        if let Some(c) = known.get(&key) {
            return Ok(c.buffer.clone());
        }
        let bytes = packed.unwrap_or(value).bytes();
        if bytes.len() as u64 > self.shared.max_binding {
            return Err(Error::Limit {
                what: format!("weights `{label}`"),
                need: bytes.len() as u64,
                limit: self.shared.max_binding,
                cure: "use a device with larger bindings".into(),
            });
        }
        let buffer = self.filled(label, bytes, wgpu::BufferUsages::STORAGE)?;
        let value: Weak<Value> = Arc::downgrade(value);
        known.insert(key, Constant { value, buffer: buffer.clone() });
        Ok(buffer)
    }
}
