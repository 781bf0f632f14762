//! `maskrcnn shaders stats`

mod isa;
mod show;

use std::path::PathBuf;

use maskrcnn::engine::bench::Sources;
use maskrcnn::engine::driver::{Driver, Found, Record, Text, compare, drivers};
use maskrcnn::engine::gpu::pick;
use maskrcnn::engine::kernels::{Entry, REGISTRY, Variant};
use maskrcnn::{Error, Result};

use super::list::Kernel;
use super::{Choice, choose_for, entry};
use crate::cli::class::{Class, is_profile};

/// The options of `shaders stats`.
#[derive(clap::Args)]
pub(in crate::cli) struct Args {
    /// This kernel alone, each of its texts on a line; without, all kernels, a line a variant.
    name: Option<String>,
    #[command(flatten)]
    choice: Choice,
    /// The Vulkan driver that compiles: a device's number or a part of its name. Without, that of --device, or the first.
    /// With Mesa's RADV, RADV_FORCE_FAMILY=gfx1100 in the environment makes a device that need not be there.
    #[arg(long, value_name = "NAME|INDEX")]
    driver: Option<String>,
    /// Take shaders from this folder, where it has them, instead of the built-in ones.
    #[arg(long, value_name = "DIR")]
    shaders: Option<PathBuf>,
    /// Print one text's machine code, and what the loop with the most multiply-adds holds, by class.
    #[arg(long, requires = "name", conflicts_with_all = ["save", "against"])]
    isa: bool,
    /// Print all that the driver tells as JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// Keep it, for --against.
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Compare with what --save kept, and print what has changed instead of a table. Fails where spills or registers
    /// grew, or a text compiles no longer.
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    against: Option<PathBuf>,
}

/// Compiles, prints, and keeps what is asked for. The answer is whether the driver took all texts and, with --against,
/// whether nothing is a step back.
pub(super) fn run(args: &Args) -> Result<bool> {
    // What is wrong with a file is worth knowing before compiling.
    let before = args.against.as_deref().map(Record::read).transpose()?;
    let sources = args.shaders.as_deref().map(Sources::from_folder).transpose()?;
    let (driver, class) = opened(args)?;
    let (texts, whole) = texts(args, &class)?;
    let texts: Vec<(&Entry, Variant)> = match &sources {
        None => texts,
        // The text itself is no constant, so that an edited one compares with the built-in one.
        Some(sources) => texts
            .into_iter()
            .map(|(entry, variant)| Ok((entry, sources.freeze(entry.name, &variant)?)))
            .collect::<Result<_>>()?,
    };
    if !driver.abilities().tells {
        note!(
            "note: {} tells nothing of what it made of a shader (VK_KHR_pipeline_executable_properties): texts are \
             compiled and no more",
            driver.key()
        );
    }
    if args.isa {
        let (entry, variant) = &texts[0];
        return isa::run(&driver, &class, entry, variant, args.json).map(|()| true);
    }
    let mut out = Record::new(&class.name, &driver);
    for (entry, variant) in &texts {
        let (about, outcome) = driver.compile(entry, variant, false)?;
        out.texts.push(Text::new(entry.name, variant, &about, &outcome));
    }
    if let Some(path) = &args.save {
        out.save(path)?;
    }
    let took_all = out.texts.iter().all(|text| text.refused.is_none());
    match &before {
        Some(before) => {
            if (&before.device, &before.driver) != (&out.device, &out.driver) {
                note!("note: what was kept is of another device: {}, for {}", before.driver, before.device);
            }
            let changes = compare(before, &out, whole);
            super::super::print(show::changes(&changes, out.texts.len()).as_bytes())?;
            Ok(took_all && !changes.iter().any(|change| change.is_step_back()))
        }
        None => {
            let text = if args.json { out.json() } else { show::table(&out, args.name.is_some()) };
            super::super::print(text.as_bytes())?;
            Ok(took_all)
        }
    }
}

/// The driver that compiles, and the device that texts are made for: each follows the other where it is not named.
fn opened(args: &Args) -> Result<(Driver, Class)> {
    let (all, device) = (drivers()?, args.choice.device.as_deref());
    let number = |all: &[Found], choice: &str| {
        let names: Vec<&str> = all.iter().map(|found| found.name.as_str()).collect();
        pick(&names, choice).map_err(Error::NoAdapter)
    };
    let named = args.driver.as_deref().map(|choice| number(&all, choice)).transpose()?;
    let class = match (device, named) {
        (None, Some(at)) => Class::of(Some(&all[at].name)).or_else(|_| Class::of(Some("none")))?,
        _ => Class::of(device)?,
    };
    let at = match named {
        Some(at) => at,
        None => match all.iter().position(|found| found.name == class.name) {
            Some(at) => at,
            None if device.is_none_or(|device| device == "none" || is_profile(device)) => 0,
            None => {
                let reason = "is not a Vulkan device: --driver names one that is".into();
                return Err(Error::Unsupported { device: class.name, reason });
            }
        },
    };
    Ok((Driver::open(at)?, class))
}

/// The texts that are asked for, and whether those are all.
fn texts(args: &Args, class: &Class) -> Result<(Vec<(&'static Entry, Variant)>, bool)> {
    let choice = &args.choice;
    let wanted = choice.variant.as_deref();
    let Some(name) = &args.name else {
        if choice.case.is_some() || !choice.set.is_empty() {
            let reason = "means one text of a kernel: name the kernel".into();
            let setting = if choice.case.is_some() { "--case" } else { "--set" };
            return Err(Error::Config { setting: setting.into(), reason });
        }
        let mut out = Vec::new();
        for entry in REGISTRY {
            out.extend(of(entry, class, wanted)?);
        }
        return match (wanted, out.is_empty()) {
            (Some(wanted), true) => {
                let reason = format!("no kernel has a variant `{wanted}` on this device ({})", class.name);
                Err(Error::Config { setting: "--variant".into(), reason })
            }
            _ => Ok((out, wanted.is_none())),
        };
    };
    if args.isa || choice.case.is_some() || !choice.set.is_empty() {
        let chosen = choose_for(name, choice, class)?;
        return Ok((vec![(chosen.entry, chosen.variant)], false));
    }
    let out = of(entry(name)?, class, wanted)?;
    if out.is_empty() {
        // It says which variants there are.
        choose_for(name, choice, class)?;
    }
    Ok((out, false))
}

/// The texts of a kernel: of one variant, or of all.
fn of(entry: &'static Entry, class: &Class, variant: Option<&str>) -> Result<Vec<(&'static Entry, Variant)>> {
    let all = Kernel::new(entry, class)?.texts();
    Ok(all.into_iter().filter(|v| variant.is_none_or(|name| v.name == name)).map(|v| (entry, v)).collect())
}
