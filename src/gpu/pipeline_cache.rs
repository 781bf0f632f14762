//! Compiled pipelines on disk, for drivers that keep none themselves.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::device::{Device, lock};
use crate::{atomic, cache};

/// Files that are larger are not read: what was compiled once and is asked for no more stays in them.
const MOST_BYTES: u64 = 256 << 20;

/// A device's pipeline cache and the file that it is kept in.
pub(super) struct PipelineFile {
    pub cache: wgpu::PipelineCache,
    path: PathBuf,
    /// What the file begins with.
    head: Vec<u8>,
    /// The checksum of what needs no saving.
    saved: Mutex<u32>,
    changed: AtomicBool,
}

impl Device {
    /// Compiles with what earlier runs kept in the user's cache folder (`$MASKRCNN_CACHE`, else `maskrcnn/pipelines` in
    /// the platform's), and keeps there what is compiled from now on, a file for each device, driver and version of this
    /// library. To be called before anything is compiled. Whatever is wrong with the folder or the file, the only loss
    /// is time: the pipelines are compiled anew.
    ///
    /// Says whether the device has such a cache: with Vulkan only, and many drivers keep a cache of their own. lavapipe
    /// 22.3 gives nothing to keep. Without this call nothing is read or written.
    pub fn keep_pipelines(&self) -> bool {
        match cache::dir("pipelines") {
            Ok(dir) => self.keep_pipelines_in(&dir),
            Err(e) => {
                log::warn!("compiled pipelines are not kept: {e}");
                false
            }
        }
    }

    /// As [`Device::keep_pipelines`], in a folder of the caller's that nobody else can write to: a driver trusts what it
    /// made itself.
    pub fn keep_pipelines_in(&self, dir: &Path) -> bool {
        let s = &self.shared;
        let Some(name) = &s.pipelines_name else { return false };
        let path = dir.join(format!("{name}_{:08x}.bin", crc32fast::hash(s.key.as_bytes())));
        let head = format!("maskrcnn {} pipelines for {}\n", env!("CARGO_PKG_VERSION"), s.key).into_bytes();
        let data = read(&path, &head);
        let scope = s.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let descriptor =
            wgpu::PipelineCacheDescriptor { label: Some("pipelines"), data: data.as_deref(), fallback: true };
        // SAFETY: the data is what `get_data` gave: only `save_pipelines` writes such files, into a folder of the user's
        // own, whole or not at all, and a checksum tells damage. wgpu compares device and driver besides.
        let cache = unsafe { s.device.create_pipeline_cache(&descriptor) };
        if let Some(e) = pollster::block_on(scope.pop()) {
            log::warn!("compiled pipelines are not kept: {e}");
            return false;
        }
        // What there is before anything is compiled: a driver that keeps nothing never gives more.
        let saved = Mutex::new(cache.get_data().map_or(0, |d| crc32fast::hash(&d)));
        s.kept.set(PipelineFile { cache, path, head, saved, changed: AtomicBool::new(false) }).is_ok()
    }

    /// Notes that a pipeline was compiled.
    pub(super) fn compiled_one(&self) {
        if let Some(kept) = self.shared.kept.get() {
            kept.changed.store(true, Ordering::Relaxed);
        }
    }

    /// Writes what was compiled since the last time, if anything.
    pub(super) fn save_pipelines(&self) {
        let Some(kept) = self.shared.kept.get().filter(|k| k.changed.swap(false, Ordering::Relaxed)) else { return };
        let Some(data) = kept.cache.get_data() else { return };
        let (sum, mut saved) = (crc32fast::hash(&data), lock(&kept.saved));
        if sum == *saved {
            return;
        }
        // Where it cannot be kept, the next start takes longer: that is all.
        match write(&kept.path, &kept.head, &data) {
            Ok(()) => *saved = sum,
            Err(e) => log::warn!("compiled pipelines could not be kept: {e}"),
        }
    }
}

/// Head, checksum, data.
fn write(path: &Path, head: &[u8], data: &[u8]) -> crate::Result<()> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).map_err(|source| crate::Error::Io { path: dir.into(), source })?;
    }
    atomic::write(path, |out| {
        out.write_all(head)?;
        out.write_all(&crc32fast::hash(data).to_le_bytes())?;
        out.write_all(data)
    })
}

/// The data of such a file; none where it is not there, damaged, or of another device or version.
fn read(path: &Path, head: &[u8]) -> Option<Vec<u8>> {
    let about = fs::metadata(path).ok()?;
    let data = || {
        let file = (about.is_file() && about.len() <= MOST_BYTES).then(|| fs::read(path).ok())??;
        let (sum, data) = file.strip_prefix(head)?.split_first_chunk::<4>()?;
        (u32::from_le_bytes(*sum) == crc32fast::hash(data)).then(|| data.to_vec())
    };
    let data = data();
    if data.is_none() {
        log::warn!("{}: is no cache of pipelines for this device and version; they are compiled anew", path.display());
    }
    data
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("not/yet/a.bin");
        let (head, data) = (b"version 1 of a\n", b"compiled".repeat(100));
        assert_eq!(read(&path, head), None);
        write(&path, head, &data).unwrap();
        assert_eq!(read(&path, head).as_ref(), Some(&data));
        assert_eq!(read(&path, b"version 2 of a\n"), None);
        let whole = fs::read(&path).unwrap();
        for at in [0, head.len(), head.len() + 4, whole.len() - 1] {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            fs::write(&path, &damaged).unwrap();
            assert_eq!(read(&path, head), None, "byte {at}");
            fs::write(&path, &whole[..at]).unwrap();
            assert_eq!(read(&path, head), None, "{at} bytes");
        }
        fs::write(&path, [&whole[..], b"more"].concat()).unwrap();
        assert_eq!(read(&path, head), None);
        assert_eq!(read(dir.path(), head), None, "a folder");
        assert!(write(dir.path(), head, &data).is_err());
    }
}
