//! The files of a run.

use std::fs;
use std::path::{Path, PathBuf};

use maskrcnn::engine::eval::{precision_recall, score_histogram};
use maskrcnn::engine::vision::coco::CocoResult;
use maskrcnn::engine::vision::results::{check_folder, is_ours, save_markup_atomic, save_results_atomic};
use maskrcnn::{Error, Result};

use super::{Args, Outcome, page, show};

/// Every file that a run may write.
const FILES: [&str; 6] = [
    "index.html",
    "results.json",
    "boxes-precision-recall.svg",
    "boxes-scores.svg",
    "masks-precision-recall.svg",
    "masks-scores.svg",
];

/// Refuses a folder that cannot be written, or has files of others by these names.
pub(super) fn check(folder: &Path, overwrite: bool) -> Result<()> {
    check_folder(folder)?;
    for path in FILES.map(|name| folder.join(name)) {
        let there = path.symlink_metadata().is_ok();
        if there && (path.is_dir() || !overwrite && !is_ours(&path)) {
            let reason = "is there already, and was written or changed by somebody else; name another folder with --out, or \
                          replace it with --overwrite";
            return Err(Error::Dataset { file: path.display().to_string(), reason: reason.into() });
        }
    }
    Ok(())
}

/// Writes plots, page and, where the detector was run, its results. Gives their names.
pub(super) fn write(
    args: &Args,
    outcome: &Outcome,
    found: Option<&[CocoResult]>,
    folder: &Path,
) -> Result<Vec<PathBuf>> {
    let mut plots = Vec::new();
    for evaluation in &outcome.evaluations {
        let name = show::name(evaluation.kind);
        plots.push((format!("{name}-precision-recall.svg"), precision_recall(evaluation)));
        plots.push((format!("{name}-scores.svg"), score_histogram(evaluation)));
    }
    let page = page::html(args, outcome, &plots)?;
    fs::create_dir_all(folder).map_err(|source| Error::Io { path: folder.into(), source })?;
    // Once more: a run may take long.
    check(folder, args.overwrite)?;
    let mut out = Vec::new();
    for (name, text) in plots.into_iter().chain([("index.html".to_string(), page)]) {
        let path = folder.join(name);
        save_markup_atomic(&path, &text)?;
        out.push(path);
    }
    if let Some(found) = found {
        let path = folder.join("results.json");
        save_results_atomic(&path, found)?;
        out.push(path);
    }
    Ok(out)
}
