//! Mesa's CPU driver with the widest vectors that the CPU has.
//!
//! lavapipe takes vectors of 256 bits unless `LP_NATIVE_VECTOR_WIDTH` says otherwise, also where the CPU has AVX-512. With
//! 512 the default model takes 0.87 of the time (benches/NOTES.md). Its shader cache, in 22.3 at least, does not know the
//! width that a shader was compiled for, so such shaders go into a folder of their own.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// Read by Mesa when its driver is loaded.
const WIDTH: &str = "LP_NATIVE_VECTOR_WIDTH";
const SHADERS: &str = "MESA_SHADER_CACHE_DIR";

/// Asks lavapipe for vectors of 512 bits where the CPU has them, no GPU is there that could be used instead, and the user
/// has not chosen a width. To be called first of all.
///
/// # Safety
/// No other thread may run yet.
pub(crate) unsafe fn widen() {
    if env::var_os(WIDTH).is_some() || !has_avx512() || has_gpu(Path::new("/dev")) {
        return;
    }
    let folder = shaders(env::var_os(SHADERS).map(PathBuf::from), env::var_os("XDG_CACHE_HOME").map(PathBuf::from));
    // Mesa makes the last folder of a path alone.
    let Some(folder) = folder.filter(|folder| std::fs::create_dir_all(folder).is_ok()) else { return };
    // SAFETY: the caller's.
    unsafe {
        env::set_var(WIDTH, "512");
        env::set_var(SHADERS, folder);
    }
    WIDENED.store(true, Ordering::Relaxed);
}

static WIDENED: AtomicBool = AtomicBool::new(false);

/// Whether [`widen`] asked for them.
pub(super) fn widened() -> bool {
    WIDENED.load(Ordering::Relaxed)
}

/// Where Mesa keeps shaders of this width: beneath the folder that the user has chosen, or beside its own.
fn shaders(chosen: Option<PathBuf>, cache: Option<PathBuf>) -> Option<PathBuf> {
    let chosen = chosen.filter(|dir| !dir.as_os_str().is_empty());
    let cache = cache.filter(|dir| dir.is_absolute());
    let home = || env::home_dir().filter(|home| home.is_absolute()).map(|home| home.join(".cache"));
    Some(chosen.or(cache).or_else(home)?.join("maskrcnn-512bit"))
}

/// Whether the CPU has what LLVM makes of vectors of 512 bits.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn has_avx512() -> bool {
    let has = std::is_x86_feature_detected!("avx512f") && std::is_x86_feature_detected!("avx512bw");
    has && std::is_x86_feature_detected!("avx512dq") && std::is_x86_feature_detected!("avx512vl")
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
fn has_avx512() -> bool {
    false
}

/// Whether there is a device node of a GPU: of any Linux driver, of NVIDIA's, or of Windows'.
fn has_gpu(dev: &Path) -> bool {
    let nodes = std::fs::read_dir(dev.join("dri")).into_iter().flatten().flatten();
    let renders = nodes.into_iter().any(|node| node.file_name().to_string_lossy().starts_with("renderD"));
    renders || ["nvidia0", "dxg", "kgsl-3d0", "mali0"].iter().any(|node| dev.join(node).exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gpu_is_known_by_its_node() {
        let dev = tempfile::tempdir().unwrap();
        assert!(!has_gpu(dev.path()));
        std::fs::create_dir(dev.path().join("dri")).unwrap();
        std::fs::write(dev.path().join("dri/card0"), "").unwrap();
        assert!(!has_gpu(dev.path()), "a screen alone");
        std::fs::write(dev.path().join("dri/renderD128"), "").unwrap();
        assert!(has_gpu(dev.path()));
        let other = tempfile::tempdir().unwrap();
        std::fs::write(other.path().join("nvidia0"), "").unwrap();
        assert!(has_gpu(other.path()));
    }

    #[test]
    fn shaders_of_another_width_are_kept_apart() {
        let dir = |text: &str| Some(PathBuf::from(text));
        assert_eq!(shaders(dir("/mine"), dir("/cache")), dir("/mine/maskrcnn-512bit"));
        assert_eq!(shaders(dir(""), dir("/cache")), dir("/cache/maskrcnn-512bit"));
        assert_ne!(shaders(None, dir("relative")), dir("relative/maskrcnn-512bit"));
    }
}
