//! Mesa's CPU driver with the widest vectors that the CPU has.
//!
//! lavapipe takes vectors of 256 bits unless `LP_NATIVE_VECTOR_WIDTH` says otherwise, also where the CPU has AVX-512. With
//! 512 the default model takes 0.7 to 0.85 of the time, before Mesa 23.1 and from 26 on; between them it would take twice as long
//! (benches/NOTES.md), and so the driver's version is asked first. Mesa's shader cache does not know the width that a shader was
//! compiled for, so such shaders go into a folder of their own.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use maskrcnn::engine::gpu::adapters;
use maskrcnn::engine::target::policy::{mesa_version, wants_widest};

/// Read by Mesa when devices are listed.
const WIDTH: &str = "LP_NATIVE_VECTOR_WIDTH";
const SHADERS: &str = "MESA_SHADER_CACHE_DIR";

/// Bits of lavapipe's vectors where nobody chose.
const USUAL: u32 = 256;

/// Asks lavapipe for vectors of 512 bits where the CPU has them, they pay, no GPU is there that could be used instead, and the
/// user has not chosen a width. To be called before a device is opened. Where the user has chosen one, its shaders are kept apart
/// too: those of another width compute nonsense.
///
/// # Safety
/// No other thread of this program may run yet.
pub(crate) unsafe fn widen() {
    let chosen = env::var(WIDTH).ok();
    if let Some(bits) = chosen.as_deref().and_then(|width| width.parse().ok()).filter(|bits| *bits != USUAL) {
        if let Some(folder) = folder(bits) {
            // SAFETY: the caller's.
            unsafe { env::set_var(SHADERS, folder) };
        }
        return;
    }
    if env::var_os(WIDTH).is_some() || !has_avx512() || has_gpu(Path::new("/dev")) {
        return;
    }
    // The width is read again when devices are listed the next time. What the driver ran beside us has ended with the list.
    let pays = adapters().iter().any(|adapter| pay_off(&adapter.driver));
    if !pays || threads() != Some(1) {
        return;
    }
    let Some(folder) = folder(512) else { return };
    // SAFETY: the caller's.
    unsafe {
        env::set_var(WIDTH, "512");
        env::set_var(SHADERS, folder);
    }
    WIDENED.store(true, Ordering::Relaxed);
}

/// Whether such vectors pay on this driver, as it describes itself.
fn pay_off(driver: &str) -> bool {
    driver.starts_with("llvmpipe ") && mesa_version(driver).is_some_and(wants_widest)
}

/// Threads of this process, where the system tells.
fn threads() -> Option<usize> {
    Some(std::fs::read_dir("/proc/self/task").ok()?.count())
}

static WIDENED: AtomicBool = AtomicBool::new(false);

/// Whether [`widen`] asked for them.
pub(super) fn widened() -> bool {
    WIDENED.load(Ordering::Relaxed)
}

/// A folder for shaders of so many bits, made where it was missing.
fn folder(bits: u32) -> Option<PathBuf> {
    let folder =
        shaders(bits, env::var_os(SHADERS).map(PathBuf::from), env::var_os("XDG_CACHE_HOME").map(PathBuf::from));
    // Mesa makes the last folder of a path alone.
    folder.filter(|folder| std::fs::create_dir_all(folder).is_ok())
}

/// Where Mesa keeps shaders of so many bits: beneath the folder that the user has chosen, or beside its own.
fn shaders(bits: u32, chosen: Option<PathBuf>, cache: Option<PathBuf>) -> Option<PathBuf> {
    let chosen = chosen.filter(|dir| !dir.as_os_str().is_empty());
    let cache = cache.filter(|dir| dir.is_absolute());
    let home = || env::home_dir().filter(|home| home.is_absolute()).map(|home| home.join(".cache"));
    Some(chosen.or(cache).or_else(home)?.join(format!("maskrcnn-{bits}bit")))
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
    fn drivers_are_asked_by_their_version() {
        assert!(pay_off("llvmpipe Mesa 22.3.6 (LLVM 15.0.6)") && pay_off("llvmpipe Mesa 26.1.6-1 (LLVM 19.1.7)"));
        assert!(!pay_off("llvmpipe Mesa 25.0.7-2+deb13u1 (LLVM 19.1.7)"), "shuffles of sixteen lanes are loops");
        assert!(!pay_off("radv Mesa 22.3.6") && !pay_off("SwiftShader driver") && !pay_off("llvmpipe"));
        assert!(threads().is_none_or(|threads| threads > 0));
    }

    #[test]
    fn shaders_of_another_width_are_kept_apart() {
        let dir = |text: &str| Some(PathBuf::from(text));
        assert_eq!(shaders(512, dir("/mine"), dir("/cache")), dir("/mine/maskrcnn-512bit"));
        assert_eq!(shaders(512, dir(""), dir("/cache")), dir("/cache/maskrcnn-512bit"));
        assert_eq!(shaders(128, dir("/mine"), None), dir("/mine/maskrcnn-128bit"));
        assert_ne!(shaders(512, None, dir("relative")), dir("relative/maskrcnn-512bit"));
    }
}
