//! `maskrcnn detect`

mod stages;

use std::collections::{HashMap, HashSet};
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
    /// Images a submit: of those that come next to each other, the ones of one padded size go through the network
    /// together, as far as the GPU's memory allows.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=64))]
    batch: u8,
}

fn score(text: &str) -> Result<f32, String> {
    let value: f32 = text.parse().map_err(|_| "is not a number".to_string())?;
    if (0.0..=1.0).contains(&value) { Ok(value) } else { Err("is not between 0 and 1".into()) }
}

/// Does every image; those that cannot be done are reported, and make the exit code. While the GPU does one, the next
/// ones are decoded and the results of the former ones written.
pub fn run(args: &Args) -> ExitCode {
    let detector = match open(args) {
        Ok(detector) => detector,
        Err(e) => return super::finish(Err(e)),
    };
    println!("{} on {}, {}", detector.config().name, detector.device().name(), detector.precision());
    let jobs = Jobs::new(args);
    let mut failed = 0;
    stages::overlap(
        (args.images.len(), usize::from(args.batch)),
        |i| jobs.read(i),
        |images| detect(&detector, images),
        |i, found| jobs.write(i, found?),
        |i, told| match told {
            Ok(line) => println!("{line}"),
            Err(e) => {
                failed += 1;
                complain(&args.images[i], e);
            }
        },
    );
    if failed == 0 {
        return ExitCode::SUCCESS;
    }
    if args.images.len() > 1 {
        eprintln!("{failed} of {} images failed", args.images.len());
    }
    ExitCode::FAILURE
}

fn complain(path: &Path, e: Error) {
    match e {
        // This names the file itself, unless it was found wanting by its size alone.
        Error::Image { name, reason } => {
            let name = if name.is_empty() { path.display().to_string() } else { name };
            eprintln!("error: {}", Error::Image { name, reason });
        }
        Error::Io { .. } => eprintln!("error: {e}"),
        e => eprintln!("error: image {}: {e}", path.display()),
    }
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

/// What is to be done, and what must not be done.
struct Jobs<'a> {
    args: &'a Args,
    /// The stem of each image's results.
    names: Vec<String>,
    /// Where the images lie.
    places: HashMap<PathBuf, &'a Path>,
}

/// An image with what was found in it.
struct Found {
    image: Image,
    found: Detections,
    seconds: f64,
}

impl<'a> Jobs<'a> {
    fn new(args: &'a Args) -> Self {
        let places = args.images.iter().filter_map(|i| Some((place(i)?, i.as_path()))).collect();
        Self { args, names: file_names(&args.images), places }
    }

    /// Where the JSON and the PNG of an image go.
    fn results(&self, i: usize) -> [PathBuf; 2] {
        ["json", "png"].map(|ending| self.args.out.join(format!("{}.{ending}", self.names[i])))
    }

    fn read(&self, i: usize) -> Result<Image> {
        for file in self.results(i) {
            self.refuse_overwriting(&self.args.images[i], &file)?;
        }
        Image::open(&self.args.images[i])
    }

    /// Results never replace a picture of this run, which may not have been read yet, nor a folder.
    fn refuse_overwriting(&self, image: &Path, result: &Path) -> Result<()> {
        let refuse = |reason: String| Err(Error::Image { name: image.display().to_string(), reason });
        if result.is_dir() {
            return refuse(format!(
                "its result {} is a folder; remove it, or name another folder with --out",
                result.display()
            ));
        }
        match place(result).and_then(|p| self.places.get(&p)) {
            None => Ok(()),
            Some(i) => refuse(format!("its results would replace {}; name another folder with --out", i.display())),
        }
    }

    /// Writes the results; gives the line to tell.
    fn write(&self, i: usize, done: Found) -> Result<String> {
        let [json, png] = self.results(i);
        let found = done.found.above(self.args.score);
        save_png_atomic(&png, &overlay(&done.image, &found))?;
        if let Err(e) = coco::write_results(&json, &coco::results(&found, &self.names[i])) {
            // Results come in pairs or not at all. What is left of a failed removal is a whole picture.
            let _ = std::fs::remove_file(png);
            return Err(e);
        }
        Ok(format!(
            "{}: {}, {:.2} s -> {}, {}",
            self.args.images[i].display(),
            summary(&found, self.args.score),
            done.seconds,
            json.display(),
            png.display()
        ))
    }
}

/// A path without links and detours; of a file that is not there, that of its folder with its name. A picture of this
/// run may be missing only because it is to be another's result: that is not to depend on who comes first.
fn place(path: &Path) -> Option<PathBuf> {
    if let Ok(found) = path.canonicalize() {
        return Some(found);
    }
    let folder = path.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Some(folder.canonicalize().ok()?.join(path.file_name()?))
}

/// What is in each image that could be read. The time of a batch is shared out evenly.
fn detect(detector: &Detector, images: Vec<Result<Image>>) -> Vec<Result<Found>> {
    let one = |image: Image| {
        let begin = Instant::now();
        let found = detector.detect(&image)?;
        Ok(Found { found, image, seconds: begin.elapsed().as_secs_f64() })
    };
    let begin = Instant::now();
    let (good, bad): (Vec<_>, Vec<_>) = images.into_iter().enumerate().partition(|(_, image)| image.is_ok());
    let (places, good): (Vec<usize>, Vec<Image>) = good.into_iter().filter_map(|(i, r)| Some((i, r.ok()?))).unzip();
    // One by one where there is but one, and where one of them spoils the batch, to tell which.
    let batch = if good.len() > 1 { detector.detect_batch(&good).ok() } else { None };
    let seconds = begin.elapsed().as_secs_f64() / good.len().max(1) as f64;
    let done: Vec<Result<Found>> = match batch {
        None => good.into_iter().map(one).collect(),
        Some(all) => good.into_iter().zip(all).map(|(image, found)| Ok(Found { image, found, seconds })).collect(),
    };
    let mut out: Vec<(usize, Result<Found>)> = places.into_iter().zip(done).collect();
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
