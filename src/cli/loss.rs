//! `maskrcnn loss`

mod samples;
mod truths;

use std::path::PathBuf;

use maskrcnn::engine::eval::{Annotations, ImageInfo};
use maskrcnn::{Detector, Error, LossOptions, Losses, Precision, Result, Sampled};
use serde_json::{Value, json};

use self::samples::Samples;
use self::truths::Truths;
use super::eval::{check_size, place};
use super::model::Model;
use super::reading::Reading;
use super::words::{count, width};

/// The options of `loss`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// What there is in the images: a COCO file of annotations. Crowds are left out.
    #[arg(long, value_name = "FILE.json")]
    annotations: PathBuf,
    /// The folder of the annotations' images.
    #[arg(long, value_name = "DIR")]
    images: PathBuf,
    #[command(flatten)]
    model: Model,
    #[command(flatten)]
    reading: Reading,
    /// Leave the masks out: the loss of a Faster R-CNN, for annotations without masks.
    #[arg(long)]
    boxes_only: bool,
    /// The seed by which anchors and RoIs are sampled: the same ones of the same seed and annotations, on every device.
    #[arg(long, value_name = "N", default_value_t = 0, conflicts_with = "sampled")]
    seed: u64,
    /// Take the anchors and RoIs of this file instead, as --save-sampled or another program wrote it.
    #[arg(long, value_name = "FILE.json")]
    sampled: Option<PathBuf>,
    /// Write which anchors and RoIs were sampled, for another run or another program.
    #[arg(long, value_name = "FILE.json")]
    save_sampled: Option<PathBuf>,
    /// Replace that file, though this program did not write it, or it was changed since.
    #[arg(long, requires = "save_sampled")]
    overwrite: bool,
    /// Print the numbers as JSON.
    #[arg(long)]
    json: bool,
}

/// What was worked out for an image.
struct Row<'a> {
    image: &'a ImageInfo,
    truths: usize,
    losses: Losses,
}

/// Computes the loss of every image, and prints it.
pub(super) fn run(args: &Args) -> Result<()> {
    args.save_sampled.as_deref().map_or(Ok(()), |path| samples::check(path, args.overwrite))?;
    let annotations = Annotations::read(&args.annotations)?;
    let given = args.sampled.as_deref().map(Samples::read).transpose()?;
    let places: Vec<PathBuf> =
        annotations.images.iter().map(|image| place(image, &args.images, &annotations.file)).collect::<Result<_>>()?;
    let samples: Vec<Option<Sampled>> = match &given {
        None => vec![None; places.len()],
        Some(given) => annotations.images.iter().map(|image| given.of(image).map(Some)).collect::<Result<_>>()?,
    };
    let detector = args.model.open_with_checksum(None, args.boxes_only)?.0;
    if detector.precision() != Precision::F32 {
        note!("note: products are of factors rounded to f16 (--precision f32 changes this)");
    }
    let truths = Truths::new(&detector, &annotations)?;
    annotations.notes.iter().chain(&truths.notes).for_each(|note| note!("note: {note}"));

    let mut rows = Vec::with_capacity(places.len());
    for (at, ((image, path), samples)) in annotations.images.iter().zip(&places).zip(&samples).enumerate() {
        let picture = args.reading.open(path)?;
        check_size(image, &picture, path, &annotations.file)?;
        let of_image = truths.of(at, &picture)?;
        let losses = match samples {
            Some(sampled) => detector.loss_of(&picture, &of_image, sampled),
            None => detector.loss(&picture, &of_image, &LossOptions { seed: args.seed, image: at as u32 }),
        };
        let losses = losses.map_err(|e| named(e, args, &path.display().to_string()))?;
        rows.push(Row { image, truths: of_image.len(), losses });
        if (at + 1) % 10 == 0 {
            note!("{} of {} done", at + 1, count(places.len(), "image"));
        }
    }
    args.reading.finish();
    if rows.is_empty() {
        let reason = "lists no images, so there is no loss".into();
        return Err(Error::Dataset { file: annotations.file.clone(), reason });
    }
    match args.json {
        true => say!("{:#}", as_json(args, &detector, &annotations, &rows)),
        false => lines(&rows).iter().for_each(|line| say!("{line}")),
    }
    if let Some(path) = &args.save_sampled {
        samples::write(path, rows.iter().map(|r| (r.image, &r.losses.sampled)), args.overwrite)?;
        note!("written: {}", path.display());
    }
    Ok(())
}

/// An error that names the image it is of, and the file of the samples where these are at fault.
fn named(error: Error, args: &Args, image: &str) -> Error {
    match error {
        Error::Dataset { reason, .. } => Error::Dataset {
            file: args.sampled.as_deref().map_or_else(String::new, |path| path.display().to_string()),
            reason: format!("{image}: {reason}"),
        },
        Error::GivenBox { index, reason } => Error::Dataset {
            file: args.annotations.display().to_string(),
            reason: format!("{image}: object {} of the image {reason}", index + 1),
        },
        other => other,
    }
}

/// The terms by torchvision's names, in its order; the last is their sum.
fn terms(losses: &Losses) -> Vec<(&'static str, f64)> {
    let own = [
        ("loss_classifier", Some(losses.classifier)),
        ("loss_box_reg", Some(losses.bbox)),
        ("loss_mask", losses.mask),
        ("loss_objectness", Some(losses.objectness)),
        ("loss_rpn_box_reg", Some(losses.rpn_box)),
        ("loss", Some(losses.total())),
    ];
    // As decimals that are read back as what they were.
    let exact = |v: f32| v.to_string().parse().unwrap_or_else(|_| f64::from(v));
    own.into_iter().filter_map(|(name, v)| Some((name, exact(v?)))).collect()
}

/// The mean of each term over the images.
fn means(rows: &[Row]) -> Vec<(&'static str, f64)> {
    let mut sums: Vec<(&str, f64)> = Vec::new();
    for (i, (name, v)) in rows.iter().flat_map(|r| terms(&r.losses).into_iter().enumerate()) {
        match sums.get_mut(i) {
            Some(sum) => sum.1 += v,
            None => sums.push((name, v)),
        }
    }
    sums.into_iter().map(|(name, sum)| (name, sum / rows.len() as f64)).collect()
}

fn lines(rows: &[Row]) -> Vec<String> {
    let names: Vec<String> = rows.iter().map(|r| name(r.image)).collect();
    let last = format!("mean of {}", count(rows.len(), "image"));
    let wide = width(names.iter().chain([&last]));
    let mean = means(rows);
    let heads: String = mean.iter().map(|(name, _)| format!("  {:>11}", name.trim_start_matches("loss_"))).collect();
    let mut out = vec![format!("{:<wide$}  truths  anchors     RoIs{heads}", "image")];
    let numbers = |terms: Vec<(&str, f64)>| terms.iter().map(|(_, v)| format!("  {v:>11.6}")).collect::<String>();
    for (row, name) in rows.iter().zip(&names) {
        let s = &row.losses.sampled;
        let anchors = format!("{}+{}", s.positive_anchors.len(), s.negative_anchors.len());
        let rois = format!("{}+{}", s.positive_rois.len(), s.negative_rois.len());
        let numbers = numbers(terms(&row.losses));
        out.push(format!("{name:<wide$}  {:>6}  {anchors:>7}  {rois:>7}{numbers}", row.truths));
    }
    out.push(format!("{last:<wide$}  {:>6}  {:>7}  {:>7}{}", "", "", "", numbers(mean)));
    out
}

fn name(image: &ImageInfo) -> String {
    if image.file_name.is_empty() { format!("{:?}", image.id) } else { image.file_name.clone() }
}

fn as_json(args: &Args, detector: &Detector, annotations: &Annotations, rows: &[Row]) -> Value {
    let object = |terms: Vec<(&str, f64)>| -> serde_json::Map<String, Value> {
        terms.into_iter().map(|(name, v)| (name.to_string(), json!(v))).collect()
    };
    let row = |row: &Row| {
        let s = &row.losses.sampled;
        let mut out = object(terms(&row.losses));
        out.insert("image_id".into(), json!(row.image.id));
        out.insert("file_name".into(), json!(row.image.file_name));
        out.insert("truths".into(), json!(row.truths));
        out.insert("anchors".into(), json!([s.positive_anchors.len(), s.negative_anchors.len()]));
        out.insert("rois".into(), json!([s.positive_rois.len(), s.negative_rois.len()]));
        Value::Object(out)
    };
    json!({
        "annotations": annotations.file,
        "model": detector.config().name,
        "device": detector.device().name(),
        "precision": detector.precision().to_string(),
        "seed": args.sampled.is_none().then_some(args.seed),
        "sampled": args.sampled.as_ref().map(|path| path.display().to_string()),
        "images": rows.iter().map(row).collect::<Vec<_>>(),
        "mean": object(means(rows)),
    })
}
