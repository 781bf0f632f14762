//! What the program keeps of an image: what of it goes into files of the whole run, and what it wrote without a mark.

use std::collections::BTreeMap;
use std::path::Path;

use maskrcnn::engine::vision::coco::CocoResult;
use maskrcnn::engine::vision::results::{self, Form, Staged, run_of};
use maskrcnn::{Error, Result};
use serde::{Deserialize, Serialize};

use super::exports::Save;

/// Checksums and lengths of files without marks, by what is saved in them: the one that is written, and behind it that of
/// the file that was there.
pub(super) type Sums = BTreeMap<Save, Vec<(u32, u64)>>;

/// Of an image.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Record {
    /// The picture's file, as it was named.
    pub file: String,
    pub page: Option<usize>,
    pub width: u32,
    pub height: u32,
    /// What was written, but for the pair.
    pub made: Vec<Save>,
    pub cutouts: usize,
    pub sums: Sums,
    pub results: Vec<CocoResult>,
    /// Rows of the table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<String>,
    /// Its part of the contact sheet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<String>,
}

impl Record {
    /// One that is there, unchanged, and of this run where one is named.
    pub(super) fn read(path: &Path, run: Option<&str>) -> Option<Self> {
        let made = run_of(path)?;
        if run.is_some_and(|run| run != made) {
            return None;
        }
        serde_json::from_slice(&std::fs::read(path).ok()?).ok()
    }

    /// # Errors
    /// [`maskrcnn::Error::Io`], naming the file.
    pub(super) fn write(&self, path: &Path, run: &str, overwrite: bool) -> Result<()> {
        write(path, run, self, overwrite)
    }
}

/// Writes anything as an object that is marked.
///
/// # Errors
/// [`maskrcnn::Error::Io`], naming the file.
pub(super) fn write(path: &Path, run: &str, what: &impl Serialize, overwrite: bool) -> Result<()> {
    let text = serde_json::to_string(what).map_err(|e| Error::Io { path: path.into(), source: e.into() })?;
    let inner = text.strip_prefix('{').and_then(|t| t.strip_suffix('}')).unwrap_or_default();
    let fill = |out: &mut dyn std::io::Write| write!(out, "{{\n{inner}\n}}\n");
    Staged::new(path, Form::Object, run, fill)?.publish(path, |_| false, overwrite)
}

/// Whether a file without a mark is one that was written with one of these checksums.
pub(super) fn knows(sums: Option<&Vec<(u32, u64)>>, path: &Path) -> bool {
    sums.is_some_and(|sums| results::sum_of(path).is_ok_and(|sum| sums.contains(&sum)))
}

/// Notes the checksum of a file that is about to be written. That of the one which is there stays beside it, if it is known:
/// a run may be killed between the two.
pub(super) fn replace_sum(sums: &mut Sums, save: Save, path: &Path, new: (u32, u64)) {
    let old = sums.remove(&save).unwrap_or_default();
    let there = results::sum_of(path).ok().filter(|sum| *sum != new && old.contains(sum));
    sums.insert(save, [new].into_iter().chain(there).collect());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_before_it_is_replaced_and_after() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.txt");
        let mut sums = Sums::new();
        let write = |text: &str| {
            std::fs::write(&path, text).unwrap();
            results::sum_of(&path).unwrap()
        };
        let first = write("first");
        // Nobody knows what was there before.
        replace_sum(&mut sums, Save::Yolo, &path, (7, 7));
        assert_eq!(sums[&Save::Yolo], [(7, 7)]);
        sums.insert(Save::Yolo, vec![first]);
        replace_sum(&mut sums, Save::Yolo, &path, (7, 7));
        assert_eq!(sums[&Save::Yolo], [(7, 7), first]);
        assert!(knows(sums.get(&Save::Yolo), &path));
        replace_sum(&mut sums, Save::Yolo, &path, first);
        assert_eq!(sums[&Save::Yolo], [first]);
        write("changed");
        assert!(!knows(sums.get(&Save::Yolo), &path) && !knows(None, &path));
    }
}
