//! What is to be done with which image, decided before the first is read.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use maskrcnn::engine::vision::coco::ImageId;
use maskrcnn::engine::vision::results::{Obstacle, Pair};
use maskrcnn::{Error, Result};

use super::names::{self, Page};
use crate::cli::sources::{Source, Sources};
use crate::cli::video::is_video;

/// The pictures of a run, and where their results go.
pub(super) struct Plan {
    /// One for each picture.
    pub jobs: Vec<Job>,
    /// What to tell the user of it.
    pub notices: Vec<String>,
    /// Files of others are replaced.
    overwrite: bool,
}

/// A picture, and where its results go.
pub(super) struct Job {
    /// Where it comes from.
    pub source: Source,
    /// Which page of a file with several it is.
    pub page: Option<Page>,
    /// What its results are called by.
    pub id: ImageId,
    /// The names of its files, but for their endings.
    pub stem: String,
    /// Its results.
    pub pair: Pair,
    /// A picture of this run that would be lost.
    replaces: Option<PathBuf>,
}

impl Job {
    /// What to call it in messages.
    pub(super) fn name(&self) -> String {
        let path = self.source.path().display();
        let what = if is_video(self.source.path()) { "frame" } else { "page" };
        self.page.map_or_else(|| path.to_string(), |page| format!("{path}, {what} {}", page.number))
    }
}

impl Plan {
    /// Looks where pictures and results lie. `pages` gives those of a file that has several and of which more than the
    /// first is wanted, with what to say of it, or what stands for it where it has none of them. Of the pair,
    /// the results file is wanted, and the overlay.
    pub(super) fn new(
        sources: Sources,
        pages: impl Fn(&Source) -> Result<(Vec<Page>, Option<String>), Source>,
        out: &Path,
        overwrite: bool,
        [json, png]: [bool; 2],
    ) -> Self {
        let Sources { all, mut notices } = sources;
        let mut seen = HashSet::new();
        let (once, twice): (Vec<Source>, Vec<Source>) = all.into_iter().partition(|s| match s {
            Source::File(path) => seen.insert(names::absolute(path)),
            other => seen.insert(other.path().to_path_buf()),
        });
        notices.extend(repeated(&twice));

        let mut pictures = Vec::new();
        for source in once {
            // A picture that is not there yet, but would be once the results of another are written, is missing.
            let source = source.settled();
            match pages(&source) {
                Err(nothing) => pictures.push((nothing, None)),
                Ok((list, notice)) => {
                    notices.extend(notice);
                    if list.is_empty() {
                        pictures.push((source, None));
                    } else {
                        pictures.extend(list.into_iter().map(|page| (source.clone(), Some(page))));
                    }
                }
            }
        }
        let stems = names::stems(&pictures.iter().map(|(s, page)| (s.path(), *page)).collect::<Vec<_>>());
        let ids = names::ids(&stems);
        let there = pictures.iter().filter_map(|(source, _)| match source {
            Source::File(path) => Some((path.canonicalize().ok()?, path.clone())),
            _ => None,
        });
        let inputs: HashMap<PathBuf, PathBuf> = there.collect();
        let lost = |path: &Path| inputs.get(&path.canonicalize().ok()?).cloned();
        let jobs = pictures.into_iter().zip(stems).zip(ids).map(|(((source, page), stem), id)| {
            let pair = Pair::new(out, &stem).only(json, png);
            let lost = |wanted: bool, path| if wanted { lost(path) } else { None };
            let replaces = lost(json, pair.json()).or_else(|| lost(png, pair.png()));
            Job { source, page, id, stem, pair, replaces }
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
        job.source.check()?;
        let refuse = |reason| Err(Error::Image { name: job.name(), reason });
        if let Some(picture) = &job.replaces {
            let picture = picture.display();
            return refuse(format!("its results would replace {picture}; name another folder with --out"));
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

/// What to say of pictures that were named before.
fn repeated(twice: &[Source]) -> Option<String> {
    let first = twice.first()?.path().display();
    Some(match twice.len() {
        1 => format!("{first} is named more than once, and done once"),
        n => format!("{first} and {} more are named more than once, and done once", n - 1),
    })
}
