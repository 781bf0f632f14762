//! What is to be done with which image, decided before the first is read.

use std::collections::{HashMap, HashSet};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use maskrcnn::engine::vision::coco::ImageId;
use maskrcnn::engine::vision::results::{Obstacle, Pair};
use maskrcnn::{Error, Result};

use super::names;

/// The images of a run, and where their results go.
pub(super) struct Plan {
    /// One for each image.
    pub jobs: Vec<Job>,
    /// What to tell the user of it.
    pub notices: Vec<String>,
    /// Files of others are replaced.
    overwrite: bool,
}

/// An image, and where its results go.
pub(super) struct Job {
    /// The file.
    pub image: PathBuf,
    /// What its results are called by.
    pub id: ImageId,
    /// Its results.
    pub pair: Pair,
    refusal: Option<Refusal>,
}

/// Why an image is not done.
enum Refusal {
    /// It cannot be had.
    Missing(ErrorKind, String),
    /// A picture of this run would be lost.
    Replaces(PathBuf),
}

impl Plan {
    /// Looks where images and results lie.
    pub(super) fn new(images: &[PathBuf], out: &Path, overwrite: bool) -> Self {
        let mut seen = HashSet::new();
        let (once, twice): (Vec<&PathBuf>, Vec<&PathBuf>) =
            images.iter().partition(|i| seen.insert(names::absolute(i)));
        let notices = twice.iter().map(|i| format!("{} is named more than once, and done once", i.display())).collect();

        let stems = names::stems(&once);
        let ids = names::ids(&stems);
        let missing: Vec<Option<Refusal>> = once.iter().map(|i| missing(i)).collect();
        // A picture that is not there cannot be lost.
        let there = once.iter().zip(&missing).filter(|(_, m)| m.is_none());
        let inputs: HashMap<PathBuf, &PathBuf> =
            there.filter_map(|(i, _)| Some((i.canonicalize().ok()?, *i))).collect();
        let lost = |pair: &Pair| {
            let of = |path: &Path| inputs.get(&path.canonicalize().ok()?).map(|i| Refusal::Replaces(i.to_path_buf()));
            of(pair.json()).or_else(|| of(pair.png()))
        };
        let jobs = once.iter().zip(stems).zip(ids).zip(missing).map(|(((image, stem), id), missing)| {
            let pair = Pair::new(out, &stem);
            let refusal = missing.or_else(|| lost(&pair));
            Job { image: image.to_path_buf(), id, pair, refusal }
        });
        Self { jobs: jobs.collect(), notices, overwrite }
    }

    /// Whether there is an image that can be done.
    pub(super) fn has_work(&self) -> bool {
        self.jobs.iter().any(|j| self.check(j).is_ok())
    }

    /// Whether the image can be done. Asked before it is read: files of others, which its results would replace, are
    /// looked for only now, as there may be thousands.
    pub(super) fn check(&self, job: &Job) -> Result<()> {
        let refuse = |reason| Err(Error::Image { name: job.image.display().to_string(), reason });
        match &job.refusal {
            Some(Refusal::Missing(kind, reason)) => {
                let source = io::Error::new(*kind, reason.clone());
                return Err(Error::Io { path: job.image.clone(), source });
            }
            Some(Refusal::Replaces(image)) => {
                return refuse(format!(
                    "its results would replace {}; name another folder with --out",
                    image.display()
                ));
            }
            None => {}
        }
        match job.pair.obstacle() {
            Some((path, Obstacle::Folder)) => {
                refuse(format!("its result {} is a folder; remove it, or name another with --out", path.display()))
            }
            Some((path, Obstacle::Foreign)) if !self.overwrite => refuse(format!(
                "its result {} is there already, and was written or changed by somebody else; name another folder with \
                 --out, or replace it with --overwrite",
                path.display()
            )),
            _ => Ok(()),
        }
    }
}

/// Why the file cannot be had, in words that say what to do where it is plain what was meant.
fn missing(path: &Path) -> Option<Refusal> {
    let e = path.metadata().err()?;
    let text = path.to_string_lossy();
    let reason = match &*text {
        "-" => "standard input is not read; write the picture to a file, and name that".into(),
        _ if is_address(&text) => "is an address, and nothing is downloaded; download it, and name the file".into(),
        _ if text.contains(['*', '?', '[']) => format!(
            "no such file; patterns are not filled in here: leave away the quotes, and see whether any file matches ({e})"
        ),
        _ => e.to_string(),
    };
    Some(Refusal::Missing(e.kind(), reason))
}

fn is_address(text: &str) -> bool {
    let scheme = text.split_once("://").map(|s| s.0);
    scheme.is_some_and(|s| !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'-'))
}
