//! The configuration as JSON: the `config` string in a weights file's metadata.

use serde_json::{Map, Value};

use super::Config;
use super::validate::CLASSES;
use crate::error::{Error, Result};

impl Config {
    /// Reads and validates a configuration; `file` stands for its origin in messages.
    ///
    /// Unknown keys are ignored, absent ones take the value of [`Config::default`]. Where only one of `num_classes`
    /// and `class_names` is given, the other follows from it ([`Config::names_of`]).
    ///
    /// # Errors
    /// [`Error::Weights`] if `json` is not a JSON object; [`Error::Config`] naming the dotted setting if a value is of
    /// the wrong type or outside of its range.
    pub fn from_json(json: &str, file: &str) -> Result<Self> {
        let broken = |reason: String| Error::Weights { file: file.into(), reason };
        let value: Value = serde_json::from_str(json)
            .map_err(|e| broken(format!("its `config` metadata is not valid JSON ({e}): write the file again")))?;
        let Value::Object(map) = &value else {
            return Err(broken("its `config` metadata is not a JSON object: write the file again".into()));
        };
        let mut config = parse(map)?;
        config.complete(map.contains_key("num_classes"), map.contains_key("class_names"));
        config.validate()?;
        Ok(config)
    }

    /// Where only the number of classes or only their names were given, the other follows.
    pub(super) fn complete(&mut self, number: bool, names: bool) {
        match (number, names) {
            // Checked here because it is about to size a list.
            (true, false) if CLASSES.contains(&self.num_classes) => self.class_names = Self::names_of(self.num_classes),
            (false, true) => self.num_classes = self.class_names.len(),
            _ => {}
        }
    }

    /// The JSON that [`Config::from_json`] reads back to an equal value.
    ///
    /// # Errors
    /// [`Error::Config`] if the configuration is not valid: JSON has no NaN, so it could not be read back.
    pub fn to_json(&self) -> Result<String> {
        self.validate()?;
        serde_json::to_string(self).map_err(|e| Error::Config { setting: "config".into(), reason: e.to_string() })
    }
}

/// Deserialises the object; on failure finds the setting at fault, which serde_json does not tell.
pub(super) fn parse(map: &Map<String, Value>) -> Result<Config> {
    let attempt = |map: &Map<String, Value>| serde_json::from_value::<Config>(Value::Object(map.clone()));
    let whole = match attempt(map) {
        Ok(config) => return Ok(config),
        Err(e) => e,
    };
    // Every key has a default, so an object with a single key parses unless that key is the culprit.
    let single = |key: &str, value: &Value| Map::from_iter([(key.to_owned(), value.clone())]);
    for (section, value) in map {
        let Err(error) = attempt(&single(section, value)) else { continue };
        let fields = value.as_object().into_iter().flatten();
        for (field, value) in fields {
            if let Err(error) = attempt(&single(section, &Value::Object(single(field, value)))) {
                return Err(Error::Config { setting: format!("{section}.{field}"), reason: error.to_string() });
            }
        }
        return Err(Error::Config { setting: section.clone(), reason: error.to_string() });
    }
    Err(Error::Config { setting: "config".into(), reason: whole.to_string() })
}

/// `"norm": "batchnorm eps 1e-5"`: a phrase for people that holds one number. The epsilon of
/// GroupNorms stands there, too: that they are such, `group_norm` says.
pub(super) mod norm {
    use serde::{Deserialize, Deserializer, Serializer, de};

    /// The number; `{:e}` is the shortest form that reads back to the same f32.
    pub(crate) fn text(eps: f32) -> String {
        if eps == 0.0 { "0".into() } else { format!("{eps:e}") }
    }

    /// Writes the phrase.
    pub(crate) fn serialize<S: Serializer>(eps: &f32, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("batchnorm eps {}", text(*eps)))
    }

    /// Takes the number after `eps`; refuses other norms.
    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f32, D::Error> {
        let phrase = String::deserialize(deserializer)?;
        let mut words = phrase.split_whitespace().skip_while(|word| *word != "eps").skip(1);
        let eps = words.next().and_then(|word| word.parse().ok());
        match eps {
            Some(eps) if phrase.to_lowercase().contains("batchnorm") => Ok(eps),
            _ => Err(de::Error::custom(format!("is {phrase:?}, allowed \"batchnorm eps <number>\", e.g. eps 1e-5"))),
        }
    }
}
