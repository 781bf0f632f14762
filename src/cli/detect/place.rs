//! Where files of a run go.

use std::path::{Path, PathBuf};

use maskrcnn::engine::vision::results::Form;

use super::exports::Save;

/// A file of an image's, beside its pair.
pub(super) fn of_image(save: Save, out: &Path, stem: &str) -> Option<(PathBuf, Form)> {
    let (folder, ending, form) = match save {
        Save::Labelme => ("labelme", "json", Form::Object),
        Save::Yolo => ("yolo/labels", "txt", Form::Plain),
        Save::Geojson => ("geojson", "geojson", Form::Object),
        Save::Imagej => ("imagej", "zip", Form::Zip),
        Save::Labels16 => ("labels16", "tif", Form::Tiff),
        Save::Labels32 => ("labels32", "tif", Form::Tiff),
        Save::Coco | Save::Png | Save::Dataset | Save::Csv | Save::Cutouts | Save::Html => return None,
    };
    Some((below(out, folder).join(format!("{stem}.{ending}")), form))
}

/// A file of the whole run's.
pub(super) fn of_run(save: Save, out: &Path) -> Option<(PathBuf, Form)> {
    let (folder, name, form) = match save {
        Save::Dataset => ("annotations", "instances.json", Form::Object),
        Save::Yolo => ("yolo", "data.yaml", Form::Plain),
        Save::Csv => ("", "measurements.csv", Form::Plain),
        Save::Html => ("", "index.html", Form::Markup),
        _ => return None,
    };
    Some((below(out, folder).join(name), form))
}

/// The folder of an image's cut-outs.
pub(super) fn cutouts(out: &Path, stem: &str) -> PathBuf {
    out.join("cutouts").join(stem)
}

/// The cut-out of an instance, by its number from 1.
pub(super) fn cutout(folder: &Path, number: usize) -> PathBuf {
    folder.join(format!("{number:04}.png"))
}

/// What the program has to know of an image's files later: in the run, in the next, and for `--resume`.
pub(super) fn record(out: &Path, stem: &str) -> PathBuf {
    below(out, ".maskrcnn/images").join(format!("{stem}.json"))
}

/// What it has to know of the whole run's.
pub(super) fn run_record(out: &Path) -> PathBuf {
    out.join(".maskrcnn").join("run.json")
}

/// Folders that a run may write into, and what its files there end in.
pub(super) fn folders(out: &Path) -> Vec<(PathBuf, &'static [&'static str])> {
    let all: [(&str, &[&str]); 11] = [
        ("", &[".json", ".png", ".mp4", ".csv", ".html"]),
        ("annotations", &[".json"]),
        ("labelme", &[".json"]),
        ("yolo", &[".yaml"]),
        ("yolo/labels", &[".txt"]),
        ("geojson", &[".geojson"]),
        ("imagej", &[".zip"]),
        ("labels16", &[".tif"]),
        ("labels32", &[".tif"]),
        (".maskrcnn", &[".json"]),
        (".maskrcnn/images", &[".json"]),
    ];
    all.into_iter().map(|(folder, endings)| (below(out, folder), endings)).collect()
}

/// With the system's own separators, as paths are said.
fn below(out: &Path, folder: &str) -> PathBuf {
    folder.split('/').filter(|f| !f.is_empty()).fold(out.to_path_buf(), |path, f| path.join(f))
}
