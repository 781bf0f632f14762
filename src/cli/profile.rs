//! `maskrcnn profile`

use std::fmt::Write as _;
use std::path::PathBuf;

use maskrcnn::Result;
use maskrcnn::engine::detector::Profile;
use maskrcnn::engine::gpu::{Clock, Roofs};
use maskrcnn::engine::ops::Cost;

use super::model::Model;
use super::reading::Reading;
use super::words::{count, plural, width};

/// Steps that are listed without `--all`.
const SHOWN: usize = 20;

/// The options of `profile`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The image to run.
    image: PathBuf,
    #[command(flatten)]
    model: Model,
    #[command(flatten)]
    reading: Reading,
    /// List every step and not only those that take longest.
    #[arg(long)]
    all: bool,
    /// Runs with a time taken of each step, and as many without: the medians are shown.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: u32,
    /// Write the steps as a trace, for https://ui.perfetto.dev or chrome://tracing.
    #[arg(long, value_name = "FILE.json")]
    trace: Option<PathBuf>,
    /// Print the numbers as JSON instead of tables.
    #[arg(long)]
    json: bool,
    /// Time each step by the host's clock, submitted alone, as on a device without time stamps.
    #[arg(long)]
    wall: bool,
    /// Measure again what the device can do at best, the roofs, instead of taking that from the cache.
    #[arg(long)]
    remeasure: bool,
}

/// Prints where the time of an image goes.
pub(super) fn run(args: &Args) -> Result<()> {
    let image = args.reading.open(&args.image)?;
    let detector = args.model.open(None)?;
    let device = detector.device();
    let roofs = if args.remeasure { Roofs::remeasure(device)? } else { Roofs::cached_or_measure(device)? };
    super::roofs::warn_of_busy(&roofs);
    let profile = detector.profile(&image, args.runs as usize, args.wall.then_some(Clock::Wall))?;
    if let Some(path) = &args.trace {
        profile.save_trace(path)?;
    }
    if args.json {
        super::print(format!("{:#}\n", profile.json(&roofs)).as_bytes())?;
    } else {
        let mut out = String::new();
        // Writing to a string cannot fail.
        let _ = tables(&mut out, &profile, &roofs, args);
        super::print(out.as_bytes())?;
    }
    if let Some(step) = (0..profile.steps.len()).find(|&i| profile.passes(&roofs, i)) {
        super::roofs::warn_of_passed(&profile.node(step).label);
    }
    Ok(())
}

fn tables(out: &mut String, p: &Profile, roofs: &Roofs, args: &Args) -> std::fmt::Result {
    let total = p.sum();
    let rows: Vec<String> = p.live.iter().map(|l| format!("{} of {} {}", l.count, l.capacity, l.what)).collect();
    writeln!(out, "{} on {}", p.model, p.device)?;
    writeln!(
        out,
        "found: {}, of a score of {} or more, as the network computes them; `detect` leaves out those below {} unless \
         told otherwise",
        p.found,
        p.score,
        super::detect::SCORE
    )?;
    let runs = if p.runs == 1 { "of one run".into() } else { format!("medians of {}", count(p.runs, "run")) };
    writeln!(out, "times: {}; {runs}", p.clock)?;
    writeln!(out, "work: of the rows that were live, {}", rows.join(" and "))?;
    writeln!(out, "roofs: {roofs}")?;
    let over = steps(out, p, roofs, args.all)? | stages(out, p, roofs)?;
    if over {
        writeln!(out, "* {}", super::roofs::CACHED)?;
    }
    writeln!(
        out,
        "\nsteps together {:.1} ms, whole {:.1} ms, ratio {:.3}",
        1e3 * total,
        1e3 * p.whole,
        total / p.whole
    )?;
    writeln!(out, "(whole: the same work without timing inside, from the submit of its one pass to the end of it)")?;
    memory(out, p)?;
    match &args.trace {
        Some(path) => writeln!(out, "{}: open it in https://ui.perfetto.dev", path.display()),
        None => Ok(()),
    }
}

/// The steps that take longest, or all; says whether one is faster than its roof.
fn steps(out: &mut String, p: &Profile, roofs: &Roofs, all: bool) -> Result<bool, std::fmt::Error> {
    let total = p.sum();
    let mut order: Vec<usize> = (0..p.steps.len()).collect();
    order.sort_by(|&a, &b| p.steps[b].seconds.total_cmp(&p.steps[a].seconds));
    let shown = if all { order.len() } else { SHOWN.min(order.len()) };
    let groups = |i: usize| p.plan.steps[i].launch.grid.map(|n| n.to_string()).join("×");
    let listed = || order[..shown].iter().map(|&i| p.node(i));
    let stage = width(listed().map(|op| op.stage).chain(["stage"]));
    let label = width(listed().map(|op| op.label.as_str()).chain(["step"]));
    let grid = width(order[..shown].iter().map(|&i| groups(i)).chain(["workgroups".into()]));
    writeln!(out, "\n{HEAD}  {:stage$}  {:label$}  {:>grid$}  kernel, variant", "stage", "step", "workgroups")?;
    let mut over = false;
    for &i in &order[..shown] {
        let (op, s) = (p.node(i), &p.steps[i]);
        let floor = p.floor(roofs, i);
        over |= floor > s.seconds;
        writeln!(
            out,
            "{}  {:stage$}  {:label$}  {:>grid$}  {} {}",
            numbers(s.seconds, total, &s.cost, floor),
            op.stage,
            op.label,
            groups(i),
            op.op.name(),
            p.plan.steps[i].variant
        )?;
    }
    if shown < order.len() {
        let rest: f64 = order[shown..].iter().map(|&i| p.steps[i].seconds).sum();
        let more = order.len() - shown;
        let steps = plural(more, "step");
        writeln!(out, "{:9.3} {:5.1}  {more} more {steps} (--all lists them)", 1e3 * rest, 100.0 * rest / total)?;
    }
    Ok(over)
}

/// The stages; says whether one is faster than its roof.
fn stages(out: &mut String, p: &Profile, roofs: &Roofs) -> Result<bool, std::fmt::Error> {
    let name = width(p.stages().iter().map(|s| s.name).chain(["stage"]));
    writeln!(out, "\n{HEAD}  {:name$}  steps", "stage")?;
    let mut over = false;
    for stage in p.stages() {
        let floor: f64 = (stage.first..stage.first + stage.steps).map(|i| p.floor(roofs, i)).sum();
        over |= floor > stage.seconds;
        let numbers = numbers(stage.seconds, p.sum(), &stage.cost, floor);
        writeln!(out, "{numbers}  {:name$}  {:5}", stage.name, stage.steps)?;
    }
    Ok(over)
}

fn memory(out: &mut String, p: &Profile) -> std::fmt::Result {
    let mib = |b: u64| b as f64 / (1 << 20) as f64;
    let parts = |all: u64, textures: u64| {
        format!(
            "{:.1} MiB of activations (buffers {:.1}, textures {:.1})",
            mib(all),
            mib(all - textures),
            mib(textures)
        )
    };
    let (plan, counts) = (&p.plan, &p.counts);
    writeln!(
        out,
        "planned:    {} in {} and {}, {:.1} MiB alive at once",
        parts(plan.activation_bytes(), plan.texture_bytes()),
        count(plan.slots.len(), "buffer"),
        count(plan.textures.len(), "texture"),
        mib(plan.live_bytes())
    )?;
    writeln!(
        out,
        "GPU memory: {}, {:.1} MiB of weights, {:.1} KiB of parameters",
        parts(counts.slot_bytes, counts.texture_bytes),
        mib(counts.constant_bytes),
        counts.params_bytes as f64 / 1024.0
    )?;
    match p.held {
        Some(held) => writeln!(
            out,
            "device:     holds {:.1} MiB, staging included, in blocks of {:.1} MiB",
            mib(held.used),
            mib(held.reserved)
        ),
        None => Ok(()),
    }
}

/// The heading of [`numbers`].
const HEAD: &str = "       ms     %   GFLOP      MB  GFLOP/s    GB/s  roof %";

/// The columns that steps and stages share. The share of the roof is the least time over the time taken.
fn numbers(seconds: f64, total: f64, cost: &Cost, floor: f64) -> String {
    let rate = |n: f64| if seconds > 0.0 { n / seconds / 1e9 } else { 0.0 };
    let roof = match () {
        () if floor > seconds => ">100*".into(),
        () if seconds > 0.0 => format!("{:.1}", 100.0 * floor / seconds),
        () => "-".into(),
    };
    format!(
        "{:9.3} {:5.1} {:7.3} {:7.2} {:8.2} {:7.2} {roof:>7}",
        1e3 * seconds,
        100.0 * seconds / total,
        cost.flops / 1e9,
        cost.bytes / 1e6,
        rate(cost.flops),
        rate(cost.bytes)
    )
}
