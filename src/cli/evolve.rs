//! `maskrcnn evolve`: the family on one picture, as a page and a sheet.
//!
//! | file | what is in it |
//! |---|---|
//! | `family` | the four networks, run and timed |
//! | `anchors`, `pooling`, `masks`, `tasks` | what the page shows of them, a section each |
//! | `section` | what a section is made of, and how pictures are drawn for it |
//! | `page`, `sheet` | all sections as HTML, and as a picture |

mod anchors;
mod family;
mod masks;
mod page;
mod pooling;
mod section;
mod sheet;
mod tasks;

use std::path::{Path, PathBuf};

use maskrcnn::engine::vision::results::{self, Form, Obstacle, Staged};
use maskrcnn::{Error, Result};

use self::family::{Family, Limits};
use self::section::Section;
use super::model::Model;
use super::reading::Reading;
use super::stopping;

/// Most proposals of selective search, unless told otherwise: the paper's.
const PROPOSALS: usize = 2000;

/// The options of `evolve`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The picture.
    image: PathBuf,
    #[command(flatten)]
    model: Model,
    #[command(flatten)]
    reading: Reading,
    /// Folder for evolve.html and evolve.png; made if it is not there.
    #[arg(long, value_name = "DIR", default_value = super::detect::OUT)]
    out: PathBuf,
    /// Replace files of these names that this program did not write, or that were changed since.
    #[arg(long)]
    overwrite: bool,
    /// Leave out what scores less.
    #[arg(long, default_value_t = super::detect::SCORE, value_parser = super::share)]
    score: f32,
    /// Most proposals of selective search, each of them a pass of R-CNN through the body.
    #[arg(long, value_name = "N", default_value_t = PROPOSALS, value_parser = proposals)]
    proposals: usize,
}

fn proposals(text: &str) -> std::result::Result<usize, String> {
    match text.parse() {
        Ok(n) if (1..=PROPOSALS).contains(&n) => Ok(n),
        _ => Err(format!("is not a number of proposals, 1 to {PROPOSALS}")),
    }
}

/// Runs the four on a picture, and writes the page and the sheet; false where the user stopped it.
pub(super) fn run(args: &Args) -> Result<bool> {
    results::check_folder(&args.out)?;
    let files = [args.out.join("evolve.html"), args.out.join("evolve.png")];
    files.iter().try_for_each(|file| check(file, args))?;
    let image = args.reading.open(&args.image)?;
    let name = args.image.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    let detector = args.model.open(Some(args.score))?;
    say!("{} on {}, {}", detector.config().name, detector.device().name(), detector.precision());
    stopping::watch();
    let limits = Limits { proposals: args.proposals, score: args.score };
    let Some(family) = Family::run(&detector, &image, limits)? else {
        note!("nothing written: the four were not done");
        return Ok(false);
    };
    say!("looking closer: anchors, poolings, masks");
    let anatomy = detector.anatomy(&image)?;
    let example = pooling::example(&family, &anatomy);
    let mut sections = vec![family.section(&image)];
    sections.push(tasks::section(&image, &family.found));
    sections.push(anchors::section(&image, &anatomy, example.as_ref()));
    if let Some(example) = &example {
        sections.push(pooling::section(&detector, &image, &anatomy, (example, &family.found))?);
        sections.extend(masks::section(&detector, &image, example)?);
    }
    let about = format!(
        "{name}, {}×{} pixels; {} on {}, {}",
        image.width(),
        image.height(),
        detector.config().name,
        detector.device().name(),
        detector.precision()
    );
    write(args, &files, &about, &sections)
}

/// Refuses a place that is somebody else's, or the picture's own.
fn check(file: &Path, args: &Args) -> Result<()> {
    let refuse = |reason: &str| Err(Error::Dataset { file: file.display().to_string(), reason: reason.into() });
    let same = |a: &Path, b: &Path| a.canonicalize().ok().zip(b.canonicalize().ok()).is_some_and(|(a, b)| a == b);
    if same(file, &args.image) {
        return refuse("is the picture itself: name another folder with --out");
    }
    match results::obstacle(file, |_| false) {
        Some(Obstacle::Folder) => refuse("is a folder: name another with --out"),
        Some(Obstacle::Foreign) if !args.overwrite => refuse(
            "is there already, and was written or changed by somebody else; name another folder with --out, or replace it \
             with --overwrite",
        ),
        _ => Ok(()),
    }
}

fn write(args: &Args, [html, png]: &[PathBuf; 2], about: &str, sections: &[Section]) -> Result<bool> {
    let text = page::page(about, sections)?;
    let sheet = sheet::sheet(about, sections);
    // Both are whole before either has its name.
    let staged = [
        (html, Staged::new(html, Form::Markup, "evolve", |out| out.write_all(text.as_bytes()))?),
        (png, Staged::new(png, Form::Png, "evolve", |out| section::png(&sheet, out))?),
    ];
    for (path, staged) in staged {
        staged.publish(path, |_| false, args.overwrite)?;
    }
    say!("-> {}, {}", html.display(), png.display());
    Ok(true)
}
