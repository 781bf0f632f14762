//! `maskrcnn eval`

mod detected;
mod out;
mod page;
mod picture;
mod show;

use std::path::PathBuf;

use maskrcnn::engine::eval::{
    Annotations, Evaluation, ImagePairs, Kind, MAX_DETS, Matching, Paired, Results, evaluate, matching,
    matching_thresholds,
};
use maskrcnn::{Error, Result};

pub(super) use self::detected::{check_size, place};
use super::model::Model;
use super::reading::Reading;
use super::words::count;

/// The options of `eval`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// What there is to be found: a COCO file of annotations.
    #[arg(long, value_name = "FILE.json")]
    annotations: PathBuf,
    /// What was found: a COCO results file, or a folder of them as `detect` writes it. Images are named by their ids, or
    /// all by their files' stems. Without, the detector is run on --images.
    #[arg(long, value_name = "FILE.json|DIR", required_unless_present = "images")]
    results: Option<PathBuf>,
    /// The folder of the annotations' images.
    #[arg(long, value_name = "DIR")]
    images: Option<PathBuf>,
    #[command(flatten)]
    model: Model,
    #[command(flatten)]
    reading: Reading,
    /// Ask the detector for results from this score on. Default: the model's own limit, of most 0.05.
    #[arg(long, value_name = "SCORE", value_parser = super::share, conflicts_with = "results")]
    lowest: Option<f32>,
    /// Most results of an image and class that count: three numbers as COCO has them, or the last of those alone.
    #[arg(long, value_name = "N,N,N", default_value = "1,10,100", value_parser = max_dets)]
    max_dets: [usize; 3],
    /// Also the numbers of each class.
    #[arg(long)]
    per_class: bool,
    /// Whether a result is small, medium or large: by its mask's pixels wherever it has one, as detectron2 does it.
    /// Without, by its box where the first result has one, as pycocotools does it.
    #[arg(long)]
    mask_areas: bool,
    /// Results that score less do not count where results and objects are matched one to one, and are not drawn.
    /// Average precision is of all results.
    #[arg(long, default_value_t = super::detect::SCORE, value_parser = super::share)]
    score: f32,
    /// Print the numbers as JSON.
    #[arg(long)]
    json: bool,
    /// Folder for precision by recall and scores as SVG, for the detector's results where it was run, and for a page
    /// (`index.html`) with all of that and, with --images, the images with the most mistakes.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Replace files in that folder that this program did not write, or that were changed since.
    #[arg(long, requires = "out")]
    overwrite: bool,
    /// Images on the page.
    #[arg(long, value_name = "N", default_value_t = 12)]
    worst: usize,
}

/// What was worked out.
struct Outcome {
    paired: Paired,
    /// Name of what was judged.
    results: String,
    evaluations: Vec<Evaluation>,
    /// What the matching is of.
    kind: Kind,
    score: f64,
    matching: Vec<Matching>,
    /// Of each image, at the first IoU of the matching.
    images: Vec<ImagePairs>,
}

/// Judges results, and prints the numbers.
pub(super) fn run(args: &Args) -> Result<()> {
    args.out.as_deref().map_or(Ok(()), |folder| out::check(folder, args.overwrite))?;
    let annotations = Annotations::read(&args.annotations)?;
    let (name, results, found) = match (&args.results, &args.images) {
        (Some(path), _) => (path.display().to_string(), Results::read(path)?, None),
        (None, Some(folder)) => {
            let (name, found) = detected::results(args, &annotations, folder)?;
            (name.clone(), Results::of(&name, found.clone()), Some(found))
        }
        // The command line's reader asks for one of them.
        (None, None) => return Err(Error::Config { setting: "--results".into(), reason: "is needed".into() }),
    };
    let outcome = judge(args, annotations, name, results)?;
    for note in outcome.paired.annotations.notes.iter().chain(&outcome.paired.notes) {
        note!("note: {note}");
    }
    if let Some((results, images)) = outcome.evaluations.first().map(|e| e.left_out).filter(|l| l.0 > 0) {
        note!(
            "note: {} not counted, being beyond the {} of an image and class that are, in {} (--max-dets changes this)",
            count(results, "result"),
            args.max_dets[2],
            count(images, "image")
        );
    }
    match args.json {
        true => say!("{:#}", show::json(&outcome)),
        false => show::text(&outcome, args.per_class).iter().for_each(|line| say!("{line}")),
    }
    if let Some(folder) = &args.out {
        let written = out::write(args, &outcome, found.as_deref(), folder)?;
        let names: Vec<String> = written.iter().map(|path| path.display().to_string()).collect();
        note!("written: {}", names.join(", "));
    }
    // The detector's pictures were told of when it was done.
    if found.is_none() {
        args.reading.finish();
    }
    Ok(())
}

fn judge(args: &Args, annotations: Annotations, results: String, entries: Results) -> Result<Outcome> {
    let paired = Paired::new(annotations, entries, args.mask_areas)?;
    let kinds: &[Kind] = if paired.has_masks { &[Kind::Boxes, Kind::Masks] } else { &[Kind::Boxes] };
    let evaluations: Vec<Evaluation> = kinds.iter().map(|&kind| evaluate(&paired, kind, args.max_dets)).collect();
    let kind = if paired.has_masks { Kind::Masks } else { Kind::Boxes };
    // What was written as 0.7 is asked for as that, not as the nearest f32.
    let score: f64 = args.score.to_string().parse().unwrap_or_else(|_| args.score.into());
    let (sums, images) = matching(&paired, kind, score, &matching_thresholds());
    Ok(Outcome { paired, results, evaluations, kind, score, matching: sums, images })
}

/// Three rising numbers, or the last of them.
fn max_dets(text: &str) -> Result<[usize; 3], String> {
    let numbers: Option<Vec<usize>> = text.split(',').map(|n| n.trim().parse().ok().filter(|&n| n > 0)).collect();
    let rising = match numbers.as_deref() {
        Some(&[last]) => [MAX_DETS[0].min(last), MAX_DETS[1].min(last), last],
        Some(&[a, b, c]) => [a, b, c],
        _ => return Err("give three numbers from 1 on, as in 1,10,100, or one".into()),
    };
    if rising.is_sorted() { Ok(rising) } else { Err("the three numbers are to rise".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_results_are_read() {
        assert_eq!(max_dets("1,10,100"), Ok([1, 10, 100]));
        assert_eq!(max_dets("300"), Ok([1, 10, 300]));
        assert_eq!(max_dets("5"), Ok([1, 5, 5]));
        for bad in ["", "1,2", "0", "3,2,1", "1,2,3,4", "a", "1,-2,3"] {
            assert!(max_dets(bad).is_err(), "{bad}");
        }
    }
}
