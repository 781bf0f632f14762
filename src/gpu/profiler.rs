//! The time of each step of a plan.

use super::runner::Runner;
use crate::graph::Tensor;
use crate::{Error, Result};

impl Runner {
    /// Runs every step with a time stamp after each inside the one pass; gives the seconds of each step.
    ///
    /// # Errors
    /// [`Error::Device`] where the device has no time stamps within a pass, or fails.
    pub fn profile(&mut self, inputs: &[(Tensor, &[u8])]) -> Result<Vec<f64>> {
        let s = self.device.shared.clone();
        if !s.timestamps {
            let reason = "has no time stamps within a compute pass".into();
            return Err(Error::Device { device: s.name.clone(), reason });
        }
        let count = self.steps.len() as u32 + 1;
        let queries = s.device.create_query_set(&wgpu::QuerySetDescriptor {
            label: Some("steps"),
            ty: wgpu::QueryType::Timestamp,
            count,
        });
        self.bind_all()?;
        let mut encoder = s.device.create_command_encoder(&Default::default());
        self.upload(&mut encoder, inputs)?;
        {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            pass.write_timestamp(&queries, 0);
            for i in 0..self.steps.len() {
                self.dispatch(&mut pass, i);
                pass.write_timestamp(&queries, i as u32 + 1);
            }
        }
        let size = count as u64 * 8;
        let usage = wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC;
        let resolved = self.device.buffer("time stamps", size, usage)?;
        encoder.resolve_query_set(&queries, 0..count, &resolved, 0);
        let usage = wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ;
        let back = self.device.buffer("time stamps, read", size, usage)?;
        encoder.copy_buffer_to_buffer(&resolved, 0, &back, 0, size);
        let bytes = self.device.submit_and_read(encoder, &back)?;
        let stamps: Vec<u64> = bytemuck::pod_collect_to_vec(&bytes);
        let tick = s.queue.get_timestamp_period() as f64 * 1e-9;
        Ok(stamps.windows(2).map(|w| w[1].saturating_sub(w[0]) as f64 * tick).collect())
    }
}
