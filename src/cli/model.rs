//! Which network to run, with what settings, on which device: options that several subcommands share.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clap::builder::PossibleValuesParser;
use maskrcnn::engine::config::presets;
use maskrcnn::engine::graph::Tuning;
use maskrcnn::engine::target::Target;
use maskrcnn::engine::tune::Records;
use maskrcnn::engine::weights::{Settings, WeightsFile};
use maskrcnn::{Config, Detector, Device, Error, Precision, Result, RoiPooling};
use serde_json::{Value, json};

use super::class::is_profile;
use super::{assumed, compiling};

/// Most pixels along the long side of an image that `--diameter` scales: larger ones take gigabytes on the device.
const MOST_SCALED: usize = 4096;

/// What to run, and on which device.
#[derive(clap::Args)]
pub(super) struct Model {
    /// Weights: a torchvision .pth, a .safetensors file, or the name of a published model (see `weights pull`).
    /// Without, the embedded default model.
    #[arg(long, value_name = "FILE|NAME")]
    weights: Option<PathBuf>,
    #[command(flatten)]
    changes: Changes,
    /// The GPU to use: its number in `devices`, or a part of its name. Without, the first of `devices`. `graph` also takes
    /// `none`, the least that there is, and `profile:NAME`, a class of devices.
    #[arg(long, value_name = "NAME|INDEX")]
    device: Option<String>,
    /// Run every op by the best guess, whatever `tune` found for this device.
    #[arg(long)]
    untuned: bool,
    /// What convolutions and fully connected layers multiply: f32; f16 with f32 sums; or auto, f16 on GPUs with
    /// cooperative matrices of 16×16 (see `devices`) and on Apple's, and f32 elsewhere.
    #[arg(long, value_name = "f32|f16|auto", default_value_t = Precision::Auto)]
    precision: Precision,
}

/// Settings that replace those of the weights file.
#[derive(clap::Args)]
pub(super) struct Changes {
    /// Settings to use in place of the weights file's: any of those that `weights inspect` prints, or a preset, such as
    /// d2-lvis, of those that `weights list` prints. May be given several times: later ones win. Those below have their own
    /// flags; without them, too, the file's are used.
    #[arg(long, value_name = "FILE.toml|NAME", help_heading = "Settings")]
    config: Vec<PathBuf>,
    /// The image's short side is resized to this many pixels …
    #[arg(long, value_name = "PIXELS", help_heading = "Settings")]
    min_size: Option<usize>,
    /// … unless the long side would then pass this many.
    #[arg(long, value_name = "PIXELS", help_heading = "Settings")]
    max_size: Option<usize>,
    /// The diameter in the image, in pixels, of what is looked for, as of nuclei: images are scaled so that it is what the
    /// model was trained with, instead of by their sides. The long side gets 4096 pixels at most, or --max-size.
    #[arg(long, value_name = "PIXELS", help_heading = "Settings", conflicts_with = "min_size", value_parser = diameter)]
    diameter: Option<f32>,
    /// Most detections an image.
    #[arg(long, value_name = "N", help_heading = "Settings")]
    detections: Option<usize>,
    /// Of two boxes of a class that overlap by more than this IoU, the lower-scoring is dropped.
    #[arg(long, value_name = "IOU", help_heading = "Settings", value_parser = super::share)]
    nms: Option<f32>,
    /// Let the scores of boxes fall that overlap a better one of their class, instead of dropping them: by 1 − IoU where that
    /// passes --nms, or by exp(−IoU² / σ) (`box.soft_nms_sigma`, 0.5 unless --config says otherwise).
    #[arg(long, value_name = "linear|gaussian", help_heading = "Settings",
        value_parser = PossibleValuesParser::new(["linear", "gaussian"]), hide_possible_values = true)]
    soft_nms: Option<String>,
    /// How both heads get the features of a RoI: RoIAlign by the mean of its samples or by their maximum; RoIPool rounded to
    /// the nearest pixel (Fast R-CNN) or down (as it is often drawn); TensorFlow's crop_and_resize, a sample a bin.
    #[arg(long, value_name = "align|align-max|pool|pool-floor|crop", help_heading = "Settings",
        value_parser = PossibleValuesParser::new(RoiPooling::ALL.map(|(name, _)| name)), hide_possible_values = true)]
    pooling: Option<String>,
    /// BatchNorm's epsilon: 0 for torchvision's first COCO models and those fine-tuned from them, 1e-5 for most others.
    #[arg(long, value_name = "EPS", help_heading = "Settings")]
    bn_eps: Option<f32>,
    /// Of a weights file with several networks, such as one and its average, the one whose names begin with this, or that
    /// is under these keys, joined by dots.
    #[arg(long, value_name = "PREFIX", help_heading = "Settings")]
    prefix: Option<String>,
}

impl Model {
    /// Opens the file first: what is wrong with it is worth knowing even where there is no GPU. Detections that score
    /// less than `score` will not be asked for; those that score more will.
    pub(super) fn open(&self, score: Option<f32>) -> Result<Detector> {
        Ok(self.open_with_checksum(score, false)?.0)
    }

    /// The same, with a checksum of the weights file. With `boxes_only`, the mask head is left away.
    pub(super) fn open_with_checksum(&self, score: Option<f32>, boxes_only: bool) -> Result<(Detector, u32)> {
        let (file, mut settings) = self.settings(None)?;
        if let Some(line) = assumed::settings(file.name(), &settings) {
            note!("{line}");
        }
        lower(&mut settings.config, score);
        let device = self.device()?.0;
        let tuning = self.tuning(Some(&device.key()));
        let detector = Detector::builder().weights_file(&file).config(settings.config);
        let detector = if boxes_only { detector.boxes_only() } else { detector };
        let detector = detector.device(&device).precision(self.precision).tuning(tuning).build()?;
        Ok((detector, file.checksum()))
    }

    /// The weights and the settings to use them with, without a GPU.
    pub(super) fn load(&self, score: Option<f32>) -> Result<(WeightsFile, Config)> {
        let (file, mut config) = self.read(None)?;
        lower(&mut config, score);
        Ok((file, config))
    }

    /// The device to use, with the pipelines that earlier runs compiled, and what kernels may use at the precision.
    pub(super) fn device(&self) -> Result<(Device, Target)> {
        if let Some(choice) = self.device.as_deref().filter(|choice| is_profile(choice)) {
            let reason = format!(
                "`{choice}` is a class of devices, to plan and to translate for (`graph`, `shaders`): nothing can run on it; \
                 `maskrcnn devices` lists those that are here"
            );
            return Err(Error::Config { setting: "--device".into(), reason });
        }
        let device = Device::open(self.device.as_deref())?;
        let target = self.precision.on(device.name(), device.target())?;
        device.keep_pipelines();
        compiling::show(&device);
        Ok((device, target))
    }

    /// The weights file and the settings, without a device. `instead` stands for `--weights`.
    pub(super) fn read(&self, instead: Option<&Path>) -> Result<(WeightsFile, Config)> {
        let (file, settings) = self.settings(instead)?;
        Ok((file, settings.config))
    }

    /// The weights file, and its settings with what is known of them.
    fn settings(&self, instead: Option<&Path>) -> Result<(WeightsFile, Settings)> {
        let file = match instead.or(self.weights.as_deref()) {
            Some(weights) => self.changes.open(&super::weights::locate(weights)?)?,
            None if self.changes.prefix.is_some() => {
                let reason = "chooses among the networks of a file: name that with --weights".into();
                return Err(Error::Config { setting: "--prefix".into(), reason });
            }
            None => embedded()?,
        };
        let settings = self.changes.apply(&file)?;
        Ok((file, settings))
    }

    /// What was tuned for the device of that key, if it is wanted.
    pub(super) fn tuning(&self, key: Option<&str>) -> Tuning {
        let kept = key.filter(|_| !self.untuned).map(|key| Records::of(key).tuning());
        kept.unwrap_or_default()
    }

    /// The device that was asked for.
    pub(super) fn choice(&self) -> Option<&str> {
        self.device.as_deref()
    }

    /// Whether it was said how long the long side may be in the network.
    pub(super) fn limits_size(&self) -> bool {
        self.changes.max_size.is_some()
    }

    /// The precision that was asked for.
    pub(super) fn precision(&self) -> Precision {
        self.precision
    }
}

impl Changes {
    /// The file at `path`. What is left out of it is said on standard error.
    pub(super) fn open(&self, path: &Path) -> Result<WeightsFile> {
        let file = self.open_quietly(path)?;
        if let Some(note) = file.selection().note() {
            note!("note: {}: {note}", file.name());
        }
        for guess in file.guessed() {
            note!("note: {}: {guess}", file.name());
        }
        Ok(file)
    }

    /// The same for who tells it another way.
    pub(super) fn open_quietly(&self, path: &Path) -> Result<WeightsFile> {
        match &self.prefix {
            Some(prefix) => WeightsFile::open_network(path, prefix),
            None => WeightsFile::open(path),
        }
    }

    /// The settings of `file` with these changes. An epsilon that had to be assumed is said on standard error.
    pub(super) fn apply(&self, file: &WeightsFile) -> Result<Settings> {
        let mut settings = file.settings()?;
        let mut proposals_given = false;
        for path in &self.config {
            let changes = read(path, &settings.config)?;
            proposals_given |=
                ["pre", "post"].iter().any(|p| changes.pointer(&format!("/rpn/{p}_nms_top_n")).is_some());
            let named = |e: Error| match e {
                Error::Config { setting, reason } => {
                    Error::Config { setting, reason: format!("{reason} (in {})", path.display()) }
                }
                other => other,
            };
            settings = settings.given(&changes, &path.display().to_string()).map_err(named)?;
        }
        settings = self.flags(settings, proposals_given)?;
        if let Some(line) = assumed::epsilon(file.name(), &settings) {
            note!("{line}");
        }
        Ok(settings)
    }

    /// Refuses a side that does not go with the other, which may be one that the file sets.
    fn check_sides(&self, config: &Config) -> Result<()> {
        let old = &config.transform;
        let (min, max) = (self.min_size.unwrap_or(old.min_size), self.max_size.unwrap_or(old.max_size));
        let (setting, reason) = match (self.min_size, self.max_size) {
            (None, Some(_)) => {
                ("--max-size", format!("{max} is less than the short side is to have, {min}; add --min-size {max}"))
            }
            (Some(_), None) => {
                ("--min-size", format!("{min} is more than the long side may have, {max}; add --max-size {min}"))
            }
            _ => ("--min-size, --max-size", format!("the short side cannot have {min} where the long one has {max}")),
        };
        if min > max { Err(Error::Config { setting: setting.into(), reason }) } else { Ok(()) }
    }

    /// The settings that bring what has this diameter to the one that the network was trained with.
    fn scaled_to(&self, pixels: f32, config: &Config) -> Result<Value> {
        let trained = config.transform.diameter;
        if trained == 0.0 {
            let reason = format!(
                "cannot be used with {}: it does not tell the diameter that it was trained with. State that with --config \
                 FILE.toml (`[transform]` and `diameter = 33`, in pixels after the resize), or choose the size by --min-size",
                config.name
            );
            return Err(Error::Config { setting: "--diameter".into(), reason });
        }
        let most = self.max_size.unwrap_or(config.transform.max_size.max(MOST_SCALED));
        let least = config.transform.min_size.min(most);
        Ok(json!({ "transform": { "scale": trained / pixels, "max_size": most, "min_size": least } }))
    }

    /// The settings with those of the flags. Proposals that were `given` are left as they are.
    fn flags(&self, mut settings: Settings, given: bool) -> Result<Settings> {
        if self.diameter.is_none() {
            self.check_sides(&settings.config)?;
        }
        if let Some(pixels) = self.diameter {
            let changes = self.scaled_to(pixels, &settings.config)?;
            settings = settings.given(&changes, "--diameter")?;
        }
        let masks = settings.config.mask.is_some();
        let mut change = |flag: &str, given: Option<Value>| -> Result<()> {
            let Some(changes) = given else { return Ok(()) };
            settings = settings.clone().given(&changes, flag).map_err(|e| match e {
                Error::Config { reason, .. } => Error::Config { setting: flag.into(), reason },
                other => other,
            })?;
            Ok(())
        };
        // Together: raising one above the other's old value is no mistake.
        let mut sides = serde_json::Map::new();
        sides.extend(self.min_size.map(|n| ("min_size".into(), json!(n))));
        sides.extend(self.max_size.filter(|_| self.diameter.is_none()).map(|n| ("max_size".into(), json!(n))));
        if !sides.is_empty() {
            change("--min-size, --max-size", Some(json!({ "transform": sides })))?;
        }
        change("--detections", self.detections.map(|n| json!({ "box": { "detections_per_img": n } })))?;
        change("--nms", self.nms.map(|iou| json!({ "box": { "nms_thresh": iou } })))?;
        change("--soft-nms", self.soft_nms.as_ref().map(|decay| json!({ "box": { "suppression": decay } })))?;
        change(
            "--pooling",
            self.pooling.as_ref().map(|how| match masks {
                true => json!({ "box": { "pooling": how }, "mask": { "pooling": how } }),
                false => json!({ "box": { "pooling": how } }),
            }),
        )?;
        change("--bn-eps", self.bn_eps.map(|eps| json!({ "backbone": { "norm": format!("batchnorm eps {eps:e}") } })))?;
        if let Some(n) = self.detections.filter(|&n| n > settings.config.rpn.post_nms_top_n) {
            settings = proposals(settings, n, given)?;
        }
        Ok(settings)
    }
}

/// A diameter in pixels.
fn diameter(text: &str) -> Result<f32, String> {
    match text.parse() {
        Ok(pixels) if (0.5..=16384.0).contains(&pixels) => Ok(pixels),
        _ => Err("is not a number of pixels, 0.5 to 16384".into()),
    }
}

/// As many proposals as `n` detections need; what is changed, or would have to be, is said.
fn proposals(settings: Settings, n: usize, given: bool) -> Result<Settings> {
    let (pre, post) = (settings.config.rpn.pre_nms_top_n, settings.config.rpn.post_nms_top_n);
    let more = settings.config.clone().with_detections(n)?.rpn;
    if given {
        note!(
            "warning: {n} detections are allowed, but rpn.post_nms_top_n = {post} proposals, of which they are made; \
             {} would do, with rpn.pre_nms_top_n = {}",
            more.post_nms_top_n,
            more.pre_nms_top_n
        );
        return Ok(settings);
    }
    note!(
        "note: for {n} detections, the RPN gives {} proposals instead of {post}, of {} anchors a level instead of {pre} \
         (rpn.post_nms_top_n and rpn.pre_nms_top_n, which --config can set)",
        more.post_nms_top_n,
        more.pre_nms_top_n
    );
    let changes = json!({ "rpn": { "pre_nms_top_n": more.pre_nms_top_n, "post_nms_top_n": more.post_nms_top_n } });
    settings.given(&changes, "--detections")
}

/// A user who asks for less than the model was set to is not to be told that there is nothing.
fn lower(config: &mut Config, score: Option<f32>) {
    config.box_head.score_thresh = score.unwrap_or(1.0).min(config.box_head.score_thresh);
}

/// A TOML file of settings or, where there is none, the preset of that name for the network `config`.
fn read(path: &Path, config: &Config) -> Result<Value> {
    if !path.exists()
        && let Some(preset) = path.to_str().and_then(presets::find)
    {
        return Ok(preset.changes(config));
    }
    let text = std::fs::read_to_string(path).map_err(|source| match source.kind() {
        // A word, so it was meant for a name.
        ErrorKind::NotFound if path.extension().is_none() && path.components().count() == 1 => {
            presets::unknown(&path.display().to_string())
        }
        _ => Error::Io { path: path.into(), source },
    })?;
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
