//! The networks of further projects, each from a file as that project writes them and nothing else, against the project's own
//! arithmetic, stage by stage (`tests/oracle/make_mmdet_goldens.py`). Weights are made by formula, on both sides.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;
use std::ops::ControlFlow;
use std::path::Path;

use flate2::read::GzDecoder;
use maskrcnn::engine::config::{AnchorRule, Config, Extents, Resize};
use maskrcnn::engine::weights::synth::values;
use maskrcnn::engine::weights::{Origin, WeightsFile};
use maskrcnn::{Crops, Detector, Image, LossOptions, View};
use serde_json::Value as Json;

use super::compare::Report;
use super::detectron2::check_file;
use super::full;
use super::golden::{Golden, path};
use crate::common::device;
use crate::skipped::skipped;

/// A pickle under construction.
struct Pickle(Vec<u8>);

impl Pickle {
    fn new() -> Self {
        Self(b"\x80\x02".to_vec())
    }

    fn op(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    fn text(self, text: &str) -> Self {
        self.op(b"X").op(&(text.len() as u32).to_le_bytes()).op(text.as_bytes())
    }

    fn int(self, value: usize) -> Self {
        self.op(b"J").op(&(value as u32).to_le_bytes())
    }

    fn ints(self, values: &[usize]) -> Self {
        values.iter().fold(self.op(b"("), |pickle, v| pickle.int(*v)).op(b"t")
    }
}

/// A checkpoint of the kind before PyTorch 1.6, as MMDetection publishes: a dict of what `beside` puts before a `state_dict`.
fn checkpoint(tensors: &[(String, Vec<usize>, Vec<f32>)], key: &str, beside: impl FnOnce(Pickle) -> Pickle) -> Vec<u8> {
    let mut file = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.".to_vec();
    file.extend(Pickle::new().op(b"}").text("little_endian").op(b"\x88s.").0);
    let mut object = beside(Pickle::new().op(b"}(")).text(key).op(b"ccollections\nOrderedDict\n)R(");
    for (i, (name, shape, data)) in tensors.iter().enumerate() {
        let mut strides = vec![1; shape.len()];
        (1..shape.len()).rev().for_each(|axis| strides[axis - 1] = strides[axis] * shape[axis]);
        object = object.text(name).op(b"ctorch._utils\n_rebuild_tensor_v2\n((").text("storage");
        object = object.op(b"ctorch\nFloatStorage\n").text(&i.to_string()).text("cpu").int(data.len()).op(b"NtQK\0");
        object = object.ints(shape).ints(&strides).op(b"\x89ccollections\nOrderedDict\n)RtR");
    }
    file.extend(object.op(b"uu.").0);
    let keys = (0..tensors.len()).fold(Pickle::new().op(b"]("), |keys, i| keys.text(&i.to_string()));
    file.extend(keys.op(b"e.").0);
    for (_, _, data) in tensors {
        file.extend((data.len() as u64).to_le_bytes());
        file.extend(data.iter().flat_map(|v| v.to_le_bytes()));
    }
    file
}

/// The tensors of a golden.
fn tensors(metadata: &HashMap<String, String>) -> Vec<(String, Vec<usize>, Vec<f32>)> {
    let shapes: Vec<(String, Vec<usize>)> = serde_json::from_str(&metadata["shapes"]).unwrap();
    let scales: HashMap<String, f32> = serde_json::from_str(&metadata["scales"]).unwrap();
    let seed = metadata["seed"].parse().unwrap();
    assert!(scales.keys().all(|name| shapes.iter().any(|(known, _)| known == name)), "scales of unknown tensors");
    let scaled = |(name, shape): (String, Vec<usize>)| {
        let scale = scales.get(&name).copied().unwrap_or(1.0);
        let data = values(&name, &shape, seed).into_iter().map(|v| v * scale).collect();
        (name, shape, data)
    };
    // Settings among the tensors, which no formula makes.
    let given: HashMap<String, (Vec<usize>, Vec<f32>)> =
        metadata.get("given").map_or_else(HashMap::new, |given| serde_json::from_str(given).unwrap());
    let given = given.into_iter().map(|(name, (shape, data))| (name, shape, data));
    shapes.into_iter().map(scaled).chain(given).collect()
}

/// A pickle as Caffe2's models are kept in: a dict of `blobs`, NumPy's arrays, beside the configuration as text.
fn blobs(tensors: &[(String, Vec<usize>, Vec<f32>)]) -> Vec<u8> {
    let mut pickle = Pickle::new().op(b"}(").text("cfg").text("MODEL: {}").text("blobs").op(b"}(");
    for (name, shape, data) in tensors {
        pickle = pickle.text(name).op(b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\0\x85U\x01btR(K\x01");
        pickle = pickle
            .ints(shape)
            .op(b"cnumpy\ndtype\n(U\x02f4K\0K\x01tR(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb\x89T");
        let bytes: Vec<u8> = data.iter().flat_map(|v| v.to_le_bytes()).collect();
        pickle = pickle.op(&(bytes.len() as u32).to_le_bytes()).op(&bytes).op(b"tb");
    }
    pickle.op(b"uu.").0
}

/// The file that a golden was made with.
pub(super) fn file(metadata: &HashMap<String, String>) -> WeightsFile {
    match metadata["family"].as_str() {
        "MMDetection" => of_trainer(metadata),
        "maskrcnn-benchmark" => {
            let bytes = checkpoint(&tensors(metadata), "model", |pickle| pickle.text("iteration").int(90000));
            WeightsFile::from_bytes(bytes, "model_final.pth").unwrap()
        }
        "ONNX zoo" => {
            // One of the real size lies beside its golden.
            let beside =
                std::env::var_os("MASKRCNN_GOLDEN").map(|golden| Path::new(&golden).with_file_name(&metadata["model"]));
            match beside.filter(|path| path.exists()) {
                Some(path) => WeightsFile::open(path).unwrap(),
                None => model(&metadata["model"]),
            }
        }
        _ => WeightsFile::from_bytes(blobs(&tensors(metadata)), "model_final.pkl").unwrap(),
    }
}

/// An ONNX model of a few hundred kilobytes.
fn model(name: &str) -> WeightsFile {
    let packed = path(&format!("src/weights/onnx/fixtures/{name}.gz"));
    let mut bytes = Vec::new();
    GzDecoder::new(File::open(packed).unwrap()).read_to_end(&mut bytes).unwrap();
    WeightsFile::from_bytes(bytes, name).unwrap()
}

/// What a trainer of MMDetection's leaves.
fn of_trainer(metadata: &HashMap<String, String>) -> WeightsFile {
    let classes: Vec<String> = serde_json::from_str(&metadata["classes"]).unwrap();
    let bytes = checkpoint(&tensors(metadata), "state_dict", |pickle| {
        let meta = pickle.text("meta").op(b"}(").text("cfg").text(&metadata["training"]).text("dataset_meta");
        let meta = classes.iter().fold(meta.op(b"}").text("classes").op(b"("), |meta, name| meta.text(name));
        // What a trainer of version 3 keeps besides, which nothing here knows.
        let meta = meta.op(b"tsu").text("message_hub").op(b"}").text("loss");
        meta.op(b"cmmengine.logging.history_buffer\nHistoryBuffer\n)\x81}bs")
    });
    WeightsFile::from_bytes(bytes, "epoch_12.pth").unwrap()
}

/// What the file tells.
pub(super) fn config(file: &WeightsFile, metadata: &HashMap<String, String>) -> Config {
    let settings: Json = serde_json::from_str(&metadata["settings"]).unwrap();
    file.settings().unwrap().config.overridden(&settings).unwrap()
}

fn check(name: &str, told: impl FnOnce(&WeightsFile)) {
    check_file(&path(&format!("tests/golden/{name}.safetensors")), file, told);
}

/// What MMDetection's files tell, and what is taken for granted.
fn of_mmdetection(file: &WeightsFile) -> Config {
    assert_eq!(file.family_name(), "MMDetection");
    assert!(file.has_training_config());
    let settings = file.settings().unwrap();
    let config = &settings.config;
    for name in [
        "transform.image_mean",
        "transform.max_size",
        "backbone.stride_in_1x1",
        "anchor_sizes",
        "anchor_ratios",
        "class_names",
        "rpn.pre_nms_top_n",
        "box.score_thresh",
        "box.nms_thresh",
        "box.detections_per_img",
        "box.sampling_ratio",
        "mask.threshold",
    ] {
        assert_eq!(settings.origin(name), Some(Origin::Read), "{name}");
    }
    assert_eq!(settings.origin("transform.resize"), Some(Origin::Assumed));
    assert_eq!((config.transform.resize, config.anchor_rule), (Resize::Opencv, AnchorRule::ExactByRatio));
    assert_eq!(config.class_names[..2], ["__background__", "bolt"]);
    assert_eq!((config.transform.min_size, config.transform.max_size), (120, 200));
    settings.config
}

#[test]
fn mmdetection_fpn() {
    check("mmdet_fpn", |file| {
        let config = of_mmdetection(file);
        assert!(!config.backbone.stride_in_1x1 && config.transform.image_mean[0] > config.transform.image_mean[2]);
    });
}

#[test]
fn mmdetection_c4() {
    check("mmdet_c4", |file| {
        let config = of_mmdetection(file);
        assert!(config.backbone.stride_in_1x1 && config.transform.image_std == [1.0; 3]);
    });
}

/// Other rules than the defaults, all of which the file tells.
#[test]
fn mmdetection_as_its_file_says() {
    check("mmdet_caffe", |file| {
        let config = of_mmdetection(file);
        assert_eq!((config.anchor_ratios.as_slice(), config.box_head.score_thresh), (&[0.5, 1.5][..], 0.1));
        let mask = config.mask.unwrap();
        assert_eq!((config.box_head.sampling_ratio, mask.sampling_ratio), (2, 0));
        assert!(config.box_head.class_agnostic && mask.class_agnostic);
    });
}

/// maskrcnn-benchmark's: boxes with their last pixel, anchors of whole ones.
#[test]
fn maskrcnn_benchmark() {
    check("maskrcnn_benchmark_fpn", |file| {
        assert_eq!(file.family_name(), "maskrcnn-benchmark");
        let settings = file.settings().unwrap();
        let config = &settings.config;
        assert_eq!((config.extents, config.anchor_rule), (Extents::Inclusive, AnchorRule::Strided));
        assert_eq!((config.backbone.bn_eps, config.transform.resize), (0.0, Resize::PillowFloor));
        assert_eq!(settings.origin("extents"), Some(Origin::Read));
    });
}

/// Detectron's: the same, and of detections the pixels are those of the image.
#[test]
fn detectron() {
    check("detectron_fpn", |file| {
        assert_eq!(file.family_name(), "Detectron");
        let settings = file.settings().unwrap();
        let config = &settings.config;
        assert_eq!((config.extents, config.anchor_rule), (Extents::InclusiveInImage, AnchorRule::Strided));
        assert_eq!((config.backbone.bn_eps, config.backbone.group_norm), (0.0, 0));
        assert_eq!(settings.origin("extents"), Some(Origin::Assumed));
    });
}

/// The ONNX model zoo's, against ONNX Runtime: the same, and overlaps without the last pixel.
#[test]
fn onnx_zoo() {
    check("onnx_zoo", |file| {
        assert_eq!(file.family_name(), "the ONNX zoo");
        let settings = file.settings().unwrap();
        let config = &settings.config;
        assert_eq!((config.extents, config.anchor_rule), (Extents::InclusiveButOverlaps, AnchorRule::Strided));
        assert!(config.backbone.stride_in_1x1);
        assert_eq!(settings.origin("anchor_sizes"), Some(Origin::Read));
    });
}

/// Its `FasterRCNN`: the same network without masks, and of the oracle its boxes.
#[test]
fn onnx_zoo_without_masks() {
    let golden = Golden::read(&path("tests/golden/onnx_zoo.safetensors"));
    let file = model("zoo_faster.onnx");
    assert_eq!(file.family_name(), "the ONNX zoo");
    let config = config(&file, &golden.metadata());
    assert_eq!(config, Config { name: config.name.clone(), mask: None, ..golden.config.clone() });
    let detector = Detector::builder().device(device()).weights_file(&file).config(config).build().unwrap();
    let mut report = Report::default();
    full::boxes_of_oracle(&mut report, &detector.detect(&golden.image).unwrap(), &golden);
    report.finish("zoo_faster");
}

/// Detectron's with GroupNorms throughout, which are blobs of other names: nothing is folded into them.
#[test]
fn detectron_with_group_norms() {
    check("detectron_gn_fpn", |file| {
        assert_eq!(file.family_name(), "Detectron");
        let config = file.settings().unwrap().config;
        assert_eq!((config.backbone.bn_eps, config.backbone.group_norm), (1e-5, 32));
        assert_eq!((config.box_head.convs.len(), config.box_head.fc_layers), (4, 1));
        assert!(!config.backbone.stride_in_1x1);
    });
}

/// Any golden of a family's, such as one at its real size that the repository has no room for.
#[test]
fn given() {
    let Some(golden) = std::env::var_os("MASKRCNN_GOLDEN") else {
        return skipped(
            "no golden of a family's is compared at its real size",
            "set MASKRCNN_GOLDEN to the path of one",
        );
    };
    check_file(std::path::Path::new(&golden), file, |_| {});
}

/// Where only boxes that end at a line are known, others are refused, and not taken for these.
#[test]
fn boxes_with_their_last_pixel_are_refused_where_nobody_knows_them() {
    let file = Detector::embedded_weights().unwrap();
    let with = |extents| {
        let config = Config { extents, ..file.config().unwrap() };
        Detector::builder().weights_file(&file).config(config).device(device()).build().unwrap()
    };
    let image = Image::from_rgb8(64, 48, vec![90; 64 * 48 * 3]).unwrap();
    let all = |detector: &Detector| {
        let proposals = [[4.0, 4.0, 40.0, 30.0]];
        let crops = Crops { side: 64, batch: 1, ..Crops::default() };
        let watch = &mut |_, _| ControlFlow::Continue(());
        [
            detector.loss(&image, &[], &LossOptions::default()).err(),
            detector.detect_crops(&image, &proposals, &crops, watch).err(),
            detector.augmented(&[View::PLAIN]).err(),
        ]
    };
    for extents in [Extents::Inclusive, Extents::InclusiveInImage, Extents::InclusiveButOverlaps] {
        for refused in all(&with(extents)) {
            let message = refused.unwrap().to_string();
            assert!(message.contains("`extents`") && message.contains("their last pixel"), "{message}");
        }
    }
    assert!(all(&with(Extents::Exclusive)).iter().all(Option::is_none));
}
