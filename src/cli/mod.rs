//! The command line, one file a subcommand.

#[macro_use]
mod say;

mod assumed;
mod bench;
mod class;
mod compare;
mod compiling;
mod crowding;
mod detect;
mod devices;
mod eval;
mod evolve;
mod graph;
mod loss;
mod model;
mod profile;
mod progress;
mod pull;
mod reading;
mod roofs;
mod scene;
mod shaders;
mod size;
mod sources;
mod stopping;
mod tune;
pub(crate) mod vectors;
mod video;
mod weights;
mod words;

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use maskrcnn::Result;

/// Instance segmentation on any GPU: Mask R-CNN as WGSL compute shaders.
#[derive(Parser)]
#[command(
    version,
    about,
    max_term_width = 100,
    after_help = "`maskrcnn IMAGES` is short for `maskrcnn detect IMAGES`."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Find the instances in images: writes <stem>.json (COCO results) and <stem>.png (overlay) for each, or what --save
    /// says.
    Detect(Box<detect::Args>),
    /// Look for boxes that may hold objects, by selective search on the CPU: proposals for `detect --proposals`. No GPU and no
    /// model is needed.
    Propose(detect::propose::Args),
    /// Judge results by COCO annotations: average precision and recall as pycocotools computes them, and the matching
    /// metrics of papers on nuclei. Results of a file need no GPU.
    Eval(Box<eval::Args>),
    /// Run R-CNN, Fast R-CNN, Faster R-CNN and Mask R-CNN on one picture with the same weights, and show on a page and a sheet
    /// what each step bought: evolve.html and evolve.png.
    Evolve(Box<evolve::Args>),
    /// The terms of the loss that training makes smaller, of each image of COCO annotations: torchvision's five, for the same
    /// anchors and RoIs.
    Loss(Box<loss::Args>),
    /// Pair the results of two COCO files one to one, and say where they differ: for who runs a network elsewhere, and
    /// wants the same answers.
    Compare(compare::Args),
    /// List the GPUs here and what they can do.
    Devices,
    /// Print the plan of a network for an image's size, or draw it, without running it. No GPU is needed: `--device
    /// none`, like a machine without one, plans for the least that any device offers.
    Graph(graph::Args),
    /// Time each stage of one image on the GPU, with the arithmetic and memory it takes.
    Profile(profile::Args),
    /// Time kernels at a network's own shapes, and compare with results kept before.
    Bench(Box<bench::Args>),
    /// Try every way to run each convolution and product of a network on this device, and keep the fastest: later runs
    /// of the program use them.
    Tune(tune::Args),
    /// List the shaders, show them with their constants filled in, and translate them: no GPU is needed.
    #[command(subcommand)]
    Shaders(shaders::Command),
    /// Look at weights files, convert them, and pull the published ones.
    #[command(subcommand)]
    Weights(weights::Command),
    /// Draw a made-up fluorescence image of cell nuclei, to try the default model on.
    Scene(scene::Args),
}

/// Runs the program.
pub(crate) fn run() -> ExitCode {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        // A decoder's panic becomes an error that names the file.
        if !maskrcnn::engine::vision::is_decoding() {
            hook(info);
        }
    }));
    let is_command = |name: &str| name == "help" || Cli::command().find_subcommand(name).is_some();
    let code = match Cli::try_parse_from(sources::with_command(std::env::args_os().collect(), is_command)) {
        Ok(cli) => obey(cli.command),
        // Help is one of these.
        Err(e) => {
            let printed = e.print().and_then(|()| io::stdout().flush());
            if !e.use_stderr() {
                say::judge(printed);
            }
            ExitCode::from(e.exit_code().clamp(0, 255) as u8)
        }
    };
    if say::has_failed() { ExitCode::FAILURE } else { code }
}

fn obey(command: Command) -> ExitCode {
    let idle = matches!(command, Command::Propose(_) | Command::Compare(_) | Command::Weights(_) | Command::Scene(_));
    if !idle {
        // SAFETY: no command has started a thread yet.
        unsafe { vectors::widen() };
    }
    match command {
        Command::Detect(args) => detect::run(&args),
        Command::Propose(args) => detect::propose::run(&args),
        Command::Eval(args) => finish(eval::run(&args)),
        Command::Evolve(args) => evolved(evolve::run(&args)),
        Command::Loss(args) => finish(loss::run(&args)),
        Command::Compare(args) => judge(compare::run(&args)),
        Command::Devices => devices::run(),
        Command::Graph(args) => finish(graph::run(&args)),
        Command::Profile(args) => finish(profile::run(&args)),
        Command::Bench(args) => judge(bench::run(&args)),
        Command::Tune(args) => finish(tune::run(&args)),
        Command::Shaders(command) => judge(shaders::run(&command)),
        Command::Weights(command) => finish(weights::run(&command)),
        Command::Scene(args) => finish(scene::run(&args)),
    }
}

/// The exit code of what Ctrl-C may have stopped.
fn evolved(result: Result<bool>) -> ExitCode {
    match result {
        Ok(false) if stopping::asked() => ExitCode::from(stopping::STATUS),
        result => judge(result),
    }
}

/// The exit code of what was looked at, or an error printed.
fn judge(result: Result<bool>) -> ExitCode {
    match result {
        Ok(false) => ExitCode::FAILURE,
        result => finish(result.map(|_| ())),
    }
}

/// Prints an error, if there is one, and makes the exit code of it.
fn finish(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            note!("error: {e}");
            ExitCode::FAILURE
        }
    }
}

/// A probability, or another share of one.
fn share(text: &str) -> Result<f32, String> {
    let value: f32 = text.parse().map_err(|_| "is not a number".to_string())?;
    if (0.0..=1.0).contains(&value) { Ok(value) } else { Err("is not between 0 and 1".into()) }
}

/// A number of seconds.
fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(s) if (0.0..=3600.0).contains(&s) => Ok(s),
        _ => Err("is not a number of seconds, 0 to 3600".into()),
    }
}

/// Writes to standard output.
fn print(bytes: &[u8]) -> Result<()> {
    say::print(bytes);
    Ok(())
}
