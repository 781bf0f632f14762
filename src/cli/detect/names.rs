//! What results are called by: file names, and COCO's image ids.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use maskrcnn::engine::vision::coco::ImageId;

/// The stem of each image's results: its own. Images that share one take their whole names, if their endings set them
/// apart, and have as many of their folders before those as do; the order of the images is of no matter, and so is
/// what else is among them. A number tells apart what is left.
pub(super) fn stems<P: AsRef<Path>>(images: &[P]) -> Vec<String> {
    let plain: Vec<String> = images.iter().map(|i| text(i.as_ref().file_stem())).collect();
    let mut groups: HashMap<String, Vec<usize>> = HashMap::new();
    for (i, stem) in plain.iter().enumerate() {
        groups.entry(key(stem)).or_default().push(i);
    }
    let mut out = plain;
    for group in groups.values().filter(|g| g.len() > 1) {
        let paths: Vec<PathBuf> = group.iter().map(|&i| absolute(images[i].as_ref())).collect();
        for (&i, name) in group.iter().zip(apart(&paths)) {
            out[i] = name;
        }
    }
    let mut taken = HashSet::new();
    for name in &mut out {
        let base = name.clone();
        let mut number = 1;
        while !taken.insert(key(name)) {
            number += 1;
            *name = format!("{base}-{number}");
        }
    }
    out
}

/// Names for files of one stem, with whatever sets them apart.
fn apart(paths: &[PathBuf]) -> Vec<String> {
    let names: Vec<String> = paths.iter().map(|p| text(p.file_name())).collect();
    // Where all have the same ending, it is of no use.
    let same = names.iter().all(|n| key(n) == key(&names[0]));
    let base: Vec<String> = if same { paths.iter().map(|p| text(p.file_stem())).collect() } else { names };
    let folders: Vec<Vec<String>> = paths.iter().map(|p| folders(p)).collect();
    let deepest = folders.iter().map(Vec::len).max().unwrap_or(0);
    let with = |depth: usize| -> Vec<String> {
        let name = |(base, folders): (&String, &Vec<String>)| {
            let from = folders.len().saturating_sub(depth);
            folders[from..].iter().chain([base]).map(String::as_str).collect::<Vec<_>>().join("-")
        };
        base.iter().zip(&folders).map(name).collect()
    };
    let distinct = |names: &Vec<String>| names.iter().map(|n| key(n)).collect::<HashSet<_>>().len() == names.len();
    (0..=deepest).map(with).find(distinct).unwrap_or_else(|| with(deepest))
}

/// The id of each image, by its results' stem: a number where that is all digits, as COCO's own are. Of several that
/// would be one number (`7`, `007`), the shortest has it, and the others keep their names.
pub(super) fn ids(stems: &[String]) -> Vec<ImageId> {
    let mut shortest: HashMap<ImageId, usize> = HashMap::new();
    for stem in stems {
        let least = shortest.entry(ImageId::from(stem.as_str())).or_insert(stem.len());
        *least = stem.len().min(*least);
    }
    let id = |stem: &String| match ImageId::from(stem.as_str()) {
        id if shortest.get(&id) == Some(&stem.len()) => id,
        _ => ImageId::Name(stem.clone()),
    };
    stems.iter().map(id).collect()
}

fn text(part: Option<&OsStr>) -> String {
    part.map_or("image".into(), |p| p.to_string_lossy().into_owned())
}

/// What two names have in common that are one file's.
fn key(name: &str) -> String {
    if cfg!(any(windows, target_os = "macos")) { name.to_lowercase() } else { name.into() }
}

/// The path with its folder from the root on, without links and detours. The file itself may be a link: it has its own
/// name.
pub(super) fn absolute(path: &Path) -> PathBuf {
    let folder = path.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match (folder.canonicalize(), path.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        _ => path.to_path_buf(),
    }
}

fn folders(path: &Path) -> Vec<String> {
    let parts = path.parent().into_iter().flat_map(Path::components);
    let named = parts.filter_map(|c| if let Component::Normal(name) = c { Some(name) } else { None });
    named.map(|n| n.to_string_lossy().into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stems_of(images: &[&str]) -> Vec<String> {
        stems(images)
    }

    #[test]
    fn names_are_the_images_own_where_they_can_be() {
        for (images, want) in [
            (&["a.png", "/x/b.tar.gz", "c"][..], &["a", "b.tar", "c"][..]),
            (&["/x/y.jpg", "/x/y.bmp", "z.png"], &["y.jpg", "y.bmp", "z"]),
            (&["/one/7.png", "/two/7.png"], &["one-7", "two-7"]),
            (&["/one/a/7.png", "/two/a/7.png", "/two/b/7.png"], &["one-a-7", "two-a-7", "two-b-7"]),
            (&["/one/7.png", "/two/7.jpg"], &["7.png", "7.jpg"]),
            (&["/one/7.png", "/two/7.jpg", "/two/7.png"], &["one-7.png", "two-7.jpg", "two-7.png"]),
            (&["/one/7.png", "/one-7.png", "/two/7.png"], &["one-7", "one-7-2", "two-7"]),
            (&["/7.png", "/two/7.png"], &["7", "two-7"]),
            (&["..", "/"], &["image", "image-2"]),
        ] {
            assert_eq!(stems_of(images), want, "{images:?}");
            // Whoever comes first, but for what only a number tells apart.
            let turned: Vec<&str> = images.iter().rev().copied().collect();
            let mut other = stems_of(&turned);
            other.reverse();
            assert!(other == want || want.iter().any(|w| w.ends_with("-2")), "{other:?}, not {want:?}");
        }
    }

    #[test]
    fn ids_are_distinct_and_numbers_where_names_are() {
        let ids_of = |stems: &[&str]| {
            let stems: Vec<String> = stems.iter().map(|s| s.to_string()).collect();
            serde_json::to_string(&ids(&stems)).unwrap()
        };
        assert_eq!(ids_of(&["007", "a", "000000000042"]), r#"[7,"a",42]"#);
        assert_eq!(ids_of(&["007", "7", "0007"]), r#"["007",7,"0007"]"#);
        assert_eq!(ids_of(&["0007", "007"]), r#"["0007",7]"#);
        assert_eq!(ids_of(&["one-7", "two-7", "7"]), r#"["one-7","two-7",7]"#);
    }
}
