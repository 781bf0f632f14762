//! Settings by name: what a project's own configurations say and no tensor tells.
//!
//! A preset is a text of settings, as `--config FILE` takes them, over what a file's tensors tell and its project has by
//! default. It holds nothing that follows from the tensors (depths, widths, classes), nor what depends on them.

use serde_json::{Value, json};

use super::Config;
use super::overrides::merged;
use crate::error::{Error, Result};

/// Settings under a name.
#[derive(Debug)]
pub struct Preset {
    /// What it is asked for by.
    pub name: &'static str,
    /// The networks that it is for, in a line.
    pub about: &'static str,
    /// JSON objects, each over the former ones.
    layers: &'static [&'static str],
}

/// torchvision's detectors, v1 and v2.
const TORCHVISION: &str = r#"{
    "transform": { "resize": "bilinear", "size_divisible": 32, "min_size": 800, "max_size": 1333 },
    "anchor_rule": "rounded", "roi_levels": "inferred", "roi_aligned": false, "paste": "enlarged",
    "rpn": { "nms_thresh": 0.7, "min_size": 0.001, "pre_nms_top_n": 1000, "post_nms_top_n": 1000, "score_thresh": 0.0 },
    "box": { "score_thresh": 0.05, "nms_thresh": 0.5, "min_size": 0.01, "sampling_ratio": 2, "pooling": "align",
             "detections_per_img": 100, "reg_weights": [10.0, 10.0, 5.0, 5.0], "suppression": "hard" },
    "mask": { "sampling_ratio": 2, "pooling": "align", "threshold": 0.5 }
}"#;

/// Its low-resolution Faster R-CNN on a MobileNetV3 (`fasterrcnn_mobilenet_v3_large_320_fpn`).
const MOBILENET_320: &str = r#"{
    "transform": { "min_size": 320, "max_size": 640 },
    "rpn": { "pre_nms_top_n": 150, "post_nms_top_n": 150, "score_thresh": 0.05 }
}"#;

/// detectron2's defaults, but for what depends on the neck and on the body.
const DETECTRON2: &str = r#"{
    "transform": { "resize": "pillow", "min_size": 800, "max_size": 1333 },
    "anchor_rule": "exact", "roi_levels": "fixed", "roi_aligned": true, "paste": "sampled",
    "rpn": { "nms_thresh": 0.7, "min_size": 1e-6, "post_nms_top_n": 1000, "score_thresh": 0.0 },
    "box": { "score_thresh": 0.05, "nms_thresh": 0.5, "min_size": 1e-6, "sampling_ratio": 0, "pooling": "align",
             "detections_per_img": 100, "reg_weights": [10.0, 10.0, 5.0, 5.0], "suppression": "hard" },
    "mask": { "sampling_ratio": 0, "pooling": "align", "threshold": 0.5 }
}"#;

/// RoIAlign as Detectron had it.
const FIRST_ROI_ALIGN: &str =
    r#"{ "roi_aligned": false, "box": { "sampling_ratio": 2 }, "mask": { "sampling_ratio": 2 } }"#;

/// A body of MSRA's, whichever norms it was trained further with.
const MSRA: &str = r#"{ "transform": { "image_std": [1.0, 1.0, 1.0] }, "backbone": { "stride_in_1x1": true } }"#;

/// A body of torchvision's or one that was trained from scratch.
const STRIDE_IN_3X3: &str = r#"{ "backbone": { "stride_in_1x1": false } }"#;

/// 1,203 classes: low scores count, and there may be many instances.
const LVIS: &str = r#"{ "box": { "score_thresh": 1e-4, "detections_per_img": 300 } }"#;

/// Pictures of 2048×1024.
const CITYSCAPES: &str = r#"{ "transform": { "min_size": 1024, "max_size": 2048 } }"#;

/// MMDetection's defaults on a body of torchvision's kind, but for what depends on the neck.
const MMDETECTION: &str = r#"{
    "transform": { "resize": "opencv", "min_size": 800, "max_size": 1333, "colours": "rgb", "image_range": 255.0,
                   "image_mean": [123.675, 116.28, 103.53], "image_std": [58.395, 57.12, 57.375] },
    "backbone": { "stride_in_1x1": false },
    "anchor_rule": "exact-by-ratio", "roi_levels": "finest", "roi_aligned": true, "paste": "sampled",
    "delta_limit": "both", "extents": "exclusive",
    "rpn": { "nms_thresh": 0.7, "min_size": 1e-6, "post_nms_top_n": 1000, "score_thresh": 0.0 },
    "box": { "score_thresh": 0.05, "nms_thresh": 0.5, "min_size": 0.0, "sampling_ratio": 0, "pooling": "align",
             "detections_per_img": 100, "reg_weights": [10.0, 10.0, 5.0, 5.0], "suppression": "hard" },
    "mask": { "sampling_ratio": 0, "pooling": "align", "threshold": 0.5 }
}"#;

/// The same on a body of Caffe's.
const CAFFE: &str = r#"{
    "transform": { "colours": "bgr", "image_std": [1.0, 1.0, 1.0] }, "backbone": { "stride_in_1x1": true }
}"#;

/// On Caffe2's ResNeXt, whose deviations are those of torchvision's bodies.
const BLUE_FIRST: &str = r#"{ "transform": { "colours": "bgr" } }"#;

/// maskrcnn-benchmark's defaults on MSRA's bodies with an FPN.
const BENCHMARK: &str = r#"{
    "transform": { "resize": "pillow-floor", "min_size": 800, "max_size": 1333, "colours": "bgr", "image_range": 255.0,
                   "image_mean": [122.7717, 115.9465, 102.9801], "image_std": [1.0, 1.0, 1.0] },
    "backbone": { "stride_in_1x1": true },
    "anchor_rule": "strided", "roi_levels": "canonical", "roi_aligned": false, "paste": "enlarged",
    "delta_limit": "above", "extents": "inclusive",
    "rpn": { "nms_thresh": 0.7, "min_size": 0.0, "pre_nms_top_n": 1000, "post_nms_top_n": 1000, "score_thresh": 0.0 },
    "box": { "score_thresh": 0.05, "nms_thresh": 0.5, "min_size": 0.0, "sampling_ratio": 2, "pooling": "align",
             "detections_per_img": 100, "reg_weights": [10.0, 10.0, 5.0, 5.0], "suppression": "hard" },
    "mask": { "sampling_ratio": 2, "pooling": "align", "threshold": 0.5 }
}"#;

/// What ONNX's own NMS makes of it.
const OVERLAPS_OF_CORNERS: &str = r#"{ "extents": "inclusive-but-overlaps" }"#;

/// A body of torchvision's in detectron2, trained further with torchvision's colours.
const TORCHVISION_BODY: &str = r#"{
    "transform": { "colours": "rgb", "image_mean": [123.675, 116.28, 103.53], "image_std": [58.395, 57.12, 57.375] },
    "backbone": { "stride_in_1x1": false }
}"#;

/// matterport's COCO sample.
const MATTERPORT: &str = r#"{
    "backbone": { "stride_in_1x1": true, "pool_after": true },
    "transform": { "resize": "square", "min_size": 800, "max_size": 1024, "min_scale": 0.0, "size_divisible": 64,
                   "image_range": 255.0, "image_mean": [123.7, 116.8, 103.9], "image_std": [1.0, 1.0, 1.0] },
    "anchor_rule": "exact", "anchor_ratios": [2.0, 1.0, 0.5],
    "anchor_sizes": [[32.0], [64.0], [128.0], [256.0], [512.0]],
    "box_rule": "normalized", "delta_limit": "none", "roi_levels": "rounded", "paste": "whole",
    "rpn": { "joint": true, "nms_thresh": 0.7, "min_size": 0.0, "pre_nms_top_n": 6000, "post_nms_top_n": 1000, "score_thresh": 0.0 },
    "box": { "best_class": true, "score_thresh": 0.7, "nms_thresh": 0.3, "min_size": 0.0, "pooling": "crop",
             "detections_per_img": 100 },
    "mask": { "pooling": "crop", "threshold": 0.5 }
}"#;

/// What its nucleus sample has instead.
const NUCLEUS: &str = r#"{
    "transform": { "resize": "pad64", "min_size": 512, "max_size": 16384, "min_scale": 2.0, "image_mean": [43.53, 39.56, 48.22] },
    "anchor_sizes": [[8.0], [16.0], [32.0], [64.0], [128.0]],
    "rpn": { "post_nms_top_n": 2000 }, "box": { "score_thresh": 0.0, "detections_per_img": 400 }
}"#;

/// All there are.
pub const PRESETS: &[Preset] = &[
    Preset { name: "torchvision", about: "torchvision's detectors, trained on COCO", layers: &[TORCHVISION] },
    Preset {
        name: "tv-mobilenet-320",
        about: "torchvision's fasterrcnn_mobilenet_v3_large_320_fpn: sides of 320 and 640, 150 proposals from 0.05",
        layers: &[TORCHVISION, MOBILENET_320],
    },
    Preset { name: "d2-coco", about: "detectron2's COCO models", layers: &[DETECTRON2] },
    Preset {
        name: "d2-d1-comparison",
        about: "detectron2's Detectron1-Comparisons: RoIAlign not aligned, 2×2 samples",
        layers: &[DETECTRON2, FIRST_ROI_ALIGN],
    },
    Preset {
        name: "d2-lsj",
        about: "detectron2's new baselines (LSJ): std 1, strides in the first convolutions",
        layers: &[DETECTRON2, MSRA],
    },
    Preset {
        name: "d2-scratch",
        about: "detectron2's models without a body of MSRA's: strides in the 3×3 convolutions",
        layers: &[DETECTRON2, STRIDE_IN_3X3],
    },
    Preset {
        name: "d2-lvis",
        about: "detectron2's LVIS models: scores from 0.0001, 300 detections",
        layers: &[DETECTRON2, LVIS],
    },
    Preset {
        name: "d2-cityscapes",
        about: "detectron2's Cityscapes models: sides of 1024 and 2048",
        layers: &[DETECTRON2, CITYSCAPES],
    },
    Preset {
        name: "d2-torchvision-body",
        about: "detectron2's models on a body that was converted from torchvision's: red first, its deviations",
        layers: &[DETECTRON2, TORCHVISION_BODY],
    },
    Preset {
        name: "mmdet",
        about: "MMDetection's models on bodies of torchvision's kind (style pytorch)",
        layers: &[MMDETECTION],
    },
    Preset {
        name: "mmdet-caffe",
        about: "MMDetection's models of style caffe: blue first, std 1, strides in the first convolutions",
        layers: &[MMDETECTION, CAFFE],
    },
    Preset {
        name: "mmdet-x101-32x8d",
        about: "MMDetection's models on ResNeXt-101 32x8d: blue first",
        layers: &[MMDETECTION, BLUE_FIRST],
    },
    Preset {
        name: "maskrcnn-benchmark",
        about: "maskrcnn-benchmark's COCO models with an FPN: boxes with their last pixel",
        layers: &[BENCHMARK],
    },
    Preset {
        name: "onnx-zoo",
        about: "the ONNX model zoo's exports of these: overlaps without the last pixel",
        layers: &[BENCHMARK, OVERLAPS_OF_CORNERS],
    },
    Preset { name: "matterport-coco", about: "matterport's COCO sample, in Keras", layers: &[MATTERPORT] },
    Preset {
        name: "matterport-nucleus",
        about: "matterport's nucleus sample: enlarged twice, small anchors, any score",
        layers: &[MATTERPORT, NUCLEUS],
    },
];

/// The preset of this name.
pub fn find(name: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| preset.name == name)
}

/// That there is no such preset.
pub fn unknown(name: &str) -> Error {
    let names: Vec<&str> = PRESETS.iter().map(|preset| preset.name).collect();
    Error::Config { setting: "preset".into(), reason: format!("there is no `{name}`; there are {}", names.join(", ")) }
}

impl Preset {
    /// Its settings, as [`Config::overridden`] takes them, as far as they are part of the network `config`.
    pub fn changes(&self, config: &Config) -> Value {
        let mut all = self.layers.iter().fold(json!({}), |under, layer| {
            // They are parsed by a test.
            merged(under, serde_json::from_str(layer).unwrap_or(Value::Null))
        });
        if config.mask.is_none()
            && let Value::Object(groups) = &mut all
        {
            groups.remove("mask");
        }
        all
    }
}

impl Config {
    /// This configuration with the settings of a preset in place of its own; `maskrcnn weights list` names them.
    ///
    /// ```
    /// # use maskrcnn::Config;
    /// let config = Config::default().with_preset("d2-cityscapes")?;
    /// assert_eq!((config.transform.min_size, config.transform.max_size), (1024, 2048));
    /// # Ok::<(), maskrcnn::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Config`] naming those that there are, if there is none of that name.
    pub fn with_preset(&self, name: &str) -> Result<Self> {
        self.overridden(&find(name).ok_or_else(|| unknown(name))?.changes(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_of_settings_that_there_are_and_says_what_it_is_for() {
        for (i, preset) in PRESETS.iter().enumerate() {
            assert!(preset.layers.iter().all(|layer| serde_json::from_str::<Value>(layer).is_ok()), "{}", preset.name);
            for config in [Config::default(), Config::default().without_masks()] {
                let made = config.with_preset(preset.name).unwrap();
                // Nothing of the network itself, which the weights decide.
                assert_eq!(
                    (made.num_classes, &made.neck, made.mask.is_some()),
                    (91, &config.neck, config.mask.is_some())
                );
                assert_eq!(made.backbone.layers, config.backbone.layers);
            }
            assert!(!preset.about.is_empty() && PRESETS[..i].iter().all(|other| other.name != preset.name));
            assert!(preset.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
        }
    }

    #[test]
    fn later_layers_win_and_keep_what_they_do_not_name() {
        let config = Config::default().with_preset("d2-d1-comparison").unwrap();
        let mask = config.mask.as_ref().unwrap();
        assert_eq!((config.roi_aligned, config.box_head.sampling_ratio, mask.sampling_ratio), (false, 2, 2));
        assert_eq!((config.box_head.min_size, config.transform.min_size), (1e-6, 800));
        assert_eq!(config.with_preset("torchvision").unwrap(), Config::default());
    }

    #[test]
    fn names_those_that_there_are() {
        let message = Config::default().with_preset("d2").unwrap_err().to_string();
        assert!(message.contains("there is no `d2`; there are torchvision, tv-mobilenet-320, d2-coco,"), "{message}");
    }
}
