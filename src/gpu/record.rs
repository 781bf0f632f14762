//! From steps to commands: uploads, dispatches in one pass, copies to textures, and what is read back.

use std::collections::HashSet;

use super::cut::Dispatch;
use super::device::lock;
use super::pool::Slots;
use super::runner::Runner;
use crate::Result;
use crate::graph::{Place, Tensor, bytes_of};

/// What earlier commands of a run have left for later ones.
#[derive(Default)]
pub(super) struct Recorded {
    /// Tensors that were copied to textures, and which.
    copied: HashSet<(usize, usize)>,
    /// Steps that were dispatched, to their ends.
    ran: HashSet<usize>,
}

impl Runner {
    /// Copies inputs within the encoder, never by `queue.write_buffer`, which would run before the whole submit.
    pub(super) fn upload(&self, encoder: &mut wgpu::CommandEncoder, inputs: &[(Tensor, &[u8])]) -> Result<()> {
        if inputs.is_empty() {
            return Ok(());
        }
        let size = inputs.iter().map(|(_, content)| content.len().next_multiple_of(16)).sum::<usize>() as u64;
        let usage = wgpu::BufferUsages::MAP_WRITE | wgpu::BufferUsages::COPY_SRC;
        let device = &self.device;
        let upload = self.pool.uploads.take(device, size, |size| device.mapped("upload", size, usage))?;
        device.fill(&upload, "upload", |mut view| {
            let mut at = 0;
            for (_, content) in inputs {
                // What a last word has beyond the content: nothing of the run before.
                let rest = content.len().next_multiple_of(4) - content.len();
                view.slice(at..at + content.len()).copy_from_slice(content);
                view.slice(at + content.len()..).slice(..rest).copy_from_slice(&[0; 4][..rest]);
                at += content.len().next_multiple_of(16);
            }
        })?;
        let slots = lock(&self.pool.slots);
        let mut at = 0;
        for (t, content) in inputs {
            let length = (content.len() as u64).next_multiple_of(4);
            if let Some(buffer) = self.place(&slots, *t) {
                encoder.copy_buffer_to_buffer(&upload, at, buffer, 0, length.min(buffer.size()));
            }
            at += content.len().next_multiple_of(16) as u64;
        }
        // Mapped again once the device has read it, whoever polls then; a device that is lost has no use for it.
        let (ring, back) = (self.pool.uploads.clone(), upload.clone());
        encoder.map_buffer_on_submit(&upload, wgpu::MapMode::Write, .., move |mapped| {
            if mapped.is_ok() {
                ring.give(back);
            }
        });
        Ok(())
    }

    /// A whole run, recorded: the commands of each of its slices.
    pub(super) fn commands(&self) -> Vec<wgpu::CommandBuffer> {
        let mut recorded = Recorded::default();
        let slice = |dispatches: &[Dispatch]| {
            let mut encoder = self.device.shared.device.create_command_encoder(&Default::default());
            self.record(&mut encoder, dispatches.iter().copied(), &mut recorded, |_, _| {});
            encoder.finish()
        };
        self.slicing.slices().map(slice).collect()
    }

    /// Records dispatches into one pass, or into several where tensors are copied to textures between them. `mark` is told
    /// the pass at its first beginning and after each dispatch.
    pub(super) fn record(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        dispatches: impl Iterator<Item = Dispatch>,
        recorded: &mut Recorded,
        mut mark: impl FnMut(&mut wgpu::ComputePass, Option<usize>),
    ) {
        let slots = lock(&self.pool.slots);
        let Recorded { copied, ran } = recorded;
        let mut pass = encoder.begin_compute_pass(&Default::default());
        mark(&mut pass, None);
        for Dispatch { step: i, share } in dispatches {
            let step = &self.plan.steps[i];
            // Where the steps begin in the middle of the plan, a copy that earlier ones would make is made here.
            let missing = step.textures.iter().filter(|c| !copied.contains(*c) && !step.copies.contains(c));
            let own = step.copies.iter().filter(|_| share.is_none_or(|share| share == 0));
            let due: Vec<(usize, usize)> = own.chain(missing).copied().collect();
            if !due.is_empty() {
                drop(pass);
                self.copy_to_textures(&slots, encoder, &due);
                copied.extend(due);
                pass = encoder.begin_compute_pass(&Default::default());
            }
            // Likewise for a grid.
            if let Some(grid) = step.indirect.filter(|g| share.is_none() && !ran.contains(&g.step)) {
                self.dispatch(&slots, &mut pass, grid.step);
                ran.insert(grid.step);
            }
            match share {
                None => self.dispatch(&slots, &mut pass, i),
                Some(share) => self.dispatch_share(&mut pass, i, share),
            }
            ran.insert(i);
            mark(&mut pass, Some(i));
        }
    }

    /// Copies tensors to texture slots.
    pub(super) fn copy_to_textures(
        &self,
        slots: &Slots,
        encoder: &mut wgpu::CommandEncoder,
        copies: &[(usize, usize)],
    ) {
        for &(tensor, slot) in copies {
            if let Place::Slot(from) = self.plan.places[tensor] {
                slots.textures[slot].copy_from(encoder, &slots.buffers[from], self.plan.bytes(tensor));
            }
        }
    }

    pub(super) fn dispatch(&self, slots: &Slots, pass: &mut wgpu::ComputePass, i: usize) {
        let (step, baked) = (&self.plan.steps[i], &self.steps[i]);
        pass.set_pipeline(&baked.pipeline.pipeline);
        pass.set_bind_group(0, baked.bind_group.as_ref(), &[baked.params_at]);
        if let Some(grid) = step.indirect
            && let Place::Slot(slot) = self.plan.places[grid.tensor]
        {
            pass.dispatch_workgroups_indirect(&slots.buffers[slot], 16 * grid.row as u64);
            return;
        }
        let [x, y, z] = step.launch.grid;
        pass.dispatch_workgroups(x, y, z);
    }

    /// One buffer for all outputs, and where each begins in it.
    pub(super) fn copy_back(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        outputs: &[Tensor],
    ) -> Result<(wgpu::Buffer, Vec<u64>)> {
        let mut total = 0;
        let mut ranges = Vec::new();
        for t in outputs {
            ranges.push(total);
            total += bytes_of(&self.lies(*t));
        }
        let usage = wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ;
        let device = &self.device;
        let make = |size| device.buffer("read-back", size, usage);
        let back = self.pool.read_backs.take(device, total.max(16), make)?;
        let slots = lock(&self.pool.slots);
        for (t, at) in outputs.iter().zip(&ranges) {
            if let Some(buffer) = self.place(&slots, *t) {
                encoder.copy_buffer_to_buffer(buffer, 0, &back, *at, bytes_of(&self.lies(*t)));
            }
        }
        Ok((back, ranges))
    }
}
