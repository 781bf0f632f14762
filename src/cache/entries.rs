//! A file in the user's cache folder with an entry for each device.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::error::{Error, Result};
use crate::{atomic, cache};

/// Larger files are none of ours.
const MOST_BYTES: u64 = 64 << 20;

/// What was found out about devices, by [`crate::Device::key`]. A file that is missing, foreign, damaged, or of another
/// version has no entries, and is replaced by the first that is put.
pub(crate) struct Entries {
    path: PathBuf,
    version: u64,
}

impl Entries {
    /// Those of `kind`, of a version that is counted up when older ones can no longer be understood.
    ///
    /// # Errors
    /// As [`cache::dir`].
    pub(crate) fn of(kind: &str, version: u64) -> Result<Self> {
        Ok(Self { path: cache::dir(kind)?.join(format!("{kind}.json")), version })
    }

    /// Where they are kept.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A device's entry.
    pub(crate) fn get(&self, device: &str) -> Option<Value> {
        self.all().remove(device)
    }

    /// Sets a device's entry; the others stay.
    ///
    /// # Errors
    /// [`Error::Io`] where the file cannot be written.
    pub(crate) fn put(&self, device: &str, entry: Value) -> Result<()> {
        let mut all = self.all();
        all.insert(device.into(), entry);
        self.write(all)
    }

    /// Drops a device's entry; says whether there was one.
    ///
    /// # Errors
    /// As [`Entries::put`].
    pub(crate) fn remove(&self, device: &str) -> Result<bool> {
        let mut all = self.all();
        let found = all.remove(device).is_some();
        if found {
            self.write(all)?;
        }
        Ok(found)
    }

    fn all(&self) -> Map<String, Value> {
        let read = || {
            let about = fs::metadata(&self.path).ok()?;
            if !about.is_file() || about.len() > MOST_BYTES {
                return None;
            }
            let mut all: Value = serde_json::from_slice(&fs::read(&self.path).ok()?).ok()?;
            match (all.get("version")?.as_u64()? == self.version, all.get_mut("devices")?.take()) {
                (true, Value::Object(devices)) => Some(devices),
                _ => None,
            }
        };
        read().unwrap_or_else(|| {
            if self.path.exists() {
                log::warn!("{}: is damaged, or of another version, and is ignored", self.path.display());
            }
            Map::new()
        })
    }

    fn write(&self, devices: Map<String, Value>) -> Result<()> {
        if let Some(dir) = self.path.parent() {
            fs::create_dir_all(dir).map_err(|source| Error::Io { path: dir.into(), source })?;
        }
        let all = json!({ "version": self.version, "devices": devices });
        atomic::write(&self.path, |out| Ok(serde_json::to_writer_pretty(out, &all)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_devices_entries_stay() {
        let dir = tempfile::tempdir().unwrap();
        let entries = Entries { path: dir.path().join("not/yet/a.json"), version: 2 };
        assert_eq!((entries.get("a"), entries.remove("a").unwrap()), (None, false));
        assert!(!entries.path().exists());
        for (key, value) in [("a", 1), ("b", 2), ("a", 3)] {
            entries.put(key, json!(value)).unwrap();
        }
        assert_eq!((entries.get("a"), entries.get("b"), entries.get("c")), (Some(json!(3)), Some(json!(2)), None));
        assert!(entries.remove("a").unwrap());
        assert_eq!((entries.get("a"), entries.get("b")), (None, Some(json!(2))));
        assert_eq!(fs::read_dir(entries.path().parent().unwrap()).unwrap().count(), 1, "half files are left");
    }

    #[test]
    fn what_is_no_such_file_is_ignored_and_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let entries = Entries { path: dir.path().join("a.json"), version: 2 };
        let old = r#"{"version":1,"devices":{"a":1}}"#;
        for text in ["", "{", "[]", "7", r#"{"version":2}"#, r#"{"version":2,"devices":3}"#, old, "\u{0}\u{1}"] {
            fs::write(entries.path(), text).unwrap();
            assert_eq!(entries.get("a"), None, "{text}");
            entries.put("b", json!(1)).unwrap();
            assert_eq!(entries.get("b"), Some(json!(1)), "{text}");
        }
        let folder = Entries { path: dir.path().into(), version: 2 };
        assert!(folder.get("a").is_none() && folder.put("a", json!(1)).is_err());
    }
}
