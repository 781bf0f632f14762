//! `maskrcnn profile`

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Instant;

use maskrcnn::{Detector, Image, Result};

use super::model::Model;

/// The options of `profile`.
#[derive(clap::Args)]
pub struct Args {
    /// The image to run.
    image: PathBuf,
    #[command(flatten)]
    model: Model,
    /// Print every step and not only the stages.
    #[arg(long)]
    steps: bool,
    /// Runs of which the median of the whole is taken.
    #[arg(long, default_value_t = 5)]
    runs: usize,
}

/// Prints the time, arithmetic and traffic of each stage of one run.
pub fn run(args: &Args) -> Result<()> {
    let detector: Detector = args.model.open(None)?;
    let image = Image::open(&args.image)?;
    // The first run compiles the shaders.
    let found = detector.detect(&image)?;
    let mut whole: Vec<f64> = Vec::new();
    for _ in 0..args.runs.max(1) {
        let begin = Instant::now();
        detector.detect(&image)?;
        whole.push(begin.elapsed().as_secs_f64());
    }
    whole.sort_by(f64::total_cmp);
    let (plan, counts, seconds) = detector.profile(&image)?;
    let total: f64 = seconds.iter().sum();

    // Stages in the order of their first step. Arithmetic is that of all rows live: heads do less.
    let mut stages: Vec<(&str, f64, f64, f64, usize)> = Vec::new();
    let mut known = HashMap::new();
    for (step, time) in plan.steps.iter().zip(&seconds) {
        let op = &plan.graph.ops[step.op];
        let at = *known.entry(op.stage).or_insert_with(|| {
            stages.push((op.stage, 0.0, 0.0, 0.0, 0));
            stages.len() - 1
        });
        let row = &mut stages[at];
        (row.1, row.2, row.3, row.4) = (row.1 + time, row.2 + step.cost.flops, row.3 + step.cost.bytes, row.4 + 1);
        if args.steps {
            println!(
                "{:9.3} ms {:5.1} % {:8.2} GF/s {:7.2} GB/s  {:14} {:24} {}",
                time * 1e3,
                100.0 * time / total,
                step.cost.flops / time / 1e9,
                step.cost.bytes / time / 1e9,
                op.stage,
                op.label,
                step.variant
            );
        }
    }
    println!("stage            steps        ms      %   GFLOP (all rows)   MB");
    for (stage, time, flops, bytes, steps) in stages {
        let share = 100.0 * time / total;
        println!("{stage:16} {steps:5} {:9.2} {share:6.1} {:12.2} {:10.1}", time * 1e3, flops / 1e9, bytes / 1e6);
    }
    println!(
        "{} on {}: {} found; steps {:.1} ms, whole image {:.1} ms (median of {})",
        detector.config().name,
        detector.device().name(),
        found.len(),
        total * 1e3,
        whole[whole.len() / 2] * 1e3,
        whole.len()
    );
    let mib = |b: u64| b as f64 / (1 << 20) as f64;
    println!(
        "GPU memory: {:.1} MiB of activations in {} buffers ({:.1} MiB alive at once), {:.1} MiB of weights",
        mib(counts.slot_bytes),
        plan.slots.len(),
        mib(plan.live_bytes()),
        mib(counts.constant_bytes)
    );
    Ok(())
}
