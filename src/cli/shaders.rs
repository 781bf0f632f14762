//! `maskrcnn shaders`

mod emit;
mod list;
mod stats;

use maskrcnn::engine::kernels::{self, Case, Entry, REGISTRY, Variant};
use maskrcnn::engine::ops::{Info, Io};
use maskrcnn::engine::shader::compile;
use maskrcnn::engine::target::Factors;
use maskrcnn::{Error, Result};

use super::class::Class;

/// What to do with shaders.
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// List every kernel with its variants on a device; of one kernel, list their constants and the cases too.
    List {
        /// This kernel alone.
        name: Option<String>,
        /// Print the list as JSON, constants and cases of all kernels included.
        #[arg(long)]
        json: bool,
        /// The GPU to list for: its number in `devices`, a part of its name, `none` for the least that there is, or
        /// `profile:NAME` for a class of devices: hopper, ada, rdna3, rdna2, apple-m, xe, adreno.
        /// Without, the first of `devices`.
        #[arg(long, value_name = "NAME|INDEX|none")]
        device: Option<String>,
    },
    /// Print a kernel's WGSL as it is compiled: imports, repeats and constants filled in.
    Show {
        /// The kernel.
        name: String,
        #[command(flatten)]
        choice: Choice,
        /// Print the file instead, as it was written.
        #[arg(long, conflicts_with_all = ["variant", "case", "set", "device"])]
        source: bool,
    },
    /// Translate a kernel into a driver's language, constants filled in; or every text of all kernels.
    Emit(Box<emit::Args>),
    /// Have a Vulkan driver compile every text, and print what it made of them: registers, spills, workgroup memory,
    /// subgroups at a time, instructions. The driver's GPU need not be there.
    Stats(Box<stats::Args>),
}

/// Which text of a kernel.
#[derive(clap::Args)]
pub(super) struct Choice {
    /// The variant, of those in `shaders list`. Without, the device's first; in a table of `stats`, all.
    #[arg(long, value_name = "NAME")]
    variant: Option<String>,
    /// The case that gives the constants: its number in `shaders list NAME`, or a part of its name. Without, the first
    /// that has the variant; in a table of `stats`, all.
    #[arg(long, value_name = "N|TEXT")]
    case: Option<String>,
    /// Another value for one of the variant's constants; may be given several times.
    #[arg(long, value_name = "NAME=VALUE", value_parser = setting)]
    set: Vec<(String, u32)>,
    /// The GPU to compile for: its number in `devices`, a part of its name, `none` for the least that there is, or
    /// `profile:NAME` for a class of devices: hopper, ada, rdna3, rdna2, apple-m, xe, adreno.
    /// Without, the first of `devices`; where `stats` is given --driver, that one.
    #[arg(long, value_name = "NAME|INDEX|none")]
    device: Option<String>,
}

fn setting(text: &str) -> Result<(String, u32), String> {
    // No size of a tile or a workgroup is larger.
    const MOST: u32 = 65_535;
    let (name, value) = text.split_once('=').ok_or("is not NAME=VALUE, as in WG=64")?;
    let value = value.parse().ok().filter(|v| *v <= MOST);
    Ok((name.into(), value.ok_or_else(|| format!("has no whole number up to {MOST} after the ="))?))
}

/// Does it. The answer is whether all is well with what was looked at.
pub(super) fn run(command: &Command) -> Result<bool> {
    match command {
        Command::Stats(args) => return stats::run(args),
        Command::List { name, json, device } => {
            let entries: Vec<&Entry> = match name {
                None => REGISTRY.iter().collect(),
                Some(name) => vec![entry(name)?],
            };
            let class = Class::of(device.as_deref())?;
            let out = if *json { list::json(&entries, &class)? } else { list::text(&entries, name.is_some(), &class)? };
            super::print(out.as_bytes())
        }
        Command::Show { name, source: true, .. } => super::print(entry(name)?.source.as_bytes()),
        Command::Show { name, choice, .. } => {
            let chosen = choose(name, choice)?;
            let text = compile(chosen.entry, &chosen.variant)?.text;
            super::print(format!("// {}\n{text}", chosen.title).as_bytes())
        }
        Command::Emit(args) => emit::run(args),
    }?;
    Ok(true)
}

fn refuse<T>(kernel: &str, reason: impl Into<String>) -> Result<T> {
    Err(Error::Shader { kernel: kernel.into(), reason: reason.into() })
}

fn entry(name: &str) -> Result<&'static Entry> {
    match kernels::entry(name) {
        Some(entry) => Ok(entry),
        None => {
            let names: Vec<&str> = REGISTRY.iter().map(|e| e.name).collect();
            refuse(name, format!("there is no such kernel: choose from {}", names.join(", ")))
        }
    }
}

/// A text that was chosen.
struct Chosen {
    entry: &'static Entry,
    variant: Variant,
    /// Kernel, variant, case and device in one line.
    title: String,
}

fn choose(name: &str, choice: &Choice) -> Result<Chosen> {
    let class = Class::of(choice.device.as_deref())?;
    choose_for(name, choice, &class)
}

/// The same where the device is known.
fn choose_for(name: &str, choice: &Choice, class: &Class) -> Result<Chosen> {
    let entry = entry(name)?;
    let cases = (entry.cases)();
    let mut seen: Vec<&str> = Vec::new();
    for (i, case) in select(name, &cases, choice.case.as_deref())? {
        let variants = variants(case, class)?;
        let wanted = variants.iter().find(|v| choice.variant.as_deref().is_none_or(|name| v.name == name));
        if let Some(variant) = wanted {
            let variant = set(name, variant.clone(), &choice.set)?;
            let title = format!("{name}, variant {variant}; case {i}, {}; for {}", case.name, class.name);
            return Ok(Chosen { entry, variant, title });
        }
        for variant in variants {
            if !seen.contains(&variant.name) {
                seen.push(variant.name);
            }
        }
    }
    let wanted = choice.variant.as_deref().unwrap_or_default();
    refuse(name, format!("has no variant `{wanted}` on this device ({}): choose from {}", class.name, seen.join(", ")))
}

/// The cases, numbered, that `text` stands for: one by number or whole name, or all that have it in their names.
fn select<'a>(kernel: &str, cases: &'a [Case], text: Option<&str>) -> Result<Vec<(usize, &'a Case)>> {
    let all = || cases.iter().enumerate();
    let Some(text) = text else { return Ok(all().collect()) };
    let number = text.parse::<usize>().ok();
    let one = all().find(|(i, c)| Some(*i) == number || c.name == text);
    let lower = text.to_lowercase();
    let found: Vec<_> = match one {
        Some(one) => vec![one],
        None => all().filter(|(_, c)| c.name.to_lowercase().contains(&lower)).collect(),
    };
    if found.is_empty() {
        let names: Vec<String> = all().map(|(i, c)| format!("{i}: {}", c.name)).collect();
        return refuse(kernel, format!("has no case `{text}`: choose from {}", names.join(", ")));
    }
    Ok(found)
}

fn variants(case: &Case, class: &Class) -> Result<Vec<Variant>> {
    let inputs: Vec<Info> = case.inputs.iter().map(|v| Info { shape: v.shape, dtype: v.dtype() }).collect();
    let outputs = case.kernel.infer(&inputs).map_err(|reason| Error::Shape { op: case.name.clone(), reason })?;
    let io = Io { inputs: &inputs, outputs: &outputs };
    let mut all = case.kernel.variants(&io, &class.target);
    if !class.target.can.f16 {
        return Ok(all);
    }
    // Those that only a precision of f16 would choose come last.
    let f16 = class.target.with(Factors::F16);
    // Their operands lie in memory as plans of that precision have them.
    let (inputs, outputs) = kernels::in_f16(case.kernel.as_ref(), &io);
    let halves = kernels::variants(case.kernel.as_ref(), &Io { inputs: &inputs, outputs: &outputs }, &f16);
    all.extend(halves.into_iter().filter(|v| v.needs_f16()));
    Ok(all)
}

/// The variant with other values for some of its constants.
fn set(kernel: &str, mut variant: Variant, values: &[(String, u32)]) -> Result<Variant> {
    for (name, value) in values {
        if !variant.set(name, *value) {
            let has = match variant.constants().as_slice() {
                [] => "it has none".into(),
                some => some.iter().map(|d| d.0).collect::<Vec<_>>().join(", "),
            };
            return refuse(kernel, format!("variant {} has no constant `{name}` that can be set: {has}", variant.name));
        }
    }
    Ok(variant)
}
