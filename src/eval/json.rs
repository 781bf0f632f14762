//! Reading JSON as Python writes it, with errors that name the file.

use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use crate::error::{Error, Result};

/// A fault of a file.
pub(super) fn fault(file: &str, reason: impl Into<String>) -> Error {
    Error::Dataset { file: file.into(), reason: reason.into() }
}

/// What a file holds; `what` it is to be, for the error, and the byte that such a file `begins` with.
///
/// # Errors
/// [`Error::Io`], or [`Error::Dataset`] where it is no JSON, or something else.
pub(super) fn read<T: DeserializeOwned>(path: &Path, what: &str, begins: u8) -> Result<T> {
    let bytes = std::fs::read(path).map_err(|source| Error::Io { path: path.into(), source })?;
    let file = path.display().to_string();
    let first = bytes.iter().find(|b| !b.is_ascii_whitespace()).copied();
    if first != Some(begins) {
        let is = match first {
            None => "it is empty",
            Some(b'[') => "it is a list of results",
            Some(b'{') => "it is an object, as annotations are",
            Some(_) => "it is no JSON",
        };
        return Err(fault(&file, format!("is no file of {what}: {is}")));
    }
    let parse = |bytes: &[u8]| serde_json::from_slice(bytes);
    let plain = parse(&bytes).or_else(|e| match e.classify() {
        serde_json::error::Category::Syntax => parse(&without_nan(&bytes)).map_err(|_| e),
        _ => Err(e),
    });
    plain.map_err(|e| fault(&file, format!("is no file of {what}: {e}")))
}

/// Python writes what is no number as `NaN` and `Infinity`, which JSON does not know: `null` in their place, so that who
/// has them can be named.
fn without_nan(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let (mut in_text, mut i) = (false, 0);
    while i < bytes.len() {
        let rest = &bytes[i..];
        let word = ["NaN", "-Infinity", "Infinity"].iter().find(|w| rest.starts_with(w.as_bytes()));
        match (in_text, rest[0], word) {
            (false, _, Some(word)) => {
                out.extend(b"null");
                i += word.len();
                continue;
            }
            (true, b'\\', _) => {
                out.extend(&rest[..rest.len().min(2)]);
                i += 2;
                continue;
            }
            (_, b'"', _) => in_text = !in_text,
            _ => {}
        }
        out.push(rest[0]);
        i += 1;
    }
    out
}

/// A number, or NaN for `null`.
pub(super) fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    Ok(Some(Option::<f64>::deserialize(deserializer)?.unwrap_or(f64::NAN)))
}

/// A box of such numbers.
pub(super) fn numbers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<[f64; 4]>, D::Error> {
    let read = Option::<Vec<Option<f64>>>::deserialize(deserializer)?;
    let Some(read) = read.filter(|list| !list.is_empty()) else { return Ok(None) };
    let wrong = || serde::de::Error::custom(format!("a bbox has {} numbers, not x, y, width and height", read.len()));
    let four: [Option<f64>; 4] = read.clone().try_into().map_err(|_| wrong())?;
    Ok(Some(four.map(|v| v.unwrap_or(f64::NAN))))
}

/// A box of finite numbers, of which width and height are not negative.
pub(super) fn check_box(bbox: &[f64; 4]) -> Result<(), String> {
    if bbox.iter().any(|v| !v.is_finite()) {
        return Err(format!("its bbox {bbox:?} has what is no number"));
    }
    if bbox[2] < 0.0 || bbox[3] < 0.0 {
        return Err(format!("its bbox {bbox:?} (x, y, width, height) has a negative side"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_becomes_null_outside_of_text() {
        let text = br#"[{"a": NaN, "b\"NaN": "NaN \\", "c": [-Infinity, Infinity]}]"#;
        let want = br#"[{"a": null, "b\"NaN": "NaN \\", "c": [null, null]}]"#;
        assert_eq!(without_nan(text), want);
    }
}
