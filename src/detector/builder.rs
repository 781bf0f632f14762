//! How a detector is put together.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::Detector;
use crate::config::Config;
use crate::gpu::Device;
use crate::graph::Tuning;
use crate::model::Precision;
use crate::weights::{NetworkWeights, WeightsFile, locate};
use crate::{Error, Result};

/// The default model: Mask R-CNN for cell nuclei, trained for this project on CC0 images.
#[cfg(all(feature = "embedded-model", not(model_left_out)))]
static EMBEDDED: Option<&[u8]> = Some(include_bytes!("../../assets/nuclei.safetensors"));
/// The registry's package has no room for it.
#[cfg(all(feature = "embedded-model", model_left_out))]
static EMBEDDED: Option<&[u8]> = None;

/// What a [`Detector`] is made of. What is not said is chosen: the embedded model, with the settings that its file has,
/// in f32, on the best device, each op run by the best guess.
///
/// ```no_run
/// use maskrcnn::{Detector, Device, Precision, Tuning};
///
/// # fn main() -> maskrcnn::Result<()> {
/// let device = Device::open(None)?;
/// let detector = Detector::builder()
///     .weights("maskrcnn_resnet50_fpn_v2")
///     .device(&device)
///     .precision(Precision::Auto)
///     .tuning(Tuning::kept_for(&device))
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
#[must_use = "nothing is made before `build`"]
pub struct DetectorBuilder<'a> {
    weights: WeightsSource<'a>,
    device: Option<Device>,
    config: Option<Config>,
    precision: Precision,
    tuning: Tuning,
    slice: Option<Duration>,
    boxes_only: bool,
    mask_room: Option<u32>,
}

/// Where weights come from.
#[derive(Clone, Default)]
enum WeightsSource<'a> {
    /// The embedded model.
    #[default]
    Embedded,
    /// A file, or the name of a published model.
    Named(PathBuf),
    /// A file that the caller has opened.
    Opened(&'a WeightsFile),
}

impl<'a> DetectorBuilder<'a> {
    /// The weights of a file (PyTorch checkpoint or safetensors) or, where there is no such file, the published model of
    /// that name ([`published`](crate::published)), which `maskrcnn weights pull` has brought.
    pub fn weights(self, file_or_name: impl AsRef<Path>) -> Self {
        Self { weights: WeightsSource::Named(file_or_name.as_ref().into()), ..self }
    }

    /// The weights of a file that was opened before.
    pub fn weights_file(self, file: &'a WeightsFile) -> Self {
        Self { weights: WeightsSource::Opened(file), ..self }
    }

    /// The device to run on.
    pub fn device(self, device: &Device) -> Self {
        Self { device: Some(device.clone()), ..self }
    }

    /// Other settings than the weights file's own ([`WeightsFile::config`]).
    pub fn config(self, config: Config) -> Self {
        Self { config: Some(config), ..self }
    }

    /// What products are computed in.
    pub fn precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// How ops are run where that is not left to the best guess.
    pub fn tuning(self, tuning: Tuning) -> Self {
        Self { tuning, ..self }
    }

    /// Submits that take no longer than this, as far as times can be told, and dispatches that take no longer than half of
    /// it: others get their turn on the device in between. Unsaid, a GPU gets submits of half a second at most, since systems
    /// end what seems to hang, and a CPU driver one an image. Results are the same to the bit.
    pub fn slice(self, within: Duration) -> Self {
        Self { slice: Some(within), ..self }
    }

    /// Faster R-CNN of a Mask R-CNN's weights: its mask head is left away ([`Config::without_masks`]), so that what is found has
    /// boxes only, and masks take neither time nor memory. Of weights without a mask head it changes nothing.
    pub fn boxes_only(self) -> Self {
        Self { boxes_only: true, ..self }
    }

    /// In what is recorded for an app ([`Detector::encode`], [`Detector::encode_in_parts`]), room for the bits of so many masks as large
    /// as the picture; a mask takes as much as its rectangle. Unsaid, it is eight (128 MiB at most), and there are 64 KiB at least. Masks
    /// that find no room are left out there, as [`GpuResults::header`](crate::GpuResults::header) tells; [`Detector::detect`], which
    /// knows and waits, makes room by itself.
    pub fn mask_room(self, masks: u32) -> Self {
        Self { mask_room: Some(masks), ..self }
    }

    /// Reads the weights, then opens the device, where none is given.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Weights`], [`Error::Tensor`] for what is wrong with the file, [`Error::Config`] for
    /// settings that cannot be, and where there is no model to take; [`Error::NoAdapter`] where there is no GPU driver;
    /// [`Error::Unsupported`] where f16 is asked of a device whose shaders lack it.
    pub fn build(self) -> Result<Detector> {
        let read;
        let file = match self.weights {
            WeightsSource::Opened(file) => file,
            WeightsSource::Named(name) => {
                read = WeightsFile::open(locate(&name)?)?;
                &read
            }
            WeightsSource::Embedded => {
                read = embedded()?;
                &read
            }
        };
        let mut config = self.config.map_or_else(|| file.config(), Ok)?;
        let mut weights = NetworkWeights::load(file, &config)?;
        if self.boxes_only {
            (config, weights.mask_head) = (config.without_masks(), None);
        }
        let device = self.device.map_or_else(|| Device::open(None), Ok)?;
        let target = self.precision.on(device.name(), device.target())?;
        let classes = config.class_names.clone().into();
        Ok(Detector {
            device,
            config,
            classes,
            weights,
            target,
            tuning: self.tuning,
            slice: self.slice,
            mask_room: self.mask_room,
            plans: Arc::default(),
            recorders: Arc::default(),
            worker: OnceLock::new(),
        })
    }
}

impl Detector {
    /// To be told what to detect, with what settings, and where.
    pub fn builder<'a>() -> DetectorBuilder<'a> {
        DetectorBuilder::default()
    }

    /// The embedded default model, on the best device here.
    ///
    /// # Errors
    /// [`Error::NoAdapter`] where there is no GPU driver.
    #[cfg(feature = "embedded-model")]
    pub fn embedded() -> Result<Self> {
        Self::builder().build()
    }

    /// The embedded default model's file, to look at or to run with other settings ([`DetectorBuilder::config`]).
    ///
    /// # Errors
    /// [`Error::Weights`] where the crate was built from the registry's package, which has no room for the model.
    #[cfg(feature = "embedded-model")]
    pub fn embedded_weights() -> Result<WeightsFile> {
        embedded()
    }

    /// A weights file, or the published model of that name, on the best device here.
    ///
    /// # Errors
    /// As [`DetectorBuilder::build`].
    pub fn open(file_or_name: impl AsRef<Path>) -> Result<Self> {
        Self::builder().weights(file_or_name).build()
    }
}

#[cfg(feature = "embedded-model")]
fn embedded() -> Result<WeightsFile> {
    let name = "the embedded default model";
    let bytes = EMBEDDED.ok_or_else(|| Error::Weights {
        file: name.into(),
        reason: "is not in the registry's package: build from the repository, or give a weights file".into(),
    })?;
    WeightsFile::from_bytes(bytes, name)
}

#[cfg(not(feature = "embedded-model"))]
fn embedded() -> Result<WeightsFile> {
    Err(Error::Config {
        setting: "weights".into(),
        reason: "must be given: this library was built without the embedded model".into(),
    })
}
