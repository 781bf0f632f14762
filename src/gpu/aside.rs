//! Kernels that are run beside a plan: on pictures before it, and on its results after it.

use std::sync::Arc;

use super::device::Device;
use super::pipeline::{Checks, Extent, Pipeline};
use crate::kernels::Kernel;
use crate::ops::{Info, Io, check};
use crate::{Error, Result};

/// A kernel that is bound to whatever buffers there are.
pub(super) struct Aside {
    label: &'static str,
    pipeline: Arc<Pipeline>,
    params: wgpu::Buffer,
    grid: [u32; 3],
    /// Bytes of its inputs and its output.
    needs: Vec<u64>,
    /// What it makes.
    pub output: Info,
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
        Ok(Self { label, pipeline, params, grid: launch.grid, needs, output })
    }

    /// Records it: `buffers` are its inputs and its output. Shaders look no further than these are said to reach, so none may be
    /// shorter.
    pub(super) fn record(
        &self,
        device: &Device,
        encoder: &mut wgpu::CommandEncoder,
        buffers: &[wgpu::BufferBinding],
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
        let group = device.shared.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(self.label),
            layout: &self.pipeline.layout,
            entries: &entries,
        });
        let mut pass = encoder
            .begin_compute_pass(&wgpu::ComputePassDescriptor { label: Some(self.label), timestamp_writes: None });
        pass.set_pipeline(&self.pipeline.pipeline);
        pass.set_bind_group(0, &group, &[0]);
        let [x, y, z] = self.grid;
        pass.dispatch_workgroups(x, y, z);
        Ok(())
    }
}
