//! What was found, in the user's cache folder: by device and driver, and for the shaders that it was found with.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::Result;
use crate::cache::Entries;
use crate::gpu::Device;
use crate::graph::Tuning;
use crate::kernels::REGISTRY;
use crate::shader::SNIPPETS;

/// Counted up whenever older files could not be understood any more.
const VERSION: u64 = 2;

/// The choices for one device, and the shaders that they were made among.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Records {
    /// A checksum of all shaders and of this library's version: with others, the fastest may be another.
    shaders: String,
    /// Names of methods and variants, by launch ([`Tuning::key`]).
    pub names: BTreeMap<String, Vec<String>>,
}

impl Records {
    /// What is kept for the device of this key ([`Device::key`]); nothing where nothing is, or where it was found with
    /// other shaders. A damaged file is as good as none.
    pub fn of(device: &str) -> Self {
        let now = shaders();
        let entries = Entries::of("tuned", VERSION).ok();
        let none = Self { shaders: now, names: BTreeMap::new() };
        let Some(entry) = entries.as_ref().and_then(|e| e.get(device)) else { return none };
        let file = entries.map_or_else(String::new, |e| e.path().display().to_string());
        match serde_json::from_value::<Self>(entry) {
            Ok(kept) if kept.shaders == none.shaders => return kept,
            Ok(_) => log::warn!("{file}: was tuned with other shaders, and is ignored; `maskrcnn tune` finds anew"),
            Err(e) => log::warn!("{file}: is ignored for {device}: {e}"),
        }
        none
    }

    /// Keeps it, in the place of what was kept for the device; gives the file.
    ///
    /// # Errors
    /// [`crate::Error::Io`] where the file cannot be written, [`crate::Error::Config`] where there is no folder for it.
    pub fn keep(&self, device: &Device) -> Result<PathBuf> {
        let entries = Entries::of("tuned", VERSION)?;
        entries.put(&device.key(), json!(self))?;
        Ok(entries.path().into())
    }

    /// Drops what is kept for a device, whatever shaders it was found with; says whether there was anything.
    ///
    /// # Errors
    /// As [`Records::keep`].
    pub fn forget(device: &Device) -> Result<bool> {
        Entries::of("tuned", VERSION)?.remove(&device.key())
    }

    /// For plans, and for a detector ([`DetectorBuilder::tuning`](crate::DetectorBuilder::tuning)).
    pub fn tuning(self) -> Tuning {
        Tuning::of_ops(self.names)
    }
}

impl Tuning {
    /// What `maskrcnn tune` found for this device and this version's shaders; the best guess for every op where it found
    /// nothing.
    pub fn kept_for(device: &Device) -> Self {
        Records::of(&device.key()).tuning()
    }
}

fn shaders() -> String {
    let mut sum = crc32fast::Hasher::new();
    sum.update(env!("CARGO_PKG_VERSION").as_bytes());
    let kernels = REGISTRY.iter().map(|e| (e.name, e.source));
    for (name, text) in kernels.chain(SNIPPETS.iter().copied()) {
        sum.update(name.as_bytes());
        sum.update(text.as_bytes());
    }
    format!("{:08x}", sum.finalize())
}
