//! Replaying a plan: one compute pass, one submit (or one a slice), one wait, one map.

use std::ops::Range;

use super::cut::Dispatch;
use super::feed::Feed;
use super::picture::GpuImage;
use super::record::Recorded;
use super::runner::Runner;
use super::submitted::{Output, Submitted};
use crate::Result;
use crate::graph::Tensor;

impl Runner {
    /// Copies `inputs` in, runs every step, and reads `outputs` back: one submit where nothing cuts
    /// it ([`Runner::slice`]), one wait, one map.
    ///
    /// # Errors
    /// [`crate::Error::Device`] where the device fails.
    pub fn run(&mut self, inputs: &[(Tensor, &[u8])], outputs: &[Tensor]) -> Result<Vec<Output>> {
        self.run_steps(0..self.steps.len(), inputs, outputs)
    }

    /// As [`Runner::run`], but only some steps, with what the last run left in the kept tensors.
    ///
    /// # Errors
    /// As [`Runner::run`].
    pub fn run_steps(
        &mut self,
        steps: Range<usize>,
        inputs: &[(Tensor, &[u8])],
        outputs: &[Tensor],
    ) -> Result<Vec<Output>> {
        self.submit_steps(steps, inputs, outputs)?.wait()
    }

    /// As [`Runner::run_steps`], without waiting. What was submitted is done in order, so that the next run may be
    /// submitted before this one is read; it writes over what this one leaves in the kept tensors.
    ///
    /// # Errors
    /// As [`Runner::run`].
    pub fn submit_steps(
        &mut self,
        steps: Range<usize>,
        inputs: &[(Tensor, &[u8])],
        outputs: &[Tensor],
    ) -> Result<Submitted> {
        let device = self.device.clone();
        device.guarded(|| self.submit_after(steps, |runner, first| runner.upload(first, inputs), outputs))
    }

    /// As [`Runner::submit_steps`] of all steps, with a picture that is on the device.
    ///
    /// # Errors
    /// As [`Runner::run`].
    pub fn submit_fed(&mut self, feed: &Feed, image: &GpuImage, outputs: &[Tensor]) -> Result<Submitted> {
        let (device, steps) = (self.device.clone(), 0..self.steps.len());
        device.guarded(|| self.submit_after(steps, |runner, first| runner.feed(first, feed, image), outputs))
    }

    /// Steps, after the commands that bring their inputs.
    fn submit_after(
        &mut self,
        steps: Range<usize>,
        bring: impl FnOnce(&Self, &mut wgpu::CommandEncoder) -> Result<()>,
        outputs: &[Tensor],
    ) -> Result<Submitted> {
        self.bind_all()?;
        let whole = steps == (0..self.steps.len());
        if whole {
            self.cut()?;
        }
        let encoder = || self.device.shared.device.create_command_encoder(&Default::default());
        let mut first = encoder();
        bring(self, &mut first)?;
        let mut last = encoder();
        let (back, starts) = self.copy_back(&mut last, outputs)?;
        let mut commands = match (whole, self.ahead.take_if(|_| whole)) {
            (_, Some(ahead)) => ahead,
            (true, None) => self.commands(),
            (false, None) => {
                let mut encoder = encoder();
                self.record(&mut encoder, steps.map(Dispatch::whole), &mut Recorded::default(), |_, _| {});
                vec![encoder.finish()]
            }
        };
        let stopwatch = self.slicing.stopwatch().filter(|_| whole);
        // What goes up goes with the first slice, what comes down with the last.
        let end = commands.pop().into_iter().chain([last.finish()]);
        let mut begin = Some(first.finish());
        for slice in commands {
            self.device.submit(begin.take().into_iter().chain([slice]));
        }
        let reading = self.device.submit_to_read(begin.into_iter().chain(end), back, &self.pool.read_backs);
        if whole {
            // The next image most likely has this one's size. Now the device has work: nobody waits for this.
            self.ahead = Some(self.commands());
        }
        Ok(Submitted {
            device: self.device.clone(),
            reading,
            stopwatch,
            outputs: outputs.iter().map(|t| self.lies(*t)).zip(starts).collect(),
        })
    }
}
