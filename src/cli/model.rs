//! Which network to run, with what settings, on which device: options that several subcommands share.

use std::path::{Path, PathBuf};

use maskrcnn::graph::Choices;
use maskrcnn::kernels::Caps;
use maskrcnn::tune::{self, Kept};
use maskrcnn::weights::{Settings, WeightsFile};
use maskrcnn::{Config, Detector, Device, Error, Precision, Result};
use serde_json::{Value, json};

/// What to run, and on which device.
#[derive(clap::Args)]
pub struct Model {
    /// Weights: a torchvision .pth, a .safetensors file, or the name of a published model (see `weights pull`).
    /// Without, the embedded default model.
    #[arg(long, value_name = "FILE|NAME")]
    weights: Option<String>,
    #[command(flatten)]
    changes: Changes,
    /// The GPU to use: its number in `devices`, or a part of its name.
    #[arg(long, value_name = "NAME|INDEX")]
    device: Option<String>,
    /// Run every op by the best guess, whatever `tune` found for this device.
    #[arg(long)]
    untuned: bool,
    /// What convolutions and fully connected layers multiply: f32; f16 with f32 sums; or auto, f16 on GPUs with
    /// cooperative matrices (see `devices`) and f32 elsewhere.
    #[arg(long, value_name = "f32|f16|auto", default_value_t = Precision::Auto, hide_default_value = true)]
    precision: Precision,
}

/// Settings that replace those of the weights file.
#[derive(clap::Args)]
pub struct Changes {
    /// Settings to use in place of the file's: any of those that `weights inspect` prints.
    #[arg(long, value_name = "FILE.toml", help_heading = "Settings")]
    config: Option<PathBuf>,
    /// The image's short side is resized to this many pixels …
    #[arg(long, value_name = "PIXELS", help_heading = "Settings")]
    min_size: Option<usize>,
    /// … unless the long side would then pass this many.
    #[arg(long, value_name = "PIXELS", help_heading = "Settings")]
    max_size: Option<usize>,
    /// Most detections an image.
    #[arg(long, value_name = "N", help_heading = "Settings")]
    detections: Option<usize>,
    /// Of two boxes of a class that overlap by more than this IoU, the lower-scoring is dropped.
    #[arg(long, value_name = "IOU", help_heading = "Settings")]
    nms: Option<f32>,
    /// BatchNorm's epsilon: 0 for torchvision's first COCO models and those fine-tuned from them, 1e-5 for most others.
    #[arg(long, value_name = "EPS", help_heading = "Settings")]
    bn_eps: Option<f32>,
}

impl Model {
    /// Opens the file first: what is wrong with it is worth knowing even where there is no GPU. Detections that score
    /// less than `score` will not be asked for; those that score more will.
    pub fn open(&self, score: Option<f32>) -> Result<Detector> {
        let (file, config) = self.load(score)?;
        Detector::with_config(&self.device()?.0, &file, config)?.with_precision(self.precision)
    }

    /// The weights and the settings to use them with, without a GPU.
    pub fn load(&self, score: Option<f32>) -> Result<(WeightsFile, Config)> {
        let (file, mut config) = self.read(None)?;
        // A user who asks for less than the model was set to is not to be told that there is nothing.
        config.box_head.score_thresh = score.unwrap_or(1.0).min(config.box_head.score_thresh);
        Ok((file, config))
    }

    /// The device to use, with the pipelines that earlier runs compiled and the choices that they tuned, and what kernels
    /// may use at the precision.
    pub fn device(&self) -> Result<(Device, Caps)> {
        let device = Device::open(self.device.as_deref())?;
        let caps = self.precision.on(device.name(), device.caps())?;
        device.keep_pipelines();
        if !self.untuned {
            tune::apply(&device);
        }
        Ok((device, caps))
    }

    /// The weights file and the settings, without a device. `instead` stands for `--weights`.
    pub fn read(&self, instead: Option<&str>) -> Result<(WeightsFile, Config)> {
        let file = match instead.or(self.weights.as_deref()) {
            Some(weights) => WeightsFile::open(super::weights::locate(weights)?)?,
            None => embedded()?,
        };
        let config = self.changes.apply(&file)?.config;
        Ok((file, config))
    }

    /// The choices that were tuned for the device of that key, if they are wanted.
    pub fn choices(&self, key: Option<&str>) -> Choices {
        let kept = key.filter(|_| !self.untuned).map(|key| Kept::of(key).choices());
        kept.unwrap_or_default()
    }

    /// The device that was asked for.
    pub fn choice(&self) -> Option<&str> {
        self.device.as_deref()
    }

    /// The precision that was asked for.
    pub fn precision(&self) -> Precision {
        self.precision
    }
}

impl Changes {
    /// The settings of `file` with these changes. What had to be assumed is said on standard error.
    pub fn apply(&self, file: &WeightsFile) -> Result<Settings> {
        let mut settings = file.settings()?;
        let mut eps_given = self.bn_eps.is_some();
        if let Some(path) = &self.config {
            let changes = read(path)?;
            eps_given |= changes.pointer("/backbone/norm").is_some();
            let named = |e: Error| match e {
                Error::Config { setting, reason } => {
                    Error::Config { setting, reason: format!("{reason} (in {})", path.display()) }
                }
                other => other,
            };
            settings.config = settings.config.overridden(&changes).map_err(named)?;
        }
        settings.config = self.flags(settings.config)?;
        if eps_given {
            settings.eps_assumed = false;
        }
        if settings.eps_assumed {
            eprintln!(
                "warning: {} does not tell BatchNorm's epsilon; 0 is assumed, as in torchvision's first COCO models and \
                 those fine-tuned from them. Say `--bn-eps 1e-5` if it was trained otherwise, or `--bn-eps 0` if not",
                file.name()
            );
        }
        Ok(settings)
    }

    fn flags(&self, config: Config) -> Result<Config> {
        let mut config = config;
        let mut change = |flag: &str, given: Option<Value>| -> Result<()> {
            let Some(changes) = given else { return Ok(()) };
            config = config.overridden(&changes).map_err(|e| match e {
                Error::Config { reason, .. } => Error::Config { setting: flag.into(), reason },
                other => other,
            })?;
            Ok(())
        };
        // Together: raising one above the other's old value is no mistake.
        let mut sides = serde_json::Map::new();
        sides.extend(self.min_size.map(|n| ("min_size".into(), json!(n))));
        sides.extend(self.max_size.map(|n| ("max_size".into(), json!(n))));
        if !sides.is_empty() {
            change("--min-size, --max-size", Some(json!({ "transform": sides })))?;
        }
        change("--detections", self.detections.map(|n| json!({ "box": { "detections_per_img": n } })))?;
        change("--nms", self.nms.map(|iou| json!({ "box": { "nms_thresh": iou } })))?;
        change("--bn-eps", self.bn_eps.map(|eps| json!({ "backbone": { "norm": format!("batchnorm eps {eps:e}") } })))?;
        Ok(config)
    }
}

/// A TOML file of settings.
fn read(path: &Path) -> Result<Value> {
    let text = std::fs::read_to_string(path).map_err(|source| Error::Io { path: path.into(), source })?;
    toml::from_str(&text).map_err(|e| Error::Config {
        setting: path.display().to_string(),
        reason: format!("is not valid TOML: {}", e.to_string().trim_end()),
    })
}

#[cfg(feature = "embedded-model")]
fn embedded() -> Result<WeightsFile> {
    Detector::embedded_weights()
}

#[cfg(not(feature = "embedded-model"))]
fn embedded() -> Result<WeightsFile> {
    Err(Error::Config {
        setting: "--weights".into(),
        reason: "is needed: this program was built without the embedded model".into(),
    })
}
