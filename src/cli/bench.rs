//! `maskrcnn bench`

use std::path::PathBuf;

use maskrcnn::bench::{Change, Effort, Measured, Record, Sources, Verdict, Work, compare, measure, record};
use maskrcnn::gpu::{Clock, Roofs};
use maskrcnn::kernels::{Caps, Variant};
use maskrcnn::vision::scene;
use maskrcnn::weights::NetworkWeights;
use maskrcnn::{Device, Error, Result};

use super::model::Model;
use super::size::Size;

/// The options of `bench`.
#[derive(clap::Args)]
pub struct Args {
    /// Only this kernel, by its name in `shaders list`.
    #[arg(long, value_name = "NAME")]
    kernel: Option<String>,
    /// Only the ops whose label contains this, e.g. `layer3` or `mask.conv`.
    #[arg(long, value_name = "TEXT")]
    op: Option<String>,
    /// Not a network's launches but one of these shapes, an input each: 1x56x56x64,64x3x3x64.
    #[arg(long, value_name = "SHAPES", requires = "kernel")]
    shape: Option<String>,
    /// A setting of that launch: stride=2, pad=1, relu=1, residual=1 …
    #[arg(long = "set", value_name = "NAME=N", value_parser = setting, requires = "shape")]
    settings: Vec<(String, usize)>,
    /// Only the variants of this name.
    #[arg(long, value_name = "NAME")]
    variant: Option<String>,
    /// Only the variant that the engine would choose.
    #[arg(long, conflicts_with = "variant")]
    best: bool,
    /// Try other values for a constant of the variants: TP=1,2,4. Several give every combination.
    #[arg(long, value_name = "NAME=N,N,…", value_parser = sweep)]
    sweep: Vec<(String, Vec<u32>)>,
    #[command(flatten)]
    model: Model,
    /// Rows and columns of the image that the network is given.
    #[arg(long, value_name = "HxW", default_value = "640x640")]
    image_size: Size,
    /// Seconds spent on each variant.
    #[arg(long, value_name = "S", default_value_t = 0.5, value_parser = super::seconds)]
    seconds: f64,
    /// Time by the host's clock alone, as on a device without time stamps.
    #[arg(long)]
    wall: bool,
    /// Measure anew what the device can do at best, which is otherwise kept from the first time.
    #[arg(long)]
    remeasure: bool,
    /// Take shaders from this folder, where it has them, instead of the built-in ones.
    #[arg(long, value_name = "DIR")]
    shaders: Option<PathBuf>,
    /// Write the results as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the figures as CSV.
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Keep the results and their shaders, for --against.
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Compare with results kept by --save. On the same device the kept shaders are run again, in turn with today's:
    /// name only files whose shaders you trust.
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// With --against: fail where a launch is slower by more than this, beyond the uncertainty.
    #[arg(long, value_name = "PERCENT", value_parser = percent, requires = "against")]
    fail_over: Option<f64>,
}

fn setting(text: &str) -> Result<(String, usize), String> {
    let (name, value) = text.split_once('=').ok_or("is not of the form NAME=N")?;
    Ok((name.into(), value.parse().map_err(|_| format!("`{value}` is no number"))?))
}

fn sweep(text: &str) -> Result<(String, Vec<u32>), String> {
    let (name, values) = text.split_once('=').ok_or("is not of the form NAME=N,N")?;
    let values = values.split(',').map(|v| match v.trim().parse() {
        Ok(n @ 1..=4096) => Ok(n),
        _ => Err(format!("`{v}` is no number from 1 to 4096")),
    });
    Ok((name.into(), values.collect::<Result<_, _>>()?))
}

fn percent(text: &str) -> Result<f64, String> {
    match text.trim_end_matches('%').trim().parse::<f64>() {
        Ok(p) if p.is_finite() && p >= 0.0 => Ok(p / 100.0),
        _ => Err("is not a percentage, as in 5%".into()),
    }
}

/// Measures, prints, and keeps what is asked for. The answer is whether --fail-over holds.
pub fn run(args: &Args) -> Result<bool> {
    // What is wrong with a file is worth knowing before minutes of measuring.
    let before = args.against.as_deref().map(Record::read).transpose()?;
    let sources = args.shaders.as_deref().map_or(Ok(Sources::default()), Sources::from_folder)?;
    let (device, caps, works) = works(args)?;
    let effort = Effort { seconds: args.seconds, wall: args.wall, ..Effort::default() };
    let mut out = Record::new(&device);
    say!("{}", device.key());
    if let Some(b) = before.as_ref().filter(|b| b.key != device.key()) {
        say!("kept results are of another device, {}: recorded figures are compared", b.key);
    }
    let roofs = if args.remeasure { Roofs::remeasure(&device)? } else { Roofs::cached_or_measure(&device)? };
    say!("roofs: {roofs}");
    if args.wall || device.clock() != Clock::Stamps {
        let why = if args.wall { "--wall was given" } else { "the device has no time stamps within a pass" };
        say!("times are the host's, from the submit of many replays to their end: {why}");
    }
    say!("{HEADING}");
    let (mut changes, mut unknown) = (Vec::new(), 0);
    for work in &works {
        let inputs = work.values();
        let variants = variants(args, work, &caps)?;
        let reference = |halves: bool| {
            let needed = variants.iter().any(|v| v.halves == halves);
            if needed { measure::reference(&device, work, &inputs, halves) } else { Ok(Vec::new()) }
        };
        let references = [reference(false)?, reference(true)?];
        for variant in variants {
            let reference = &references[usize::from(variant.halves)];
            let frozen = sources.freeze(work.kernel.name(), &variant)?;
            // The built-in text needs no second pipeline.
            let subject = if args.shaders.is_some() { &frozen } else { &variant };
            let measured = match measure::measure(&device, work, &inputs, subject, effort, reference) {
                Ok(measured) => measured,
                // One impossible combination of a sweep is no reason to end it.
                Err(e @ (Error::Shader { .. } | Error::Limit { .. })) if !args.sweep.is_empty() => {
                    say!("{:30} {variant}: {e}", work.label);
                    continue;
                }
                Err(e) => return Err(e),
            };
            let roof = roofs.floor(&work.cost(), &measured.variant) / measured.time().median;
            print(work, &measured, roof);
            let text = frozen.text.as_deref().unwrap_or_default().into();
            let entry = record::Entry::new(work, &measured, text, roof);
            if let Some(before) = &before {
                match before.find(&entry) {
                    None => unknown += 1,
                    Some(old) => {
                        let change = if before.key == device.key() {
                            compare::in_turn(&device, work, &inputs, &measured, old, effort)?
                        } else {
                            Change::of_records(&measured.time(), &old.time().1)
                        };
                        let other = if change.same_result == Some(false) { "; ITS RESULT IS ANOTHER" } else { "" };
                        say!("{:30} {}: {change}{other}", "", change.verdict());
                        changes.push((work.label.clone(), change));
                    }
                }
            }
            out.entries.push(entry);
        }
    }
    for path in args.json.iter().chain(&args.save) {
        out.write_json(path)?;
    }
    if let Some(path) = &args.csv {
        out.write_csv(path)?;
    }
    Ok(before.is_none() || judge(&changes, unknown, args.fail_over))
}

/// The launches that the options ask for.
fn works(args: &Args) -> Result<(Device, Caps, Vec<Work>)> {
    let refuse = |setting: &str, reason: String| Err(Error::Config { setting: setting.into(), reason });
    if let Some(name) = &args.kernel {
        if maskrcnn::kernels::entry(name).is_none() {
            let names: Vec<&str> = maskrcnn::kernels::REGISTRY.iter().map(|e| e.name).collect();
            return refuse("--kernel", format!("there is no kernel `{name}`; there are {}", names.join(", ")));
        }
        if let Some(shape) = &args.shape {
            let work = Work::of_shapes(name, shape, &args.settings)?;
            let (device, caps) = args.model.device()?;
            return Ok((device, caps, vec![work]));
        }
    }
    let (file, config) = args.model.load(None)?;
    let (device, caps) = args.model.device()?;
    let weights = NetworkWeights::load(&file, &config)?;
    let Size { height, width } = args.image_size;
    // As many nuclei as the default model would meet in such an image.
    let count = (height as usize * width as usize / 4000).clamp(1, 400);
    let image = scene::nuclei(width, height, 1, count)?.image;
    let mut works = Work::of_network(&device, &caps, &config, &weights, &image)?;
    works.retain(|w| args.kernel.as_deref().is_none_or(|k| k == w.kernel.name()));
    works.retain(|w| args.op.as_deref().is_none_or(|o| w.label.contains(o)));
    if works.is_empty() {
        return refuse("--kernel, --op", format!("{} has no such op at {height}x{width}", config.name));
    }
    Ok((device, caps, works))
}

/// The variants to measure, sweeps spelled out.
fn variants(args: &Args, work: &Work, caps: &Caps) -> Result<Vec<Variant>> {
    let all = work.variants(caps);
    let names: Vec<&str> = all.iter().map(|v| v.name).collect();
    if let Some(name) = args.variant.as_deref().filter(|n| !names.contains(n)) {
        let reason = format!("`{}` has no variant `{name}` here; it has {}", work.label, names.join(", "));
        return Err(Error::Config { setting: "--variant".into(), reason });
    }
    let mut out: Vec<Variant> =
        all.iter().filter(|v| args.variant.as_deref().is_none_or(|n| n == v.name)).cloned().collect();
    if args.best {
        out.truncate(1);
    }
    for (name, values) in &args.sweep {
        if !out.iter().any(|v| v.find(name).is_some()) {
            let constants: Vec<&str> = out.iter().flat_map(|v| v.defines.iter().map(|d| d.0)).collect();
            let reason = format!("no variant of `{}` has a constant {name}; they have {constants:?}", work.label);
            return Err(Error::Config { setting: "--sweep".into(), reason });
        }
        let with = |v: &Variant, value: u32| {
            let mut v = v.clone();
            v.defines.iter_mut().filter(|d| d.0 == name).for_each(|d| d.1 = value);
            v
        };
        out = out
            .iter()
            .filter(|v| v.find(name).is_some())
            .flat_map(|v| values.iter().map(|&value| with(v, value)).collect::<Vec<_>>())
            .collect();
    }
    Ok(out)
}

const HEADING: &str = "op (× times in the network)    kernel, variant                                median      ±         wall  \
                       GFLOP/s executed     GB/s  roof %";

fn print(work: &Work, m: &Measured, roof: f64) {
    let (t, cost) = (m.time(), work.cost());
    let name = if work.count > 1 { format!("{} × {}", work.label, work.count) } else { work.label.clone() };
    let kernel = format!("{} {}", work.kernel.name(), m.variant);
    say!(
        "{name:30} {kernel:42} {:>10} {:4.1} % {:>12} {:8.2} {:8.2} {:8.2} {:>7}{}",
        m.gpu.map_or("-".into(), |t| duration(t.median)),
        100.0 * t.spread(),
        duration(m.wall.median),
        cost.flops / t.median / 1e9,
        m.executed / t.median / 1e9,
        cost.bytes / t.median / 1e9,
        // What is served by a cache passes a roof that memory set.
        if roof > 1.0 { ">100".into() } else { format!("{:.1}", 100.0 * roof) },
        if m.agrees { "" } else { "  WRONG: its result is another than the engine's" },
    );
}

fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 1e-3 => format!("{:.2} µs", s * 1e6),
        s if s < 1.0 => format!("{:.3} ms", s * 1e3),
        s => format!("{s:.3} s"),
    }
}

/// Says what became of all launches; false where one is over the limit.
fn judge(changes: &[(String, Change)], unknown: usize, limit: Option<f64>) -> bool {
    let count = |v: Verdict| changes.iter().filter(|c| c.1.verdict() == v).count();
    say!(
        "{} slower, {} faster, {} equal; {unknown} not among the kept results",
        count(Verdict::Slower),
        count(Verdict::Faster),
        count(Verdict::Equal)
    );
    let Some(limit) = limit else { return true };
    let over: Vec<_> = changes.iter().filter(|c| c.1.fails(limit)).collect();
    for (label, change) in &over {
        note!("error: {label} is slower than before: {change}, over the limit of {:.1} %", 100.0 * limit);
    }
    over.is_empty()
}
