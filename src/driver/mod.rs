//! Vulkan drivers, asked what they made of a shader: registers, spills, workgroup memory, instructions, machine code
//! (`VK_KHR_pipeline_executable_properties`).
//!
//! wgpu has no part in it. A driver that opens no device for wgpu, as Mesa's null ones, compiles all the same, so a shader
//! can be looked at for GPUs that are not there.

mod compare;
mod figures;
mod isa;
mod record;
mod vulkan;

use serde::{Deserialize, Serialize};

pub use compare::{Change, Verdict, compare};
pub use figures::{Figure, Figures};
pub use isa::{Class, Loop, busiest};
pub use record::{Made, Record, Text};

use crate::kernels::{Entry, Variant};
use crate::shader::emit::Valid;
use crate::shader::{Access, Reflection, compile, reflect};
use crate::target::Matrix;
use crate::{Error, Result};
use vulkan::{Instance, Vulkan};

/// A figure as the driver gives it: a number, or yes or no.
pub type Statistic = serde_json::Value;

/// The kind of a device, in the order in which they are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A GPU with memory of its own.
    Discrete,
    /// A GPU that shares the CPU's.
    Integrated,
    /// A part of a GPU.
    Virtual,
    /// Anything else: Mesa's null devices among them.
    Other,
    /// A driver that runs shaders on the CPU.
    Cpu,
}

/// A device that a Vulkan driver lists, not opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its name.
    pub name: String,
    /// Driver and version.
    pub driver: String,
    /// What it is.
    pub kind: Kind,
}

/// What a device takes, as far as kernels ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Abilities {
    /// Half-precision arithmetic and storage.
    pub f16: bool,
    /// Subgroup operations.
    pub subgroups: bool,
    /// Cooperative matrices.
    pub matrices: Vec<Matrix>,
    /// Invocations a workgroup may have.
    pub invocations: u32,
    /// Bytes of workgroup memory.
    pub workgroup_bytes: u32,
    /// Whether it tells what it made of a shader, or compiles alone.
    pub tells: bool,
    /// The SPIR-V that wgpu gives it.
    pub spirv: (u8, u8),
}

/// One of a pipeline's programs: most drivers make one, some one for each subgroup size.
#[derive(Clone, Debug, PartialEq)]
pub struct Executable {
    /// As the driver calls it.
    pub name: String,
    /// Its subgroup size; 0 where the driver does not say.
    pub subgroup: u32,
    /// By the driver's names.
    pub statistics: Vec<(String, Statistic)>,
    /// What was asked for of its code.
    pub code: Vec<Representation>,
}

/// One of a driver's views of a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Representation {
    /// As the driver calls it.
    pub name: String,
    /// The text.
    pub text: String,
}

/// What became of a text.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It was compiled to these; to none where the driver tells nothing.
    Compiled(Vec<Executable>),
    /// The device lacks this.
    Needs(String),
    /// The driver refused it.
    Refused(String),
}

/// The devices that Vulkan drivers list, in the order of `maskrcnn devices`: discrete, integrated, virtual, others, CPU
/// drivers.
///
/// # Errors
/// [`Error::NoAdapter`] where there is no driver or no loader.
pub fn drivers() -> Result<Vec<Found>> {
    let instance = Instance::new().map_err(none)?;
    Ok(ranked(&instance)?.into_iter().map(|(_, found)| found).collect())
}

fn none(reason: String) -> Error {
    let cure = "install the graphics driver, or a software one (Debian, Ubuntu: apt-get install mesa-vulkan-drivers)";
    Error::NoAdapter(format!("{reason}; {cure}"))
}

/// The devices with the numbers that Vulkan gives them.
fn ranked(instance: &Instance) -> Result<Vec<(usize, Found)>> {
    let mut all: Vec<_> = instance.physical().map_err(none)?.iter().map(|p| p.found()).enumerate().collect();
    all.sort_by_key(|(_, found)| found.kind);
    Ok(all)
}

/// A device whose driver compiles.
pub struct Driver {
    /// What it is.
    pub found: Found,
    vulkan: Vulkan,
}

impl Driver {
    /// Opens a device of [`drivers`] by its number there.
    ///
    /// # Errors
    /// [`Error::NoAdapter`] where there is none, [`Error::Unsupported`] where it cannot be opened.
    pub fn open(number: usize) -> Result<Self> {
        let instance = Instance::new().map_err(none)?;
        let all = ranked(&instance)?;
        let Some((index, found)) = all.into_iter().nth(number) else {
            return Err(Error::NoAdapter(format!("no Vulkan device has the number {number}")));
        };
        let refuse = |reason| Error::Unsupported { device: found.name.clone(), reason };
        let vulkan = Vulkan::open(instance, index).map_err(refuse)?;
        Ok(Self { found, vulkan })
    }

    /// What it takes.
    pub fn abilities(&self) -> &Abilities {
        &self.vulkan.abilities
    }

    /// Tells one device and driver from another.
    pub fn key(&self) -> String {
        format!("{}, {}", self.found.name, self.found.driver)
    }

    /// Compiles a variant's text as wgpu would have it compiled, unchecked; with its code where `code`. What the text
    /// declares comes back beside what became of it.
    ///
    /// # Errors
    /// [`Error::Shader`] for a text that is no valid WGSL.
    pub fn compile(&self, entry: &Entry, variant: &Variant, code: bool) -> Result<(Reflection, Outcome)> {
        let wrong = |e: String| Error::Shader { kernel: entry.name.into(), reason: format!("{variant}: {e}") };
        let text = compile(entry, variant)?;
        let (module, about) = reflect(&text).map_err(wrong)?;
        let valid = Valid::new(&text, &module, variant).map_err(wrong)?;
        let needs = needs(self.abilities(), &module, &about, variant);
        if !needs.is_empty() {
            return Ok((about, Outcome::Needs(needs.join(", "))));
        }
        let spirv = valid.words(self.abilities().spirv, false).map_err(wrong)?;
        let bindings: Vec<Access> = about.bindings.iter().map(|b| b.access).collect();
        let outcome = match self.vulkan.compile(&spirv, &bindings, code) {
            Ok(executables) => Outcome::Compiled(executables),
            Err(reason) => Outcome::Refused(reason),
        };
        Ok((about, outcome))
    }
}

/// What a text needs and the device lacks.
fn needs(has: &Abilities, module: &naga::Module, about: &Reflection, variant: &Variant) -> Vec<String> {
    let mut out = Vec::new();
    if variant.needs_f16() && !has.f16 {
        out.push("f16".to_string());
    }
    if variant.subgroups && !has.subgroups {
        out.push("subgroup operations".into());
    }
    if variant.matrices {
        let lacking = matrices(module).into_iter().filter(|m| !has.matrices.contains(m));
        out.extend(lacking.map(|m| format!("cooperative matrices {m}")));
    }
    let threads: u32 = about.workgroup_size.iter().product();
    if threads > has.invocations {
        out.push(format!("{threads} invocations a workgroup of at most {}", has.invocations));
    }
    if about.workgroup_bytes > has.workgroup_bytes {
        out.push(format!("{} bytes of workgroup memory of at most {}", about.workgroup_bytes, has.workgroup_bytes));
    }
    out
}

/// The cooperative matrices whose factors and sums the module declares.
fn matrices(module: &naga::Module) -> Vec<Matrix> {
    use naga::CooperativeRole::{A, C};
    let declared = |wanted: naga::CooperativeRole, bytes: u8, size: u32| {
        module.types.iter().any(|(_, t)| match t.inner {
            naga::TypeInner::CooperativeMatrix { rows, scalar, role, .. } => {
                (role, scalar.width, rows as u32) == (wanted, bytes, size)
            }
            _ => false,
        })
    };
    let bytes = |f32: bool| if f32 { 4 } else { 2 };
    let both = |m: &Matrix| declared(A, bytes(m.f32_factors), m.size) && declared(C, bytes(m.f32_sums), m.size);
    Matrix::ALL.into_iter().filter(both).collect()
}
