//! `maskrcnn profile`

use std::path::PathBuf;

use maskrcnn::Result;
use maskrcnn::detector::Profile;
use maskrcnn::gpu::{Clock, Roofs};
use maskrcnn::kernels::Cost;

use super::model::Model;
use super::reading::Reading;

/// Steps that are listed without `--all`.
const SHOWN: usize = 20;

/// The options of `profile`.
#[derive(clap::Args)]
pub struct Args {
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
    /// Measure the device's roofs again instead of taking them from the cache.
    #[arg(long)]
    remeasure: bool,
}

/// Prints where the time of an image goes.
pub fn run(args: &Args) -> Result<()> {
    let image = args.reading.open(&args.image)?;
    let detector = args.model.open(None)?;
    let device = detector.device();
    let roofs = if args.remeasure { Roofs::remeasure(device)? } else { Roofs::cached_or_measure(device)? };
    let profile = detector.profile(&image, args.runs as usize, args.wall.then_some(Clock::Wall))?;
    if let Some(path) = &args.trace {
        profile.save_trace(path)?;
    }
    if args.json {
        say!("{:#}", profile.json(&roofs));
    } else {
        print(&profile, &roofs, args);
    }
    Ok(())
}

fn print(p: &Profile, roofs: &Roofs, args: &Args) {
    let total = p.sum();
    let rows: Vec<String> = p.live.iter().map(|l| format!("{} of {} {}", l.count, l.capacity, l.what)).collect();
    say!("{} on {}: {} found", p.model, p.device, p.found);
    say!("times: {}; medians of {}", p.clock, p.runs);
    say!("work: of the rows that were live, {}", rows.join(" and "));
    say!("roofs: {roofs}");

    let mut order: Vec<usize> = (0..p.steps.len()).collect();
    order.sort_by(|&a, &b| p.steps[b].seconds.total_cmp(&p.steps[a].seconds));
    let shown = if args.all { order.len() } else { SHOWN.min(order.len()) };
    say!("\n{HEAD}  {:14} {:20} {:>14}  kernel, variant", "stage", "step", "workgroups");
    let mut over = false;
    for &i in &order[..shown] {
        let (op, step, s) = (p.op(i), &p.plan.steps[i], &p.steps[i]);
        let floor = p.floor(roofs, i);
        over |= floor > s.seconds;
        let [x, y, z] = step.launch.grid;
        say!(
            "{}  {:14} {:20} {:>14}  {} {}",
            numbers(s.seconds, total, &s.cost, floor),
            op.stage,
            op.label,
            format!("{x}×{y}×{z}"),
            op.kernel.name(),
            step.variant
        );
    }
    if shown < order.len() {
        let rest: f64 = order[shown..].iter().map(|&i| p.steps[i].seconds).sum();
        say!("{:9.3} {:5.1}  {} more steps (--all lists them)", 1e3 * rest, 100.0 * rest / total, order.len() - shown);
    }

    say!("\n{HEAD}  {:14} steps", "stage");
    for stage in p.stages() {
        let floor: f64 = (stage.first..stage.first + stage.steps).map(|i| p.floor(roofs, i)).sum();
        over |= floor > stage.seconds;
        say!("{}  {:14} {:5}", numbers(stage.seconds, total, &stage.cost, floor), stage.name, stage.steps);
    }
    if over {
        say!("* faster than the roof of a copy through memory: the tensors stayed in a cache, or not all were read");
    }

    say!("\nsteps together {:.1} ms, whole {:.1} ms, ratio {:.3}", 1e3 * total, 1e3 * p.whole, total / p.whole);
    say!("(whole: the same work without timing inside, from the submit of its one pass to the end of it)");
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
    say!(
        "planned:    {} in {} buffers and {} textures, {:.1} MiB alive at once",
        parts(plan.activation_bytes(), plan.texture_bytes()),
        plan.slots.len(),
        plan.textures.len(),
        mib(plan.live_bytes())
    );
    say!(
        "GPU memory: {}, {:.1} MiB of weights, {:.1} KiB of parameters",
        parts(counts.slot_bytes, counts.texture_bytes),
        mib(counts.constant_bytes),
        counts.params_bytes as f64 / 1024.0
    );
    if let Some(held) = p.held {
        say!(
            "device:     holds {:.1} MiB, staging included, in blocks of {:.1} MiB",
            mib(held.used),
            mib(held.reserved)
        );
    }
    if let Some(path) = &args.trace {
        say!("{}: open it in https://ui.perfetto.dev", path.display());
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
