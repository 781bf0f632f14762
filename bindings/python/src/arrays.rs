//! From the library's results to arrays, lists and dicts.

use maskrcnn::engine::vision::export::{Part, parts};
use maskrcnn::{Detections, Mask};
use numpy::{PyArray1, PyArray2, PyArray3, PyArrayMethods};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::errors::work;

/// Masks as whole images. numpy takes the memory, and says where there is none; what is not set is never touched.
pub(crate) fn masks<'py>(py: Python<'py>, found: &Detections) -> PyResult<Bound<'py, PyArray3<bool>>> {
    let (n, h, w) = (found.len(), found.height, found.width);
    let array = zeros(py, (n, h, w))?.cast_into::<PyArray3<bool>>()?;
    let mut writer = array.try_readwrite().map_err(|e| pyo3::exceptions::PyRuntimeError::new_err(e.to_string()))?;
    let pixels = writer.as_slice_mut()?;
    let size = h as usize * w as usize;
    work(py, || {
        for (d, pixels) in found.iter().zip(pixels.chunks_exact_mut(size.max(1))) {
            fill(pixels, &d.mask, h, w);
        }
        Ok(())
    })?;
    drop(writer);
    Ok(array)
}

/// One mask as a whole image.
pub(crate) fn mask<'py>(py: Python<'py>, mask: &Mask, h: u32, w: u32) -> PyResult<Bound<'py, PyArray2<bool>>> {
    let array = zeros(py, (h, w))?.cast_into::<PyArray2<bool>>()?;
    let mut writer = array.try_readwrite().map_err(|e| pyo3::exceptions::PyRuntimeError::new_err(e.to_string()))?;
    let pixels = writer.as_slice_mut()?;
    work(py, || {
        fill(pixels, mask, h, w);
        Ok(())
    })?;
    drop(writer);
    Ok(array)
}

fn zeros<'py>(py: Python<'py>, shape: impl IntoPyObject<'py>) -> PyResult<Bound<'py, PyAny>> {
    py.import("numpy")?.call_method1("zeros", (shape, "bool"))
}

/// Sets a mask's pixels in an image of zeros.
fn fill(pixels: &mut [bool], mask: &Mask, h: u32, w: u32) {
    for run in mask.runs().filter(|run| run.y < h && run.x0 < w) {
        let row = run.y as usize * w as usize;
        let (from, to) = (row + run.x0 as usize, row + run.x1.min(w) as usize);
        if let Some(run) = pixels.get_mut(from..to) {
            run.fill(true);
        }
    }
}

/// A dict of COCO's run lengths.
pub(crate) fn rle<'py>(py: Python<'py>, h: u32, w: u32, counts: &str) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("size", [h, w])?;
    dict.set_item("counts", counts)?;
    Ok(dict)
}

/// The parts of a mask, of each the rings' corners.
pub(crate) fn outlines(mask: &Mask) -> Vec<Part> {
    parts(mask)
}

/// The rings of a mask's parts as arrays.
pub(crate) fn rings<'py>(py: Python<'py>, parts: Vec<Part>) -> PyResult<Bound<'py, PyList>> {
    let part = |part: Part| {
        let rings = std::iter::once(part.shell).chain(part.holes).map(|ring| {
            let corners = ring.0.len();
            // Corners are within an image, whose sides have 16 bits.
            let flat: Vec<i32> = ring.0.into_iter().flatten().map(|v| i32::try_from(v).unwrap_or(i32::MAX)).collect();
            PyArray1::from_vec(py, flat).reshape([corners, 2])
        });
        PyList::new(py, rings.collect::<PyResult<Vec<Bound<'py, PyArray2<i32>>>>>()?)
    };
    PyList::new(py, parts.into_iter().map(part).collect::<PyResult<Vec<_>>>()?)
}

/// Masks before they are cut, where all have them.
pub(crate) fn soft_masks<'py>(py: Python<'py>, found: &Detections) -> PyResult<Option<Bound<'py, PyArray3<f32>>>> {
    let all: Option<Vec<_>> = found.iter().map(|d| d.soft.as_ref()).collect();
    let Some((all, first)) = all.and_then(|all| all.first().map(|first| first.side).map(|side| (all, side))) else {
        return Ok(None);
    };
    let n = all.len();
    let values: Vec<f32> = all.into_iter().flat_map(|soft| soft.values.iter().copied()).collect();
    PyArray1::from_vec(py, values).reshape([n, first, first]).map(Some)
}
