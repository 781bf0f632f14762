//! `maskrcnn detect`

mod names;
mod plan;
mod stages;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use maskrcnn::engine::vision::{coco, overlay, results};
use maskrcnn::{Config, Detections, Detector, Error, Image, Result};

use self::plan::{Job, Plan};
use super::model::Model;
use super::reading::Reading;

/// What is left out scores less, unless told otherwise.
pub(super) const SCORE: f32 = 0.5;

/// Where results go unless told otherwise: a folder that holds nothing else.
const OUT: &str = "maskrcnn-out";

/// The options of `detect`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Images: PNG, JPEG, TIFF, BMP, WebP or GIF.
    #[arg(required = true)]
    images: Vec<PathBuf>,
    #[command(flatten)]
    model: Model,
    #[command(flatten)]
    reading: Reading,
    /// Folder for the results, <stem>.json and <stem>.png for each image; made if it is not there. Images that share a
    /// stem have their endings or folders in the names of their results. `image_id` in the JSON is the stem: a number
    /// where it is all digits and no other image of the call is that number (of 7.png and 007.png, 7 and "007").
    #[arg(long, value_name = "DIR", default_value = OUT)]
    out: PathBuf,
    /// Replace files in that folder that this program did not write, or that were changed since. Its own are replaced
    /// without; the images of this call never.
    #[arg(long)]
    overwrite: bool,
    /// Leave out what scores less.
    #[arg(long, default_value_t = SCORE, value_parser = super::share)]
    score: f32,
    /// Images a submit: of those that come next to each other, the ones of one padded size go through the network
    /// together, as far as the GPU's memory allows.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=64))]
    batch: u8,
}

/// Does every image; those that cannot be done are reported, and make the exit code. While the GPU does one, the next
/// ones are decoded and the results of the former ones written.
pub(super) fn run(args: &Args) -> ExitCode {
    let plan = Plan::new(&args.images, &args.out, args.overwrite);
    for notice in &plan.notices {
        note!("note: {notice}");
    }
    let mut failed = 0;
    let mut told = |i: usize, told: Result<String>| match told {
        Ok(line) => say!("{line}"),
        Err(e) => {
            failed += 1;
            complain(&plan.jobs[i].image, e);
        }
    };
    if plan.has_work() {
        let detector = match open(args) {
            Ok(detector) => detector,
            Err(e) => return super::finish(Err(e)),
        };
        say!("{} on {}, {}", detector.config().name, detector.device().name(), detector.precision());
        stages::overlap(
            (plan.jobs.len(), usize::from(args.batch)),
            |i| plan.check(&plan.jobs[i]).and_then(|()| args.reading.open(&plan.jobs[i].image)),
            |images| detect(&detector, images),
            |i, found| write(args, &plan.jobs[i], found?, detector.config()),
            told,
        );
        args.reading.finish();
    } else {
        // Nothing to wait for a device for.
        plan.jobs.iter().enumerate().for_each(|(i, job)| told(i, plan.check(job).map(|()| String::new())));
    }
    if failed == 0 {
        return ExitCode::SUCCESS;
    }
    if plan.jobs.len() > 1 {
        note!("{failed} of {} images failed", plan.jobs.len());
    }
    ExitCode::FAILURE
}

fn complain(path: &Path, e: Error) {
    match e {
        // This names the file itself, unless it was found wanting by its size alone.
        Error::Image { name, reason } => {
            let name = if name.is_empty() { path.display().to_string() } else { name };
            note!("error: {}", Error::Image { name, reason });
        }
        Error::Io { .. } => note!("error: {e}"),
        e => note!("error: image {}: {e}", path.display()),
    }
}

/// The detector, once it is known that there is a place for what it finds.
fn open(args: &Args) -> Result<Detector> {
    results::check_folder(&args.out)?;
    results::sweep(&args.out);
    args.model.open(Some(args.score))
}

/// An image with what was found in it.
struct Detected {
    image: Image,
    found: Detections,
    seconds: f64,
}

/// Writes the results; gives the line to tell.
fn write(args: &Args, job: &Job, done: Detected, config: &Config) -> Result<String> {
    let found = done.found.above(args.score);
    job.pair.write(&overlay(&done.image, &found), &coco::results(&found, job.id.clone()), args.overwrite)?;
    Ok(format!(
        "{}: {}{}, {:.2} s -> {}, {}",
        job.image.display(),
        summary(&found, args.score),
        super::crowding::told(&found, config),
        done.seconds,
        job.pair.json().display(),
        job.pair.png().display()
    ))
}

/// What is in each image that could be read. The time of a batch is shared out evenly.
fn detect(detector: &Detector, images: Vec<Result<Image>>) -> Vec<Result<Detected>> {
    let one = |image: Image| {
        // A size's first image is not slower for what is compiled before it.
        detector.warm_up(image.height(), image.width())?;
        let begin = Instant::now();
        let found = detector.detect(&image)?;
        Ok(Detected { found, image, seconds: begin.elapsed().as_secs_f64() })
    };
    let begin = Instant::now();
    let (good, bad): (Vec<_>, Vec<_>) = images.into_iter().enumerate().partition(|(_, image)| image.is_ok());
    let (places, good): (Vec<usize>, Vec<Image>) = good.into_iter().filter_map(|(i, r)| Some((i, r.ok()?))).unzip();
    // One by one where there is but one, and where one of them spoils the batch, to tell which.
    let batch = if good.len() > 1 { detector.detect_batch(&good).ok() } else { None };
    let seconds = begin.elapsed().as_secs_f64() / good.len().max(1) as f64;
    let done: Vec<Result<Detected>> = match batch {
        None => good.into_iter().map(one).collect(),
        Some(all) => good.into_iter().zip(all).map(|(image, found)| Ok(Detected { image, found, seconds })).collect(),
    };
    let mut out: Vec<(usize, Result<Detected>)> = places.into_iter().zip(done).collect();
    out.extend(bad.into_iter().filter_map(|(i, r)| Some((i, Err(r.err()?)))));
    out.sort_by_key(|o| o.0);
    out.into_iter().map(|o| o.1).collect()
}

fn summary(found: &Detections, score: f32) -> String {
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
