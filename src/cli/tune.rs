//! `maskrcnn tune`

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use maskrcnn::bench::Effort;
use maskrcnn::tune::{self, Kept};
use maskrcnn::weights::NetworkWeights;
use maskrcnn::{Error, Result};

use super::model::Model;
use super::size::Size;

/// The options of `tune`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: Model,
    /// Rows and columns of the images to be fast for.
    #[arg(long, value_name = "HxW", default_value = "640x640")]
    image_size: Size,
    /// Only the ops whose label contains this, e.g. `layer3` or `mask.conv`.
    #[arg(long, value_name = "TEXT")]
    op: Option<String>,
    /// Seconds spent on each way to run an op.
    #[arg(long, value_name = "S", default_value_t = 0.3, value_parser = super::seconds)]
    seconds: f64,
    /// Time by the host's clock alone, as on a device without time stamps.
    #[arg(long)]
    wall: bool,
    /// Drop what earlier runs found for this device, and try nothing.
    #[arg(long, conflicts_with_all = ["op", "seconds", "wall", "image_size"])]
    forget: bool,
}

/// Tries, prints, and keeps what is faster than the best guess.
pub fn run(args: &Args) -> Result<()> {
    if args.forget {
        let (device, _) = args.model.device()?;
        let what = if Kept::forget(&device)? { "dropped what was" } else { "nothing was" };
        say!("{what} kept for {}", device.key());
        return Ok(());
    }
    let (file, config) = args.model.load(None)?;
    let (device, caps) = args.model.device()?;
    let weights = NetworkWeights::load(&file, &config)?;
    let Size { height, width } = args.image_size;
    let (graph, mut launches) = tune::launches(&caps, &config, &weights, height, width)?;
    launches.retain(|l| args.op.as_deref().is_none_or(|o| l.label.contains(o)));
    if launches.is_empty() {
        let reason = format!("{} has no such op to tune at {height}x{width}", config.name);
        return Err(Error::Config { setting: "--op".into(), reason });
    }
    say!("{}\n{} at {height}x{width}", device.key(), config.name);
    say!("{:38} {:>10} {:>5}  fastest", "op (× times in the network)", "best guess", "ways");
    let effort = Effort { seconds: args.seconds, wall: args.wall, ..Effort::default() };
    let mut kept = Kept::of(&device.key());
    let (mut before, mut after, mut faster, mut path) = (0.0, 0.0, 0, None);
    let bar = progress(launches.len());
    for launch in &launches {
        bar.set_message(launch.label.clone());
        let found = tune::tune(&device, &caps, &graph, launch, effort)?;
        bar.inc(1);
        let name =
            if launch.count > 1 { format!("{} × {}", launch.label, launch.count) } else { launch.label.clone() };
        let fastest = match &found.change {
            Some(change) => format!("{}: {change}", found.names.join(" ")),
            None => "the best guess".into(),
        };
        bar.suspend(|| {
            say!("{name:38} {:>7.2} ms {:>5}  {fastest}", 1e3 * found.guess, found.tried);
            for names in &found.wrong {
                note!("warning: {name} by {names} computes something else here, and is not used: please report it");
            }
        });
        let count = launch.count as f64;
        before += count * found.guess;
        after += count * found.guess * (1.0 + found.change.map_or(0.0, |c| c.change));
        faster += usize::from(found.change.is_some());
        launch.keep(&found, &mut kept.names);
        // At once: what an interrupted run found is found.
        path = Some(kept.keep(&device)?);
    }
    bar.finish_and_clear();
    say!(
        "{faster} of {} launches have a faster way: {:.1} ms instead of {:.1} ms in all",
        launches.len(),
        1e3 * after,
        1e3 * before
    );
    if let Some(path) = path {
        say!("kept in {}; `--untuned` runs without it, `tune --forget` drops it", path.display());
    }
    Ok(())
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
