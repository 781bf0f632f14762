//! What was found in an image.

use std::sync::Arc;

use maskrcnn::Detections as Found;
use maskrcnn::engine::vision::coco::{ImageId, results};
use numpy::{PyArray1, PyArray2, PyArray3, PyArrayMethods};
use pyo3::exceptions::{PyIndexError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{IntoPyDict, PyDict, PyIterator, PyList, PySlice};

use crate::arrays;
use crate::detection::Detection;
use crate::drawing::{Drawing, draw};
use crate::errors::{self, work};
use crate::state;

/// All instances found in an image, by falling score; n stands for their number. A sequence of `Detection`: `len`, iteration, indices
/// and slices work. It can be pickled, and does not change.
#[pyclass(module = "maskrcnn", frozen, eq)]
#[derive(Clone, PartialEq)]
pub(crate) struct Detections {
    pub found: Arc<Found>,
    pub notes: Vec<String>,
    /// Whether the model gives masks.
    pub masked: bool,
}

impl Detections {
    pub(crate) fn new(found: Found, notes: Vec<String>, masked: bool) -> Self {
        Self { found: Arc::new(found), notes, masked }
    }

    /// Those of some numbers, in their order.
    fn some(&self, numbers: impl Iterator<Item = usize>) -> Self {
        let items = numbers.filter_map(|i| self.found.items.get(i).cloned()).collect();
        self.with(Found { items, left_out: Vec::new(), classes: self.found.classes.clone(), ..*self.found })
    }

    fn with(&self, found: Found) -> Self {
        Self::new(found, self.notes.clone(), self.masked)
    }
}

#[pymethods]
impl Detections {
    /// Boxes: float32, (n, 4): x1, y1, x2, y2 in pixels of the image, edges rather than centres: the whole image is
    /// 0, 0, width, height. A new array each time.
    #[getter]
    fn boxes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray2<f32>>> {
        let all: Vec<f32> = self.found.iter().flat_map(|d| d.bbox).collect();
        PyArray1::from_vec(py, all).reshape([self.found.len(), 4])
    }

    /// Scores: float32, (n,), 0 to 1, falling. A new array each time.
    #[getter]
    fn scores<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<f32>> {
        PyArray1::from_vec(py, self.found.iter().map(|d| d.score).collect())
    }

    /// Labels: int64, (n,): indices into `classes`. 0 is the background and never found. A new array each time.
    #[getter]
    fn labels<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<i64>> {
        PyArray1::from_vec(py, self.found.iter().map(|d| i64::from(d.label)).collect())
    }

    /// Names of the classes found, a list of n.
    #[getter]
    fn class_names(&self) -> Vec<String> {
        self.found.iter().map(|d| self.found.name(d.label).into_owned()).collect()
    }

    /// Names of all classes of the model, by label.
    #[getter]
    fn classes(&self) -> Vec<String> {
        self.found.classes.to_vec()
    }

    /// Masks: bool, (n, height, width), made when they are asked for, or None where the model gives boxes only. n whole images:
    /// for many, `rle`, `polygons` or one `Detection.mask` after the other take less memory. Raises MemoryError.
    #[getter]
    fn masks<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyArray3<bool>>>> {
        self.masked.then(|| arrays::masks(py, &self.found)).transpose()
    }

    /// Pixels of each mask: int64, (n,), or None where the model gives boxes only.
    #[getter]
    fn areas<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyArray1<i64>>> {
        self.masked.then(|| PyArray1::from_vec(py, self.found.iter().map(|d| d.mask.area() as i64).collect()))
    }

    /// Masks as COCO's run lengths: a list of n dicts `{"size": [height, width], "counts": str}`, which pycocotools and `json`
    /// take, or None where the model gives boxes only.
    #[getter]
    fn rle<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyList>>> {
        if !self.masked {
            return Ok(None);
        }
        let (w, h) = (self.found.width, self.found.height);
        let texts =
            work(py, || Ok(self.found.iter().map(|d| d.mask.to_rle(w, h).to_compressed_string()).collect::<Vec<_>>()))?;
        let dicts = texts.into_iter().map(|text| arrays::rle(py, h, w, &text)).collect::<PyResult<Vec<_>>>()?;
        PyList::new(py, dicts).map(Some)
    }

    /// Outlines of masks, along the sides of pixels: for each instance a list of its parts, for each part a list of rings: the outer
    /// one, then those of its holes. A ring is int32, (corners, 2): x and y in pixels, not closed; the outer one is clockwise on the
    /// screen. The areas within are the masks'. None where the model gives boxes only.
    #[getter]
    fn polygons<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyList>>> {
        if !self.masked {
            return Ok(None);
        }
        let all = work(py, || Ok(self.found.iter().map(|d| arrays::outlines(&d.mask)).collect::<Vec<_>>()))?;
        let all = all.into_iter().map(|parts| arrays::rings(py, parts)).collect::<PyResult<Vec<_>>>()?;
        PyList::new(py, all).map(Some)
    }

    /// Masks before they are cut at a threshold: float32, (n, side, side), probabilities of cells laid over each box; None where
    /// `detect(soft_masks=True)` did not ask for them.
    #[getter]
    fn soft_masks<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyArray3<f32>>>> {
        arrays::soft_masks(py, &self.found)
    }

    /// Width of the image in pixels.
    #[getter]
    fn width(&self) -> u32 {
        self.found.width
    }

    /// Height of the image in pixels.
    #[getter]
    fn height(&self) -> u32 {
        self.found.height
    }

    /// Whether the model gives masks.
    #[getter]
    fn has_masks(&self) -> bool {
        self.masked
    }

    /// Scores, falling, of further instances that were found, and for which the settings had no room
    /// (`Detector(detections=...)`): float32.
    #[getter]
    fn left_out<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<f32>> {
        PyArray1::from_vec(py, self.found.left_out.clone())
    }

    /// Whether more likely objects were proposed than the settings let through (`rpn.pre_nms_top_n`, `rpn.post_nms_top_n`): there may
    /// be instances that nothing looked at.
    #[getter]
    fn crowded(&self) -> bool {
        self.found.crowded
    }

    /// What was assumed, left out or changed when the image's file was read: a list of sentences.
    #[getter]
    fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }

    /// Those that score `score` or more.
    fn above(&self, score: f32) -> PyResult<Self> {
        if score.is_nan() {
            return Err(PyValueError::new_err("score is not a number"));
        }
        Ok(self.with(self.found.above(score)))
    }

    /// As COCO results, a list of n dicts that `json.dump` and pycocotools' `loadRes` take: what `maskrcnn detect` writes, to the
    /// digit. `image_id` is a number, or a name; a name of digits alone becomes a number, as it does there.
    fn to_coco<'py>(&self, py: Python<'py>, image_id: &Bound<'_, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let id = if let Ok(name) = image_id.extract::<String>() {
            ImageId::from(name.as_str())
        } else if let Ok(number) = image_id.extract::<u64>() {
            ImageId::Number(number)
        } else {
            return Err(PyTypeError::new_err(format!(
                "image_id is a str or an int from 0 on, and not {}",
                image_id.repr()?
            )));
        };
        let text = work(py, || {
            serde_json::to_string(&results(&self.found, id)).map_err(|e| maskrcnn::Error::Internal(e.to_string()))
        })?;
        py.import("json")?.call_method1("loads", (text,))
    }

    /// As `supervision.Detections`, with boxes, scores, labels, masks and `data["class_name"]`. Raises ImportError where the
    /// package `supervision` is not installed.
    fn to_supervision<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let supervision = py.import("supervision").map_err(|e| {
            let text = "to_supervision needs the package supervision: `pip install supervision`";
            let told = pyo3::exceptions::PyImportError::new_err(text);
            told.set_cause(py, Some(e));
            told
        })?;
        let kwargs = PyDict::new(py);
        kwargs.set_item("xyxy", self.boxes(py)?)?;
        kwargs.set_item("confidence", self.scores(py))?;
        kwargs.set_item("class_id", self.labels(py))?;
        if let Some(masks) = self.masks(py)? {
            kwargs.set_item("mask", masks)?;
        }
        let names = py.import("numpy")?.call_method(
            "array",
            (self.class_names(),),
            Some(&[("dtype", "U")].into_py_dict(py)?),
        )?;
        kwargs.set_item("data", [("class_name", names)].into_py_dict(py)?)?;
        supervision.getattr("Detections")?.call((), Some(&kwargs))
    }

    /// The image with what was found drawn onto it: uint8, (height, width, 3), RGB, a new array.
    ///
    /// `image` is what `detect` was given, with its `format`. `style` names what is drawn: of "fill", "outline", "box" and "label",
    /// with commas between. `palette` is "instance" (each unlike its neighbours'), "class", "okabe-ito", or colours such as
    /// "#ff8000,#00a0ff". `font_size` (6 to 200) and `line_width` (0.5 to 50) are in pixels; without, they follow the image's size.
    /// With `enlarged`, small images are enlarged so that labels have room, as those of `maskrcnn detect` are: the
    /// array is then larger by a whole factor.
    #[pyo3(signature = (image, *, format=None, style="fill,outline,box,label", palette="instance", font_size=None,
        line_width=None, enlarged=false))]
    #[expect(clippy::too_many_arguments, reason = "they are Python's keywords")]
    fn overlay<'py>(
        &self,
        py: Python<'py>,
        image: &Bound<'py, PyAny>,
        format: Option<&str>,
        style: &str,
        palette: &str,
        font_size: Option<f32>,
        line_width: Option<f32>,
        enlarged: bool,
    ) -> PyResult<Bound<'py, PyArray3<u8>>> {
        draw(py, &self.found, image, format, Drawing { style, palette, font_size, line_width, enlarged })
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        PyList::new(py, (0..self.found.len()).map(|i| Detection::new(self, i)))?.try_iter()
    }

    fn __len__(&self) -> usize {
        self.found.len()
    }

    fn __getitem__<'py>(&self, py: Python<'py>, index: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let n = self.found.len();
        if let Ok(slice) = index.cast::<PySlice>() {
            let range = slice.indices(n as isize)?;
            let numbers = (0..range.slicelength).map(|i| (range.start + i as isize * range.step) as usize);
            return Ok(Bound::new(py, self.some(numbers))?.into_any());
        }
        let told = || PyTypeError::new_err("Detections are indexed by an int or a slice");
        // As operator.index has it, so that numpy's integers are taken, and floats are not.
        let index = py.import("operator")?.call_method1("index", (index,)).map_err(|_| told())?;
        let at: i64 = index.extract().map_err(|_| PyIndexError::new_err("index out of range"))?;
        let from_end = if at < 0 { at + n as i64 } else { at };
        let i = usize::try_from(from_end).ok().filter(|&i| i < n);
        let i = i.ok_or_else(|| PyIndexError::new_err(format!("index {at} of {n} detections")))?;
        Ok(Bound::new(py, Detection::new(self, i))?.into_any())
    }

    fn __repr__(&self) -> String {
        let counts = self.found.counts_by_class();
        let mut told: Vec<String> =
            counts.iter().take(5).map(|&(label, n)| format!("{n} {}", self.found.name(label))).collect();
        if counts.len() > 5 {
            told.push(format!("{} further classes", counts.len() - 5));
        }
        let told = if told.is_empty() { "nothing".into() } else { told.join(", ") };
        let masks = if self.masked { "" } else { ", boxes only" };
        format!("<maskrcnn.Detections: {told} in {}x{} pixels{masks}>", self.found.width, self.found.height)
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, (state::State,))> {
        let restore = py.import("maskrcnn._maskrcnn")?.getattr("_restore")?;
        Ok((restore, (state::of(py, self),)))
    }
}

/// Detections as they were pickled.
#[pyfunction]
pub(crate) fn _restore(py: Python, kept: state::State) -> PyResult<Detections> {
    state::restore(kept).map_err(|text| errors::new(py, "Error", format!("pickled Detections: {text}")))
}
