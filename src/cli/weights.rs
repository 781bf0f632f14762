//! `maskrcnn weights`

use std::path::{Path, PathBuf};

use maskrcnn::engine::config::{BodyKind, Neck};
use maskrcnn::engine::weights::convert::{self, ElementType};
use maskrcnn::engine::weights::inspect::Inventory;
use maskrcnn::engine::weights::pull::Published;
use maskrcnn::engine::weights::{Origin, Selection, Settings, WeightsFile};
use maskrcnn::{Config, Error, Result};

use super::model::Changes;

/// What to do with weights.
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// List the models that projects publish, with what they find and what may be done with them, and the presets of
    /// settings.
    List,
    /// Download one of the models that torchvision and detectron2 publish: maskrcnn_resnet50_fpn_v2,
    /// mask_rcnn_R_50_FPN_3x, … (`weights list` has all). `--weights NAME` then uses it.
    Pull {
        /// Which one.
        name: String,
        /// Where to get it instead of the project's own server: the address of a folder that has the file.
        #[arg(long, value_name = "URL")]
        mirror: Option<String>,
    },
    /// Say what a weights file is: its network, classes and settings, and what is missing or left over.
    Inspect {
        /// The file, or the name of a published model.
        #[arg(value_name = "FILE|NAME")]
        weights: PathBuf,
        #[command(flatten)]
        changes: Changes,
    },
    /// Write a weights file in our own form: safetensors with the settings in its metadata.
    Convert {
        /// The file, or the name of a published model.
        #[arg(value_name = "IN")]
        weights: PathBuf,
        /// Where to write.
        #[arg(value_name = "OUT.safetensors")]
        out: PathBuf,
        /// Round matrices and kernels to half precision, for a file of half the size.
        #[arg(long)]
        f16: bool,
        #[command(flatten)]
        changes: Changes,
    },
}

/// Does it.
pub(super) fn run(command: &Command) -> Result<()> {
    match command {
        Command::List => super::pull::list(),
        Command::Pull { name, mirror } => super::pull::run(name, mirror.as_deref()),
        Command::Inspect { weights, changes } => inspect(&changes.open_quietly(&locate(weights)?)?, changes),
        Command::Convert { weights, out, f16, changes } => {
            let path = locate(weights)?;
            convert(&path, out, if *f16 { ElementType::F16 } else { ElementType::F32 }, changes)
        }
    }
}

/// The file that `weights` stands for: itself or, where there is none, the published model of that name.
pub(super) fn locate(weights: &Path) -> Result<PathBuf> {
    match weights.to_str().and_then(Published::find) {
        Some(published) if !weights.exists() => super::pull::offer(published),
        _ => Ok(weights.into()),
    }
}

fn convert(path: &Path, out: &Path, elements: ElementType, changes: &Changes) -> Result<()> {
    let same = |a: &Path, b: &Path| a.canonicalize().is_ok_and(|a| b.canonicalize().is_ok_and(|b| a == b));
    if same(path, out) {
        let reason = "would be written over itself: name another file to write".into();
        return Err(Error::Weights { file: path.display().to_string(), reason });
    }
    if out.extension().is_none_or(|e| e != "safetensors") {
        let reason = "is to be written as safetensors: give it that ending".into();
        return Err(Error::Weights { file: out.display().to_string(), reason });
    }
    let file = changes.open(path)?;
    let Settings { config, .. } = changes.apply(&file)?;
    convert::write(&file, &config, elements, out)?;
    let size = std::fs::metadata(out).map_err(|source| Error::Io { path: out.into(), source })?.len();
    say!("{}: {} ({:.1} MiB)", out.display(), config.name, mib(size as f64));
    Ok(())
}

fn inspect(file: &WeightsFile, changes: &Changes) -> Result<()> {
    let settings = changes.apply(file)?;
    let config = &settings.config;
    let inventory = Inventory::new(file, config);
    let types: Vec<String> = inventory.types.iter().map(|(kind, n)| format!("{n} {kind}")).collect();
    let (format, family) = (file.format(), file.family_name());
    say!("{}: {format}, named as {family}'s, {:.1} MiB", file.name(), mib(file.bytes() as f64));
    say!("tensors   {} ({}), {:.2} million values", inventory.tensors, types.join(", "), inventory.values as f64 / 1e6);
    say!("network   {}", network(config));
    say!("settings  {}", known(&settings));
    say!("epsilon   {}, {}: {}", config.backbone.eps_text(), word(settings.epsilon.origin), settings.epsilon.because);
    if file.has_training_config() {
        say!("told      `meta` has the configuration of its training: what is marked as read below is from there");
    }
    for guess in file.guessed() {
        say!("guessed   {guess}");
    }
    // COCO's ids have holes.
    let names: Vec<&str> = config.class_names[1..].iter().map(String::as_str).filter(|n| *n != "N/A").collect();
    say!("classes   {}: {}", names.len(), names.join(", "));
    list("missing", inventory.missing.iter().map(String::clone));
    list(
        "shape",
        inventory.misshapen.iter().map(|(name, has, needs)| format!("{name} is {has:?}, {needs:?} is needed")),
    );
    list("left over", inventory.left_over.iter().map(String::clone));
    let Selection { prefix, others, beside } = file.selection();
    if !prefix.is_empty() {
        say!("prefix    {}", prefix.escape_debug());
    }
    let other = |name: &String| {
        format!(
            "{}, another network: `--prefix` chooses it",
            if name.is_empty() { "that without a prefix" } else { name }
        )
    };
    list("left out", others.iter().map(other));
    list("left out", beside.iter().map(|name| format!("{name}, beside the network")));
    if inventory.fits() {
        say!("fits      nothing missing, nothing left over");
    }
    say!("\n# settings, as --config takes them\n{}", toml_of(&settings)?);
    Ok(())
}

/// A line for each of the first few.
fn list(title: &str, items: impl ExactSizeIterator<Item = String>) {
    const SHOWN: usize = 12;
    let count = items.len();
    for item in items.take(SHOWN) {
        say!("{title:9} {}", item.escape_debug());
    }
    if count > SHOWN {
        say!("{title:9} … and {} more", count - SHOWN);
    }
}

/// One line that tells a network.
fn network(config: &Config) -> String {
    let norm = |groups: usize| match groups {
        0 => "BatchNorm".into(),
        groups => format!("GroupNorm of {}", counted(groups, "group")),
    };
    let of_rest = |yes: bool| if yes { format!(" with {}", norm(config.group_norm)) } else { String::new() };
    let backbone = &config.backbone;
    let blocks = backbone.layers.iter().map(usize::to_string).collect::<Vec<_>>().join("+");
    let mut body = match backbone.kind {
        BodyKind::Resnet => {
            format!("ResNet of {blocks} {:?} blocks, stem {} wide", backbone.block, backbone.base_width)
        }
        BodyKind::MobilenetV3Large => "MobileNetV3-large".into(),
    };
    if backbone.stage_width(0) != backbone.base_width {
        body += &format!(", 3×3 convolutions {} wide", backbone.stage_width(0));
    }
    if backbone.groups > 1 {
        body += &format!(" in {}", counted(backbone.groups, "group"));
    }
    let neck = match config.neck {
        Neck::Fpn => {
            let levels = counted(config.levels() - 1, "level");
            format!("FPN of {levels} of {} channels{}", config.fpn_channels, of_rest(config.fpn_norm))
        }
        Neck::C4 => "heads on C4".into(),
        Neck::Dc5 => "heads on C5, dilated".into(),
    };
    let head = &config.box_head;
    let convs = match head.convs.len() {
        0 => String::new(),
        n => format!("{} with {}, ", counted(n, "convolution"), norm(config.group_norm)),
    };
    let layers = match config.neck {
        Neck::C4 => "the body's last stage and a mean".into(),
        _ => format!("{} of {}", counted(head.fc_layers, "fully connected layer"), head.representation),
    };
    let one = |yes: bool| if yes { " for all classes alike" } else { "" };
    let mask = match &config.mask {
        None => "no mask head".into(),
        Some(mask) => {
            let convs = counted(mask.layers.len(), "convolution");
            format!("mask head of {convs}{}{}", of_rest(mask.norm), one(mask.class_agnostic))
        }
    };
    format!(
        "{}: {body}, {} eps {}; {neck}; RPN with {}; box head of {convs}{layers}{}; {mask}",
        config.name,
        norm(backbone.group_norm),
        backbone.eps_text(),
        counted(config.rpn.conv_depth, "convolution"),
        one(head.class_agnostic),
    )
}

/// A number of things: "1 convolution", "2 convolutions".
fn counted(count: usize, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}

/// How settings are known in general.
fn known(settings: &Settings) -> String {
    let any = |origin| settings.any(origin);
    let rest = format!("the rest assumed as {} has them (marked below)", settings.family);
    match (settings.stated, any(Origin::Assumed)) {
        (true, false) => "read from the file".into(),
        (true, true) => format!("read from the file, {rest}"),
        (false, false) if any(Origin::Read) => format!("those of this file, which {} publishes", settings.family),
        (false, false) => "inferred from its tensors, the rest given".into(),
        (false, true) => format!("inferred from its tensors, {rest}"),
    }
}

fn word(origin: Origin) -> &'static str {
    match origin {
        Origin::Read => "read",
        Origin::Inferred => "inferred",
        Origin::Assumed => "assumed",
        Origin::Given => "given",
    }
}

/// All settings as TOML, each marked with where it comes from.
fn toml_of(settings: &Settings) -> Result<String> {
    let internal = |e: String| Error::Config { setting: "config".into(), reason: e };
    let json = settings.config.to_json()?;
    let value: serde_json::Value = serde_json::from_str(&json).map_err(|e| internal(e.to_string()))?;
    let groups = value.as_object().into_iter().flatten();
    let line = |dotted: &str, key: &str, value: &serde_json::Value| -> Result<String> {
        let value = toml::Value::try_from(value).map_err(|e| internal(e.to_string()))?;
        let (origin, source) = (settings.origin(dotted).map_or("", word), settings.source(dotted).unwrap_or_default());
        // A line is a line, whatever a tensor is called.
        let source = source.replace(char::is_control, " ");
        Ok(format!("{key} = {value}  # {origin}: {source}\n"))
    };
    let (mut single, mut grouped) = (String::new(), String::new());
    for (key, value) in groups {
        match value {
            // TOML has no null, and what is not there keeps its value.
            serde_json::Value::Null => {}
            serde_json::Value::Object(group) => {
                grouped.push_str(&format!("\n[{key}]\n"));
                for (inner, value) in group {
                    grouped.push_str(&line(&format!("{key}.{inner}"), inner, value)?);
                }
            }
            value => single.push_str(&line(key, key, value)?),
        }
    }
    Ok(single + &grouped)
}

fn mib(bytes: f64) -> f64 {
    bytes / f64::from(1 << 20)
}
