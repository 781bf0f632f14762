//! The configuration of a file that does not carry one: what torchvision would have built these tensors for.

use std::borrow::Cow;

use serde_json::Value;

use super::bound::Bound;
use super::family::Conventions;
use super::file::WeightsFile;
use super::layers::{Kind, Layer, Role};
use super::names::{counted, shown};
use super::settings::{Epsilon, Origin, Settings, leaves};
use crate::config::mobilenet::{BLOCKS, STEM};
use crate::config::{Backbone, BlockKind, BodyKind, BoxHead, Config, MaskHead, Neck, Transform};
use crate::error::{Error, Result};

/// Settings that names and shapes of tensors tell, by dotted name, and the layers that do, the likeliest first.
const TOLD: [(&str, &[Kind]); 24] = [
    ("name", &[Kind::BlockConv]),
    ("backbone.type", &[Kind::Stem]),
    ("backbone.layers", &[Kind::BlockConv]),
    ("backbone.block", &[Kind::BlockConv]),
    ("backbone.base_width", &[Kind::Stem]),
    ("backbone.inner_width", &[Kind::BlockConv]),
    ("backbone.groups", &[Kind::BlockConv]),
    ("backbone.first_level", &[Kind::FpnInner, Kind::RpnConv]),
    ("neck", &[Kind::FpnInner, Kind::RpnConv]),
    ("fpn_channels", &[Kind::FpnInner, Kind::RpnConv]),
    ("fpn_norm", &[Kind::FpnInner, Kind::RpnConv]),
    ("num_classes", &[Kind::BoxLogits]),
    ("rpn.conv_depth", &[Kind::RpnConv]),
    ("rpn.channels", &[Kind::RpnConv]),
    ("box.roi_size", &[Kind::BoxFc, Kind::BoxLogits]),
    ("box.convs", &[Kind::BoxConv, Kind::BoxFc, Kind::BoxLogits]),
    ("box.fc_layers", &[Kind::BoxFc, Kind::BoxLogits]),
    ("box.representation", &[Kind::BoxFc, Kind::BoxLogits]),
    ("box.class_agnostic", &[Kind::BoxDeltas]),
    ("mask", &[Kind::MaskDeconv]),
    ("mask.layers", &[Kind::MaskConv, Kind::MaskDeconv]),
    ("mask.norm", &[Kind::MaskConv, Kind::MaskDeconv]),
    ("mask.dim_reduced", &[Kind::MaskDeconv]),
    ("mask.class_agnostic", &[Kind::MaskLogits]),
];

/// Groups of a GroupNorm where nothing tells: the paper's (Wu & He 2018), and detectron2's.
const GROUPS: usize = 32;

/// The settings of `file`: see [`WeightsFile::settings`].
pub(super) fn settings(file: &WeightsFile) -> Result<Settings> {
    if let Some(json) = file.metadata().get("config") {
        let config = Config::from_json(json, file.name())?;
        let mut stated = Vec::new();
        // It was parsed a moment ago.
        leaves(&serde_json::from_str(json).unwrap_or(Value::Null), String::new(), &mut stated);
        let origin = |name: &str| -> (Origin, Cow<'static, str>) {
            match stated.iter().any(|stated| stated == name) {
                true => (Origin::Read, "`config` in the file's metadata".into()),
                // One follows from the other, and a network without masks has none of their settings.
                false if name == "num_classes" => (Origin::Inferred, "`class_names`".into()),
                false if name == "class_names" => (Origin::Inferred, "`num_classes`".into()),
                false => (Origin::Assumed, default_of(file).into()),
            }
        };
        let because = "the file states its settings".into();
        let epsilon = Epsilon { origin: origin("backbone.norm").0, because, doubt: None };
        return Settings::new(config, (true, file.family_name()), epsilon, origin);
    }
    let shapes = Shapes(Bound::of(file));
    let mut config = shapes.config()?;
    let more = (file.family().defaults)(&shapes.0, &mut config);
    if let Some(settings) = published(file, &shapes.0, &config) {
        return settings;
    }
    let (eps, epsilon) = (file.family().epsilon)(&shapes.0, &config);
    config.backbone.bn_eps = eps;
    config.validate()?;
    // That there is a GroupNorm is told, the number of its groups is not.
    let groups = [("backbone.group_norm", config.backbone.group_norm), ("group_norm", config.group_norm)];
    let told = |name: &str| -> (Origin, Cow<'static, str>) {
        let found = more.iter().find(|more| more.name == name);
        let assumed = || (Origin::Assumed, default_of(file).into());
        match TOLD.iter().find(|(told, _)| *told == name) {
            Some((_, kinds)) => {
                // Widths of groups are those of a block's 3×3.
                let conv = usize::from(["backbone.inner_width", "backbone.groups"].contains(&name));
                (Origin::Inferred, shapes.tensor(kinds, conv).into())
            }
            None if groups.contains(&(name, 0)) => {
                (Origin::Inferred, "norms have statistics, or there are none".into())
            }
            None => found.map_or_else(assumed, |found| (found.origin, found.source.clone())),
        }
    };
    Settings::new(config, (false, file.family_name()), epsilon, told)
}

/// The settings of a file that its project publishes: all are known.
#[cfg(feature = "pull")]
fn published(file: &WeightsFile, bound: &Bound, config: &Config) -> Option<Result<Settings>> {
    use super::eps;
    use super::pull::{Check, TORCHVISION, published_as};

    let published = published_as(file.name(), file.raw())?;
    let whole = || {
        let mut config = published.preset.map_or_else(|| Ok(config.clone()), |name| config.with_preset(name))?;
        let project = published.project.name;
        let (eps, because) = match published.check {
            Check::Sha256(sha256) if *published.project == TORCHVISION => {
                (eps::of_published(sha256), "its loader sets it")
            }
            Check::Sha256Digits(digits) if *published.project == TORCHVISION => {
                (eps::of_published(digits), "its builder sets it")
            }
            _ => ((bound.family.epsilon)(bound, &config).0, "its norms have it"),
        };
        config.backbone.bn_eps = eps;
        let preset = published.preset.map_or(String::new(), |name| format!(", preset {name}"));
        let source: Cow<'static, str> = format!("{project} publishes this file{preset}").into();
        let because = format!("{project} publishes this file, and {because}");
        let epsilon = Epsilon { origin: Origin::Read, because, doubt: None };
        Settings::new(config, (false, file.family_name()), epsilon, |_| (Origin::Read, source.clone()))
    };
    Some(whole())
}

/// Whose default a setting is that nothing tells.
fn default_of(file: &WeightsFile) -> String {
    format!("the default of {}", file.family_name())
}

/// Without hashes, no file is known.
#[cfg(not(feature = "pull"))]
fn published(_: &WeightsFile, _: &Bound, _: &Config) -> Option<Result<Settings>> {
    None
}

/// A file's tensors, asked for what they tell.
struct Shapes<'a>(Bound<'a>);

impl Shapes<'_> {
    /// The first layer of the first of these kinds that there is: its weight's name and shape in the file.
    fn tensor(&self, kinds: &[Kind], conv: usize) -> String {
        let layer = kinds.iter().map(|kind| kind.in_block(0, 0, conv)).find(|layer| self.has(*layer));
        let Some(layer) = layer else { return "there are no such tensors".into() };
        let shape = self.0.shape(layer, Role::Weight).unwrap_or_default();
        format!("`{}` {shape:?}", shown(&self.0.name(layer, Role::Weight)))
    }

    fn has(&self, layer: Layer) -> bool {
        self.0.has(layer, Role::Weight)
    }

    /// Extent `axis` of the weight of a layer, which has `rank` axes.
    fn extent(&self, layer: Layer, rank: usize, axis: usize) -> Result<usize> {
        let fault = |reason: String| {
            let (file, tensor) = (self.0.file.name().into(), self.0.name(layer, Role::Weight));
            Err(Error::Tensor { file, tensor, reason })
        };
        match self.0.axes(layer, Role::Weight) {
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
        for (piece, reason) in self.0.family.refused {
            if let Some(name) = file.names().find(|name| name.contains(piece)) {
                return self.refuse(reason.replace("{}", &shown(name)));
            }
        }
        let mut config = Config { transform: self.transform(), ..Config::default() };
        self.backbone(&mut config)?;
        self.neck(&mut config)?;
        config.rpn.conv_depth = self.0.count(|i| Kind::RpnConv.nth(i));
        if config.rpn.conv_depth > 0 {
            let channels = self.extent(Kind::RpnConv.nth(0), 4, 0)?;
            config.rpn.channels = if channels == config.map_channels() { 0 } else { channels };
        }
        self.box_head(&mut config)?;
        config.mask = self.mask_head(&config)?;
        let of_rest = [Kind::FpnInner.nth(0), Kind::BoxConv.nth(0), Kind::MaskConv.nth(0)];
        config.group_norm = self.groups(&of_rest);
        config.name = name(&config);
        Ok(config)
    }

    fn transform(&self) -> Transform {
        let Conventions { colours, range, mean, std, .. } = self.0.conventions;
        Transform {
            colours,
            image_range: range,
            image_mean: colours.to_rgb(mean),
            image_std: colours.to_rgb(std),
            ..Transform::default()
        }
    }

    fn backbone(&self, config: &mut Config) -> Result<()> {
        if self.0.is_on_mobilenet() {
            return self.mobilenet(&mut config.backbone);
        }
        let backbone = &mut config.backbone;
        backbone.base_width = self.extent(Kind::Stem.only(), 4, 0)?;
        let blocks = |stage: usize| self.0.count(|block| Kind::BlockConv.in_block(stage, block, 0));
        backbone.layers = (0..Backbone::MOST_STAGES).map(blocks).take_while(|&blocks| blocks > 0).collect();
        let bottleneck = self.has(Kind::BlockConv.in_block(0, 0, 2));
        backbone.block = if bottleneck { BlockKind::Bottleneck } else { BlockKind::Basic };
        if bottleneck {
            let inner = Kind::BlockConv.in_block(0, 0, 1);
            let (width, of_a_group) = (self.extent(inner, 4, 0)?, self.extent(inner, 4, 1)?);
            backbone.inner_width = if width == backbone.base_width { 0 } else { width };
            backbone.groups = width.checked_div(of_a_group).unwrap_or(1).max(1);
        }
        backbone.group_norm = self.groups(&[Kind::Stem.only()]);
        Ok(())
    }

    /// A MobileNet: the one that there is here.
    fn mobilenet(&self, backbone: &mut Backbone) -> Result<()> {
        let (width, blocks) =
            (self.extent(Kind::Stem.only(), 4, 0)?, self.0.count(|i| Kind::InvertedConv.in_block(i, 0, 0)));
        if (width, blocks) != (STEM, BLOCKS.len()) || !self.has(Kind::LastConv.only()) {
            return self.refuse(format!(
                "has a body of MobileNet's kind with {} and a first convolution of {}: of these, MobileNetV3-large of width 1 is                  supported ({} and {STEM}), with an FPN that reads its last map",
                counted(blocks, "block"),
                counted(width, "channel"),
                BLOCKS.len()
            ));
        }
        (backbone.kind, backbone.layers) = (BodyKind::MobilenetV3Large, Vec::new());
        Ok(())
    }

    /// GroupNorm's usual number of groups where one of these layers has such a norm: scale and shift without statistics.
    fn groups(&self, layers: &[Layer]) -> usize {
        let grouped = |&layer: &Layer| self.0.has(layer, Role::NormWeight) && !self.0.has(layer, Role::NormVar);
        if layers.iter().any(grouped) { GROUPS } else { 0 }
    }

    fn neck(&self, config: &mut Config) -> Result<()> {
        let (stages, channels) = (config.backbone.stages(), config.backbone.stage_channels());
        let mobile = config.backbone.kind == BodyKind::MobilenetV3Large;
        let levels = self.0.count(|i| Kind::FpnInner.nth(i));
        if levels == 0 {
            // The RPN's first convolution tells which map it is on.
            let on = self.extent(Kind::RpnConv.nth(0), 4, 1)?;
            config.neck = match channels.iter().position(|&of_stage| of_stage == on) {
                Some(2) if stages == Backbone::MOST_STAGES => Neck::C4,
                Some(3) if !mobile => Neck::Dc5,
                _ => {
                    let reason = format!(
                        "has no FPN, and an RPN on {}, which neither the third nor the fourth stage of its body makes: \
                         networks on C4 and on a dilated C5 are supported, and those with an FPN",
                        counted(on, "channel")
                    );
                    return self.refuse(reason);
                }
            };
            config.anchor_sizes = vec![config.anchor_sizes.concat()];
            return Ok(());
        }
        config.fpn_channels = self.extent(Kind::FpnInner.nth(0), 4, 0)?;
        config.fpn_norm = self.0.has(Kind::FpnInner.nth(0), Role::NormWeight);
        let reads = self.extent(Kind::FpnInner.nth(0), 4, 1)?;
        // Where there is a level for each stage, loading tells what does not fit.
        let first = stages.checked_sub(levels).filter(|&first| first == 0 || channels[first] == reads);
        let Some(first) = first else {
            let (levels, stages) = (counted(levels, "level"), counted(stages, "stage"));
            return self.refuse(format!(
                "has an FPN of {levels}, the first on {reads} channels, on a body of {stages}: there must be a level for \
                 each stage, or for each from one of them on"
            ));
        };
        config.backbone.first_level = first;
        if mobile {
            // As its builders have it: on every level anchors of all sizes.
            config.anchor_sizes = vec![config.anchor_sizes.concat(); config.levels()];
            return Ok(());
        }
        // Those that tensors cannot tell are torchvision's, as far as there are levels.
        config.anchor_sizes = config.anchor_sizes[first..][..config.levels()].to_vec();
        Ok(())
    }

    fn box_head(&self, config: &mut Config) -> Result<()> {
        let (c4, mut channels) = (config.neck == Neck::C4, config.map_channels());
        let head = &mut config.box_head;
        for i in 0..self.0.count(|i| Kind::BoxConv.nth(i)) {
            channels = self.extent(Kind::BoxConv.nth(i), 4, 0)?;
            head.convs.push(channels);
        }
        if c4 {
            (head.fc_layers, head.roi_size) = (0, 14);
        } else {
            self.fully_connected(head, channels)?;
        }
        config.num_classes = self.extent(Kind::BoxLogits.only(), 2, 0)?;
        head.class_agnostic = self.serves_all(Kind::BoxDeltas.only(), 4, config.num_classes);
        // Checked here because it is about to size a list.
        config.class_names = match config.num_classes {
            n @ 2..=4096 => Config::names_of(n),
            _ => Vec::new(),
        };
        Ok(())
    }

    /// Whether a layer of so many values a class has those of one where a network of so many classes would have more.
    fn serves_all(&self, layer: Layer, values: usize, classes: usize) -> bool {
        let each = self.0.stored(layer, Role::Weight, &[values * classes]);
        self.0.axes(layer, Role::Weight).is_some_and(|shape| shape.first() == Some(&values)) && each != [values]
    }

    fn fully_connected(&self, head: &mut BoxHead, channels: usize) -> Result<()> {
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
        Ok(())
    }

    fn mask_head(&self, config: &Config) -> Result<Option<MaskHead>> {
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
            class_agnostic: self.serves_all(Kind::MaskLogits.only(), 1, config.num_classes),
            // The body's last stage halves what was pooled.
            output_size: if config.neck == Neck::C4 { 14 } else { 28 },
            ..MaskHead::default()
        }))
    }
}

/// As torchvision names the function that builds it, where there is one; in its manner otherwise.
fn name(config: &Config) -> String {
    let kind = if config.mask.is_some() { "maskrcnn" } else { "fasterrcnn" };
    if config.backbone.kind == BodyKind::MobilenetV3Large {
        return format!("{kind}_mobilenet_v3_large_{}", config.neck.name());
    }
    let Backbone { layers, block, base_width, inner_width, groups, .. } = &config.backbone;
    let depth = match (block, &layers[..]) {
        (BlockKind::Basic, [2, 2, 2, 2]) => "18",
        (BlockKind::Basic, [3, 4, 6, 3]) => "34",
        (BlockKind::Bottleneck, [3, 4, 6, 3]) => "50",
        (BlockKind::Bottleneck, [3, 4, 23, 3]) => "101",
        (BlockKind::Bottleneck, [3, 8, 36, 3]) => "152",
        _ => "",
    };
    let body = match (*groups, *inner_width) {
        (1, 0) => format!("resnet{depth}"),
        (1, width) if width == 2 * base_width => format!("wide_resnet{depth}_2"),
        (1, width) => format!("resnet{depth}_{width}"),
        (groups, width) => format!("resnext{depth}_{groups}x{}d", width.max(1) / groups),
    };
    let neck = config.neck.name();
    let version = if config.fpn_norm && !config.box_head.convs.is_empty() { "_v2" } else { "" };
    format!("{kind}_{body}_{neck}{version}")
}
