//! Shaders in the languages of the drivers: what naga makes of them for Vulkan, Metal and DX12.

use std::path::Path;

use naga::back::{hlsl, msl, spv, wgsl};
use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy};
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};

use super::Processed;
use crate::kernels::Variant;

/// A language to translate into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// SPIR-V 1.3, a binary, for Vulkan.
    Spirv,
    /// The Metal Shading Language.
    Msl,
    /// DirectX's HLSL.
    Hlsl,
    /// WGSL again: without comments, as naga understood it.
    Wgsl,
}

impl Language {
    /// All of them.
    pub const ALL: [Language; 4] = [Language::Spirv, Language::Msl, Language::Hlsl, Language::Wgsl];

    /// Its name in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Spirv => "spirv",
            Self::Msl => "msl",
            Self::Hlsl => "hlsl",
            Self::Wgsl => "wgsl",
        }
    }

    /// Whether a translation is text and not binary.
    pub fn is_text(self) -> bool {
        self != Self::Spirv
    }
}

/// A shader that naga's validator accepts.
pub struct Valid<'a> {
    module: &'a naga::Module,
    info: ModuleInfo,
    needs: Capabilities,
}

impl<'a> Valid<'a> {
    /// Validates what [`reflect`](fn@super::reflect) made of a variant's text, allowing what the variant says that it
    /// uses and no more. An error is naga's, with the lines that it means.
    pub fn new(shader: &Processed, module: &'a naga::Module, variant: &Variant) -> Result<Self, String> {
        let needs = needs(variant);
        let info = Validator::new(ValidationFlags::all(), needs)
            .validate(module)
            .map_err(|e| e.emit_to_string(&shader.text).trim_end().to_string())?;
        Ok(Self { module, info, needs })
    }

    /// The translation. `checked` adds the run-time checks of indices and loops, and the zeroing of workgroup memory,
    /// that any WebGPU page would have; kernels are run without.
    pub fn emit(&self, target: Language, checked: bool) -> Result<Vec<u8>, String> {
        match target {
            Language::Spirv => self.spirv(checked),
            Language::Msl => self.msl(checked).map(String::into_bytes),
            Language::Hlsl => self.hlsl(checked).map(String::into_bytes),
            Language::Wgsl => wgsl::write_string(self.module, &self.info, wgsl::WriterFlags::empty())
                .map(String::into_bytes)
                .map_err(|e| e.to_string()),
        }
    }

    fn spirv(&self, checked: bool) -> Result<Vec<u8>, String> {
        Ok(self.words((1, 3), checked)?.iter().flat_map(|w| w.to_le_bytes()).collect())
    }

    /// SPIR-V of that version.
    pub(crate) fn words(&self, version: (u8, u8), checked: bool) -> Result<Vec<u32>, String> {
        let options = spv::Options {
            lang_version: version,
            emit_int_div_checks: checked,
            // A capability that few devices have, and kernels pass nothing from stage to stage.
            use_storage_input_output_16: false,
            bounds_check_policies: policies(checked),
            force_loop_bounding: checked,
            zero_initialize_workgroup_memory: match checked {
                true => spv::ZeroInitializeWorkgroupMemoryMode::Polyfill,
                false => spv::ZeroInitializeWorkgroupMemoryMode::None,
            },
            ..Default::default()
        };
        let pipeline = spv::PipelineOptions { shader_stage: naga::ShaderStage::Compute, entry_point: "main".into() };
        spv::write_vec(self.module, &self.info, &options, Some(&pipeline)).map_err(|e| e.to_string())
    }

    fn msl(&self, checked: bool) -> Result<String, String> {
        let options = msl::Options {
            // The first with cooperative matrices ("simdgroup" ones); without them the oldest that Metal takes must do.
            lang_version: if self.needs.contains(Capabilities::COOPERATIVE_MATRIX) { (2, 3) } else { (2, 1) },
            bounds_check_policies: policies(checked),
            force_loop_bounding: checked,
            zero_initialize_workgroup_memory: checked,
            emit_int_div_checks: checked,
            per_entry_point_map: [("main".to_string(), self.buffers())].into(),
            fake_missing_bindings: false,
            ..Default::default()
        };
        let (text, translated) = msl::write_string(self.module, &self.info, &options, &msl::PipelineOptions::default())
            .map_err(|e| e.to_string())?;
        translated.entry_point_names.into_iter().try_for_each(|e| e.map(|_| ())).map_err(|e| e.to_string())?;
        Ok(text)
    }

    /// Metal's buffers: binding k is buffer k, and the sizes of them all follow.
    fn buffers(&self) -> msl::EntryPointResources {
        let variables = self.module.global_variables.iter().map(|(_, v)| v);
        let mut out = msl::EntryPointResources::default();
        for (binding, space) in variables.filter_map(|v| Some((v.binding?, v.space))) {
            // Fewer than ten: WebGPU's default limits.
            let slot = binding.binding as u8;
            let texture = space == naga::AddressSpace::Handle;
            let (buffer, texture) = if texture { (None, Some(slot)) } else { (Some(slot), None) };
            out.resources.insert(binding, msl::BindTarget { buffer, texture, mutable: true, ..Default::default() });
            out.sizes_buffer = out.sizes_buffer.max(Some(slot + 1));
        }
        out
    }

    fn hlsl(&self, checked: bool) -> Result<String, String> {
        if self.needs.contains(Capabilities::COOPERATIVE_MATRIX) {
            // It would panic.
            return Err("naga has no cooperative matrices in HLSL, so DX12 never gets this variant".into());
        }
        let options = hlsl::Options {
            shader_model: shader_model(self.needs),
            restrict_indexing: checked,
            force_loop_bounding: checked,
            zero_initialize_workgroup_memory: checked,
            ..Default::default()
        };
        let mut text = String::new();
        let pipeline = hlsl::PipelineOptions::default();
        let translated = hlsl::Writer::new(&mut text, &options, &pipeline)
            .write(self.module, &self.info, None)
            .map_err(|e| e.to_string())?;
        translated.entry_point_names.into_iter().try_for_each(|e| e.map(|_| ())).map_err(|e| e.to_string())?;
        Ok(text)
    }
}

/// What the validator is to allow. A new kind of variant adds its line here, and to [`shader_model`] what DX12 then
/// asks for.
fn needs(variant: &Variant) -> Capabilities {
    let mut out = Capabilities::empty();
    out.set(Capabilities::SUBGROUP, variant.subgroups);
    out.set(Capabilities::COOPERATIVE_MATRIX, variant.matrices);
    out.set(Capabilities::SHADER_FLOAT16, variant.needs_f16());
    out
}

/// The oldest shader model that will do.
fn shader_model(needs: Capabilities) -> hlsl::ShaderModel {
    match () {
        // The first with 16-bit types.
        () if needs.contains(Capabilities::SHADER_FLOAT16) => hlsl::ShaderModel::V6_2,
        // The first with subgroups ("waves").
        () if needs.contains(Capabilities::SUBGROUP) => hlsl::ShaderModel::V6_0,
        // Without them the oldest that DX12 takes must do.
        () => hlsl::ShaderModel::V5_1,
    }
}

fn policies(checked: bool) -> BoundsCheckPolicies {
    let all = if checked { BoundsCheckPolicy::Restrict } else { BoundsCheckPolicy::Unchecked };
    BoundsCheckPolicies { index: all, buffer: all, image_load: all, binding_array: all }
}

/// Writes a translation to a file, whole or not at all.
///
/// # Errors
/// [`Error::Io`](crate::Error::Io), naming the file.
pub fn save(path: &Path, translation: &[u8]) -> crate::Result<()> {
    crate::atomic::write(path, |out| out.write_all(translation))
}
