//! A plan many times in one submit, for measuring.

use std::time::Instant;

use super::profiler::Clock;
use super::runner::Runner;
use crate::Result;

/// Seconds of one run of a plan, as the mean of several in one submit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Replay {
    /// On the GPU's own clock; none where the device has no time stamps within a pass.
    pub gpu: Option<f64>,
    /// On the wall, from the submit to the end of the wait.
    pub wall: f64,
}

impl Runner {
    /// Runs every step `times` times over, in one pass of one submit, on what the inputs hold.
    ///
    /// # Errors
    /// [`crate::Error::Device`] where the device fails.
    pub fn replay(&mut self, times: usize) -> Result<Replay> {
        const STAMPS: u64 = 16;
        let s = self.device.shared.clone();
        let times = times.max(1);
        self.bind_all()?;
        let queries = (s.clock == Clock::Stamps).then(|| {
            s.device.create_query_set(&wgpu::QuerySetDescriptor {
                label: Some("replay"),
                ty: wgpu::QueryType::Timestamp,
                count: 2,
            })
        });
        let mut encoder = s.device.create_command_encoder(&Default::default());
        {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            queries.iter().for_each(|q| pass.write_timestamp(q, 0));
            for _ in 0..times {
                (0..self.steps.len()).for_each(|i| self.dispatch(&mut pass, i));
            }
            queries.iter().for_each(|q| pass.write_timestamp(q, 1));
        }
        let usage = wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC;
        let resolved = self.device.buffer("time stamps", STAMPS, usage)?;
        queries.iter().for_each(|q| encoder.resolve_query_set(q, 0..2, &resolved, 0));
        let usage = wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ;
        let back = self.device.buffer("time stamps, read", STAMPS, usage)?;
        encoder.copy_buffer_to_buffer(&resolved, 0, &back, 0, STAMPS);
        let begin = Instant::now();
        let bytes = self.device.submit_and_read(encoder, &back)?;
        let wall = begin.elapsed().as_secs_f64() / times as f64;
        let stamps: Vec<u64> = bytemuck::pod_collect_to_vec(&bytes);
        let tick = f64::from(s.queue.get_timestamp_period()) * 1e-9;
        let gpu = queries.is_some().then(|| stamps[1].saturating_sub(stamps[0]) as f64 * tick / times as f64);
        // A clock that stands still measures nothing.
        Ok(Replay { gpu: gpu.filter(|&t| t > 0.0), wall })
    }
}
