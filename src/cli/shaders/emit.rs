//! `maskrcnn shaders emit`

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use maskrcnn::engine::kernels::{Entry, REGISTRY, Variant};
use maskrcnn::engine::shader::emit::{Language, Valid, save};
use maskrcnn::engine::shader::{compile, reflect};
use maskrcnn::{Error, Result};

use super::list::Kernel;
use super::{Choice, choose, refuse};
use crate::cli::class::Class;
use crate::cli::words::count;

/// The options of `shaders emit`.
#[derive(clap::Args)]
pub(in crate::cli) struct Args {
    /// The kernel. Without, every text of all kernels is written into the folder that --out names.
    #[arg(required_unless_present = "out")]
    name: Option<String>,
    /// The language.
    #[arg(long, value_parser = PossibleValuesParser::new(Language::ALL.map(Language::name)).map(target))]
    target: Language,
    #[command(flatten)]
    choice: Choice,
    /// Add the run-time checks that a WebGPU page would have.
    #[arg(long)]
    checked: bool,
    /// Where to write; without, standard output.
    #[arg(long, value_name = "FILE|FOLDER")]
    out: Option<PathBuf>,
}

fn target(name: String) -> Language {
    Language::ALL.into_iter().find(|t| t.name() == name).unwrap_or(Language::Wgsl)
}

/// Translates what is asked for.
pub(super) fn run(args: &Args) -> Result<()> {
    match (&args.name, &args.out) {
        (Some(name), out) => one(name, args, out.as_deref()),
        (None, Some(folder)) => all(args, folder),
        // The parser asks for one of them.
        (None, None) => Err(Error::Config { setting: "--out".into(), reason: "name a kernel or a folder".into() }),
    }
}

fn one(name: &str, args: &Args, out: Option<&Path>) -> Result<()> {
    let (chosen, target) = (choose(name, &args.choice)?, args.target);
    if out.is_none() && !target.is_text() && std::io::stdout().is_terminal() {
        return refuse(name, format!("{} is binary and no text for a terminal: name a file with --out", target.name()));
    }
    let translation = translated(chosen.entry, &chosen.variant, target, args.checked)?
        .or_else(|reason| refuse(name, format!("{}: {reason}", chosen.variant)))?;
    match out {
        None => crate::cli::print(&translation),
        Some(path) => {
            save(path, &translation)?;
            say!("{}: {}, {} bytes", path.display(), chosen.title, translation.len());
            Ok(())
        }
    }
}

/// The translation, or why the language cannot have it.
fn translated(entry: &Entry, variant: &Variant, target: Language, checked: bool) -> Result<Result<Vec<u8>, String>> {
    let text = compile(entry, variant)?;
    let wrong = |reason: String| Error::Shader { kernel: entry.name.into(), reason: format!("{variant}: {reason}") };
    let (module, _) = reflect(&text).map_err(wrong)?;
    Ok(Valid::new(&text, &module, variant).map_err(wrong)?.emit(target, checked))
}

/// Writes every text of all kernels, each into a file of its own.
fn all(args: &Args, folder: &Path) -> Result<()> {
    let choice = &args.choice;
    for (setting, given) in
        [("--variant", choice.variant.is_some()), ("--case", choice.case.is_some()), ("--set", !choice.set.is_empty())]
    {
        if given {
            return Err(Error::Config { setting: setting.into(), reason: "means a text of a kernel: name it".into() });
        }
    }
    let class = Class::of(choice.device.as_deref())?;
    std::fs::create_dir_all(folder).map_err(|source| Error::Io { path: folder.into(), source })?;
    let ending = match args.target {
        Language::Spirv => "spv",
        other => other.name(),
    };
    let (mut written, mut left_out) = (0, Vec::new());
    for entry in REGISTRY {
        for (i, variant) in Kernel::new(entry, &class)?.texts().iter().enumerate() {
            match translated(entry, variant, args.target, args.checked)? {
                Ok(translation) => {
                    let name = format!("{}-{i:03}-{}.{ending}", entry.name, variant.name.replace(' ', "-"));
                    save(&folder.join(name), &translation)?;
                    written += 1;
                }
                Err(reason) => left_out.push((format!("{}, {variant}", entry.name), reason)),
            }
        }
    }
    say!("{}: {} for {}", folder.display(), count(written, "text"), class.name);
    if let Some((first, reason)) = left_out.first() {
        say!("{} left out, the first of them {first}: {reason}", count(left_out.len(), "text"));
    }
    Ok(())
}
