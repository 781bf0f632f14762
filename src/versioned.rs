//! JSON files of this program's own that outlive it: each says what it is and of which version, and is read as nothing else.

use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::{Error, Result};

/// A kind of such files.
pub(crate) struct Kind {
    /// What a file's field `format` says.
    pub format: &'static str,
    /// What its field `version` says: counted up whenever older files could not be understood any more.
    pub version: u32,
    /// What is in it, for people.
    pub content: &'static str,
    /// The command that writes one.
    pub writer: &'static str,
}

/// What every file begins with.
#[derive(Deserialize)]
struct Head {
    format: String,
    version: u32,
}

impl Kind {
    /// Reads a file of this kind.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be read, or is not such a file, or one of another version.
    pub(crate) fn read<T: DeserializeOwned>(&self, path: &Path) -> Result<T> {
        let Self { format, version, content, writer } = *self;
        let refuse = |reason: String| {
            let reason = format!("{reason}: make it anew with `{writer}`");
            Error::Io { path: path.into(), source: std::io::Error::other(reason) }
        };
        let text = std::fs::read_to_string(path).map_err(|source| Error::Io { path: path.into(), source })?;
        let head: Head =
            serde_json::from_str(&text).map_err(|e| refuse(format!("is not a file of {content} ({e})")))?;
        if head.format != format || head.version != version {
            return Err(refuse(format!(
                "has the format {:?}, version {}, and {format:?}, version {version} is read",
                head.format, head.version
            )));
        }
        serde_json::from_str(&text).map_err(|e| refuse(format!("is damaged ({e})")))
    }
}
