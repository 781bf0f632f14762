//! Image files as arrays.

use maskrcnn::engine::vision::{Channels, Normalize, Pages, ReadOptions, read_file};
use numpy::{PyArray1, PyArray3, PyArrayMethods};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

use crate::errors::work;
use crate::logs;
use crate::picture::{Source, source};

/// Reads an image file (a path, or its bytes) as `Detector.detect` does: uint8, (height, width, 3), RGB, upright.
///
/// `page` takes a page of a TIFF or a frame of an animation, from 1 (`maskrcnn.pages` counts them). `channels` takes one, shown in
/// grey, or three as red, green and blue; they are counted from 0. `normalize` says what becomes black and what white where there are
/// more than 8 bits: "auto", "full", "minmax", a pair of values `(low, high)`, or a pair of percentiles `("1%", "99%")`.
///
/// What was assumed or left out is warned of (`maskrcnn.Notice`). Raises ImageError for what is no image, MissingFileError and
/// FileError for what cannot be read.
#[pyfunction]
#[pyo3(signature = (file, *, page=None, channels=None, normalize=None))]
pub(crate) fn read<'py>(
    py: Python<'py>,
    file: &Bound<'py, PyAny>,
    page: Option<usize>,
    channels: Option<&Bound<'py, PyAny>>,
    normalize: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray3<u8>>> {
    let mut options = ReadOptions::default();
    options.page = page;
    options.channels = channels.map(of_channels).transpose()?.unwrap_or_default();
    options.normalize = normalize.map(of_values).transpose()?.unwrap_or_default();
    let (bytes, name) = encoded(py, file)?;
    let reading = work(py, || {
        let reading = options.decode(&bytes, &name)?;
        Ok((reading.image, reading.notes))
    })?;
    let (image, notes) = reading;
    for note in notes {
        logs::warn(py, &format!("{name}: {note}"))?;
    }
    let size = [image.height() as usize, image.width() as usize, 3];
    PyArray1::from_vec(py, image.into_rgb()).reshape(size)
}

/// The numbers of the pictures in a file (a path, or its bytes), from 1, but for masks and smaller versions of others: pages of a TIFF,
/// frames of an animation, `[1]` in any other.
#[pyfunction]
pub(crate) fn pages(py: Python, file: &Bound<'_, PyAny>) -> PyResult<Vec<usize>> {
    let (bytes, name) = encoded(py, file)?;
    work(py, || Ok(Pages::of(&bytes, &name)?.whole))
}

/// A file's bytes, and what to call it.
fn encoded(py: Python, file: &Bound<'_, PyAny>) -> PyResult<(Vec<u8>, String)> {
    match source(file, None, false)? {
        Source::File(path) => Ok((work(py, || read_file(&path))?, path.display().to_string())),
        Source::Encoded(bytes) => Ok((bytes, "from bytes".into())),
        _ => Err(PyTypeError::new_err("a file is a path, or the bytes of one")),
    }
}

fn of_channels(channels: &Bound<'_, PyAny>) -> PyResult<Channels> {
    if let Ok(one) = channels.extract::<usize>() {
        return Ok(Channels::Grey(one));
    }
    let told = || PyTypeError::new_err("channels is a number from 0, or three of them");
    channels.extract::<(usize, usize, usize)>().map(|c| Channels::Rgb(c.into())).map_err(|_| told())
}

fn of_values(normalize: &Bound<'_, PyAny>) -> PyResult<Normalize> {
    let told = || {
        PyValueError::new_err(
            "normalize is \"auto\", \"full\", \"minmax\", two values such as (0, 4095), or two percentiles such as (\"1%\", \"99%\")",
        )
    };
    if let Ok(name) = normalize.extract::<String>() {
        return match name.as_str() {
            "auto" => Ok(Normalize::Auto),
            "full" => Ok(Normalize::Full),
            "minmax" => Ok(Normalize::MinMax),
            _ => Err(told()),
        };
    }
    let percent = |text: String| text.trim().strip_suffix('%')?.trim().parse::<f64>().ok();
    let (low, high, percentiles) = match normalize.extract::<(f64, f64)>() {
        Ok((low, high)) => (low, high, false),
        Err(_) => match normalize.extract::<(String, String)>() {
            Ok((low, high)) => match (percent(low), percent(high)) {
                (Some(low), Some(high)) if low >= 0.0 && high <= 100.0 => (low, high, true),
                _ => return Err(told()),
            },
            Err(_) => return Err(told()),
        },
    };
    if !(low < high && low.is_finite() && high.is_finite()) {
        return Err(told());
    }
    Ok(if percentiles { Normalize::Percentiles(low, high) } else { Normalize::Range(low, high) })
}
