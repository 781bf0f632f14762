//! COCO results: what was found.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::annotations::name;
use super::json::{check_box, fault, number, numbers, read};
use super::region::Segmentation;
use crate::error::{Error, Result};
use crate::vision::coco::{CocoResult, ImageId};

/// One or several COCO results files, read and checked as far as they go alone.
#[derive(Clone, Debug, Default)]
pub struct Results {
    /// Their names, and how many entries each has.
    pub files: Vec<(String, usize)>,
    /// All entries, in the files' order.
    pub entries: Vec<Entry>,
}

/// One result.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The image that it was found in.
    pub image_id: ImageId,
    /// Its class.
    pub category_id: u32,
    /// x, y, width, height in pixels, where the file has them.
    pub bbox: Option<[f64; 4]>,
    /// The confidence.
    pub score: f64,
    /// The mask, where the file has one.
    pub segmentation: Option<Segmentation>,
}

#[derive(Deserialize)]
struct Raw {
    image_id: Option<ImageId>,
    category_id: Option<u32>,
    #[serde(default, deserialize_with = "numbers")]
    bbox: Option<[f64; 4]>,
    #[serde(default, deserialize_with = "number")]
    score: Option<f64>,
    segmentation: Option<Segmentation>,
}

impl Results {
    /// Reads a results file, or all of a folder's `.json` files by name, as `maskrcnn detect` writes one an image.
    ///
    /// # Errors
    /// [`Error::Io`], and [`Error::Dataset`] where one is no such file, naming the result that is wrong.
    pub fn read(path: &Path) -> Result<Self> {
        let mut out = Self::default();
        let paths = if path.is_dir() { inside(path)? } else { vec![path.to_path_buf()] };
        for path in paths {
            let file = path.display().to_string();
            let raw: Vec<Raw> = read(&path, "COCO results", b'[')?;
            out.files.push((file.clone(), raw.len()));
            for (at, raw) in raw.into_iter().enumerate() {
                let image = raw.image_id.as_ref().map(|id| format!(" (image {})", name(id))).unwrap_or_default();
                let wrong = |reason: String| fault(&file, format!("result {}{image}: {reason}", at + 1));
                out.entries.push(entry(raw).map_err(wrong)?);
            }
        }
        Ok(out)
    }

    /// Results that are in memory; `name` stands for their file's.
    pub fn of(name: &str, results: Vec<CocoResult>) -> Self {
        let files = vec![(name.to_string(), results.len())];
        let entry = |r: CocoResult| Entry {
            image_id: r.image_id,
            category_id: r.category_id,
            bbox: Some(r.bbox.map(f64::from)),
            score: r.score.into(),
            segmentation: r.segmentation.map(Segmentation::from),
        };
        Self { files, entries: results.into_iter().map(entry).collect() }
    }

    /// A fault of the entry at that place, which it names as its file has it.
    pub(super) fn fault(&self, mut at: usize, reason: String) -> Error {
        let image = name(&self.entries[at].image_id);
        for (file, count) in &self.files {
            if at < *count {
                return fault(file, format!("result {} (image {image}): {reason}", at + 1));
            }
            at -= count;
        }
        fault("results", reason)
    }
}

fn entry(raw: Raw) -> Result<Entry, String> {
    let image_id = raw.image_id.ok_or("has no image_id")?;
    let category_id = raw.category_id.ok_or("has no category_id")?;
    let score = raw.score.ok_or("has no score; annotations are no results")?;
    if !score.is_finite() {
        return Err("its score is no number".into());
    }
    raw.bbox.as_ref().map_or(Ok(()), check_box)?;
    if raw.bbox.is_none() && raw.segmentation.is_none() {
        return Err("has neither a bbox nor a mask".into());
    }
    Ok(Entry { image_id, category_id, bbox: raw.bbox, score, segmentation: raw.segmentation })
}

/// Whether a file is what `detect` says of a whole run, beside its results: an object of that name, where those are lists.
fn is_summary(path: &Path) -> bool {
    let begins_with_a_brace = || {
        let mut first = [0];
        std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut first)).is_ok() && first == *b"{"
    };
    path.file_name().is_some_and(|name| name == "summary.json") && begins_with_a_brace()
}

/// The results files of a folder, by name.
fn inside(folder: &Path) -> Result<Vec<PathBuf>> {
    let io = |source| Error::Io { path: folder.into(), source };
    let mut out = Vec::new();
    for file in std::fs::read_dir(folder).map_err(io)? {
        let path = file.map_err(io)?.path();
        if path.extension().is_some_and(|e| e == "json") && path.is_file() && !is_summary(&path) {
            out.push(path);
        }
    }
    out.sort();
    match out.is_empty() {
        true => Err(fault(&folder.display().to_string(), "has no .json file in it")),
        false => Ok(out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_s_summary_is_none_of_its_results() {
        let dir = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        let entry = r#"[{"image_id": 1, "category_id": 1, "score": 0.5, "bbox": [0, 0, 2, 2]}]"#;
        put("a.json", entry);
        put("summary.json", "{\n\"images\": 2}");
        assert_eq!(Results::read(dir.path()).unwrap().entries.len(), 1);
        // An image may be called so; and an object of another name is a mistake.
        put("summary.json", entry);
        assert_eq!(Results::read(dir.path()).unwrap().entries.len(), 2);
        put("b.json", "{}");
        assert!(Results::read(dir.path()).is_err());
    }
}
