//! `maskrcnn propose`

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use maskrcnn::engine::vision::coco::{CocoResult, ImageId};
use maskrcnn::engine::vision::results::{check_folder, is_ours, save_results_atomic};
use maskrcnn::{Config, Error, Result, SelectiveSearch, selective_search};

use super::complain;
use super::names::absolute;
use super::pictures::Pictures;
use super::plan::{Job, Plan};
use super::summary::Summary;
use crate::cli::progress::Progress;
use crate::cli::reading::Reading;
use crate::cli::sources::Sources;
use crate::cli::stopping;
use crate::cli::words::count;

/// Most boxes of a file: it is made in memory, where 2 Mi of them take about a gigabyte.
const MOST: usize = 2 << 20;

/// The options of `propose`.
#[derive(clap::Args)]
pub(in crate::cli) struct Args {
    /// Images, as `detect` takes them.
    #[arg(required = true)]
    images: Vec<PathBuf>,
    /// Look into folders below those that are named, too.
    #[arg(long)]
    recursive: bool,
    #[command(flatten)]
    reading: Reading,
    /// The file to write, for `detect --proposals`: COCO results of one category, the first box of an image with a score
    /// of 1, and so on down. Images have the ids that `detect` gives them.
    #[arg(long, value_name = "FILE.json")]
    out: PathBuf,
    /// Replace a file that this program did not write, or that was changed since.
    #[arg(long)]
    overwrite: bool,
    /// Most boxes an image.
    #[arg(long, value_name = "N", default_value_t = SelectiveSearch::default().max_boxes, value_parser = boxes)]
    max_boxes: usize,
    /// Shrink an image with a longer side to this many pixels first, for the search alone.
    #[arg(long, value_name = "PIXELS", default_value_t = SelectiveSearch::default().max_side,
        value_parser = clap::value_parser!(u32).range(16..=8192))]
    max_side: u32,
}

/// Searches every image; those that cannot be read are reported, and make the exit code.
pub(in crate::cli) fn run(args: &Args) -> ExitCode {
    search(args).unwrap_or_else(|e| crate::cli::finish(Err(e)))
}

fn search(args: &Args) -> Result<ExitCode> {
    let pictures = Pictures::new(&args.reading);
    let sources = Sources::find(&args.images, args.recursive);
    // Nothing is written beside the one file: there is no result to be in the way.
    let plan = Plan::new(sources, |source| pictures.pages(source), Path::new(""), true, [false; 2]);
    check(args, &plan)?;
    plan.notices.iter().for_each(|notice| note!("note: {notice}"));
    let mut settings = SelectiveSearch::default();
    (settings.max_boxes, settings.max_side) = (args.max_boxes, args.max_side);

    stopping::watch();
    let (mut summary, mut found, mut shrunk) = (Summary::new(plan.jobs.len()), Vec::new(), 0);
    let progress = Progress::new(plan.jobs.len());
    for job in &plan.jobs {
        if stopping::asked() {
            break;
        }
        match one(args, &pictures, job, &settings) {
            Ok((line, boxes, smaller)) => {
                say!("{line}");
                if smaller {
                    shrunk += 1;
                }
                found.push((job.id.clone(), boxes));
            }
            Err(e) => complain(job.name(), e, &mut summary),
        }
        progress.step();
    }
    progress.finish();
    args.reading.finish();
    if shrunk > 0 {
        note!(
            "note: {} searched with a long side of {} pixels, being larger (--max-side changes this)",
            count(shrunk, "image"),
            args.max_side
        );
    }
    if stopping::asked() {
        note!("{} not written: not all images were searched", args.out.display());
        return Ok(ExitCode::from(stopping::STATUS));
    }
    if found.is_empty() {
        return Ok(ExitCode::FAILURE);
    }
    // Once more: a run may take long.
    check(args, &plan)?;
    let all: Vec<CocoResult> = found.into_iter().flat_map(|(id, boxes)| results(id, boxes)).collect();
    save_results_atomic(&args.out, &all)?;
    say!("{} -> {}", count(all.len(), "box"), args.out.display());
    Ok(if summary.has_failures() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// A picture's boxes, its line, and whether it had to be shrunk.
fn one(
    args: &Args,
    pictures: &Pictures,
    job: &Job,
    settings: &SelectiveSearch,
) -> Result<(String, Vec<[f32; 4]>, bool)> {
    let (bytes, page) = pictures.file(&job.source, job.page)?;
    let image = args.reading.decode(&bytes, &job.name(), page)?;
    let begin = Instant::now();
    let boxes = selective_search(&image, settings, |_, _| {})?;
    let line = format!("{}: {}, {:.2} s", job.name(), count(boxes.len(), "box"), begin.elapsed().as_secs_f64());
    Ok((line, boxes, image.width().max(image.height()) > settings.max_side))
}

/// A picture's entries: the scores fall evenly from 1.
fn results(id: ImageId, boxes: Vec<[f32; 4]>) -> impl Iterator<Item = CocoResult> {
    let n = boxes.len();
    boxes.into_iter().enumerate().map(move |(i, [x1, y1, x2, y2])| CocoResult {
        image_id: id.clone(),
        category_id: 1,
        category_name: "object".into(),
        bbox: [x1, y1, x2 - x1, y2 - y1],
        score: (n - i) as f32 / n as f32,
        segmentation: None,
    })
}

/// Refuses a file that cannot be written or is somebody else's, and more boxes than there is room for.
fn check(args: &Args, plan: &Plan) -> Result<()> {
    let refuse = |reason: String| Err(Error::Dataset { file: args.out.display().to_string(), reason });
    let folder = args.out.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        return refuse(format!("there is no folder {}: make it first", folder.display()));
    }
    check_folder(folder)?;
    if plan.jobs.iter().any(|job| absolute(job.source.path()) == absolute(&args.out)) {
        return refuse("is one of the images: name another file with --out".into());
    }
    match args.out.metadata() {
        Ok(about) if about.is_dir() => return refuse("is a folder: name a file with --out".into()),
        Ok(about) if about.is_file() && !args.overwrite && !is_ours(&args.out) => {
            return refuse(
                "is there already, and was written or changed by somebody else; name another file with --out, or replace it \
                 with --overwrite"
                    .into(),
            );
        }
        _ => {}
    }
    let most = plan.jobs.len().saturating_mul(args.max_boxes);
    if plan.jobs.len() > 1 && most > MOST {
        return refuse(format!(
            "could get {most} boxes, and has room for {MOST}: name fewer images, ask for fewer boxes with --max-boxes, or use \
             `detect --mode fast`, which keeps none"
        ));
    }
    Ok(())
}

/// A number of boxes that `detect` takes.
fn boxes(text: &str) -> Result<usize, String> {
    let most = Config::MOST_DETECTIONS;
    match text.parse() {
        Ok(n) if (1..=most).contains(&n) => Ok(n),
        _ => Err(format!("is not a number of boxes, 1 to {most}")),
    }
}
