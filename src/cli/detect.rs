//! `maskrcnn detect`

mod exports;
mod given;
mod key;
mod mode;
mod movies;
mod names;
mod outputs;
mod pictures;
mod place;
mod plan;
pub(super) mod propose;
mod record;
mod stages;
mod summary;
mod tiles;
mod whole;
mod work;

use std::path::PathBuf;
use std::process::ExitCode;

use maskrcnn::engine::vision::results;
use maskrcnn::{Detections, Detector, Error, Result, Tiling};

use self::exports::{ExportArgs, Save};
use self::key::RunKey;
use self::mode::{Looks, ModeArgs, Way};
use self::movies::Movies;
use self::outputs::Outputs;
use self::pictures::Pictures;
use self::plan::Plan;
use self::summary::{Summary, Times};
use self::tiles::TileArgs;
use self::work::{Step, Work, Written};
use super::model::Model;
use super::progress::Progress;
use super::reading::Reading;
use super::sources::Sources;
use super::stopping;

/// What is left out scores less, unless told otherwise.
pub(super) const SCORE: f32 = 0.5;

/// Where results go unless told otherwise: a folder that holds nothing else.
pub(super) const OUT: &str = "maskrcnn-out";

/// Most threads that read, and that write, unless told otherwise: each holds a picture.
const JOBS: usize = 8;

/// The options of `detect`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Images (PNG, JPEG, TIFF, BMP, WebP or GIF) and videos (through ffmpeg, where it is on the path), folders of
    /// images, patterns such as 'data/*.tif', `@FILE` for a list with one path a line, or `-` for an image on standard
    /// input. `maskrcnn IMAGES` is short for `maskrcnn detect IMAGES`.
    #[arg(required = true)]
    images: Vec<PathBuf>,
    /// Look into folders below those that are named, too.
    #[arg(long)]
    recursive: bool,
    #[command(flatten)]
    model: Model,
    #[command(flatten)]
    reading: Reading,
    #[command(flatten)]
    mode: ModeArgs,
    #[command(flatten)]
    tiles: TileArgs,
    #[command(flatten)]
    exports: ExportArgs,
    /// Folder for the results, <stem>.json and <stem>.png for each image, or what --save says; made if it is not there.
    /// Images that share a stem have their endings or folders in the names of their results, and pages their numbers
    /// (stack-p07). `image_id` in the JSON is that name: a number where it is all digits and no other image of the call
    /// is that number (of 7.png and 007.png, 7 and "007"). Of several images, summary.json says what became of them.
    #[arg(long, value_name = "DIR", default_value = OUT)]
    out: PathBuf,
    /// Replace files in that folder that this program did not write, or that were changed since. Its own are replaced
    /// without; the images of this call never.
    #[arg(long)]
    overwrite: bool,
    /// Skip images whose results are there already, made of the same image by the same model and settings.
    #[arg(long)]
    resume: bool,
    /// Leave out what scores less.
    #[arg(long, default_value_t = SCORE, value_parser = super::share)]
    score: f32,
    /// Images a submit: of those that come next to each other, the ones of one padded size go through the network
    /// together, as far as the GPU's memory allows.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=64))]
    batch: u8,
    /// Threads that read images, and as many that write results, while the GPU works. Without: as many as there are cores,
    /// 2 to 8.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=64))]
    jobs: Option<u8>,
}

/// Does every image; those that cannot be done are reported, and make the exit code. While the GPU does one, the next
/// ones are decoded and the results of the former ones written.
pub(super) fn run(args: &Args) -> ExitCode {
    let pictures = Pictures::new(&args.reading);
    let sources = Sources::find(&args.images, args.recursive);
    let chosen = args.exports.chosen();
    let pair = [Save::Coco, Save::Png].map(|save| chosen.contains(&save));
    let plan = Plan::new(sources, |source| pictures.pages(source), &args.out, args.overwrite, pair);
    let outputs = Outputs::new(&args.exports, &plan, (&args.out, args.overwrite));
    for notice in &plan.notices {
        note!("note: {notice}");
    }
    let mut summary = Summary::new(plan.jobs.len());
    let mut all_written = true;
    if plan.has_work() {
        let (detector, key, tiling, way) = match open(args, &outputs) {
            Ok(opened) => opened,
            Err(e) => return super::finish(Err(e)),
        };
        say!("{} on {}, {}", detector.config().name, detector.device().name(), detector.precision());
        let filter = match args.exports.filter(&detector.config().class_names) {
            Ok(filter) => filter,
            Err(e) => return super::finish(Err(e)),
        };
        let movies = match Movies::new(&plan, &pictures, &outputs) {
            Ok(movies) => movies,
            Err(e) => return super::finish(Err(e)),
        };
        let looks = match Looks::new(&detector, way) {
            Ok(looks) => looks,
            Err(e) => return super::finish(Err(e)),
        };
        let work_of = Work::new(args, &plan, &pictures, (&detector, looks), (key, tiling), (&outputs, filter, movies));
        let times = work(&work_of, &mut summary);
        all_written = work_of.end_movies();
        summary.tell(Some(times));
        summary.write(&args.out, args.overwrite, &detector, args.score);
        all_written &= outputs.write_run(&plan, &detector, args.score);
    } else {
        // Nothing to wait for a device for.
        for job in &plan.jobs {
            if let Err(e) = plan.check(job) {
                complain(job.name(), e, &mut summary);
            }
        }
        summary.tell(None);
    }
    match (stopping::asked(), summary.has_failures() || !all_written) {
        (true, _) => ExitCode::from(stopping::STATUS),
        (false, true) => ExitCode::FAILURE,
        (false, false) => ExitCode::SUCCESS,
    }
}

/// The pictures, one after the other; where the time went.
fn work(work: &Work, summary: &mut Summary) -> Times {
    let count = work.plan.jobs.len();
    stopping::watch();
    let progress = Progress::new(count);
    let cores = || std::thread::available_parallelism().map_or(2, usize::from).clamp(2, JOBS);
    let jobs = work.args.jobs.map_or_else(cores, usize::from);
    stages::overlap(
        (count, usize::from(work.args.batch), jobs),
        |i| work.read(i),
        |read| work.detect(read),
        |i, detected| work.write(i, detected),
        |i, written: Result<Step<Written>>| {
            match written {
                Ok(Step::Of(Written { line, counts })) => {
                    say!("{line}");
                    summary.done(counts);
                }
                Ok(Step::Finished(counts)) => {
                    summary.finished(counts);
                    return progress.skip();
                }
                Ok(Step::Stopped) => return summary.left(),
                Err(e) => complain(work.plan.jobs[i].name(), e, summary),
            }
            progress.step();
        },
    );
    let times = work.times();
    progress.finish();
    work.args.reading.finish();
    work.finish();
    times
}

/// Says what is wrong with a picture.
fn complain(name: String, e: Error, summary: &mut Summary) {
    // A file's own error names it, unless it was found wanting by its size alone.
    let (e, reason) = match e {
        Error::Image { name: own, reason } => {
            let named = if own.is_empty() { name.clone() } else { own };
            (format!("{}", Error::Image { name: named, reason: reason.clone() }), reason)
        }
        Error::Io { path, source } => {
            let reason = source.to_string();
            (format!("{}", Error::Io { path, source }), reason)
        }
        e => (format!("image {name}: {e}"), e.to_string()),
    };
    note!("error: {e}");
    summary.failed(name, reason);
}

/// The detector, once it is known that there is a place for what it finds, and what to mark its results with.
fn open(args: &Args, outputs: &Outputs) -> Result<(Detector, RunKey, Tiling, Way)> {
    results::check_folder(&args.out)?;
    outputs.sweep();
    outputs.check_run()?;
    let tiling = args.tiles.tiling(args.score, args.batch)?;
    let way = args.mode.way()?;
    if !way.is_plain() && args.tiles.are_wanted() {
        let reason = "looks at whole pictures, not at tiles: leave out --tile, --overlap and --no-whole, or this";
        return Err(Error::Config { setting: args.mode.told(), reason: reason.into() });
    }
    let (detector, weights) = args.model.open_with_checksum(Some(args.score), args.mode.boxes_only())?;
    let settings = args.reading.settings() + &way.settings() + &args.tiles.settings() + &args.exports.settings();
    let key = RunKey::new(weights, &detector, &settings, args.score)?;
    Ok((detector, key, tiling, way))
}

/// What was found, for a picture's line.
fn told(found: &Detections, score: f32) -> String {
    if found.is_empty() {
        // COCO's ids have holes.
        let names = found.classes.iter().skip(1).map(String::as_str);
        let classes: Vec<&str> = names.filter(|n| *n != "N/A").collect();
        let some = classes.iter().take(12).copied().collect::<Vec<_>>().join(", ");
        let more = if classes.len() > 12 { format!(", … ({} in all)", classes.len()) } else { String::new() };
        return format!("nothing found above {score} (this model knows: {some}{more})");
    }
    let counts = found.counts_by_class();
    counts.iter().map(|&(label, n)| format!("{n} × {}", found.name(label))).collect::<Vec<_>>().join(", ")
}
