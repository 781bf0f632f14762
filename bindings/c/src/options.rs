//! What a network is opened with.

use std::ffi::c_char;
use std::path::Path;

use maskrcnn::engine::weights::{WeightsFile, locate};
use maskrcnn::{Config, Detector, Device, Precision};

use crate::buffers::{Grows, put, text};
use crate::detector::Opened;
use crate::status::{Failure, maskrcnn_status};

/// What products are computed in: one of MASKRCNN_PRECISION_….
pub type maskrcnn_precision = i32;

/// 32 bits, everywhere.
pub const MASKRCNN_PRECISION_F32: maskrcnn_precision = 0;
/// 16 bits; a device whose shaders lack them is refused.
pub const MASKRCNN_PRECISION_F16: maskrcnn_precision = 1;
/// 16 bits where that is faster on the device, 32 elsewhere: maskrcnn_detector_get_info says which.
pub const MASKRCNN_PRECISION_AUTO: maskrcnn_precision = 2;

/// What a network is opened with. All zeros but the first field is what is chosen where nothing is said.
///
/// Set it to zeros, then its size: maskrcnn_options_init does both. Text is UTF-8, and read before the call returns.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct maskrcnn_options {
    /// sizeof(maskrcnn_options).
    pub struct_size: usize,
    /// A weights file (PyTorch checkpoint or safetensors), or the name of a published model that the program's
    /// `maskrcnn weights pull` has brought. Null: the model for cell nuclei that is in the library.
    pub weights: *const c_char,
    /// A part of the device's name, or its number among those that `maskrcnn devices` lists. Null: the best one.
    pub device: *const c_char,
    /// Settings in place of the file's own, as a tree of their JSON: {"box": {"detections_per_img": 50}}. Null: none.
    pub config_json: *const c_char,
    /// A folder, which nobody else can write to, where compiled shaders are kept from one start to the next. Null: they are not,
    /// other than by the driver.
    pub pipeline_folder: *const c_char,
    /// One of MASKRCNN_PRECISION_….
    pub precision: maskrcnn_precision,
    /// 1: masks take neither time nor memory, and there are none. 0: as the network has it.
    pub boxes_only: i32,
    /// 1: score_threshold counts. 0: the file's own setting, or that in config_json.
    pub has_score_threshold: i32,
    /// Detections score more than this, 0 to 1.
    pub score_threshold: f32,
}

// SAFETY: numbers and pointers; whatever the pointers are, they are looked at by `open` alone, which asks for promises.
unsafe impl Grows for maskrcnn_options {
    const FIRST: usize = size_of::<Self>();
}

/// Sets options to what is chosen where nothing is said: struct_size is sizeof(maskrcnn_options).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn maskrcnn_options_init(options: *mut maskrcnn_options, struct_size: usize) -> maskrcnn_status {
    crate::status::entry(|| {
        if !(maskrcnn_options::FIRST..=4096).contains(&struct_size) {
            let reason = format!("is {struct_size}: give sizeof(maskrcnn_options), {}", size_of::<maskrcnn_options>());
            return Err(Failure::argument("struct_size", reason));
        }
        if options.is_null() {
            return Err(Failure::argument("options", "is null"));
        }
        // SAFETY: it is not null, and the caller says that so many bytes lie there.
        unsafe {
            options.cast::<u8>().write_bytes(0, struct_size);
            put("options", options.cast::<usize>(), struct_size)
        }
    })
}

impl maskrcnn_options {
    /// Opens what they say.
    ///
    /// # Safety
    /// Each text that is not null ends with a NUL.
    pub(crate) unsafe fn open(&self) -> Result<Opened, Failure> {
        // SAFETY: the caller promises it.
        let [weights, device, config, folder] = unsafe {
            [
                text("options.weights", self.weights)?,
                text("options.device", self.device)?,
                text("options.config_json", self.config_json)?,
                text("options.pipeline_folder", self.pipeline_folder)?,
            ]
        };
        let precision = self.precision()?;
        let boxes_only = flag("options.boxes_only", self.boxes_only)?;
        let changes = config.map(changes).transpose()?;
        let threshold = self.threshold()?;
        let file = match weights {
            Some(name) => WeightsFile::open(locate(Path::new(name))?)?,
            None => Detector::embedded_weights()?,
        };
        let mut settings: Config = file.config()?;
        if let Some(changes) = changes {
            settings = settings.overridden(&changes)?;
        }
        if let Some(threshold) = threshold {
            settings.box_head.score_thresh = threshold;
            settings.validate()?;
        }
        let device = Device::open(device)?;
        let keeps = folder.is_some_and(|folder| device.keep_pipelines_in(Path::new(folder)));
        let mut builder = Detector::builder().weights_file(&file).device(&device).config(settings).precision(precision);
        if boxes_only {
            builder = builder.boxes_only();
        }
        Ok(Opened { detector: builder.build()?, keeps })
    }

    fn precision(&self) -> Result<Precision, Failure> {
        match self.precision {
            MASKRCNN_PRECISION_F32 => Ok(Precision::F32),
            MASKRCNN_PRECISION_F16 => Ok(Precision::F16),
            MASKRCNN_PRECISION_AUTO => Ok(Precision::Auto),
            other => Err(Failure::argument(
                "options.precision",
                format_args!("is {other}: give one of MASKRCNN_PRECISION_F32, _F16 and _AUTO (0 to 2)"),
            )),
        }
    }

    fn threshold(&self) -> Result<Option<f32>, Failure> {
        match flag("options.has_score_threshold", self.has_score_threshold)? {
            true => score("options.score_threshold", self.score_threshold).map(Some),
            false if self.score_threshold != 0.0 => Err(Failure::argument(
                "options.score_threshold",
                "is set, and options.has_score_threshold is not: set it to 1",
            )),
            false => Ok(None),
        }
    }
}

/// A probability of the caller's.
pub(crate) fn score(name: &str, value: f32) -> Result<f32, Failure> {
    match (0.0..=1.0).contains(&value) {
        true => Ok(value),
        false => Err(Failure::argument(name, format_args!("is {value}: scores are 0 to 1"))),
    }
}

/// Yes or no.
pub(crate) fn flag(name: &str, value: i32) -> Result<bool, Failure> {
    match value {
        0 | 1 => Ok(value == 1),
        _ => Err(Failure::argument(name, format_args!("is {value}: give 0 or 1"))),
    }
}

fn changes(json: &str) -> Result<serde_json::Value, Failure> {
    serde_json::from_str(json).map_err(|e| Failure::argument("options.config_json", format_args!("is not JSON: {e}")))
}
