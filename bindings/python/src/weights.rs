//! Downloads of weights that are published.

use std::path::PathBuf;

use maskrcnn::engine::weights::pull::{Progress, Published, cache_dir, pull as fetch};
use pyo3::prelude::*;

use crate::errors::{self, work};

/// The names of the models that torchvision and detectron2 publish: each stands for its weights, once `pull` has brought them.
#[pyfunction]
pub(crate) fn published() -> Vec<&'static str> {
    maskrcnn::published().collect()
}

/// Downloads the weights of a published model into the user's folder for them (`$MASKRCNN_CACHE`, else the platform's cache folder)
/// or into `folder`, checks its length and hash, and returns the file's path. What is there already is not downloaded again, what
/// broke off is gone on with. `progress` is called with the bytes that are there and those of the whole.
///
/// Raises `ConfigError` for a name that is not published, `DownloadError` where the server cannot be reached, `FileError`
/// where the file cannot be kept. An exception of `progress` is raised once the download has ended.
#[pyfunction]
#[pyo3(signature = (name, *, folder=None, progress=None))]
pub(crate) fn pull(py: Python, name: &str, folder: Option<PathBuf>, progress: Option<Py<PyAny>>) -> PyResult<PathBuf> {
    let known = || maskrcnn::published().collect::<Vec<_>>().join(", ");
    let published = Published::find(name)
        .ok_or_else(|| errors::new(py, "ConfigError", format!("`{name}` is not published; there are {}", known())))?;
    let mut stopped: Option<PyErr> = None;
    let mut tell = |p: Progress| {
        let Some(progress) = progress.as_ref().filter(|_| stopped.is_none()) else { return };
        stopped = Python::attach(|py| progress.call1(py, (p.done, p.total))).err();
    };
    let path = work(py, || {
        let dir = folder.map_or_else(cache_dir, Ok)?;
        fetch(published, published.project.origin, &dir, &mut tell)
    })?;
    stopped.map_or(Ok(path), Err)
}
