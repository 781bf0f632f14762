//! What results are called by: file names, and COCO's image ids.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use maskrcnn::engine::vision::coco::ImageId;

/// A page of a file that has several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Page {
    /// From 1.
    pub number: usize,
    /// How many the file has: all its pages' numbers have as many digits in names.
    pub count: usize,
}

/// The name of a run's summary, which no image's results may have.
pub(super) const SUMMARY: &str = "summary";

/// The stem of each picture's results: its file's own, and behind it `-p` and the number of its page. Files that share
/// one take their whole names, if their endings set them apart, and have as many of their folders before those as do; the
/// order of the images is of no matter, and so is what else is among them. A number tells apart what is left.
pub(super) fn stems(pictures: &[(&Path, Option<Page>)]) -> Vec<String> {
    // The pages of a file stand next to each other.
    let mut files: Vec<&Path> = pictures.iter().map(|p| p.0).collect();
    files.dedup();
    let names = of_files(&files);
    let mut file = 0;
    let mut out: Vec<String> = Vec::with_capacity(pictures.len());
    for (path, page) in pictures {
        file += usize::from(files[file] != *path);
        let page = page
            .map_or(String::new(), |page| format!("-p{:0digits$}", page.number, digits = page.count.to_string().len()));
        out.push(names[file].clone() + &page);
    }
    // Of one picture there is no summary.
    let mut taken: HashSet<String> = (pictures.len() > 1).then(|| key(SUMMARY)).into_iter().collect();
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

fn of_files(files: &[&Path]) -> Vec<String> {
    let mut out: Vec<String> = files.iter().map(|file| text(file.file_stem())).collect();
    let mut groups: HashMap<String, Vec<usize>> = HashMap::new();
    for (i, stem) in out.iter().enumerate() {
        groups.entry(key(stem)).or_default().push(i);
    }
    for group in groups.values().filter(|g| g.len() > 1) {
        let paths: Vec<PathBuf> = group.iter().map(|&i| absolute(files[i])).collect();
        for (&i, name) in group.iter().zip(apart(&paths)) {
            out[i] = name;
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
        stems(&images.iter().map(|image| (Path::new(image), None)).collect::<Vec<_>>())
    }

    #[test]
    fn pages_are_numbered_and_a_summarys_name_is_left_free() {
        let page = |number, count| Some(Page { number, count });
        let [a, b, other] = ["a.tif", "/x/a.tif", "a-p02.png"].map(Path::new);
        let pages = [(a, page(2, 12)), (a, page(11, 12)), (other, None)];
        assert_eq!(stems(&pages), ["a-p02", "a-p11", "a-p02-2"]);
        let one = stems(&[(b, page(3, 4)), (Path::new("/y/a.tif"), page(3, 4)), (Path::new("/y/a.tif"), page(4, 4))]);
        assert_eq!(one, ["x-a-p3", "y-a-p3", "y-a-p4"]);
        assert_eq!(stems_of(&["summary.png", "b.png"]), ["summary-2", "b"]);
        assert_eq!(stems_of(&["summary.png"]), ["summary"]);
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
