//! What MMDetection's checkpoints say in the configuration that they keep beside the tensors: `meta`, a Python program's text.

use super::{Colours, Conventions};
use crate::config::{Config, Suppression};
use crate::weights::bound::Bound;
use crate::weights::layers::{Kind, Role};
use crate::weights::python::Literal;
use crate::weights::selection::Told;
use crate::weights::settings::{Finding, Origin};

/// Which convolution of a block has its stride, after who trained the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// The 3×3.
    Pytorch,
    /// The first 1×1; with it comes that colours are not divided, and blue first.
    Caffe,
}

/// The order of the colours, their mean and standard deviation: of `meta`; or of ResNeXt-101 32x8d, which no other project
/// trained, told by its groups; or of Caffe's bodies, told by the file's name; or `otherwise`.
pub(super) fn colours(bound: &Bound, otherwise: Conventions) -> (Conventions, Origin, &'static str) {
    let config = &bound.file.told().config;
    if let Some(told) = of_meta(config, otherwise) {
        return (told, Origin::Read, "`mean`, `std` and their order in `meta`'s configuration");
    }
    let bgr = Conventions { colours: Colours::Bgr, mean: [103.53, 116.28, 123.675], ..otherwise };
    if is_32x8d(bound) {
        return (
            Conventions { std: [57.375, 57.12, 58.395], ..bgr },
            Origin::Inferred,
            "32 groups of 8: its body is ResNeXt-101 32x8d",
        );
    }
    match style(bound) {
        (Style::Caffe, origin, source) => (Conventions { std: [1.0; 3], ..bgr }, origin, source),
        (Style::Pytorch, ..) => (otherwise, Origin::Assumed, "the default of MMDetection"),
    }
}

/// Version 3 normalises in the model, version 2 in the pipeline.
fn of_meta(config: &Literal, otherwise: Conventions) -> Option<Conventions> {
    let in_model = config.get("model.data_preprocessor").filter(|d| d.get("mean").is_some());
    let in_pipeline = || {
        let pipeline = ["test_pipeline", "data.test", "img_norm_cfg"].into_iter().filter_map(|path| config.get(path));
        pipeline.into_iter().find_map(|place| place.find(&|d| d.get("mean").is_some() && d.get("std").is_some()))
    };
    let (told, key, usual) = match in_model {
        Some(told) => (told, "bgr_to_rgb", false),
        None => (in_pipeline()?, "to_rgb", true),
    };
    let three = |path| -> Option<[f32; 3]> { told.numbers(path)?.try_into().ok() };
    let (mean, std) = (three("mean")?, three("std").filter(|std| std.iter().all(|v| *v > 0.0))?);
    let colours = if told.bool(key).unwrap_or(usual) { Colours::Rgb } else { Colours::Bgr };
    Some(Conventions { colours, mean, std, ..otherwise })
}

/// Where the strides are: of `meta`, or the file's name.
pub(super) fn style(bound: &Bound) -> (Style, Origin, &'static str) {
    let read = "`model.backbone.style` in `meta`'s configuration";
    match bound.file.told().config.text("model.backbone.style") {
        Some("caffe") => return (Style::Caffe, Origin::Read, read),
        Some("pytorch") => return (Style::Pytorch, Origin::Read, read),
        _ => {}
    }
    let name = bound.file.name().rsplit(['/', '\\']).next().unwrap_or_default();
    match name.contains("caffe") {
        true => (Style::Caffe, Origin::Inferred, "`caffe` in the file's name"),
        false => (Style::Pytorch, Origin::Assumed, "the default of MMDetection"),
    }
}

fn is_32x8d(bound: &Bound) -> bool {
    let shape = bound.shape(Kind::BlockConv.in_block(0, 0, 1), Role::Weight);
    matches!(shape, Some(&[width, 8, 3, 3]) if width == 32 * 8)
}

/// Sets what `meta` says, as far as it is a number that such a setting may have.
pub(super) fn apply(told: &Told, config: &mut Config) -> Vec<Finding> {
    let mut read = Read { said: &told.config, found: Vec::new() };
    if told.classes.len() + 1 == config.num_classes {
        config.class_names = ["__background__".to_string()].into_iter().chain(told.classes.clone()).collect();
        read.found.push(Finding::new("class_names", Origin::Read, "names of classes in `meta`"));
    }
    read.transform(config);
    read.anchors(config);
    read.thresholds(config);
    read.rois(config);
    read.norms(config);
    read.found
}

/// A configuration being read, and the settings that it told.
struct Read<'a> {
    said: &'a Literal,
    found: Vec<Finding>,
}

impl Read<'_> {
    /// Sets `to` if there is such a value; with it comes where it stands.
    fn set<T>(&mut self, name: &'static str, to: &mut T, value: Option<(T, String)>) {
        if let Some((value, path)) = value {
            *to = value;
            self.note(name, &path);
        }
    }

    /// A setting that stands at this path of the configuration.
    fn note(&mut self, name: &'static str, path: &str) {
        self.found.push(Finding::new(name, Origin::Read, format!("`{path}` in `meta`'s configuration")));
    }

    /// The first of several paths under which there is a number that fits.
    fn share(&self, paths: &[&str]) -> Option<(f32, String)> {
        let share = |path: &&str| {
            let share = self.said.number(path).filter(|v| (0.0..=1.0).contains(v))?;
            Some((share as f32, path.to_string()))
        };
        paths.iter().find_map(share)
    }

    fn count(&self, paths: &[&str], most: usize) -> Option<(usize, String)> {
        let count = |path: &&str| {
            let count = self.said.count(path).filter(|n| (1..=most).contains(n))?;
            Some((count, path.to_string()))
        };
        paths.iter().find_map(count)
    }

    /// Images are resized in the pipeline for tests: (long, short), in either order.
    fn transform(&mut self, config: &mut Config) {
        let places = ["test_pipeline", "data.test.pipeline", "test_dataloader.dataset.pipeline"];
        let sides = places.iter().find_map(|path| {
            let place = self.said.get(path)?;
            let sides = |key: &str| {
                let value = place.find(&|d| d.get(key).is_some())?.get(key)?;
                // Of several sizes, the first.
                let Literal::List(sides) = value else { return None };
                let sides = if let Some(Literal::List(first)) = sides.first() { first } else { sides };
                match sides[..] {
                    [Literal::Number(a), Literal::Number(b)] => Some((a.min(b), a.max(b))),
                    _ => None,
                }
            };
            sides("img_scale").or_else(|| sides("scale")).map(|sides| (sides, *path))
        });
        if let Some(((short, long), path)) = sides.filter(|((short, long), _)| *short >= 1.0 && *long <= 8192.0) {
            (config.transform.min_size, config.transform.max_size) = (short as usize, long as usize);
            self.note("transform.min_size", path);
            self.note("transform.max_size", path);
        }
        let divisor = self.count(&["model.data_preprocessor.pad_size_divisor"], 1024);
        let fits = divisor.filter(|(n, _)| n.is_multiple_of(32) || config.neck != crate::config::Neck::Fpn);
        self.set("transform.size_divisible", &mut config.transform.size_divisible, fits);
    }

    /// A level's anchors are its stride times each of the scales.
    fn anchors(&mut self, config: &mut Config) {
        let of = |path: &str, old: &str| {
            let numbers =
                |path: String| self.said.numbers(&path).filter(|v| !v.is_empty() && v.iter().all(|v| *v > 0.0));
            numbers(format!("model.rpn_head.anchor_generator.{path}"))
                .or_else(|| numbers(format!("model.rpn_head.{old}")))
        };
        let (ratios, scales, strides) = (
            of("ratios", "anchor_ratios"),
            of("scales", "anchor_scales"),
            of("base_sizes", "anchor_base_sizes").or_else(|| of("strides", "anchor_strides")),
        );
        let of_anchors = "model.rpn_head.anchor_generator";
        self.set("anchor_ratios", &mut config.anchor_ratios, ratios.map(|ratios| (ratios, of_anchors.to_string())));
        if let (Some(scales), Some(strides)) = (scales, strides)
            && strides.len() == config.levels()
        {
            config.anchor_sizes =
                strides.iter().map(|stride| scales.iter().map(|scale| stride * scale).collect()).collect();
            self.note("anchor_sizes", of_anchors);
        }
    }

    /// What tests keep.
    fn thresholds(&mut self, config: &mut Config) {
        let (most, rpn, head) = (Config::MOST_DETECTIONS, &mut config.rpn, &mut config.box_head);
        let both = |path: &str| [format!("model.test_cfg.{path}"), format!("test_cfg.{path}")];
        let paths = |all: &[&str]| all.iter().flat_map(|path| both(path)).collect::<Vec<_>>();
        let share = |read: &Self, all: &[&str]| read.share(&paths(all).iter().map(String::as_str).collect::<Vec<_>>());
        let count =
            |read: &Self, all: &[&str]| read.count(&paths(all).iter().map(String::as_str).collect::<Vec<_>>(), most);
        let found = count(self, &["rpn.nms_pre"]);
        self.set("rpn.pre_nms_top_n", &mut rpn.pre_nms_top_n, found);
        let found = count(self, &["rpn.max_per_img", "rpn.max_num"]);
        self.set("rpn.post_nms_top_n", &mut rpn.post_nms_top_n, found);
        let found = share(self, &["rpn.nms.iou_threshold", "rpn.nms_thr"]);
        self.set("rpn.nms_thresh", &mut rpn.nms_thresh, found);
        let found = share(self, &["rcnn.score_thr"]);
        self.set("box.score_thresh", &mut head.score_thresh, found);
        let found = share(self, &["rcnn.nms.iou_threshold", "rcnn.nms.iou_thr"]);
        self.set("box.nms_thresh", &mut head.nms_thresh, found);
        let found = count(self, &["rcnn.max_per_img"]);
        self.set("box.detections_per_img", &mut head.detections_per_img, found);
        let soft = paths(&["rcnn.nms.type"]).into_iter().find(|path| self.said.text(path) == Some("soft_nms"));
        self.set("box.suppression", &mut head.suppression, soft.map(|path| (Suppression::Linear, path)));
        if let Some(mask) = &mut config.mask {
            let found = share(self, &["rcnn.mask_thr_binary"]);
            self.set("mask.threshold", &mut mask.threshold, found);
        }
        let stds = ["model.roi_head.bbox_head.bbox_coder.target_stds", "model.bbox_head.target_stds"];
        let stds = stds.iter().find_map(|path| Some((<[f32; 4]>::try_from(self.said.numbers(path)?).ok()?, *path)));
        let weights = stds.filter(|(stds, _)| stds.iter().all(|v| *v > 0.0));
        let weights = weights.map(|(stds, path)| (stds.map(|v| 1.0 / v), path.to_string()));
        self.set("box.reg_weights", &mut config.box_head.reg_weights, weights);
    }

    /// How RoIs are pooled.
    fn rois(&mut self, config: &mut Config) {
        let said = self.said;
        let layer = |of: &str| {
            let paths = [format!("model.roi_head.{of}.roi_layer"), format!("model.{of}.roi_layer")];
            let layer = paths.into_iter().find_map(|path| Some((said.get(&path)?, path)));
            layer.filter(|(layer, _)| layer.text("type") == Some("RoIAlign"))
        };
        let (of_boxes, of_masks) = (layer("bbox_roi_extractor"), layer("mask_roi_extractor"));
        let ratio = |layer: &Option<(&Literal, String)>| {
            let (layer, path) = layer.as_ref()?;
            let (number, old) = (layer.number("sampling_ratio"), layer.number("sample_num"));
            number.or(old).filter(|n| (0.0..=8.0).contains(n)).map(|n| (n as usize, path.clone()))
        };
        self.set("box.sampling_ratio", &mut config.box_head.sampling_ratio, ratio(&of_boxes));
        let aligned = of_boxes.as_ref().and_then(|(layer, path)| Some((layer.bool("aligned")?, path.clone())));
        self.set("roi_aligned", &mut config.roi_aligned, aligned);
        if let Some(mask) = &mut config.mask {
            self.set("mask.sampling_ratio", &mut mask.sampling_ratio, ratio(&of_masks.or(of_boxes)));
        }
    }

    /// Groups of GroupNorms, where tensors tell that there are such.
    fn norms(&mut self, config: &mut Config) {
        for (name, path, to) in [
            ("backbone.group_norm", "model.backbone.norm_cfg.num_groups", &mut config.backbone.group_norm),
            ("group_norm", "model.neck.norm_cfg.num_groups", &mut config.group_norm),
        ] {
            let groups = self.said.count(path).filter(|n| *to > 0 && (1..=1024).contains(n));
            self.set(name, to, groups.map(|groups| (groups, path.to_string())));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{MaskHead, Neck};

    const OTHERWISE: Conventions = super::super::mmdetection::MMDETECTION.conventions;

    /// As version 2 writes a configuration.
    const TEXT_2: &str = "
model = dict(
    type='MaskRCNN',
    backbone=dict(type='ResNet', depth=50, norm_cfg=dict(type='BN', requires_grad=False), style='caffe'),
    rpn_head=dict(
        anchor_generator=dict(type='AnchorGenerator', scales=[4, 8], ratios=[0.5, 2.0], strides=[4, 8, 16, 32, 64])),
    roi_head=dict(
        bbox_roi_extractor=dict(roi_layer=dict(type='RoIAlign', output_size=7, sampling_ratio=2, aligned=False)),
        bbox_head=dict(bbox_coder=dict(type='DeltaXYWHBBoxCoder', target_stds=[0.05, 0.05, 0.1, 0.1])),
        mask_roi_extractor=dict(roi_layer=dict(type='RoIAlign', output_size=14, sampling_ratio=0))),
    test_cfg=dict(
        rpn=dict(nms_pre=2000, max_per_img=500, nms=dict(type='nms', iou_threshold=0.8), min_bbox_size=0),
        rcnn=dict(score_thr=0.3, nms=dict(type='soft_nms', iou_threshold=0.4), max_per_img=50, mask_thr_binary=0.4)))
img_norm_cfg = dict(mean=[103.53, 116.28, 123.675], std=[1.0, 1.0, 1.0], to_rgb=False)
train_pipeline = [dict(type='Resize', img_scale=(1, 2))]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='MultiScaleFlipAug', img_scale=[(1024, 640), (2048, 1280)], flip=False,
        transforms=[dict(type='Resize', keep_ratio=True)])
]
";

    fn told(text: &str, classes: &[&str]) -> Told {
        Told {
            config: Literal::of_program(text),
            classes: classes.iter().map(|name| name.to_string()).collect(),
            ..Told::default()
        }
    }

    #[test]
    fn version_2_is_read() {
        let mut config = Config { num_classes: 3, ..Config::default() };
        let names: Vec<&str> =
            apply(&told(TEXT_2, &["a", "b"]), &mut config).into_iter().map(|found| found.name).collect();
        assert_eq!(config.class_names, ["__background__", "a", "b"]);
        assert_eq!((config.transform.min_size, config.transform.max_size), (640, 1024));
        assert_eq!((config.anchor_sizes[1].clone(), config.anchor_ratios.clone()), (vec![32.0, 64.0], vec![0.5, 2.0]));
        let rpn = &config.rpn;
        assert_eq!((rpn.pre_nms_top_n, rpn.post_nms_top_n, rpn.nms_thresh), (2000, 500, 0.8));
        let head = &config.box_head;
        assert_eq!((head.score_thresh, head.nms_thresh, head.detections_per_img), (0.3, 0.4, 50));
        assert_eq!((head.suppression, head.reg_weights), (Suppression::Linear, [20.0, 20.0, 10.0, 10.0]));
        assert_eq!((head.sampling_ratio, config.roi_aligned), (2, false));
        let mask = config.mask.unwrap();
        assert_eq!((mask.sampling_ratio, mask.threshold), (0, 0.4));
        assert_eq!(names.len(), 17, "{names:?}");
        let colours = of_meta(&Literal::of_program(TEXT_2), OTHERWISE).unwrap();
        assert_eq!((colours.colours, colours.mean, colours.std), (Colours::Bgr, [103.53, 116.28, 123.675], [1.0; 3]));
    }

    #[test]
    fn version_3_is_read() {
        let text = "
data_preprocessor = dict(mean=[1.0, 1.0, 1.0])
model = dict(
    data_preprocessor=dict(bgr_to_rgb=True, mean=[1.0, 2.0, 3.0], pad_mask=True, pad_size_divisor=64, std=[4.0, 5.0, 6.0],
        type='DetDataPreprocessor'),
    neck=dict(norm_cfg=dict(num_groups=16, type='GN')))
test_pipeline = [dict(backend_args=None, type='LoadImageFromFile'), dict(keep_ratio=True, scale=(1000, 600), type='Resize')]
";
        let mut config = Config { group_norm: 32, ..Config::default() };
        apply(&told(text, &[]), &mut config);
        let transform = &config.transform;
        assert_eq!((transform.min_size, transform.max_size, transform.size_divisible), (600, 1000, 64));
        assert_eq!((config.group_norm, config.backbone.group_norm), (16, 0));
        let colours = of_meta(&Literal::of_program(text), OTHERWISE).unwrap();
        assert_eq!((colours.colours, colours.mean, colours.std), (Colours::Rgb, [1.0, 2.0, 3.0], [4.0, 5.0, 6.0]));
    }

    /// Values that no such setting may have are passed over, and so is what is of another network.
    #[test]
    fn what_cannot_be_is_not_taken() {
        let text = "
model = dict(
    data_preprocessor=dict(mean=[1, 2], std=[0, 0, 0], pad_size_divisor=1),
    rpn_head=dict(anchor_generator=dict(scales=[8], ratios=[-1.0], strides=[16])),
    roi_head=dict(bbox_roi_extractor=dict(roi_layer=dict(type='RoIPool', sampling_ratio=3))),
    test_cfg=dict(rpn=dict(nms_pre=-1, max_per_img=1e9), rcnn=dict(score_thr=2, max_per_img=0.5)))
test_pipeline = [dict(type='Resize', scale=(0, 99999999))]
";
        let (mut config, before) = (Config::default(), Config::default());
        assert_eq!(apply(&told(text, &["a"]), &mut config), Vec::new());
        assert_eq!(config, before);
        assert_eq!(of_meta(&Literal::of_program(text), OTHERWISE), None);
        // Without masks, and with one level.
        let mut config = Config { mask: None::<MaskHead>, neck: Neck::C4, ..Config::default() };
        let names = apply(&told(&text.replace("-1.0", "1.0"), &[]), &mut config);
        assert_eq!(config.anchor_sizes, [vec![128.0]]);
        assert!(
            names.iter().any(|found| found.name == "anchor_ratios" && found.source.contains("anchor_generator"))
                && config.transform.size_divisible == 1
        );
    }
}
