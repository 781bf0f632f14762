//! Lists of pictures in files.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The paths in a list, one a line, relative to the list's folder. Empty lines and those that begin with `#` are passed
/// over.
///
/// # Errors
/// Why it cannot be read, or that there is nothing in it.
pub(super) fn read(list: &Path) -> Result<Vec<PathBuf>, (ErrorKind, String)> {
    let bytes = std::fs::read(list).map_err(|e| (e.kind(), format!("the list cannot be read: {e}")))?;
    let text = String::from_utf8(bytes).map_err(|_| {
        (ErrorKind::InvalidData, "the list is no text in UTF-8; give a file with one path a line".to_string())
    })?;
    let folder = list.parent().unwrap_or(Path::new(""));
    let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
    let paths: Vec<PathBuf> =
        lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(|line| folder.join(line)).collect();
    if paths.is_empty() { Err((ErrorKind::InvalidData, "the list names no picture".into())) } else { Ok(paths) }
}
