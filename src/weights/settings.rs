//! What a file says of its network, what follows from its tensors, and what nobody says.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value;

use crate::config::Config;
use crate::error::{Error, Result};

/// Where the value of a setting comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The file's metadata state it, or a tensor of its own; or the file is one that torchvision publishes, byte for byte.
    Read,
    /// It follows from the tensors.
    Inferred,
    /// Nothing tells it: it is as the project whose names the tensors have, [`Settings::family`], has it by default.
    Assumed,
    /// It was given in place of the file's: [`Settings::overridden`].
    Given,
}

/// Every setting of a file's network, and where each comes from.
///
/// Detections of a network that runs with other settings than it was trained with are wrong without any error, so a
/// program should say what was assumed: [`Settings::assumed`], [`Settings::epsilon`].
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Every setting.
    pub config: Config,
    /// Whether the file states them in its metadata; otherwise they follow from its tensors.
    pub stated: bool,
    /// The project whose defaults stand for what nothing tells: `torchvision`.
    pub family: &'static str,
    /// How BatchNorm's epsilon was found.
    pub epsilon: Epsilon,
    /// By dotted name, for all settings: where it comes from, and what tells it.
    origins: BTreeMap<String, (Origin, Cow<'static, str>)>,
}

/// A setting that something tells.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Finding {
    /// Its dotted name.
    pub name: &'static str,
    pub origin: Origin,
    /// What tells it, for people: a tensor, a field of the file's, its name.
    pub source: Cow<'static, str>,
}

impl Finding {
    pub(super) fn new(name: &'static str, origin: Origin, source: impl Into<Cow<'static, str>>) -> Self {
        Self { name, origin, source: source.into() }
    }
}

/// How BatchNorm's epsilon ([`bn_eps`](crate::config::Backbone::bn_eps)) was found: torchvision's files do not
/// have it.
#[derive(Clone, Debug, PartialEq)]
pub struct Epsilon {
    /// As for every setting: `backbone.norm`.
    pub origin: Origin,
    /// Why it is this one, as a clause: "its BatchNorms count batches, as torch's own do".
    pub because: String,
    /// Where it is assumed: what it would be otherwise, and what that would change.
    pub doubt: Option<Doubt>,
}

/// What another epsilon would do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Doubt {
    /// The other epsilon.
    pub other: f32,
    /// Channels of all BatchNorms.
    pub channels: usize,
    /// Those of them that it would scale by a factor that differs by more than 1 %.
    pub changed: usize,
    /// The largest such difference of a channel, as a share: 0.01 is 1 %; infinite where one epsilon cannot be.
    pub most: f32,
}

impl Settings {
    /// Settings with an origin and what tells it for each, by its dotted name.
    pub(super) fn new(
        config: Config,
        (stated, family): (bool, &'static str),
        epsilon: Epsilon,
        origin: impl Fn(&str) -> (Origin, Cow<'static, str>),
    ) -> Result<Self> {
        let tree: Value = serde_json::from_str(&config.to_json()?).map_err(internal)?;
        let mut names = Vec::new();
        leaves(&tree, String::new(), &mut names);
        let mut origins: BTreeMap<_, _> = names.into_iter().map(|name| (name.clone(), origin(&name))).collect();
        origins.insert("backbone.norm".into(), (epsilon.origin, epsilon.because.clone().into()));
        Ok(Self { config, stated, family, epsilon, origins })
    }

    /// Where a setting comes from; its name is dotted, with the keys of [`Config::to_json`]: `box.nms_thresh`. `None`
    /// for what is no setting of this network.
    pub fn origin(&self, setting: &str) -> Option<Origin> {
        self.origins.get(setting).map(|(origin, _)| *origin)
    }

    /// What tells a setting: a tensor or a field of the file's, a preset, or the project whose default it is. `None` as for
    /// [`Settings::origin`].
    pub fn source(&self, setting: &str) -> Option<&str> {
        self.origins.get(setting).map(|(_, source)| &**source)
    }

    /// Whether any setting has this origin.
    pub fn any(&self, origin: Origin) -> bool {
        self.origins.values().any(|(of, _)| *of == origin)
    }

    /// Settings that nothing tells, sorted.
    pub fn assumed(&self) -> impl Iterator<Item = &str> {
        self.origins.iter().filter(|(_, (origin, _))| *origin == Origin::Assumed).map(|(name, _)| name.as_str())
    }

    /// These settings with others in their place: [`Config::overridden`].
    ///
    /// # Errors
    /// As there.
    pub fn overridden(self, changes: &Value) -> Result<Self> {
        self.given(changes, "in place of the file's")
    }

    /// The same, with what gives them: a file, a preset, an option.
    ///
    /// # Errors
    /// As there.
    pub fn given(mut self, changes: &Value, source: &str) -> Result<Self> {
        self.config = self.config.overridden(changes)?;
        let mut names = Vec::new();
        leaves(changes, String::new(), &mut names);
        if names.iter().any(|name| name == "backbone.norm") {
            self.epsilon = Epsilon { origin: Origin::Given, because: format!("it was given ({source})"), doubt: None };
        }
        // Names and number of classes follow each other.
        let classes = ["num_classes", "class_names"];
        if classes.iter().any(|class| names.iter().any(|name| name == class)) {
            names.extend(classes.map(String::from));
        }
        for name in names {
            if let Some(origin) = self.origins.get_mut(&name) {
                *origin = (Origin::Given, source.to_string().into());
            }
        }
        Ok(self)
    }
}

/// The dotted names of all values in a tree of settings that are no groups.
pub(super) fn leaves(tree: &Value, path: String, names: &mut Vec<String>) {
    let Value::Object(group) = tree else { return names.push(path) };
    for (key, value) in group {
        let dotted = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        leaves(value, dotted, names);
    }
}

fn internal(e: serde_json::Error) -> Error {
    Error::Config { setting: "config".into(), reason: e.to_string() }
}
