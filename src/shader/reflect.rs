//! What a shader declares, read from naga's module.

use super::Processed;

/// How a binding is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Uniform parameters.
    Uniform,
    /// A storage buffer that is only read.
    Read,
    /// A storage buffer that is written.
    ReadWrite,
    /// A storage texture that is only read.
    Texture,
}

/// One binding of group 0.
#[derive(Clone, Debug)]
pub struct Binding {
    /// Name of the variable.
    pub name: String,
    /// Its access.
    pub access: Access,
}

/// What a shader declares.
#[derive(Clone, Debug)]
pub struct Reflection {
    /// Bindings of group 0 by number, without gaps.
    pub bindings: Vec<Binding>,
    /// Field names and offsets of the uniform struct.
    pub params: Vec<(String, usize)>,
    /// Size of the workgroup of `main`.
    pub workgroup_size: [u32; 3],
    /// Bytes of workgroup memory.
    pub workgroup_bytes: u32,
}

/// Parses and reads a shader. An error names file, line and what naga says.
pub fn reflect(shader: &Processed) -> Result<(naga::Module, Reflection), String> {
    let module = naga::front::wgsl::parse_str(&shader.text).map_err(|e| {
        let place = e.location(&shader.text).map(|l| shader.origin(l.line_number as usize));
        format!("{}: {}", place.unwrap_or_default(), e.message())
    })?;
    let mut layouter = naga::proc::Layouter::default();
    layouter.update(module.to_ctx()).map_err(|e| e.to_string())?;

    let mut bindings = Vec::new();
    let (mut params, mut workgroup_bytes) = (Vec::new(), 0);
    for (_, v) in module.global_variables.iter() {
        let access = match v.space {
            naga::AddressSpace::Uniform => Access::Uniform,
            naga::AddressSpace::Storage { access } if access.contains(naga::StorageAccess::STORE) => Access::ReadWrite,
            naga::AddressSpace::Storage { .. } => Access::Read,
            naga::AddressSpace::Handle => Access::Texture,
            naga::AddressSpace::WorkGroup => {
                workgroup_bytes += layouter[v.ty].size;
                continue;
            }
            _ => continue,
        };
        let slot = v.binding.as_ref().ok_or("a buffer without a binding")?.binding;
        bindings.push((slot, Binding { name: v.name.clone().unwrap_or_default(), access }));
        if access == Access::Uniform
            && let naga::TypeInner::Struct { members, .. } = &module.types[v.ty].inner
        {
            params = members.iter().map(|m| (m.name.clone().unwrap_or_default(), m.offset as usize)).collect();
        }
    }
    bindings.sort_by_key(|b| b.0);
    if bindings.iter().enumerate().any(|(i, b)| b.0 as usize != i) {
        return Err("the bindings have gaps".into());
    }
    let main = module.entry_points.iter().find(|e| e.name == "main").ok_or("there is no entry point `main`")?;
    let workgroup_size = main.workgroup_size;
    let bindings = bindings.into_iter().map(|b| b.1).collect();
    Ok((module, Reflection { bindings, params, workgroup_size, workgroup_bytes }))
}
