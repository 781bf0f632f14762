//! Pipelines made to be asked about.

use ash::vk;

use super::{Vulkan, text};
use crate::driver::{Executable, Representation, Statistic};
use crate::shader::Access;

impl Vulkan {
    /// Compiles a shader whose bindings are these, and tells what became of it; with its code where `code`.
    pub(in crate::driver) fn compile(
        &self,
        spirv: &[u32],
        bindings: &[Access],
        code: bool,
    ) -> Result<Vec<Executable>, String> {
        let mut made = Made {
            device: &self.device,
            module: vk::ShaderModule::null(),
            set: vk::DescriptorSetLayout::null(),
            layout: vk::PipelineLayout::null(),
            pipeline: vk::Pipeline::null(),
        };
        let refused = |e: vk::Result| format!("the driver refuses it: {e}");
        // The types that wgpu's layouts have.
        let binding = |(i, access): (usize, &Access)| {
            let kind = match access {
                Access::Uniform => vk::DescriptorType::UNIFORM_BUFFER_DYNAMIC,
                Access::Read | Access::ReadWrite => vk::DescriptorType::STORAGE_BUFFER,
                Access::Texture => vk::DescriptorType::STORAGE_IMAGE,
            };
            let binding = vk::DescriptorSetLayoutBinding::default().binding(i as u32).descriptor_type(kind);
            binding.descriptor_count(1).stage_flags(vk::ShaderStageFlags::COMPUTE)
        };
        let bindings: Vec<_> = bindings.iter().enumerate().map(binding).collect();
        let set = vk::DescriptorSetLayoutCreateInfo::default().bindings(&bindings);
        let mut flags = vk::PipelineShaderStageCreateFlags::empty();
        if self.varying && self.abilities.subgroups {
            flags |= vk::PipelineShaderStageCreateFlags::ALLOW_VARYING_SUBGROUP_SIZE;
        }
        let mut captures = vk::PipelineCreateFlags::empty();
        if self.abilities.tells {
            captures |= vk::PipelineCreateFlags::CAPTURE_STATISTICS_KHR;
            if code {
                captures |= vk::PipelineCreateFlags::CAPTURE_INTERNAL_REPRESENTATIONS_KHR;
            }
        }
        let module = vk::ShaderModuleCreateInfo::default().code(spirv);
        // SAFETY: the SPIR-V is naga's, of a module that its validator accepts; everything named lives through the calls,
        // and `made` destroys what they make.
        unsafe {
            made.module = self.device.create_shader_module(&module, None).map_err(refused)?;
            made.set = self.device.create_descriptor_set_layout(&set, None).map_err(refused)?;
            let sets = [made.set];
            let layout = vk::PipelineLayoutCreateInfo::default().set_layouts(&sets);
            made.layout = self.device.create_pipeline_layout(&layout, None).map_err(refused)?;
            let stage = vk::PipelineShaderStageCreateInfo::default()
                .flags(flags)
                .stage(vk::ShaderStageFlags::COMPUTE)
                .module(made.module)
                .name(c"main");
            let info = vk::ComputePipelineCreateInfo::default().stage(stage).layout(made.layout).flags(captures);
            let pipelines = self.device.create_compute_pipelines(vk::PipelineCache::null(), &[info], None);
            made.pipeline = match pipelines {
                Ok(all) => all.first().copied().unwrap_or_default(),
                Err((_, e)) => return Err(refused(e)),
            };
        }
        if self.abilities.tells { self.tell(made.pipeline, code) } else { Ok(Vec::new()) }
    }

    /// What there is to be told of a pipeline.
    fn tell(&self, pipeline: vk::Pipeline, code: bool) -> Result<Vec<Executable>, String> {
        let silent = |e: vk::Result| format!("the driver tells nothing of it: {e}");
        let of = vk::PipelineInfoKHR::default().pipeline(pipeline);
        // SAFETY: the pipeline is this device's, which has the feature.
        let all = unsafe { self.asks.get_pipeline_executable_properties(&of) }.map_err(silent)?;
        let told = all.iter().enumerate().map(|(i, about)| {
            let info = vk::PipelineExecutableInfoKHR::default().pipeline(pipeline).executable_index(i as u32);
            // SAFETY: as above, and the pipeline was made to capture statistics.
            let figures = unsafe { self.asks.get_pipeline_executable_statistics(&info) }.map_err(silent)?;
            Ok(Executable {
                name: text(about.name_as_c_str()),
                subgroup: about.subgroup_size,
                statistics: figures.iter().map(statistic).collect(),
                code: if code { self.code(&info).map_err(silent)? } else { Vec::new() },
            })
        });
        told.collect()
    }

    /// The texts that the driver went through, machine code last.
    fn code(&self, of: &vk::PipelineExecutableInfoKHR) -> Result<Vec<Representation>, vk::Result> {
        // SAFETY: the pipeline was made to capture them. Without memory to write to, their sizes come back.
        let mut all = unsafe { self.asks.get_pipeline_executable_internal_representations(of) }?;
        let mut bytes: Vec<Vec<u8>> = all.iter().map(|r| vec![0; r.data_size]).collect();
        for (representation, memory) in all.iter_mut().zip(&mut bytes) {
            representation.p_data = memory.as_mut_ptr().cast();
        }
        let mut count = all.len() as u32;
        let ask = self.asks.fp().get_pipeline_executable_internal_representations_khr;
        // SAFETY: each of the `count` has as much memory as its `data_size` says, which lives in `bytes`.
        unsafe { ask(self.device.handle(), of, &mut count, all.as_mut_ptr()) }.result()?;
        let read = all.iter().zip(bytes).take(count as usize).filter(|(r, _)| r.is_text != 0);
        let told = read.map(|(r, mut bytes)| {
            bytes.truncate(r.data_size);
            let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
            Representation { name: text(r.name_as_c_str()), text: String::from_utf8_lossy(&bytes[..end]).into_owned() }
        });
        Ok(told.collect())
    }
}

fn statistic(s: &vk::PipelineExecutableStatisticKHR) -> (String, Statistic) {
    use vk::PipelineExecutableStatisticFormatKHR as Format;
    // SAFETY: `format` says which of the union's fields the driver wrote.
    let value = unsafe {
        match s.format {
            Format::BOOL32 => Statistic::from(s.value.b32 != 0),
            Format::INT64 => s.value.i64.into(),
            Format::UINT64 => s.value.u64.into(),
            _ => s.value.f64.into(),
        }
    };
    (text(s.name_as_c_str()), value)
}

/// What a pipeline is made of, destroyed with it.
struct Made<'a> {
    device: &'a ash::Device,
    module: vk::ShaderModule,
    set: vk::DescriptorSetLayout,
    layout: vk::PipelineLayout,
    pipeline: vk::Pipeline,
}

impl Drop for Made<'_> {
    fn drop(&mut self) {
        // SAFETY: each is this device's or null, which is let pass, and nothing uses it any more.
        unsafe {
            self.device.destroy_pipeline(self.pipeline, None);
            self.device.destroy_pipeline_layout(self.layout, None);
            self.device.destroy_descriptor_set_layout(self.set, None);
            self.device.destroy_shader_module(self.module, None);
        }
    }
}
