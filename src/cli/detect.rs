//! `maskrcnn detect`

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use maskrcnn::vision::{coco, overlay, save_png_atomic};
use maskrcnn::{Detections, Detector, Error, Image, Result};

use super::model::Model;

/// The options of `detect`.
#[derive(clap::Args)]
pub struct Args {
    /// Images: PNG, JPEG, TIFF, BMP, WebP or GIF.
    #[arg(required = true)]
    images: Vec<PathBuf>,
    #[command(flatten)]
    model: Model,
    /// Folder for the results; made if it is not there.
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
    /// Leave out what scores less.
    #[arg(long, default_value_t = 0.5, value_parser = score)]
    score: f32,
}

fn score(text: &str) -> Result<f32, String> {
    let value: f32 = text.parse().map_err(|_| "is not a number".to_string())?;
    if (0.0..=1.0).contains(&value) { Ok(value) } else { Err("is not between 0 and 1".into()) }
}

/// Does every image; those that cannot be done are reported, and make the exit code.
pub fn run(args: &Args) -> ExitCode {
    let detector = match open(args) {
        Ok(detector) => detector,
        Err(e) => return super::finish(Err(e)),
    };
    println!("{} on {}", detector.config().name, detector.device().name());
    let names = file_names(&args.images);
    let mut failed = 0;
    for (path, name) in args.images.iter().zip(&names) {
        if let Err(e) = one(args, &detector, path, name) {
            match &e {
                // These name the file themselves.
                Error::Image { .. } | Error::Io { .. } => eprintln!("error: {e}"),
                _ => eprintln!("error: image {}: {e}", path.display()),
            }
            failed += 1;
        }
    }
    if failed == 0 {
        return ExitCode::SUCCESS;
    }
    if args.images.len() > 1 {
        eprintln!("{failed} of {} images failed", args.images.len());
    }
    ExitCode::FAILURE
}

fn open(args: &Args) -> Result<Detector> {
    let detector = args.model.open(Some(args.score))?;
    std::fs::create_dir_all(&args.out).map_err(|source| Error::Io { path: args.out.clone(), source })?;
    Ok(detector)
}

/// The stem of each image's results: its own, or, where two images share one, its whole file name, then a number.
fn file_names(images: &[PathBuf]) -> Vec<String> {
    let part = |p: Option<&std::ffi::OsStr>| p.map_or("image".into(), |s| s.to_string_lossy().into_owned());
    let stems: Vec<String> = images.iter().map(|p| part(p.file_stem())).collect();
    let mut taken = HashSet::new();
    let mut out = Vec::new();
    for (i, stem) in stems.iter().enumerate() {
        let shared = stems.iter().filter(|s| *s == stem).count() > 1;
        let base = if shared { part(images[i].file_name()) } else { stem.clone() };
        let numbered = std::iter::once(base.clone()).chain((2..).map(|n| format!("{base}-{n}")));
        let name = numbered.into_iter().find(|n| !taken.contains(n)).unwrap_or(base);
        taken.insert(name.clone());
        out.push(name);
    }
    out
}

fn one(args: &Args, detector: &Detector, path: &Path, name: &str) -> Result<()> {
    let results @ [json, png] = &["json", "png"].map(|ending| args.out.join(format!("{name}.{ending}")));
    for file in results {
        refuse_overwriting(&args.images, path, file)?;
    }
    let image = Image::open(path)?;
    let begin = Instant::now();
    let found = detector.detect(&image).map_err(|e| match e {
        Error::Image { reason, .. } => Error::Image { name: path.display().to_string(), reason },
        other => other,
    })?;
    let seconds = begin.elapsed().as_secs_f64();
    let found = found.above(args.score);
    save_png_atomic(png, &overlay(&image, &found))?;
    if let Err(e) = coco::write_results(json, &coco::results(&found, name)) {
        // Results come in pairs or not at all. What is left of a failed removal is a whole picture.
        let _ = std::fs::remove_file(png);
        return Err(e);
    }
    println!(
        "{}: {}, {seconds:.2} s -> {}, {}",
        path.display(),
        summary(&found, args.score),
        json.display(),
        png.display()
    );
    Ok(())
}

/// Results never replace a picture of this run, which may not have been read yet, nor a folder.
fn refuse_overwriting(images: &[PathBuf], image: &Path, result: &Path) -> Result<()> {
    let refuse = |reason: String| Err(Error::Image { name: image.display().to_string(), reason });
    if result.is_dir() {
        return refuse(format!(
            "its result {} is a folder; remove it, or name another folder with --out",
            result.display()
        ));
    }
    let Ok(result) = result.canonicalize() else { return Ok(()) };
    match images.iter().find(|i| i.canonicalize().is_ok_and(|i| i == result)) {
        None => Ok(()),
        Some(i) => refuse(format!("its results would replace {}; name another folder with --out", i.display())),
    }
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
