//! An image's two result files: written both or neither, and never over a file that somebody else wrote or changed.

mod mark;
mod output;

#[cfg(test)]
mod tests;

use std::fs;
use std::io::{Error as IoError, ErrorKind};
use std::path::{Path, PathBuf};

use image::RgbImage;

use crate::atomic::{self, Aside, Unpublished};
use crate::error::{Error, Result};
use crate::vision::coco::{self, CocoResult};

pub use self::mark::{is_ours, run_of, save_markup_atomic, save_png_atomic, save_results_atomic};
pub use self::output::{Form, Staged, obstacle, sum_of};

/// The files of an image's results: `<stem>.json`, a COCO results file, and `<stem>.png`, the overlay.
///
/// Each carries a mark with a checksum of the rest of it ([`is_ours`]), so that a later run knows what it may replace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    json: PathBuf,
    png: PathBuf,
    run: Option<String>,
    /// Which of the two are wanted.
    wants: [bool; 2],
}

/// Why results must not be written to a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// A folder is there.
    Folder,
    /// A file is there that this program did not write, or that was changed since.
    Foreign,
}

impl Pair {
    /// The results in `folder` of the image with that stem.
    pub fn new(folder: &Path, stem: &str) -> Self {
        let file = |ending| folder.join(format!("{stem}.{ending}"));
        Self { json: file("json"), png: file("png"), run: None, wants: [true; 2] }
    }

    /// The same results, with a word in their marks for what made them of what: [`Pair::is_of_run`] asks for it.
    #[must_use]
    pub fn of_run(mut self, run: &str) -> Self {
        self.run = Some(run.into());
        self
    }

    /// The results file alone, the overlay alone, or neither: what is not wanted is neither written nor looked at.
    #[must_use]
    pub fn only(mut self, json: bool, png: bool) -> Self {
        self.wants = [json, png];
        self
    }

    /// Whether those that are wanted are there, whole, unchanged, and of this run.
    pub fn is_of_run(&self) -> bool {
        let [json, png] = self.wants;
        self.run.is_some()
            && (!png || run_of(&self.png) == self.run)
            && (!json || run_of(&self.json) == self.run || mark::is_empty_list(&self.json))
    }

    /// The word for what made them of what.
    pub fn run(&self) -> Option<&str> {
        self.run.as_deref()
    }

    /// The COCO results file.
    pub fn json(&self) -> &Path {
        &self.json
    }

    /// The overlay.
    pub fn png(&self) -> &Path {
        &self.png
    }

    /// The first of the places of those wanted that is taken, and by what. Files of this program do not count.
    pub fn obstacle(&self) -> Option<(&Path, Obstacle)> {
        let wanted = [&self.json, &self.png].into_iter().zip(self.wants).filter(|(_, wanted)| *wanted);
        wanted.map(|(path, _)| path).find_map(|path| Some((path.as_path(), obstacle(path, |_| false)?)))
    }

    /// Writes both, or the one that is wanted, and makes their folder. Both are on disk in whole before either has its name, and what is killed
    /// between the two leaves a picture alone, which the next run replaces: a results file has its picture beside it.
    /// A failure leaves what was there. With `overwrite`, files of others are replaced.
    ///
    /// # Errors
    /// [`Error::Io`], naming the file that cannot be written, or is somebody else's.
    pub fn write(&self, picture: &RgbImage, results: &[CocoResult], overwrite: bool) -> Result<()> {
        let io = |path: &Path| {
            let path = path.to_path_buf();
            move |source| Error::Io { path, source }
        };
        if let Some(folder) = self.json.parent() {
            fs::create_dir_all(folder).map_err(io(folder))?;
        }
        let text = coco::text(results).map_err(io(&self.json))?;
        let [wants_json, wants_png] = self.wants;
        let png = || Unpublished::new(&self.png, |out| mark::png(picture, self.run.as_deref(), out));
        let json = || Unpublished::new(&self.json, |out| mark::json(&text, self.run.as_deref(), out));
        let (png, json) = (wants_png.then(png).transpose()?, wants_json.then(json).transpose()?);
        match self.obstacle() {
            Some((path, Obstacle::Foreign)) if !overwrite => {
                let reason = "is there, and was not written by this program";
                return Err(io(path)(IoError::new(ErrorKind::AlreadyExists, reason)));
            }
            _ => {}
        }
        match (png, json) {
            (Some(png), Some(json)) => self.replace(png, json, &mut || {}),
            (one, other) => one.or(other).map_or(Ok(()), Unpublished::publish),
        }
    }

    /// Puts both in the places of the old ones; `between` is called after each step.
    fn replace(&self, png: Unpublished, json: Unpublished, between: &mut dyn FnMut()) -> Result<()> {
        let aside = |path: &Path| Aside::of(path).map_err(|source| Error::Io { path: path.into(), source });
        // Out of the way first: old results beside a new picture would look like a pair.
        let old_json = aside(&self.json)?;
        between();
        let published = aside(&self.png).and_then(|old_png| {
            between();
            let done = png.publish().and_then(|()| {
                between();
                // A picture without results is no pair. Nothing else can be done where it stays.
                json.publish().inspect_err(|_| drop(fs::remove_file(&self.png)))
            });
            if done.is_err() {
                old_png.restore();
            }
            done
        });
        if published.is_err() {
            old_json.restore();
        }
        published
    }
}

/// Writes a JSON object that is none of the pairs, such as what is said of a whole run, as [`Pair::write`] does.
///
/// # Errors
/// [`Error::Io`], naming the file, where it cannot be written, or is somebody else's and not to be replaced.
pub fn write_object(path: &Path, text: &str, overwrite: bool) -> Result<()> {
    let taken = path.symlink_metadata().is_ok() && !(path.is_file() && is_ours(path));
    if taken && !overwrite {
        let source = IoError::new(ErrorKind::AlreadyExists, "is there, and was not written by this program");
        return Err(Error::Io { path: path.into(), source });
    }
    atomic::write(path, |out| mark::json(text.as_bytes(), None, out))
}

/// Whether results could be written into `folder`, which need not be there yet.
///
/// # Errors
/// [`Error::Io`], naming what stands in the way.
pub fn check_folder(folder: &Path) -> Result<()> {
    atomic::check_folder(folder)
}

/// Removes what runs that were killed left half written in `folder`, of files with these endings; those of living processes
/// stay.
pub fn sweep(folder: &Path, endings: &[&str]) {
    atomic::sweep(folder, |name| endings.iter().any(|ending| name.ends_with(ending)));
}
