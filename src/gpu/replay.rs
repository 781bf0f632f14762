//! A plan many times in one submit, for measuring.

use std::time::Instant;

use super::cut::Dispatch;
use super::profiler::{Clock, Stamps};
use super::record::Recorded;
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
        let device = self.device.clone();
        let times = times.max(1);
        self.bind_all()?;
        let stamps = (device.clock() == Clock::Stamps).then(|| Stamps::new(&device, 2));
        let mut encoder = device.shared.device.create_command_encoder(&Default::default());
        let steps = self.steps.len();
        let mut done = 0;
        let all = (0..times).flat_map(|_| (0..steps).map(Dispatch::whole));
        self.record(&mut encoder, all, &mut Recorded::default(), |pass, step| {
            done += usize::from(step.is_some());
            let stamp = if step.is_none() { Some(0) } else { (done == times * steps).then_some(1) };
            stamps.iter().zip(stamp).for_each(|(s, at)| pass.write_timestamp(&s.set, at));
        });
        let begin = Instant::now();
        let gpu = match stamps {
            // A clock that stands still measures nothing.
            Some(stamps) => Some(stamps.read(encoder)?[1] / times as f64).filter(|&t| t > 0.0),
            None => {
                device.submit_and_wait(encoder)?;
                None
            }
        };
        Ok(Replay { gpu, wall: begin.elapsed().as_secs_f64() / times as f64 })
    }
}
