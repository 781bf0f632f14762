//! Kernels that are run beside a plan: on pictures before it, and on its results after it.

use std::sync::Arc;

use super::device::Device;
use super::pipeline::{Checks, Extent, Pipeline};
use super::slices::ALIGN;
use super::spread::{Share, Span, share_of};
use crate::kernels::{Kernel, Variant};
use crate::ops::{Info, Io, check};
use crate::{Error, Result};

/// A kernel that is bound to whatever buffers there are.
pub(super) struct Aside {
    label: &'static str,
    variant: Variant,
    pipeline: Arc<Pipeline>,
    shared: Option<Shared>,
    params: wgpu::Buffer,
    grid: [u32; 3],
    /// Bytes of its inputs and its output.
    needs: Vec<u64>,
    /// What it makes.
    pub output: Info,
}

/// How it is done in shares.
struct Shared {
    pipeline: Arc<Pipeline>,
    shares: Vec<Share>,
    /// Where each share's first workgroup stands, [`ALIGN`] bytes apart.
    firsts: wgpu::Buffer,
}

impl Aside {
    /// Compiles a kernel of one output for inputs such as these.
    pub(super) fn new(device: &Device, kernel: &dyn Kernel, inputs: &[Info]) -> Result<Self> {
        let label = kernel.name();
        let refuse = |reason: String| Error::Shape { op: label.into(), reason };
        let outputs = check(kernel, inputs).map_err(refuse)?;
        let io = Io { inputs, outputs: &outputs };
        let variants = kernel.variants(&io, &device.target());
        let (Some(variant), Some(&output)) = (variants.first(), outputs.first()) else {
            return Err(refuse("makes nothing".into()));
        };
        let launch = kernel.launch(&io, variant);
        let most = device.shared.max_grid;
        if let Some(&n) = launch.grid.iter().find(|&&n| n > most) {
            return Err(Error::Limit {
                what: format!("the grid of `{label}` ({n} workgroups along one axis)"),
                need: n.into(),
                limit: most.into(),
                cure: "use a smaller image".into(),
            });
        }
        let pipeline = device.pipeline(label, variant, Checks::Off, Extent::Whole)?;
        let params = device.filled(label, &launch.params, wgpu::BufferUsages::UNIFORM)?;
        let needs = inputs.iter().chain(&outputs).map(|info| info.bytes() as u64).collect();
        Ok(Self { label, variant: variant.clone(), pipeline, shared: None, params, grid: launch.grid, needs, output })
    }

    /// Makes ready to be done in such shares of a grid of another size, whose parts are the same parts of its own.
    pub(super) fn share(&mut self, device: &Device, grid: [u32; 3], spans: &[Span]) -> Result<()> {
        let shares: Vec<Share> = spans.iter().map(|span| share_of(grid, span, self.grid)).collect();
        if !shares.is_empty() && self.shared.as_ref().is_none_or(|shared| shared.shares != shares) {
            let pipeline = device.pipeline(self.label, &self.variant, Checks::Off, Extent::Share)?;
            let mut firsts: Vec<u8> = Vec::with_capacity(ALIGN * shares.len());
            for share in &shares {
                firsts.extend_from_slice(bytemuck::cast_slice(&share.first));
                firsts.resize(firsts.len().next_multiple_of(ALIGN), 0);
            }
            let firsts = device.filled("first workgroups", &firsts, wgpu::BufferUsages::UNIFORM)?;
            self.shared = Some(Shared { pipeline, shares, firsts });
        }
        Ok(())
    }

    /// Records it, or one of the shares that it was made ready for: `buffers` are its inputs and its output. Shaders look no further
    /// than these are said to reach, so none may be shorter.
    pub(super) fn record(
        &self,
        device: &Device,
        encoder: &mut wgpu::CommandEncoder,
        buffers: &[wgpu::BufferBinding],
        share: Option<usize>,
    ) -> Result<()> {
        let wrong = |reason: String| Error::Shader { kernel: self.label.into(), reason };
        if buffers.len() != self.needs.len() {
            return Err(wrong(format!("has {} buffers, not {}", self.needs.len(), buffers.len())));
        }
        let params = wgpu::BufferBinding { buffer: &self.params, offset: 0, size: None };
        let mut entries = vec![wgpu::BindGroupEntry { binding: 0, resource: wgpu::BindingResource::Buffer(params) }];
        for (i, (bound, &need)) in buffers.iter().zip(&self.needs).enumerate() {
            let has = bound.size.map_or(bound.buffer.size().saturating_sub(bound.offset), u64::from);
            if has < need {
                return Err(wrong(format!("buffer {i} has {has} bytes, and needs {need}")));
            }
            let bound = wgpu::BufferBinding { size: wgpu::BufferSize::new(need), ..bound.clone() };
            entries
                .push(wgpu::BindGroupEntry { binding: i as u32 + 1, resource: wgpu::BindingResource::Buffer(bound) });
        }
        let part = share.and_then(|at| self.shared.as_ref().and_then(|s| Some((s, at, s.shares.get(at)?))));
        if share.is_some() && part.is_none() {
            return Err(wrong("was not made ready for that share".into()));
        }
        let (pipeline, grid) = part.map_or((&self.pipeline, self.grid), |(s, _, share)| (&s.pipeline, share.grid));
        entries.extend(part.map(|(s, ..)| wgpu::BindGroupEntry {
            binding: entries.len() as u32,
            resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                buffer: &s.firsts,
                offset: 0,
                size: wgpu::BufferSize::new(16),
            }),
        }));
        let group = device.shared.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(self.label),
            layout: &pipeline.layout,
            entries: &entries,
        });
        let mut pass = encoder
            .begin_compute_pass(&wgpu::ComputePassDescriptor { label: Some(self.label), timestamp_writes: None });
        pass.set_pipeline(&pipeline.pipeline);
        match part {
            Some((_, at, _)) => pass.set_bind_group(0, &group, &[0, (at * ALIGN) as u32]),
            None => pass.set_bind_group(0, &group, &[0]),
        }
        let [x, y, z] = grid;
        pass.dispatch_workgroups(x, y, z);
        Ok(())
    }
}
