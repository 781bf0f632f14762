//! The configuration of a file that does not carry one: what torchvision would have built these tensors for.

use serde_json::Value;

use super::bound::Bound;
use super::eps;
use super::family::Conventions;
use super::file::WeightsFile;
use super::layers::{Kind, Layer, Role};
use super::names::{counted, shown};
use super::settings::{Epsilon, Origin, Settings, leaves};
use crate::config::{Backbone, BlockKind, Config, MaskHead, Transform};
use crate::error::{Error, Result};

/// Settings that names and shapes of tensors tell, by dotted name.
const TOLD: [&str; 16] = [
    "name",
    "backbone.layers",
    "backbone.block",
    "backbone.base_width",
    "fpn_channels",
    "fpn_norm",
    "num_classes",
    "rpn.conv_depth",
    "box.roi_size",
    "box.convs",
    "box.fc_layers",
    "box.representation",
    "mask",
    "mask.layers",
    "mask.norm",
    "mask.dim_reduced",
];

/// The settings of `file`: see [`WeightsFile::settings`].
pub(super) fn settings(file: &WeightsFile) -> Result<Settings> {
    if let Some(json) = file.metadata().get("config") {
        let config = Config::from_json(json, file.name())?;
        let mut stated = Vec::new();
        // It was parsed a moment ago.
        leaves(&serde_json::from_str(json).unwrap_or(Value::Null), String::new(), &mut stated);
        let origin = |name: &str| match stated.iter().any(|stated| stated == name) {
            true => Origin::Read,
            // One follows from the other, and a network without masks has none of their settings.
            false if matches!(name, "num_classes" | "class_names") => Origin::Inferred,
            false => Origin::Assumed,
        };
        let because = "the file states its settings".into();
        let epsilon = Epsilon { origin: origin("backbone.norm"), because, doubt: None };
        return Settings::new(config, true, epsilon, origin);
    }
    let shapes = Shapes(Bound::of(file));
    let mut config = shapes.config()?;
    if let Some(sha256) = published(file) {
        config.backbone.bn_eps = eps::of_published(sha256);
        let because = "torchvision publishes this file, and its loader sets it".into();
        let epsilon = Epsilon { origin: Origin::Read, because, doubt: None };
        return Settings::new(config, false, epsilon, |_| Origin::Read);
    }
    let (eps, epsilon) = (file.family().epsilon)(&shapes.0, &config);
    config.backbone.bn_eps = eps;
    config.validate()?;
    let told = |name: &str| if TOLD.contains(&name) { Origin::Inferred } else { Origin::Assumed };
    Settings::new(config, false, epsilon, told)
}

/// The hash of the file if it is one that torchvision publishes: its settings are then known.
#[cfg(feature = "pull")]
fn published(file: &WeightsFile) -> Option<&'static str> {
    super::pull::published_as(file.name(), file.raw())
}

/// Without hashes, no file is known.
#[cfg(not(feature = "pull"))]
fn published(_: &WeightsFile) -> Option<&'static str> {
    None
}

/// A file's tensors, asked for what they tell.
struct Shapes<'a>(Bound<'a>);

impl Shapes<'_> {
    fn has(&self, layer: Layer) -> bool {
        self.0.has(layer, Role::Weight)
    }

    /// Extent `axis` of the weight of a layer, which has `rank` axes.
    fn extent(&self, layer: Layer, rank: usize, axis: usize) -> Result<usize> {
        let fault = |reason: String| {
            let (file, tensor) = (self.0.file.name().into(), self.0.name(layer, Role::Weight));
            Err(Error::Tensor { file, tensor, reason })
        };
        match self.0.shape(layer, Role::Weight) {
            None => fault("is missing, and the network cannot be told without it: is the file whole?".into()),
            Some(shape) if shape.len() == rank => Ok(shape[axis]),
            Some(shape) => fault(format!("has shape {shape:?}, and {rank} axes are due")),
        }
    }

    fn refuse<T>(&self, reason: String) -> Result<T> {
        Err(Error::Weights { file: self.0.file.name().into(), reason })
    }

    fn config(&self) -> Result<Config> {
        let file = self.0.file;
        let needed = [Kind::Stem.only(), Kind::RpnLogits.only()];
        if needed.iter().any(|&layer| !self.has(layer)) {
            let some: Vec<String> = file.names().take(3).map(|name| format!("`{}`", shown(name))).collect();
            let [stem, logits] = needed.map(|layer| self.0.name(layer, Role::Weight));
            return self.refuse(format!(
                "is not a Mask R-CNN or Faster R-CNN of torchvision's on a ResNet with FPN: it lacks `{stem}` or \
                 `{logits}`, and begins with {}",
                if some.is_empty() { "nothing".into() } else { some.join(", ") }
            ));
        }
        for (begins, reason) in self.0.family.refused {
            if let Some(name) = file.names().find(|name| name.starts_with(begins)) {
                return self.refuse(reason.replace("{}", &shown(name)));
            }
        }
        let mut config = Config { transform: self.transform(), ..Config::default() };
        self.backbone(&mut config)?;
        config.rpn.conv_depth = self.0.count(|i| Kind::RpnConv.nth(i));
        self.box_head(&mut config)?;
        config.mask = self.mask_head()?;
        config.name = name(&config);
        Ok(config)
    }

    fn transform(&self) -> Transform {
        let Conventions { colours, range, mean, std, .. } = self.0.family.conventions;
        Transform {
            image_range: range,
            image_mean: colours.to_rgb(mean),
            image_std: colours.to_rgb(std),
            ..Transform::default()
        }
    }

    fn backbone(&self, config: &mut Config) -> Result<()> {
        let backbone = &mut config.backbone;
        backbone.base_width = self.extent(Kind::Stem.only(), 4, 0)?;
        let blocks = |stage: usize| self.0.count(|block| Kind::BlockConv.in_block(stage, block, 0));
        backbone.layers = (0..Backbone::MOST_STAGES).map(blocks).take_while(|&blocks| blocks > 0).collect();
        let bottleneck = self.has(Kind::BlockConv.in_block(0, 0, 2));
        backbone.block = if bottleneck { BlockKind::Bottleneck } else { BlockKind::Basic };
        config.fpn_channels = self.extent(Kind::FpnInner.nth(0), 4, 0)?;
        config.fpn_norm = self.0.has(Kind::FpnInner.nth(0), Role::NormWeight);
        let levels = self.0.count(|i| Kind::FpnInner.nth(i));
        let stages = config.backbone.layers.len();
        if levels != stages {
            let (levels, stages) = (counted(levels, "level"), counted(stages, "stage"));
            return self
                .refuse(format!("has an FPN of {levels} on a body of {stages}: there must be a level for each"));
        }
        // Those that tensors cannot tell are torchvision's, as far as there are levels.
        config.anchor_sizes.truncate(config.backbone.levels());
        Ok(())
    }

    fn box_head(&self, config: &mut Config) -> Result<()> {
        let head = &mut config.box_head;
        let mut channels = config.fpn_channels;
        for i in 0..self.0.count(|i| Kind::BoxConv.nth(i)) {
            channels = self.extent(Kind::BoxConv.nth(i), 4, 0)?;
            head.convs.push(channels);
        }
        let first = Kind::BoxFc.nth(0);
        if !head.convs.is_empty() {
            head.fc_layers = self.0.count(|i| Kind::BoxFc.nth(i)).max(1);
        }
        head.representation = self.extent(first, 2, 0)?;
        let columns = self.extent(first, 2, 1)?;
        let side = (columns / channels.max(1)).isqrt();
        if channels * side * side != columns {
            let reason =
                format!("has {columns} columns, which are no square of pooled features of {channels} channels");
            let (file, tensor) = (self.0.file.name().into(), self.0.name(first, Role::Weight));
            return Err(Error::Tensor { file, tensor, reason });
        }
        head.roi_size = side;
        config.num_classes = self.extent(Kind::BoxLogits.only(), 2, 0)?;
        // Checked here because it is about to size a list.
        config.class_names = match config.num_classes {
            n @ 2..=4096 => Config::names_of(n),
            _ => Vec::new(),
        };
        Ok(())
    }

    fn mask_head(&self) -> Result<Option<MaskHead>> {
        let deconv = Kind::MaskDeconv.only();
        let layers = self.0.count(|i| Kind::MaskConv.nth(i));
        if layers == 0 && !self.has(deconv) {
            return Ok(None);
        }
        let conv = |i| self.extent(Kind::MaskConv.nth(i), 4, 0);
        Ok(Some(MaskHead {
            layers: (0..layers).map(conv).collect::<Result<_>>()?,
            norm: self.0.has(Kind::MaskConv.nth(0), Role::NormWeight),
            dim_reduced: self.extent(deconv, 4, 1)?,
            ..MaskHead::default()
        }))
    }
}

/// As torchvision names the function that builds it, where there is one; in its manner otherwise.
fn name(config: &Config) -> String {
    let kind = if config.mask.is_some() { "maskrcnn" } else { "fasterrcnn" };
    let depth = match (config.backbone.block, &config.backbone.layers[..]) {
        (BlockKind::Basic, [2, 2, 2, 2]) => "18",
        (BlockKind::Basic, [3, 4, 6, 3]) => "34",
        (BlockKind::Bottleneck, [3, 4, 6, 3]) => "50",
        (BlockKind::Bottleneck, [3, 4, 23, 3]) => "101",
        (BlockKind::Bottleneck, [3, 8, 36, 3]) => "152",
        _ => "",
    };
    let version = if config.fpn_norm && !config.box_head.convs.is_empty() { "_v2" } else { "" };
    format!("{kind}_resnet{depth}_fpn{version}")
}
