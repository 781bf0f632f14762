//! The Python package of maskrcnn, as far as it is Rust: the module `maskrcnn._maskrcnn`.
//!
//! | file | what is in it |
//! |---|---|
//! | `detector`, `stream` | a network on a device; images one after the other |
//! | `picture`, `reading` | what an image may be given as; files as arrays |
//! | `detections`, `detection`, `state` | what was found; one of it; the same pickled |
//! | `arrays`, `drawing` | masks, run lengths and outlines as Python has them; overlays |
//! | `devices`, `weights` | what there is to choose from |
//! | `errors`, `logs` | exceptions and the interpreter's lock; warnings and `logging` |
//!
//! What takes time goes through `errors::work`: with the interpreter's lock released, and so that a panic is an exception.

mod arrays;
mod detection;
mod detections;
mod detector;
mod devices;
mod drawing;
mod errors;
mod logs;
mod picture;
mod reading;
mod state;
mod stream;
mod weights;

use pyo3::prelude::*;

/// Gives up as a mistake of the library's would, for the test of what becomes of that.
#[pyfunction]
fn _panic(py: Python) -> PyResult<()> {
    errors::work(py, || panic!("as the test asked for"))
}

/// What is Rust of the package `maskrcnn`.
#[pymodule]
fn _maskrcnn(module: &Bound<'_, PyModule>) -> PyResult<()> {
    logs::begin();
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<detector::Detector>()?;
    module.add_class::<detections::Detections>()?;
    module.add_class::<detection::Detection>()?;
    module.add_class::<stream::Stream>()?;
    module.add_class::<devices::Device>()?;
    module.add_function(wrap_pyfunction!(devices::devices, module)?)?;
    module.add_function(wrap_pyfunction!(weights::published, module)?)?;
    module.add_function(wrap_pyfunction!(weights::pull, module)?)?;
    module.add_function(wrap_pyfunction!(reading::read, module)?)?;
    module.add_function(wrap_pyfunction!(reading::pages, module)?)?;
    module.add_function(wrap_pyfunction!(detections::_restore, module)?)?;
    module.add_function(wrap_pyfunction!(stream::_finish, module)?)?;
    module.add_function(wrap_pyfunction!(_panic, module)?)?;
    Ok(())
}
