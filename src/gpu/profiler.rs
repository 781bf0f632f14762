//! The time of each step of a plan.

use std::fmt;
use std::time::Instant;

use super::cut::Dispatch;
use super::device::{Device, lock};
use super::record::Recorded;
use super::ring::Ring;
use super::runner::Runner;
use crate::graph::Tensor;
use crate::{Error, Result};

/// How the time of a step is taken. A device that offers one of these offers those before it too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Clock {
    /// The host's clock around each step, submitted alone: a step's time has that of a submit in it.
    Wall,
    /// The device's time stamps around each step in a pass of its own.
    Passes,
    /// The device's time stamps between the steps of one pass.
    Stamps,
}

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Clock::Wall => "the host's clock, each step submitted alone",
            Clock::Passes => "time stamps around each step in a pass of its own",
            Clock::Stamps => "time stamps between the steps of one pass",
        })
    }
}

/// Time stamps of one submit.
pub(super) struct Stamps<'a> {
    device: &'a Device,
    pub(super) set: wgpu::QuerySet,
    count: u32,
}

impl<'a> Stamps<'a> {
    pub(super) fn new(device: &'a Device, count: u32) -> Self {
        let set = device.shared.device.create_query_set(&wgpu::QuerySetDescriptor {
            label: Some("steps"),
            ty: wgpu::QueryType::Timestamp,
            count,
        });
        Self { device, set, count }
    }

    /// Submits, and gives the stamps in seconds since the first.
    pub(super) fn read(&self, mut encoder: wgpu::CommandEncoder) -> Result<Vec<f64>> {
        let size = self.count as u64 * 8;
        let usage = wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC;
        let resolved = self.device.buffer("time stamps", size, usage)?;
        encoder.resolve_query_set(&self.set, 0..self.count, &resolved, 0);
        let usage = wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ;
        let back = self.device.buffer("time stamps, read", size, usage)?;
        encoder.copy_buffer_to_buffer(&resolved, 0, &back, 0, size);
        let reading = self.device.submit_to_read([encoder.finish()], back, &Ring::default());
        let stamps: Vec<u64> = self.device.read(reading, bytemuck::pod_collect_to_vec)?;
        let first = stamps.first().copied().unwrap_or(0);
        let tick = self.device.shared.queue.get_timestamp_period() as f64 * 1e-9;
        // Since the first, so that f64 holds them to the tick.
        Ok(stamps.iter().map(|s| s.wrapping_sub(first) as i64 as f64 * tick).collect())
    }
}

impl Runner {
    /// Runs every step; gives the seconds of each.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where the device does not offer such a clock; others where it fails.
    pub fn profile(&mut self, inputs: &[(Tensor, &[u8])], clock: Clock) -> Result<Vec<f64>> {
        let device = self.device.clone();
        if clock > device.clock() {
            let reason = format!("does not offer {clock}; it offers {}", device.clock());
            return Err(Error::Unsupported { device: device.name().into(), reason });
        }
        self.bind_all()?;
        let mut encoder = device.shared.device.create_command_encoder(&Default::default());
        self.upload(&mut encoder, inputs)?;
        let count = self.steps.len() as u32;
        match clock {
            Clock::Stamps => {
                let stamps = Stamps::new(&device, count + 1);
                let all = (0..self.steps.len()).map(Dispatch::whole);
                self.record(&mut encoder, all, &mut Recorded::default(), |pass, step| {
                    pass.write_timestamp(&stamps.set, step.map_or(0, |i| i as u32 + 1));
                });
                Ok(stamps.read(encoder)?.windows(2).map(|w| (w[1] - w[0]).max(0.0)).collect())
            }
            Clock::Passes => {
                let stamps = Stamps::new(&device, 2 * count);
                for i in 0..self.steps.len() {
                    let at = 2 * i as u32;
                    let slots = lock(&self.pool.slots);
                    self.copy_to_textures(&slots, &mut encoder, &self.plan().steps[i].copies);
                    let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
                        label: None,
                        timestamp_writes: Some(wgpu::ComputePassTimestampWrites {
                            query_set: &stamps.set,
                            beginning_of_pass_write_index: Some(at),
                            end_of_pass_write_index: Some(at + 1),
                        }),
                    });
                    self.dispatch(&slots, &mut pass, i);
                }
                Ok(stamps.read(encoder)?.chunks_exact(2).map(|w| (w[1] - w[0]).max(0.0)).collect())
            }
            Clock::Wall => {
                device.submit_and_wait(encoder)?;
                let (mut seconds, mut recorded) = (Vec::with_capacity(self.steps.len()), Recorded::default());
                for i in 0..self.steps.len() {
                    let mut encoder = device.shared.device.create_command_encoder(&Default::default());
                    self.record(&mut encoder, std::iter::once(Dispatch::whole(i)), &mut recorded, |_, _| {});
                    let begin = Instant::now();
                    device.submit_and_wait(encoder)?;
                    seconds.push(begin.elapsed().as_secs_f64());
                }
                Ok(seconds)
            }
        }
    }

    /// Runs every step in one pass, as [`Runner::run`] does, and gives the seconds from its submit to its end: the
    /// upload of the inputs is in it, reading back is not.
    ///
    /// # Errors
    /// [`Error::Device`] where the device fails.
    pub fn wall(&mut self, inputs: &[(Tensor, &[u8])]) -> Result<f64> {
        self.bind_all()?;
        let mut encoder = self.device.shared.device.create_command_encoder(&Default::default());
        self.upload(&mut encoder, inputs)?;
        self.record(&mut encoder, (0..self.steps.len()).map(Dispatch::whole), &mut Recorded::default(), |_, _| {});
        let begin = Instant::now();
        self.device.submit_and_wait(encoder)?;
        Ok(begin.elapsed().as_secs_f64())
    }
}
