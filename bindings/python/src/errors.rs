//! From the library's errors to Python's exceptions, and work that is done without the interpreter's lock.

use std::any::Any;
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};

use maskrcnn::Error;
use pyo3::prelude::*;

use crate::logs;

/// What went wrong with one of several pictures.
pub(crate) enum Failure {
    /// The library says so.
    Library(Error),
    /// A mistake of the library's: what it said when it gave up.
    Panic(String),
    /// Python says so, before the library was asked.
    Python(PyErr),
}

impl Failure {
    /// As the exception that a user meets.
    pub(crate) fn raise(self, py: Python) -> PyErr {
        match self {
            Self::Library(e) => raise(py, &e),
            Self::Panic(text) => {
                new(py, "InternalError", format!("internal error: the library gave up: {text}; please report it"))
            }
            Self::Python(e) => e,
        }
    }
}

/// Runs what needs nothing of Python's, with the interpreter's lock released: other threads of Python go on meanwhile. A panic is
/// an exception like any other. What the library logged is handed to `logging` afterwards.
pub(crate) fn work<T: Send>(py: Python, job: impl FnOnce() -> maskrcnn::Result<T> + Send) -> PyResult<T> {
    let answer = py.detach(|| guarded(job));
    logs::deliver(py)?;
    answer.map_err(|failure| failure.raise(py))
}

/// Runs a job whose panic is its failure.
pub(crate) fn guarded<T>(job: impl FnOnce() -> maskrcnn::Result<T>) -> Result<T, Failure> {
    match catch_unwind(AssertUnwindSafe(job)) {
        Ok(answer) => answer.map_err(Failure::Library),
        Err(panic) => Err(Failure::Panic(said(&*panic))),
    }
}

/// What a panic said.
pub(crate) fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or(panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("without a word").into()
}

/// The exception of an error.
pub(crate) fn raise(py: Python, e: &Error) -> PyErr {
    let class = match e {
        Error::Image { .. } => "ImageError",
        Error::Weights { .. } | Error::Tensor { .. } => "WeightsError",
        Error::Download { .. } => "DownloadError",
        Error::Config { .. } | Error::GivenBox { .. } | Error::Shape { .. } => "ConfigError",
        Error::NoAdapter(_) | Error::Unsupported { .. } | Error::Device { .. } | Error::Shader { .. } => "DeviceError",
        Error::DeviceLost { .. } => "DeviceLostError",
        Error::OutOfMemory { .. } => "OutOfMemoryError",
        Error::Limit { .. } => "LimitError",
        Error::Internal(_) => "InternalError",
        Error::Io { path, source } => return file(py, path, source),
        _ => "Error",
    };
    new(py, class, e.to_string())
}

/// An exception of a file that cannot be read or written: an `OSError` with its number and file, where the system gave one.
fn file(py: Python, path: &std::path::Path, source: &std::io::Error) -> PyErr {
    let class = if source.kind() == ErrorKind::NotFound { "MissingFileError" } else { "FileError" };
    // Where the library says it in its own words, the number is that of the kind.
    let by_kind = match source.kind() {
        ErrorKind::NotFound => Some("ENOENT"),
        ErrorKind::PermissionDenied => Some("EACCES"),
        ErrorKind::IsADirectory => Some("EISDIR"),
        _ => None,
    };
    let made = || -> PyResult<PyErr> {
        let (number, text) = match (source.raw_os_error(), by_kind) {
            (Some(n), _) => (n, py.import("os")?.call_method1("strerror", (n,))?.extract()?),
            (None, Some(name)) => (py.import("errno")?.getattr(name)?.extract()?, source.to_string()),
            (None, None) => return Ok(new(py, class, format!("{}: {source}", path.display()))),
        };
        let class = exceptions(py)?.getattr(class)?;
        Ok(PyErr::from_value(class.call1((number, text, path.display().to_string()))?))
    };
    made().unwrap_or_else(|e| e)
}

/// An exception of `maskrcnn._errors`.
pub(crate) fn new(py: Python, class: &str, text: String) -> PyErr {
    let made = || -> PyResult<PyErr> { Ok(PyErr::from_value(exceptions(py)?.getattr(class)?.call1((text,))?)) };
    made().unwrap_or_else(|e| e)
}

pub(crate) fn exceptions(py: Python<'_>) -> PyResult<Bound<'_, PyModule>> {
    py.import("maskrcnn._errors")
}
