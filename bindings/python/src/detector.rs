//! The detector.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use maskrcnn::engine::weights::{Origin, Settings, locate};
use maskrcnn::{Detector as Engine, Device, Options, Precision, Result, Tuning, WeightsFile};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use serde_json::{Value, json};

use crate::detections::Detections;
use crate::errors::{self, work};
use crate::logs;
use crate::picture::{Order, source};
use crate::stream::{Stream, Wish};

/// A network on a GPU (or on a driver of the CPU's). Several threads may use one; images are done one after the other.
///
/// Parameters
/// ----------
/// weights : str or path, optional
///     A file (.pth, .pt, .ckpt, .pkl, .safetensors; of torchvision, detectron2 or `maskrcnn weights convert`), or the name of a
///     published model that `maskrcnn.pull` has brought. Without: the embedded model of cell nuclei.
/// device : str or int, optional
///     A number in `maskrcnn.devices()`, or a part of a name. Without: the first of them.
/// precision : "auto", "f32" or "f16"
///     What is multiplied. "auto" is f16 on GPUs with cooperative matrices of 16x16 and on Apple's, and f32 elsewhere.
/// score : float, optional
///     Detections that score less, from 0 to 1, are left out. Without: as the model's settings have it, often 0.05.
/// detections : int, optional
///     Most detections an image. Without: as the model's settings have it.
/// boxes_only : bool
///     Leave the mask head away: Faster R-CNN.
/// config : dict, optional
///     Settings in place of the file's: a tree with keys of `Detector.config`, such as `{"transform": {"min_size": 640}}`.
/// tuned : bool
///     Use what `maskrcnn tune` has kept for this device.
///
/// Raises
/// ------
/// WeightsError, MissingFileError, ConfigError, DeviceError.
///
/// A detector cannot be pickled, and not be used in a fork of the process that opened it: open one in each process.
#[pyclass(module = "maskrcnn", frozen)]
pub(crate) struct Detector {
    engine: Arc<Engine>,
    settings: Settings,
    /// Kinds of notes that were said.
    said: Mutex<Vec<String>>,
    /// The process that opened it.
    process: u32,
}

/// A device by number or name.
#[derive(FromPyObject)]
enum Choice {
    Number(usize),
    Name(String),
}

impl Detector {
    /// The engine, where it can be used.
    fn engine(&self, py: Python) -> PyResult<&Arc<Engine>> {
        if self.process == std::process::id() {
            return Ok(&self.engine);
        }
        let text = format!(
            "this detector was opened by process {}, and a fork has no use of its GPU: open one in each process, or let \
             multiprocessing start them anew (`multiprocessing.set_start_method(\"spawn\")`)",
            self.process
        );
        Err(errors::new(py, "DeviceError", text))
    }

    /// Says each thing once, whichever image it was about.
    pub(crate) fn tell(&self, py: Python, notes: &[String]) -> PyResult<()> {
        for note in notes {
            {
                let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
                if said.contains(note) || said.len() > 64 {
                    continue;
                }
                said.push(note.clone());
            }
            logs::warn(py, &format!("{note} (said once; `Detections.notes` has it for every image)"))?;
        }
        Ok(())
    }

    fn stream(slf: &Bound<'_, Self>, images: &Bound<'_, PyAny>, wish: Wish) -> PyResult<Stream> {
        let engine = slf.get().engine(slf.py())?.clone();
        if wish.batch == 0 || wish.batch > 64 {
            return Err(PyValueError::new_err(format!("batch is 1 to 64, and not {}", wish.batch)));
        }
        Stream::new(slf.clone().unbind(), engine, images, wish)
    }
}

impl Drop for Detector {
    fn drop(&mut self) {
        // In a fork, what would be waited for is not there.
        if self.process != std::process::id() {
            std::mem::forget(self.engine.clone());
        }
    }
}

#[pymethods]
impl Detector {
    #[new]
    #[pyo3(signature = (weights=None, *, device=None, precision="auto", score=None, detections=None, boxes_only=false,
        config=None, tuned=true))]
    #[expect(clippy::too_many_arguments, reason = "they are Python's keywords")]
    fn new(
        py: Python,
        weights: Option<PathBuf>,
        device: Option<Choice>,
        precision: &str,
        score: Option<f32>,
        detections: Option<usize>,
        boxes_only: bool,
        config: Option<&Bound<'_, PyAny>>,
        tuned: bool,
    ) -> PyResult<Self> {
        let precision: Precision =
            precision.parse().map_err(|e: String| PyValueError::new_err(format!("precision: {e}")))?;
        let changes = config.map(tree).transpose()?;
        let choice = device.map(|choice| match choice {
            Choice::Number(n) => n.to_string(),
            Choice::Name(name) => name,
        });
        let (engine, settings, notes) = work(py, || {
            let file = match &weights {
                Some(weights) => WeightsFile::open(locate(weights)?)?,
                None => Engine::embedded_weights()?,
            };
            let settings = wanted(&file, changes.as_ref(), score, detections)?;
            let mut notes: Vec<String> =
                file.selection().note().map(|n| format!("{}: {n}", file.name())).into_iter().collect();
            notes.extend(assumed(&file, &settings));
            let device = Device::open(choice.as_deref())?;
            device.keep_pipelines();
            let tuning = if tuned { Tuning::kept_for(&device) } else { Tuning::default() };
            let builder = Engine::builder().weights_file(&file).config(settings.config.clone()).device(&device);
            let builder = if boxes_only { builder.boxes_only() } else { builder };
            Ok((builder.precision(precision).tuning(tuning).build()?, settings, notes))
        })?;
        for note in notes {
            logs::warn(py, &note)?;
        }
        Ok(Self { engine: Arc::new(engine), settings, said: Mutex::default(), process: std::process::id() })
    }

    /// Finds the instances in an image.
    ///
    /// `image` is an array of numpy's (uint8; height x width x 3 or x 4, or height x width for grey), an image of Pillow's, the path
    /// of a file, or a file's bytes. An array whose rows lie in memory as they are (any distance apart) is read there: let
    /// no other thread write to it meanwhile. Others (negative or odd strides) are copied. `format` says how an array's channels are
    /// ordered: "rgb", "bgr" (OpenCV), "rgba", "bgra", "grey"; without, by their number: grey, rgb, rgba. Alpha is
    /// dropped. Files are turned upright by their EXIF, images of Pillow's are taken as they are.
    ///
    /// With `soft_masks`, each detection also has its mask before it is cut at a threshold.
    ///
    /// Returns `Detections`, by falling score. Other threads of Python run meanwhile.
    ///
    /// Raises TypeError and ValueError for what is no image, ImageError for what cannot be used, MissingFileError and FileError,
    /// LimitError and OutOfMemoryError where the device cannot take it, DeviceLostError and DeviceError where it fails.
    #[pyo3(signature = (image, *, format=None, soft_masks=false))]
    fn detect(
        &self,
        py: Python,
        image: &Bound<'_, PyAny>,
        format: Option<&str>,
        soft_masks: bool,
    ) -> PyResult<Detections> {
        let engine = self.engine(py)?;
        let source = source(image, format.map(Order::parse).transpose()?, false)?;
        let options = Options { soft_masks };
        let (found, notes) = work(py, || {
            let picture = source.decode()?;
            Ok((engine.detect_with(picture.pixels(), &options)?, picture.notes().to_vec()))
        })?;
        self.tell(py, &notes)?;
        Ok(Detections::new(found, notes, self.has_masks()))
    }

    /// Finds the instances in each of several images, and returns a list in their order: `list(detect_iter(images, ...))`.
    #[pyo3(signature = (images, *, batch=8, format=None, soft_masks=false, on_error="raise"))]
    fn detect_batch<'py>(
        slf: &Bound<'py, Self>,
        images: &Bound<'py, PyAny>,
        batch: usize,
        format: Option<&str>,
        soft_masks: bool,
        on_error: &str,
    ) -> PyResult<Bound<'py, PyAny>> {
        let wish = Wish::new(batch, format, soft_masks, on_error)?;
        let stream = Bound::new(slf.py(), Self::stream(slf, images, wish)?)?;
        slf.py().get_type::<pyo3::types::PyList>().call1((stream,))
    }

    /// Finds the instances in images that come one after the other, and yields `Detections` in their order. While the device works,
    /// files are read and decoded by other threads, and at most three batches are on their way: as many pictures are taken from
    /// `images` ahead of what is yielded, and no more are in memory. Arrays are copied when they are taken, so that they may be
    /// used anew.
    ///
    /// Images that come next to each other, and whose inputs have the same padded size, go through the network `batch` at a
    /// time (1 to 64; 8, 4, 2 or 1 of them a submit); with `soft_masks`, alone. Boxes and scores then differ from those found one by
    /// one in the last digits.
    ///
    /// With `on_error="return"`, an image that cannot be used yields its exception in place of `Detections`; with "raise" that is
    /// raised, and the next call goes on behind it.
    #[pyo3(signature = (images, *, batch=1, format=None, soft_masks=false, on_error="raise"))]
    fn detect_iter(
        slf: &Bound<'_, Self>,
        images: &Bound<'_, PyAny>,
        batch: usize,
        format: Option<&str>,
        soft_masks: bool,
        on_error: &str,
    ) -> PyResult<Stream> {
        Self::stream(slf, images, Wish::new(batch, format, soft_masks, on_error)?)
    }

    /// Makes all ready for images of that size, as their first `detect` would: shaders are compiled, memory is taken.
    fn warm_up(&self, py: Python, height: u32, width: u32) -> PyResult<()> {
        let engine = self.engine(py)?;
        // As of an image.
        let size = |n: u32| n.clamp(1, maskrcnn::engine::vision::MAX_SIDE);
        if (size(height), size(width)) != (height, width) {
            return Err(errors::new(py, "ImageError", format!("image of {width}x{height} pixels: there is none such")));
        }
        work(py, || engine.warm_up(height, width))
    }

    /// Every setting of the network, as a dict: what `Detector(config=...)` may change.
    #[getter]
    fn config<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let text = self.engine.config().to_json().map_err(|e| errors::raise(py, &e))?;
        py.import("json")?.call_method1("loads", (text,))
    }

    /// Settings that nothing tells, by their dotted names, where the weights file does not state its own: they are as the project
    /// whose names the file has them by default. Where the network was trained with others, it finds little, or misplaces it.
    #[getter]
    fn assumed(&self) -> Vec<String> {
        let all = self.settings.assumed().filter(|_| !self.settings.stated);
        all.map(String::from).collect()
    }

    /// Names of the classes by label; 0 is the background.
    #[getter]
    fn classes(&self) -> Vec<String> {
        self.engine.config().class_names.clone()
    }

    /// The device's name.
    #[getter]
    fn device(&self) -> &str {
        self.engine.device().name()
    }

    /// "f32" or "f16": what is multiplied, also where "auto" was asked for.
    #[getter]
    fn precision(&self) -> String {
        self.engine.precision().to_string()
    }

    /// Whether what is found has masks.
    #[getter]
    fn has_masks(&self) -> bool {
        self.engine.config().mask.is_some()
    }

    fn __repr__(&self) -> String {
        let config = self.engine.config();
        let classes = config.class_names.len().saturating_sub(1);
        let masks = if self.has_masks() { "" } else { ", boxes only" };
        format!(
            "<maskrcnn.Detector {} ({classes} classes{masks}) on {}, {}>",
            config.name,
            self.device(),
            self.precision()
        )
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(PyTypeError::new_err(
            "a Detector holds memory of a GPU and cannot be pickled: open one in each process from the same weights (with Ray, in \
             an actor's __init__; with torch's DataLoader, in the main process); Detections can be pickled",
        ))
    }
}

/// The file's settings with those that were asked for.
fn wanted(
    file: &WeightsFile,
    changes: Option<&Value>,
    score: Option<f32>,
    detections: Option<usize>,
) -> Result<Settings> {
    let mut settings = file.settings()?;
    if let Some(changes) = changes {
        settings = settings.overridden(changes)?;
    }
    if let Some(score) = score {
        settings = settings.overridden(&json!({ "box": { "score_thresh": score } }))?;
    }
    if let Some(n) = detections {
        settings.config = settings.config.with_detections(n)?;
    }
    Ok(settings)
}

/// What a user should know of settings that nobody told.
fn assumed(file: &WeightsFile, settings: &Settings) -> Vec<String> {
    let name = file.name();
    let mut notes = Vec::new();
    if let Some(doubt) = settings.epsilon.doubt {
        let eps = |eps| maskrcnn::Backbone { bn_eps: eps, ..settings.config.backbone.clone() }.eps_text();
        notes.push(format!(
            "{name} does not tell BatchNorm's epsilon; {} is assumed, as {}. With {}, {} of {} channels would be scaled otherwise by \
             more than 1 %: config={{\"backbone\": {{\"norm\": \"batchnorm eps {}\"}}}} says so",
            eps(settings.config.backbone.bn_eps),
            settings.epsilon.because,
            eps(doubt.other),
            doubt.changed,
            doubt.channels,
            eps(doubt.other),
        ));
    }
    if !settings.stated && settings.any(Origin::Assumed) {
        notes.push(format!(
            "{name} does not carry all of its settings: {} are assumed, as {} has them by default (`Detector.assumed` names them, \
             `Detector.config` has their values). If it was trained with others, little or nothing is found: state those \
             with Detector(config={{...}})",
            settings.assumed().count(),
            settings.family
        ));
    }
    notes
}

/// A dict of settings, as JSON has it.
fn tree(config: &Bound<'_, PyAny>) -> PyResult<Value> {
    if !config.is_instance_of::<PyDict>() {
        let name = config.get_type().name()?;
        return Err(PyTypeError::new_err(format!("config is a dict of settings, and not {name}")));
    }
    let text: String = config.py().import("json")?.call_method1("dumps", (config,))?.extract()?;
    serde_json::from_str(&text).map_err(|e| PyValueError::new_err(format!("config: {e}")))
}
