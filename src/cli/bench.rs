//! `maskrcnn bench`

mod jobs;
mod show;

use std::path::PathBuf;

use jobs::{Job, Try};
use maskrcnn::engine::bench::record::{Against, Entry};
use maskrcnn::engine::bench::{Change, Effort, Record, Sources, compare, measure, stats};
use maskrcnn::engine::gpu::{Clock, Roofs};
use maskrcnn::{Device, Error, Result};
use show::{Judged, Show};

use super::model::Model;
use super::size::Size;

/// The options of `bench`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Only this kernel, by its name in `shaders list`; without, all.
    #[arg(long, value_name = "NAME")]
    kernel: Option<String>,
    /// Only the ops whose label contains this, e.g. `layer3` or `mask.conv`; without, all.
    #[arg(long, value_name = "TEXT")]
    op: Option<String>,
    /// Not a network's launches but one of these shapes, an input each: 1x56x56x64,64x3x3x64.
    #[arg(long, value_name = "SHAPES", requires = "kernel")]
    shape: Option<String>,
    /// A setting of that launch: stride=2, pad=1, relu=1, residual=1 …
    #[arg(long = "set", value_name = "NAME=N", value_parser = setting, requires = "shape")]
    settings: Vec<(String, usize)>,
    /// Only the variants of this name, and ops that have such; without, all.
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
    /// Rows x columns of the image that the network is given.
    #[arg(long, visible_alias = "size", value_name = "RxC", default_value = "640x640")]
    image_size: Size,
    /// Seconds spent on each variant.
    #[arg(long, value_name = "S", default_value_t = 0.5, value_parser = super::seconds)]
    seconds: f64,
    /// Time by the host's clock alone, as on a device without time stamps.
    #[arg(long)]
    wall: bool,
    /// Measure again what the device can do at best, the roofs, instead of taking that from the cache.
    #[arg(long)]
    remeasure: bool,
    /// Take shaders from this folder, where it has them, instead of the built-in ones.
    #[arg(long, value_name = "DIR")]
    shaders: Option<PathBuf>,
    /// Print the results as JSON instead of a table.
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print the figures as CSV instead of a table.
    #[arg(long)]
    csv: bool,
    /// Keep the results and their shaders, for --against.
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Compare with results kept by --save. On the same device the kept shaders are run again, in turn with today's,
    /// but for those that are the same: name only files whose shaders you trust. All intervals together hold with a
    /// confidence of 95 %, so that of many launches none is called slower by chance: each is wider the more there are.
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// With --against: fail where a launch is slower by more than this, beyond the uncertainty of all together;
    /// without, a slower one is told of and no failure.
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
pub(super) fn run(args: &Args) -> Result<bool> {
    // What is wrong with a file is worth knowing before minutes of measuring.
    let before = args.against.as_deref().map(Record::read).transpose()?;
    let sources = args.shaders.as_deref().map_or(Ok(Sources::default()), Sources::from_folder)?;
    let (device, target, given) = jobs::works(args)?;
    let (jobs, left_out) = jobs::jobs(args, given.works, &target, &sources, before.as_ref())?;
    let show = Show::new(&jobs, args.json || args.csv);
    show.note(&device.key())?;
    if let Some(image) = &given.image {
        show.note(image)?;
    }
    if let Some(left_out) = left_out {
        note!("note: {left_out}");
    }
    let foreign = before.as_ref().filter(|b| b.key != device.key());
    if let Some(b) = foreign {
        show.note(&format!("kept results are of another device, {}: recorded figures are compared", b.key))?;
    }
    let roofs = if args.remeasure { Roofs::remeasure(&device)? } else { Roofs::cached_or_measure(&device)? };
    show.note(&format!("roofs: {roofs}"))?;
    super::roofs::warn_of_busy(&roofs);
    if args.wall || device.clock() != Clock::Stamps {
        let why = if args.wall { "--wall was given" } else { "the device has no time stamps within a pass" };
        show.note(&format!("times are the host's, from the submit of many replays to their end: {why}"))?;
    }
    let compared = jobs.iter().flat_map(|j| &j.tries).filter(|t| t.is_compared(foreign.is_some())).count();
    let run = Run { args, device, roofs, foreign: foreign.is_some(), miss: stats::each_of(compared) };
    let mut out = Record::new(&run.device);
    let mut judged = Judged { compared, ..Judged::default() };
    let mut passed: Option<String> = None;
    show.heading()?;
    for job in &jobs {
        run.job(job, &show, &mut out, &mut judged, &mut passed)?;
    }
    if args.json {
        super::print(out.json().as_bytes())?;
    } else if args.csv {
        super::print(out.csv().as_bytes())?;
    }
    if let Some(path) = &args.save {
        out.save(path)?;
    }
    show.footnotes(&out)?;
    if let Some(label) = passed {
        super::roofs::warn_of_passed(&label);
    }
    if before.is_some() {
        show.note(&judged.to_string())?;
    }
    Ok(args.fail_over.is_none_or(|limit| judged.holds(limit)))
}

/// What all launches are measured with.
struct Run<'a> {
    args: &'a Args,
    device: Device,
    roofs: Roofs,
    /// Whether the kept results are another device's.
    foreign: bool,
    /// How often the interval of one comparison may be wrong.
    miss: f64,
}

impl Run<'_> {
    /// Measures, prints and compares the variants of a launch. `passed`: the first launch that does more arithmetic than
    /// the roof allows.
    fn job(
        &self,
        job: &Job,
        show: &Show,
        out: &mut Record,
        judged: &mut Judged,
        passed: &mut Option<String>,
    ) -> Result<()> {
        let (device, args, work) = (&self.device, self.args, &job.work);
        let effort = Effort { seconds: args.seconds, wall: args.wall, ..Effort::default() };
        let inputs = work.values();
        let reference = |halves: bool| {
            let needed = job.tries.iter().any(|t| t.variant.f16 == halves);
            if needed { measure::reference(device, work, &inputs, halves) } else { Ok(Vec::new()) }
        };
        let references = [reference(false)?, reference(true)?];
        for Try { variant, frozen, before, .. } in &job.tries {
            let reference = &references[usize::from(variant.f16)];
            // The built-in text needs no second pipeline.
            let subject = if args.shaders.is_some() { frozen } else { variant };
            let measured = match measure::measure(device, work, &inputs, subject, effort, reference) {
                Ok(measured) => measured,
                // One impossible combination of a sweep is no reason to end it.
                Err(e @ (Error::Shader { .. } | Error::Limit { .. })) if !args.sweep.is_empty() => {
                    show.failed(work, variant, &e)?;
                    continue;
                }
                Err(e) => return Err(e),
            };
            let (cost, seconds) = (work.cost(), measured.time().median);
            let roof = self.roofs.floor(&cost, &measured.variant) / seconds;
            if work.is_whole() && self.roofs.are_passed(&cost, &measured.variant, seconds) {
                passed.get_or_insert_with(|| work.label.clone());
            }
            show.row(work, &measured, roof)?;
            let text = frozen.text.as_deref().unwrap_or_default().into();
            let mut entry = Entry::new(work, &measured, text, roof);
            match before {
                Some(old) => {
                    let change = match () {
                        () if self.foreign => Change::of_records(&measured.time(), &old.time().1, self.miss),
                        () if old.is(frozen, &measured.launch) => Change::none(),
                        () => compare::in_turn(device, work, &inputs, &measured, old, effort, self.miss)?,
                    };
                    show.change(&change)?;
                    entry.against = Some(Against { verdict: change.verdict(), change });
                    judged.changes.push((work.label.clone(), change));
                }
                None => judged.unknown += 1,
            }
            out.entries.push(entry);
        }
        Ok(())
    }
}
