//! `maskrcnn tune`

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use maskrcnn::engine::bench::Effort;
use maskrcnn::engine::tune::{self, Records, Workload};
use maskrcnn::engine::weights::NetworkWeights;
use maskrcnn::{Error, Result};
use serde_json::json;

use super::model::Model;
use super::size::Size;
use super::words;

const LABEL: &str = "op (× times in the network)";

/// The options of `tune`.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    model: Model,
    /// Rows x columns of the images to be fast for.
    #[arg(long, visible_alias = "size", value_name = "RxC", default_value = "640x640")]
    image_size: Size,
    /// Only the ops whose label contains this, e.g. `layer3` or `mask.conv`; without, all.
    #[arg(long, value_name = "TEXT")]
    op: Option<String>,
    /// Seconds spent on each way to run an op.
    #[arg(long, value_name = "S", default_value_t = 0.3, value_parser = super::seconds)]
    seconds: f64,
    /// Time by the host's clock alone, as on a device without time stamps.
    #[arg(long)]
    wall: bool,
    /// Print what was found as JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// Drop what earlier runs found for this device, and try nothing.
    #[arg(long, conflicts_with_all = ["op", "seconds", "wall", "image_size", "json"])]
    forget: bool,
}

/// Tries, prints, and keeps what is faster than the best guess.
pub(super) fn run(args: &Args) -> Result<()> {
    if args.forget {
        let (device, _) = args.model.device()?;
        let what = if Records::forget(&device)? { "dropped what was" } else { "nothing was" };
        return super::print(format!("{what} kept for {}\n", device.key()).as_bytes());
    }
    let (file, config) = args.model.load(None)?;
    let (device, target) = args.model.device()?;
    let weights = NetworkWeights::load(&file, &config)?;
    let Size { height, width } = args.image_size;
    let (graph, mut launches) = tune::launches(&target, &config, &weights, height, width)?;
    launches.retain(|l| args.op.as_deref().is_none_or(|o| l.label.contains(o)));
    if launches.is_empty() {
        let reason = format!("{} has no such op to tune at {height}x{width}", config.name);
        return Err(Error::Config { setting: "--op".into(), reason });
    }
    let table = |line: String| if args.json { Ok(()) } else { super::print(line.as_bytes()) };
    let wide = words::width(launches.iter().map(label).chain([LABEL.into()]));
    table(format!("{}\n{} at {height}x{width}\n", device.key(), config.name))?;
    table(format!("{LABEL:wide$}  best guess   ways  fastest\n"))?;
    let effort = Effort { seconds: args.seconds, wall: args.wall, ..Effort::default() };
    let mut kept = Records::of(&device.key());
    let (mut before, mut after, mut path, mut all) = (0.0, 0.0, None, Vec::new());
    let bar = progress(launches.len());
    for launch in &launches {
        bar.set_message(launch.label.clone());
        let found = tune::tune(&device, &target, &graph, launch, effort)?;
        bar.inc(1);
        let name = label(launch);
        let fastest = match &found.change {
            Some(change) => format!("{}: {change}", found.names.join(" ")),
            None => "the best guess".into(),
        };
        bar.suspend(|| {
            for names in &found.wrong {
                note!("warning: {name} by {names} computes something else here, and is not used: please report it");
            }
            table(format!("{name:wide$}  {:>7.2} ms  {:>5}  {fastest}\n", 1e3 * found.guess, found.tried))
        })?;
        let count = launch.count as f64;
        before += count * found.guess;
        after += count * found.guess * (1.0 + found.change.map_or(0.0, |c| c.change));
        launch.keep(&found, &mut kept.names);
        // At once: what an interrupted run found is found.
        path = Some(kept.keep(&device)?);
        all.push(found);
    }
    bar.finish_and_clear();
    if args.json {
        let all = launches.iter().zip(&all).map(|(launch, found)| {
            json!({ "label": launch.label, "count": launch.count, "ways": found.tried, "guess_ms": 1e3 * found.guess,
                "names": found.names, "change": found.change, "wrong": found.wrong })
        });
        let (device, all) = (device.key(), all.collect::<Vec<_>>());
        let all = json!({ "device": device, "model": config.name, "height": height, "width": width, "kept": path,
            "before_ms": 1e3 * before, "after_ms": 1e3 * after, "launches": all });
        return super::print(format!("{all:#}\n").as_bytes());
    }
    let faster = all.iter().filter(|f| f.change.is_some()).count();
    let have = if faster == 1 { "has" } else { "have" };
    table(format!(
        "{faster} of {} {have} a faster way: {:.1} ms instead of {:.1} ms in all\n",
        words::count(launches.len(), "launch"),
        1e3 * after,
        1e3 * before
    ))?;
    match path {
        Some(path) => {
            table(format!("kept in {}; `--untuned` runs without it, `tune --forget` drops it\n", path.display()))
        }
        None => Ok(()),
    }
}

fn label(launch: &Workload) -> String {
    if launch.count > 1 { format!("{} × {}", launch.label, launch.count) } else { launch.label.clone() }
}

/// A bar on standard error, where that is a terminal.
fn progress(count: usize) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(count as u64), ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{pos}/{len} {wide_bar} {msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(500));
    bar
}
