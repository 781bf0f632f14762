//! Single settings changed, as `--config FILE.toml` and the program's flags do.

use serde_json::{Map, Value};

use super::Config;
use super::json::parse;
use crate::error::{Error, Result};

/// Proposals, and anchors of a level before NMS, for each detection that is asked for. In a picture of 1,500 nuclei, the
/// default model found 1,287, 1,302 and 1,517 by 6,000, 12,000 and 16,384 proposals.
const PROPOSALS: usize = 4;
const ANCHORS: usize = 8;

impl Config {
    /// This configuration with the settings in `changes` in place of its own: a tree of the keys that
    /// [`Config::to_json`] writes. Names of classes follow a changed `num_classes`, and the other way round.
    ///
    /// ```
    /// # use maskrcnn::Config;
    /// let changes = serde_json::json!({ "transform": { "min_size": 640 } });
    /// let config = Config::default().overridden(&changes)?;
    /// assert_eq!((config.transform.min_size, config.transform.max_size), (640, 1333));
    /// # Ok::<(), maskrcnn::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Config`] with the dotted name of a setting that does not exist, is of the wrong type or out of its
    /// range.
    pub fn overridden(&self, changes: &serde_json::Value) -> Result<Self> {
        let whole = |e: serde_json::Error| Error::Config { setting: "config".into(), reason: e.to_string() };
        let mut settings = serde_json::to_value(self).map_err(whole)?;
        merge(&mut settings, changes, "")?;
        let Value::Object(map) = &settings else { return Ok(self.clone()) };
        let mut config = parse(map)?;
        config.complete(changes.get("num_classes").is_some(), changes.get("class_names").is_some());
        config.validate()?;
        Ok(config)
    }

    /// This configuration with room for `n` detections an image. Where there would be fewer proposals than that, the RPN's
    /// are raised, too: a detection is made of a proposal, and several proposals lie on most objects.
    ///
    /// ```
    /// # use maskrcnn::Config;
    /// let config = Config::default();
    /// assert_eq!((config.rpn.pre_nms_top_n, config.rpn.post_nms_top_n), (1000, 1000));
    /// assert_eq!(config.with_detections(1000)?.rpn, config.rpn);
    /// let many = config.with_detections(3000)?;
    /// assert_eq!((many.rpn.pre_nms_top_n, many.rpn.post_nms_top_n), (16_384, 12_000));
    /// # Ok::<(), maskrcnn::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Config`] where `n` is out of its range.
    pub fn with_detections(&self, n: usize) -> Result<Self> {
        let mut config = self.clone();
        config.box_head.detections_per_img = n;
        if n > config.rpn.post_nms_top_n {
            let times = |times: usize, old: usize| n.saturating_mul(times).min(Self::MOST_DETECTIONS).max(old);
            config.rpn.post_nms_top_n = times(PROPOSALS, config.rpn.post_nms_top_n);
            config.rpn.pre_nms_top_n = times(ANCHORS, config.rpn.pre_nms_top_n);
        }
        config.validate()?;
        Ok(config)
    }
}

/// Puts every leaf of `changes` in the place of the one in `settings`; `path` is where both lie.
fn merge(settings: &mut Value, changes: &Value, path: &str) -> Result<()> {
    let refuse = |setting: &str, reason: String| Err(Error::Config { setting: setting.into(), reason });
    match (settings, changes) {
        (Value::Object(settings), Value::Object(changes)) => {
            for (key, change) in changes {
                let dotted = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                let known = known(settings);
                match settings.get_mut(key) {
                    Some(setting) => merge(setting, change, &dotted)?,
                    None => return refuse(&dotted, format!("there is no such setting; there are {known}")),
                }
            }
            Ok(())
        }
        (Value::Object(settings), _) => refuse(path, format!("is a group of settings: {}", known(settings))),
        (Value::Null, Value::Object(_)) => refuse(path, "is not part of this network".into()),
        (setting, change) => {
            *setting = change.clone();
            Ok(())
        }
    }
}

/// A tree of settings with another over it: its leaves win.
pub(super) fn merged(under: Value, over: Value) -> Value {
    match (under, over) {
        (Value::Object(mut under), Value::Object(over)) => {
            for (key, value) in over {
                let both = merged(under.remove(&key).unwrap_or(Value::Null), value);
                under.insert(key, both);
            }
            Value::Object(under)
        }
        (_, over) => over,
    }
}

fn known(settings: &Map<String, Value>) -> String {
    settings.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn changes_what_is_named_and_nothing_else() {
        let old = Config::maskrcnn_resnet50_fpn();
        let changes = json!({ "rpn": { "nms_thresh": 0.6 }, "backbone": { "norm": "batchnorm eps 1e-3" } });
        let mut expected = old.clone();
        (expected.rpn.nms_thresh, expected.backbone.bn_eps) = (0.6, 1e-3);
        assert_eq!(old.overridden(&changes).unwrap(), expected);
        assert_eq!(old.overridden(&json!({})).unwrap(), old);
    }

    #[test]
    fn classes_and_their_names_follow_each_other() {
        let config = Config::default().overridden(&json!({ "num_classes": 3 })).unwrap();
        assert_eq!(config.class_names, ["__background__", "class 1", "class 2"]);
        let config = Config::default().overridden(&json!({ "class_names": ["background", "cat"] })).unwrap();
        assert_eq!(config.num_classes, 2);
        let both = json!({ "num_classes": 3, "class_names": ["background", "cat"] });
        assert!(Config::default().overridden(&both).unwrap_err().to_string().contains("class_names"));
    }

    #[test]
    fn names_the_setting_at_fault() {
        for (changes, setting, reason) in [
            (json!({ "rpn": { "nms_tresh": 0.6 } }), "`rpn.nms_tresh`", "nms_thresh"),
            (json!({ "rnp": {} }), "`rnp`", "rpn"),
            (json!({ "rpn": 3 }), "`rpn`", "group"),
            (json!({ "rpn": { "nms_thresh": 1.5 } }), "`rpn.nms_thresh`", "allowed"),
            (json!({ "rpn": { "nms_thresh": "high" } }), "`rpn.nms_thresh`", "invalid type"),
            (json!({ "num_classes": 1 }), "`num_classes`", "allowed"),
        ] {
            let message = Config::default().overridden(&changes).unwrap_err().to_string();
            assert!(message.contains(setting) && message.contains(reason), "{message}");
        }
        let boxes = Config::default().without_masks();
        let message = boxes.overridden(&json!({ "mask": { "threshold": 0.4 } })).unwrap_err().to_string();
        assert!(message.contains("`mask`") && message.contains("not part"), "{message}");
    }
}
