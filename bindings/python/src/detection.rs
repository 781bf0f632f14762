//! One instance.

use std::sync::Arc;

use maskrcnn::{Detection as One, Detections as Found};
use numpy::{PyArray1, PyArray2, PyArrayMethods};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::arrays;
use crate::detections::Detections;
use crate::errors::work;

/// One instance found: what `Detections` are made of.
#[pyclass(module = "maskrcnn", frozen)]
pub(crate) struct Detection {
    found: Arc<Found>,
    index: usize,
    masked: bool,
}

impl Detection {
    /// The one of that number, which there is.
    pub(crate) fn new(all: &Detections, index: usize) -> Self {
        Self { found: all.found.clone(), index, masked: all.masked }
    }

    fn one(&self) -> &One {
        &self.found.items[self.index]
    }
}

#[pymethods]
impl Detection {
    /// The box: x1, y1, x2, y2 in pixels of the image, a tuple of floats.
    #[getter]
    fn r#box(&self) -> (f32, f32, f32, f32) {
        self.one().bbox.into()
    }

    /// The score, 0 to 1.
    #[getter]
    fn score(&self) -> f32 {
        self.one().score
    }

    /// The label: an index into `Detections.classes`.
    #[getter]
    fn label(&self) -> u32 {
        self.one().label
    }

    /// The class's name.
    #[getter]
    fn class_name(&self) -> String {
        self.found.name(self.one().label).into_owned()
    }

    /// The mask: bool, (height, width) of the image, made when it is asked for; None where the model gives boxes only.
    #[getter]
    fn mask<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyArray2<bool>>>> {
        self.masked.then(|| arrays::mask(py, &self.one().mask, self.found.height, self.found.width)).transpose()
    }

    /// The mask's pixels, or None where the model gives boxes only.
    #[getter]
    fn area(&self) -> Option<u64> {
        self.masked.then(|| self.one().mask.area())
    }

    /// The mask as COCO's run lengths: a dict with `size` and `counts`; None where the model gives boxes only.
    #[getter]
    fn rle<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        if !self.masked {
            return Ok(None);
        }
        let (w, h) = (self.found.width, self.found.height);
        let text = work(py, || Ok(self.one().mask.to_rle(w, h).to_compressed_string()))?;
        arrays::rle(py, h, w, &text).map(Some)
    }

    /// The mask's outlines: a list of parts, each a list of rings, as `Detections.polygons` has them; None where the model gives boxes
    /// only.
    #[getter]
    fn polygons<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyList>>> {
        if !self.masked {
            return Ok(None);
        }
        let parts = work(py, || Ok(arrays::outlines(&self.one().mask)))?;
        arrays::rings(py, parts).map(Some)
    }

    /// The mask before it is cut at its threshold: float32, (side, side), or None where it was not asked for.
    #[getter]
    fn soft_mask<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyArray2<f32>>>> {
        let soft = self.one().soft.as_ref();
        soft.map(|soft| PyArray1::from_slice(py, &soft.values).reshape([soft.side, soft.side])).transpose()
    }

    fn __repr__(&self) -> String {
        let [x1, y1, x2, y2] = self.one().bbox;
        let name = self.found.name(self.one().label);
        format!("<maskrcnn.Detection: {name} {:.2} at {x1:.0},{y1:.0} to {x2:.0},{y2:.0}>", self.one().score)
    }
}
