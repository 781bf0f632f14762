//! Compiling a kernel's variant, once for each device.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::device::{Device, lock};
use super::texture;
use crate::kernels::{self, Variant};
use crate::shader::{self, Access};
use crate::{Error, Result};

/// A compiled variant and the layout of its bindings.
pub(super) struct Pipeline {
    pub pipeline: wgpu::ComputePipeline,
    pub layout: wgpu::BindGroupLayout,
    /// How each binding is used, the uniform included.
    pub bindings: Vec<Access>,
    /// Bytes of its text, of which the time to compile it is guessed.
    pub text: usize,
    /// Whether it was dispatched.
    pub used: AtomicBool,
}

/// Whether the compiler adds run-time checks of indices and loops. Kernels ship without, since the tests show that
/// both agree; the tests ask for both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Checks {
    /// As shipped.
    Off,
    /// As any WebGPU page would have it.
    On,
}

/// How much of its grid a dispatch does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// All of it.
    Whole,
    /// As much as the dispatch has workgroups, from one on that a second uniform tells.
    Share,
}

impl Device {
    /// The pipeline of a variant, compiled at most once.
    pub(super) fn pipeline(
        &self,
        kernel: &str,
        variant: &Variant,
        checks: Checks,
        extent: Extent,
    ) -> Result<Arc<Pipeline>> {
        let key = key(kernel, variant, checks, extent);
        if let Some(p) = lock(&self.shared.pipelines).get(&key) {
            return Ok(p.clone());
        }
        let made = Arc::new(self.guarded(|| self.compile(kernel, variant, checks, extent))?);
        lock(&self.shared.pipelines).insert(key, made.clone());
        Ok(made)
    }

    /// Whether [`Device::pipeline`] has it.
    pub(super) fn is_compiled(&self, kernel: &str, variant: &Variant, checks: Checks) -> bool {
        lock(&self.shared.pipelines).contains_key(&key(kernel, variant, checks, Extent::Whole))
    }

    fn compile(&self, kernel: &str, variant: &Variant, checks: Checks, extent: Extent) -> Result<Pipeline> {
        let refuse = |reason: String| Error::Shader { kernel: kernel.into(), reason };
        let entry = kernels::entry(kernel).ok_or_else(|| refuse("is not registered in `kernels!`".into()))?;
        let text = shader::compile(entry, variant)?;
        let reflect = |text| shader::reflect(text).map_err(|e| refuse(format!("{variant}: {e}")));
        let (mut module, mut reflection) = reflect(&text)?;
        if extent == Extent::Share {
            let share = shader::share(&text, reflection.bindings.len());
            (module, reflection) = reflect(&share.ok_or_else(|| refuse("does not go by workgroups".into()))?)?;
        }
        let device = &self.shared.device;
        let scope = device.push_error_scope(wgpu::ErrorFilter::Validation);
        let descriptor = wgpu::ShaderModuleDescriptor {
            label: Some(kernel),
            source: wgpu::ShaderSource::Naga(std::borrow::Cow::Owned(module)),
        };
        let checks = match checks {
            Checks::On => wgpu::ShaderRuntimeChecks::checked(),
            Checks::Off => wgpu::ShaderRuntimeChecks::unchecked(),
        };
        // SAFETY: every kernel keeps its indices inside its bindings and its loops finite for all parameters that
        // `Kernel::launch` can make; tests/gpu/kernels.rs runs each case with and without checks and compares.
        let module = unsafe { device.create_shader_module_trusted(descriptor, checks) };
        let entries: Vec<wgpu::BindGroupLayoutEntry> = reflection
            .bindings
            .iter()
            .enumerate()
            .map(|(i, b)| wgpu::BindGroupLayoutEntry {
                binding: i as u32,
                visibility: wgpu::ShaderStages::COMPUTE,
                ty: binding_type(b.access),
                count: None,
            })
            .collect();
        let layout = device
            .create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: Some(kernel), entries: &entries });
        let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some(kernel),
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(kernel),
            layout: Some(&pipeline_layout),
            module: &module,
            entry_point: Some("main"),
            // Kernels write workgroup memory before they read it; zeroing costs a barrier a workgroup.
            compilation_options: wgpu::PipelineCompilationOptions {
                zero_initialize_workgroup_memory: false,
                ..Default::default()
            },
            cache: self.shared.kept.get().map(|k| &k.cache),
        });
        if let Some(e) = pollster::block_on(scope.pop()) {
            return Err(refuse(format!("{variant}: {e}")));
        }
        self.compiled_one();
        let bindings = reflection.bindings.iter().map(|b| b.access).collect();
        Ok(Pipeline { pipeline, layout, bindings, text: text.text.len(), used: AtomicBool::new(false) })
    }
}

fn key(kernel: &str, variant: &Variant, checks: Checks, extent: Extent) -> String {
    format!("{kernel} {variant} {checks:?} {extent:?}")
}

fn binding_type(access: Access) -> wgpu::BindingType {
    let buffer =
        |ty| wgpu::BindingType::Buffer { ty, has_dynamic_offset: access == Access::Uniform, min_binding_size: None };
    match access {
        Access::Uniform => buffer(wgpu::BufferBindingType::Uniform),
        Access::Read => buffer(wgpu::BufferBindingType::Storage { read_only: true }),
        Access::ReadWrite => buffer(wgpu::BufferBindingType::Storage { read_only: false }),
        Access::Texture => wgpu::BindingType::StorageTexture {
            access: wgpu::StorageTextureAccess::ReadOnly,
            format: texture::FORMAT,
            view_dimension: wgpu::TextureViewDimension::D2,
        },
    }
}
