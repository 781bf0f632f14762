//! `maskrcnn shaders`

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use maskrcnn::kernels::{self, Caps, Case, Entry, Info, Io, REGISTRY, Variant};
use maskrcnn::shader::emit::{Target, Valid, save};
use maskrcnn::shader::{Access, Binding, Reflection, compile, reflect};
use maskrcnn::{Error, Result};

use super::class::Class;

/// What to do with shaders.
#[derive(clap::Subcommand)]
pub enum Command {
    /// List every kernel with its variants on a device; of one kernel, list the cases too.
    List {
        /// This kernel alone.
        name: Option<String>,
        /// The GPU to list for: its number in `devices`, a part of its name, or `none` for the least that there is.
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
    /// Translate a kernel into a driver's language, constants filled in.
    Emit {
        /// The kernel.
        name: String,
        /// The language.
        #[arg(long, value_parser = PossibleValuesParser::new(Target::ALL.map(Target::name)).map(target))]
        target: Target,
        #[command(flatten)]
        choice: Choice,
        /// Add the run-time checks that a WebGPU page would have.
        #[arg(long)]
        checked: bool,
        /// Where to write; without, standard output.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

/// Which text of a kernel.
#[derive(clap::Args)]
pub struct Choice {
    /// The variant, of those in `shaders list`; without, the device's first.
    #[arg(long, value_name = "NAME")]
    variant: Option<String>,
    /// The case that gives the constants: its number in `shaders list NAME`, or a part of its name. Without, the first
    /// that has the variant.
    #[arg(long, value_name = "N|TEXT")]
    case: Option<String>,
    /// Another value for one of the variant's constants; may be given several times.
    #[arg(long, value_name = "NAME=VALUE", value_parser = setting)]
    set: Vec<(String, u32)>,
    /// The GPU to compile for: its number in `devices`, a part of its name, or `none` for the least that there is.
    #[arg(long, value_name = "NAME|INDEX|none")]
    device: Option<String>,
}

fn target(name: String) -> Target {
    Target::ALL.into_iter().find(|t| t.name() == name).unwrap_or(Target::Wgsl)
}

fn setting(text: &str) -> Result<(String, u32), String> {
    // No size of a tile or a workgroup is larger.
    const MOST: u32 = 65_535;
    let (name, value) = text.split_once('=').ok_or("is not NAME=VALUE, as in WG=64")?;
    let value = value.parse().ok().filter(|v| *v <= MOST);
    Ok((name.into(), value.ok_or_else(|| format!("has no whole number up to {MOST} after the ="))?))
}

/// Does it.
pub fn run(command: &Command) -> Result<()> {
    match command {
        Command::List { name, device } => list(name.as_deref(), &Class::of(device.as_deref())?),
        Command::Show { name, source: true, .. } => super::print(entry(name)?.source.as_bytes()),
        Command::Show { name, choice, .. } => {
            let chosen = choose(name, choice)?;
            let text = compile(chosen.entry, &chosen.variant)?.text;
            super::print(format!("// {}\n{text}", chosen.title).as_bytes())
        }
        Command::Emit { name, target, choice, checked, out } => {
            emit(&choose(name, choice)?, *target, *checked, out.as_deref())
        }
    }
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
    let entry = entry(name)?;
    let class = Class::of(choice.device.as_deref())?;
    let cases = (entry.cases)();
    let mut seen: Vec<&str> = Vec::new();
    for (i, case) in select(name, &cases, choice.case.as_deref())? {
        let variants = variants(case, &class)?;
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
    let mut all = case.kernel.variants(&io, &class.caps);
    // Those that only a precision of f16 would choose come last.
    let halves = case.kernel.variants(&io, &Caps { halves: class.caps.f16, ..class.caps });
    all.extend(halves.into_iter().filter(|v| v.halves));
    Ok(all)
}

/// The variant with other values for some of its constants.
fn set(kernel: &str, mut variant: Variant, values: &[(String, u32)]) -> Result<Variant> {
    for (name, value) in values {
        let Some(constant) = variant.defines.iter_mut().find(|d| d.0 == name) else {
            let has = match variant.defines.as_slice() {
                [] => "it has none".into(),
                some => some.iter().map(|d| d.0).collect::<Vec<_>>().join(", "),
            };
            return refuse(kernel, format!("variant {} has no constant `{name}`: {has}", variant.name));
        };
        constant.1 = *value;
    }
    Ok(variant)
}

fn emit(chosen: &Chosen, target: Target, checked: bool, out: Option<&Path>) -> Result<()> {
    let name = chosen.entry.name;
    if out.is_none() && !target.is_text() && std::io::stdout().is_terminal() {
        return refuse(name, format!("{} is binary and no text for a terminal: name a file with --out", target.name()));
    }
    let text = compile(chosen.entry, &chosen.variant)?;
    let wrong = |reason: String| Error::Shader { kernel: name.into(), reason: format!("{}: {reason}", chosen.variant) };
    let (module, _) = reflect(&text).map_err(wrong)?;
    let valid = Valid::new(&text, &module, &chosen.variant).map_err(wrong)?;
    let translation = valid.emit(target, checked).map_err(wrong)?;
    match out {
        None => super::print(&translation),
        Some(path) => {
            save(path, &translation)?;
            say!("{}: {}, {} bytes", path.display(), chosen.title, translation.len());
            Ok(())
        }
    }
}

/// The texts of one variant over all cases.
struct Row {
    name: &'static str,
    cases: usize,
    texts: Vec<(Variant, usize, Reflection)>,
}

fn list(name: Option<&str>, class: &Class) -> Result<()> {
    let entries: Vec<&Entry> = match name {
        None => REGISTRY.iter().collect(),
        Some(name) => vec![entry(name)?],
    };
    let mut out = format!("for {}\n", class.name);
    for entry in entries {
        let cases = (entry.cases)();
        let mut rows: Vec<Row> = Vec::new();
        for case in &cases {
            for variant in variants(case, class)? {
                add(&mut rows, entry, variant)?;
            }
        }
        // Writing to a string cannot fail.
        let _ =
            writeln!(out, "\n{}: {} lines, {}", entry.name, entry.source.lines().count(), count(cases.len(), "case"));
        rows.iter().for_each(|r| out.push_str(&r.text()));
        if name.is_some() {
            for (i, case) in cases.iter().enumerate() {
                let offered: Vec<String> = variants(case, class)?.iter().map(Variant::to_string).collect();
                let _ = writeln!(out, "  case {i}, {}: {}", case.name, offered.join("; "));
            }
        }
    }
    super::print(out.as_bytes())
}

fn add(rows: &mut Vec<Row>, entry: &Entry, variant: Variant) -> Result<()> {
    let at = rows.iter().position(|r| r.name == variant.name).unwrap_or_else(|| {
        rows.push(Row { name: variant.name, cases: 0, texts: Vec::new() });
        rows.len() - 1
    });
    rows[at].cases += 1;
    if rows[at].texts.iter().all(|t| t.0 != variant) {
        let text = compile(entry, &variant)?;
        let (_, reflection) = reflect(&text)
            .map_err(|e| Error::Shader { kernel: entry.name.into(), reason: format!("{variant}: {e}") })?;
        rows[at].texts.push((variant, text.lines.len(), reflection));
    }
    Ok(())
}

fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

impl Row {
    /// Two lines: sizes, and bindings with those in brackets that not every text has.
    fn text(&self) -> String {
        let range = |of: &dyn Fn(&Reflection, usize) -> u32| {
            let all: BTreeSet<u32> = self.texts.iter().map(|(_, lines, r)| of(r, *lines)).collect();
            match (all.first(), all.last()) {
                (Some(a), Some(b)) if a != b => format!("{a} to {b}"),
                (Some(a), _) => a.to_string(),
                _ => String::new(),
            }
        };
        let mut union: Vec<&Binding> = Vec::new();
        for (_, _, r) in &self.texts {
            let mut at = 0;
            for binding in &r.bindings {
                match union.iter().position(|b| b.name == binding.name) {
                    Some(known) => at = known + 1,
                    None => {
                        union.insert(at, binding);
                        at += 1;
                    }
                }
            }
        }
        let bindings = union.iter().map(|b| {
            let access = match b.access {
                Access::Uniform => "uniform",
                Access::Read => "read",
                Access::ReadWrite => "written",
                Access::Texture => "a texture",
            };
            let always = self.texts.iter().all(|t| t.2.bindings.iter().any(|other| other.name == b.name));
            if always { format!("{} {access}", b.name) } else { format!("[{} {access}]", b.name) }
        });
        format!(
            "  {:13}  {} lines in {}, for {}; {} threads, {} bytes of workgroup memory\n  {:13}  {}\n",
            self.name,
            range(&|_, lines| lines as u32),
            count(self.texts.len(), "text"),
            count(self.cases, "case"),
            range(&|r, _| r.workgroup_size.iter().product()),
            range(&|r, _| r.workgroup_bytes),
            "",
            bindings.collect::<Vec<_>>().join(", ")
        )
    }
}
