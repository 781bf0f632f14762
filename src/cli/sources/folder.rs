//! The pictures in a folder, or that match a pattern: what is an image by its name or content, and no result of this
//! program.

use std::cmp::Ordering;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use maskrcnn::engine::vision::results;
use maskrcnn::engine::vision::{HEAD_BYTES, is_image};
use walkdir::{DirEntry, WalkDir};

use super::Source;

/// What images' names end in. A file that has such a name and is none is an error, and not left out.
const ENDINGS: [&str; 12] = ["png", "apng", "jpg", "jpeg", "jpe", "jfif", "tif", "tiff", "btf", "bmp", "webp", "gif"];

/// Whether a file's name ends as an image's.
pub(super) fn has_image_ending(path: &Path) -> bool {
    let ending = path.extension().map(|e| e.to_string_lossy().to_lowercase());
    ending.is_some_and(|e| ENDINGS.contains(&e.as_str()))
}

/// What was not taken of a folder.
#[derive(Debug, Default)]
pub(super) struct LeftOut {
    /// Files that are no images.
    pub others: usize,
    /// Results of this program.
    pub results: usize,
    /// Folders that were not looked into.
    pub folders: usize,
}

impl LeftOut {
    pub(super) fn any(&self) -> bool {
        self.others + self.results + self.folders > 0
    }

    /// A line for the user, if there is something to tell.
    pub(super) fn told(&self, place: &Path) -> Option<String> {
        let of =
            |n: usize, one: &str, many: &str| (n > 0).then(|| if n == 1 { one.into() } else { format!("{n} {many}") });
        let parts: Vec<String> = [
            of(self.others, "1 file that is no image", "files that are no images"),
            of(self.results, "1 result of this program", "results of this program"),
            of(self.folders, "1 folder (--recursive looks into it)", "folders (--recursive looks into them)"),
        ]
        .into_iter()
        .flatten()
        .collect();
        (!parts.is_empty()).then(|| format!("{}: {} left out", place.display(), parts.join(", ")))
    }
}

/// The pictures in a folder, and with `recursive` in those below it. What begins with a dot is passed over.
pub(super) fn pictures(folder: &Path, recursive: bool, left: &mut LeftOut) -> Vec<Source> {
    let mut out = Vec::new();
    let depth = if recursive { usize::MAX } else { 1 };
    let walk = WalkDir::new(folder).min_depth(1).max_depth(depth).follow_links(true);
    let walk = walk.sort_by(|a, b| by_name(a.file_name().as_ref(), b.file_name().as_ref()));
    for entry in walk.into_iter().filter_entry(|e| e.depth() == 0 || !is_hidden(e)) {
        match entry {
            Ok(entry) if entry.file_type().is_dir() => left.folders += usize::from(!recursive),
            Ok(entry) => out.extend(judged(entry.into_path(), left)),
            Err(e) => {
                let at = e.path().unwrap_or(folder).to_path_buf();
                let circle = e.loop_ancestor().is_some();
                let kind = e.io_error().map_or(std::io::ErrorKind::Other, std::io::Error::kind);
                // A link that leads nowhere is no image, and one that leads back has been looked into.
                if circle || kind == std::io::ErrorKind::NotFound {
                    left.others += 1;
                } else {
                    let reason = e.io_error().map_or_else(|| e.to_string(), std::string::ToString::to_string);
                    out.push(Source::nothing(&at, kind, reason));
                }
            }
        }
    }
    out
}

/// The pictures that match a pattern, and those in folders that do.
///
/// # Errors
/// What is wrong with the pattern.
pub(super) fn matches(pattern: &str, recursive: bool, left: &mut LeftOut) -> Result<Vec<Source>, String> {
    let options = glob::MatchOptions { require_literal_leading_dot: true, ..glob::MatchOptions::new() };
    let found = glob::glob_with(pattern, options).map_err(|e| e.msg.to_string())?;
    let mut out = Vec::new();
    let mut paths = Vec::new();
    for path in found {
        match path {
            Ok(path) => paths.push(path),
            Err(e) => out.push(Source::nothing(e.path(), e.error().kind(), e.error().to_string())),
        }
    }
    paths.sort_by(|a, b| by_name(a, b));
    for path in paths {
        match path.is_dir() {
            // `**` matches folders with what is in them.
            true if recursive && !pattern.contains("**") => out.extend(pictures(&path, true, left)),
            true => left.folders += usize::from(!pattern.contains("**")),
            false => out.extend(judged(path, left)),
        }
    }
    Ok(out)
}

/// Numbers by their value, and then letter by letter: an order that is the same everywhere.
fn by_name(a: &Path, b: &Path) -> Ordering {
    alphanumeric_sort::compare_path(a, b).then_with(|| a.cmp(b))
}

fn is_hidden(entry: &DirEntry) -> bool {
    entry.file_name().as_encoded_bytes().starts_with(b".")
}

/// A file that is an image; others are counted.
fn judged(path: PathBuf, left: &mut LeftOut) -> Option<Source> {
    if !path.is_file() || !(has_image_ending(&path) || has_image_content(&path)) {
        // This program writes a results file beside each picture.
        if path.extension().is_some_and(|e| e == "json") && results::is_ours(&path) {
            left.results += 1;
        } else {
            left.others += 1;
        }
        return None;
    }
    if results::run_of(&path).is_some() {
        left.results += 1;
        return None;
    }
    Some(Source::File(path))
}

fn has_image_content(path: &Path) -> bool {
    let mut head = Vec::new();
    let read = File::open(path).and_then(|f| f.take(HEAD_BYTES).read_to_end(&mut head));
    read.is_ok() && is_image(&head)
}
