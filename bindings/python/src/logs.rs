//! What the library logs, handed to Python's `logging`; and what a user should know, as Python's warnings.

use std::ffi::CString;
use std::sync::{Mutex, MutexGuard, PoisonError};

use log::{Level, LevelFilter, Log, Metadata, Record};
use pyo3::prelude::*;
use pyo3::types::PyType;

use crate::errors;

/// Most lines that wait for a thread of Python's.
const MOST: usize = 256;

/// Keeps lines until a thread has the interpreter's lock: one that is at work may hold locks of the library's, and whoever waits for
/// those may have the interpreter's.
struct Waiting(Mutex<Vec<(Level, String)>>);

static WAITING: Waiting = Waiting(Mutex::new(Vec::new()));

impl Waiting {
    fn lines(&self) -> MutexGuard<'_, Vec<(Level, String)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log for Waiting {
    fn enabled(&self, about: &Metadata) -> bool {
        about.level() <= Level::Info && about.target().starts_with("maskrcnn")
    }

    fn log(&self, record: &Record) {
        let mut lines = self.lines();
        if self.enabled(record.metadata()) && lines.len() < MOST {
            lines.push((record.level(), record.args().to_string()));
        }
    }

    fn flush(&self) {}
}

/// To be called once.
pub(crate) fn begin() {
    // Where an app that embeds Python has a logger, that one stays.
    if log::set_logger(&WAITING).is_ok() {
        log::set_max_level(LevelFilter::Info);
    }
}

/// Hands what was logged to the logger `maskrcnn`.
pub(crate) fn deliver(py: Python) -> PyResult<()> {
    let lines = std::mem::take(&mut *WAITING.lines());
    if lines.is_empty() {
        return Ok(());
    }
    let logger = py.import("logging")?.call_method1("getLogger", ("maskrcnn",))?;
    for (level, text) in lines {
        let level = match level {
            Level::Error => 40,
            Level::Warn => 30,
            _ => 20,
        };
        logger.call_method1("log", (level, "%s", text))?;
    }
    Ok(())
}

/// Warns of what was assumed or left out: a `maskrcnn.Notice`.
pub(crate) fn warn(py: Python, text: &str) -> PyResult<()> {
    let class = errors::exceptions(py)?.getattr("Notice")?.cast_into::<PyType>()?;
    PyErr::warn(py, &class, &CString::new(text.replace('\0', "\\0"))?, 1)
}
