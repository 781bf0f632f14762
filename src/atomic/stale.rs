//! What killed processes left.

use std::fs;
use std::path::Path;

use super::staged::is_free;

/// Removes the hidden files that killed processes left in `folder`, of those targets whose names `ours` knows. A file
/// stays whose process lives, or that somebody holds. Nothing is said of what cannot be removed: it does no harm.
pub(crate) fn sweep(folder: &Path, ours: impl Fn(&str) -> bool) {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let Some((target, process)) = parts(&name) else { continue };
        if !ours(target) || !entry.file_type().is_ok_and(|t| t.is_file()) || lives(process) {
            continue;
        }
        let path = entry.path();
        if is_free(&path) {
            let _ = fs::remove_file(path);
        }
    }
}

/// The target's name and the process, of a hidden file's name.
fn parts(name: &str) -> Option<(&str, u32)> {
    let inner = name.strip_prefix('.')?.strip_suffix(".part")?;
    let (inner, count) = inner.rsplit_once('.')?;
    let (target, process) = inner.rsplit_once('.')?;
    let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<u32>().ok()).flatten();
    number(count)?;
    Some((target, number(process)?)).filter(|p| !p.0.is_empty())
}

/// Whether another process has this number, where the system says so. What this process itself writes is locked.
fn lives(process: u32) -> bool {
    process != std::process::id() && cfg!(target_os = "linux") && Path::new("/proc").join(process.to_string()).exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_hidden_files_are_known() {
        assert_eq!(parts(".a.png.17.3.part"), Some(("a.png", 17)));
        assert_eq!(parts(".a.1.2.3.part"), Some(("a.1", 2)));
        for other in ["a.png.17.3.part", ".a.png.17.3", ".a.png.17.part", "..17.3.part", ".a.png.x.3.part", ".part"] {
            assert_eq!(parts(other), None, "{other}");
        }
    }
}
