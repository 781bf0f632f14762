//! The configuration of a file that does not carry one: what torchvision would have built these tensors for.

use std::collections::HashMap;

use serde_json::Value;

use super::eps;
use super::file::WeightsFile;
use super::layout::present_name;
use super::names::{counted, shown};
use super::settings::{Epsilon, Origin, Settings, leaves};
use crate::config::Config;
use crate::config::{Backbone, BlockKind, MaskHead};
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
    let mut config = Shapes::of(file).config()?;
    if let Some(sha256) = published(file) {
        config.backbone.bn_eps = eps::of_published(sha256);
        let because = "torchvision publishes this file, and its loader sets it".into();
        let epsilon = Epsilon { origin: Origin::Read, because, doubt: None };
        return Settings::new(config, false, epsilon, |_| Origin::Read);
    }
    let (eps, epsilon) = eps::of(file, &config);
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

/// Shapes by present name.
struct Shapes<'a> {
    file: &'a WeightsFile,
    shapes: HashMap<String, (&'a str, &'a [usize])>,
}

impl<'a> Shapes<'a> {
    fn of(file: &'a WeightsFile) -> Self {
        let named = |name| Some((present_name(name), (name, file.shape(name)?)));
        Self { file, shapes: file.names().filter_map(named).collect() }
    }

    fn has(&self, stem: &str) -> bool {
        self.shapes.contains_key(&format!("{stem}.weight"))
    }

    /// Extent `axis` of the weight of a layer, which has `rank` axes.
    fn extent(&self, stem: &str, rank: usize, axis: usize) -> Result<usize> {
        let fault = |tensor: &str, reason: String| {
            Err(Error::Tensor { file: self.file.name().into(), tensor: tensor.into(), reason })
        };
        let name = format!("{stem}.weight");
        match self.shapes.get(&name) {
            None => fault(&name, "is missing, and the network cannot be told without it: is the file whole?".into()),
            Some((_, shape)) if shape.len() == rank => Ok(shape[axis]),
            Some((name, shape)) => fault(name, format!("has shape {shape:?}, and {rank} axes are due")),
        }
    }

    /// How many layers there are, counted up from 0 in the place of `{}`.
    fn count(&self, stem: &str) -> usize {
        (0..).take_while(|n| self.has(&stem.replace("{}", &n.to_string()))).count()
    }

    fn config(&self) -> Result<Config> {
        if !self.has("backbone.body.conv1") || !self.has("rpn.head.cls_logits") {
            let some: Vec<String> = self.file.names().take(3).map(|name| format!("`{}`", shown(name))).collect();
            let reason = format!(
                "is not a Mask R-CNN or Faster R-CNN of torchvision's on a ResNet with FPN: it lacks \
                 `backbone.body.conv1.weight` or `rpn.head.cls_logits.weight`, and begins with {}",
                if some.is_empty() { "nothing".into() } else { some.join(", ") }
            );
            return Err(Error::Weights { file: self.file.name().into(), reason });
        }
        let mut config = Config::default();
        self.backbone(&mut config)?;
        config.rpn.conv_depth = self.count("rpn.head.conv.{}.0");
        self.box_head(&mut config)?;
        config.mask = self.mask_head()?;
        config.name = name(&config);
        Ok(config)
    }

    fn backbone(&self, config: &mut Config) -> Result<()> {
        let backbone = &mut config.backbone;
        backbone.base_width = self.extent("backbone.body.conv1", 4, 0)?;
        let blocks = |stage: usize| self.count(&format!("backbone.body.layer{stage}.{{}}.conv1"));
        backbone.layers = (1..=Backbone::MOST_STAGES).map(blocks).take_while(|&blocks| blocks > 0).collect();
        let bottleneck = self.has("backbone.body.layer1.0.conv3");
        backbone.block = if bottleneck { BlockKind::Bottleneck } else { BlockKind::Basic };
        config.fpn_channels = self.extent("backbone.fpn.inner_blocks.0.0", 4, 0)?;
        config.fpn_norm = self.has("backbone.fpn.inner_blocks.0.1");
        let refuse = |reason| Err(Error::Weights { file: self.file.name().into(), reason });
        if let Some(name) = self.file.names().find(|name| name.starts_with("backbone.fpn.extra_blocks.")) {
            return refuse(format!(
                "has an FPN with levels P6 and P7 of its own weights (`{}`; torchvision's LastLevelP6P7, as in RetinaNet), \
                 which is not supported: here P6 is pooled from P5 (LastLevelMaxPool, torchvision's default), and without \
                 these levels the network would find other things than it was trained to",
                shown(name)
            ));
        }
        let levels = self.count("backbone.fpn.inner_blocks.{}.0");
        let stages = config.backbone.layers.len();
        if levels != stages {
            let (levels, stages) = (counted(levels, "level"), counted(stages, "stage"));
            return refuse(format!("has an FPN of {levels} on a body of {stages}: there must be a level for each"));
        }
        // Those that tensors cannot tell are torchvision's, as far as there are levels.
        config.anchor_sizes.truncate(config.backbone.levels());
        Ok(())
    }

    fn box_head(&self, config: &mut Config) -> Result<()> {
        let head = &mut config.box_head;
        let mut channels = config.fpn_channels;
        let convs = self.count("roi_heads.box_head.{}.0");
        for i in 0..convs {
            channels = self.extent(&format!("roi_heads.box_head.{i}.0"), 4, 0)?;
            head.convs.push(channels);
        }
        if convs > 0 {
            // Every other one is a ReLU.
            let is_fc = |i: &usize| self.has(&format!("roi_heads.box_head.{}", convs + 1 + 2 * i));
            head.fc_layers = (0..).take_while(is_fc).count().max(1);
        }
        let first = format!("roi_heads.box_head.{}", head.fc_names()[0]);
        head.representation = self.extent(&first, 2, 0)?;
        let columns = self.extent(&first, 2, 1)?;
        let side = (columns / channels.max(1)).isqrt();
        if channels * side * side != columns {
            let reason =
                format!("has {columns} columns, which are no square of pooled features of {channels} channels");
            return Err(Error::Tensor { file: self.file.name().into(), tensor: format!("{first}.weight"), reason });
        }
        head.roi_size = side;
        config.num_classes = self.extent("roi_heads.box_predictor.cls_score", 2, 0)?;
        // Checked here because it is about to size a list.
        config.class_names = match config.num_classes {
            n @ 2..=4096 => Config::names_of(n),
            _ => Vec::new(),
        };
        Ok(())
    }

    fn mask_head(&self) -> Result<Option<MaskHead>> {
        let predictor = "roi_heads.mask_predictor.conv5_mask";
        let layers = self.count("roi_heads.mask_head.{}.0");
        if layers == 0 && !self.has(predictor) {
            return Ok(None);
        }
        let conv = |i| self.extent(&format!("roi_heads.mask_head.{i}.0"), 4, 0);
        Ok(Some(MaskHead {
            layers: (0..layers).map(conv).collect::<Result<_>>()?,
            norm: self.has("roi_heads.mask_head.0.1"),
            dim_reduced: self.extent(predictor, 4, 1)?,
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
