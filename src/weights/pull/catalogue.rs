//! What the projects publish: names, addresses, hashes.
//!
//! Addresses, sizes and digits of hashes are as the projects' own lists have them (torchvision's metadata, detectron2's
//! `MODEL_ZOO.md`, MMDetection's `configs/mask_rcnn/metafile.yml`, matterport's `mrcnn/utils.py` and releases, the ONNX model zoo's
//! README and the pointers that Git LFS has of its files), and so are the average precisions, on COCO val2017 unless the row says
//! otherwise.

use super::published::{Check, Project, Published};

/// torchvision, of which the plain names are.
pub static TORCHVISION: Project = Project {
    name: "torchvision",
    origin: "https://download.pytorch.org/models",
    licence: "BSD-3-Clause, as torchvision; trained on COCO",
};

/// detectron2.
static DETECTRON2: Project = Project {
    name: "detectron2",
    origin: "https://dl.fbaipublicfiles.com/detectron2",
    licence: "CC BY-SA 3.0 (name the authors, share alike)",
};

/// MMDetection.
static MMDETECTION: Project = Project {
    name: "mmdetection",
    origin: "https://download.openmmlab.com/mmdetection",
    licence: "Apache-2.0, as MMDetection; trained on COCO",
};

/// matterport.
static MATTERPORT: Project = Project {
    name: "matterport",
    origin: "https://github.com/matterport/Mask_RCNN/releases/download",
    licence: "MIT, as Mask_RCNN; COCO's model was trained on COCO",
};

/// The ONNX model zoo, whose files were on GitHub until July 2025.
static ONNX_ZOO: Project = Project {
    name: "onnx-zoo",
    origin: "https://huggingface.co/onnxmodelzoo/legacy_models/resolve/main/validated/vision/object_detection_segmentation",
    licence: "MIT, as the models' READMEs have it; trained on COCO",
};

const COCO: &str = "COCO 2017";

/// A file of torchvision's: all is known of it.
const fn torchvision(
    name: &'static str,
    file: &'static str,
    (bytes, sha256): (u64, &'static str),
    ap: [Option<f32>; 2],
) -> Published {
    let check = Check::Sha256(sha256);
    Published { name, project: &TORCHVISION, path: file, bytes: Some(bytes), check, trained_on: COCO, ap, preset: None }
}

/// A file of torchvision's of which its name alone tells the hash: a Faster R-CNN on a MobileNetV3.
const fn on_mobilenet(
    name: &'static str,
    file: &'static str,
    digits: &'static str,
    boxes: f32,
    preset: Option<&'static str>,
) -> Published {
    let check = Check::Sha256Digits(digits);
    Published {
        name,
        project: &TORCHVISION,
        path: file,
        bytes: None,
        check,
        trained_on: COCO,
        ap: [Some(boxes), None],
        preset,
    }
}

/// A file of detectron2's: its configuration, the run's number, the first digits of the MD5.
macro_rules! detectron2 {
    ($config:literal, $run:literal, $md5:literal, $trained_on:expr, $ap:expr, $preset:expr) => {
        Published {
            name: concat!("detectron2/", $config),
            project: &DETECTRON2,
            path: concat!($config, "/", $run, "/model_final_", $md5, ".pkl"),
            bytes: None,
            check: Check::Md5Digits($md5),
            trained_on: $trained_on,
            ap: $ap,
            preset: $preset,
        }
    };
}

/// A file of MMDetection's: its configuration, what stands between that and the hash, and the first digits of the SHA-256.
macro_rules! mmdetection {
    ($config:literal, $made:literal, $sha256:literal, $ap:expr) => {
        Published {
            name: concat!("mmdetection/", $config),
            project: &MMDETECTION,
            path: concat!("v2.0/mask_rcnn/", $config, "/", $config, $made, "-", $sha256, ".pth"),
            bytes: None,
            check: Check::Sha256Digits($sha256),
            trained_on: COCO,
            ap: $ap,
            preset: None,
        }
    };
}

/// A file of matterport's releases.
macro_rules! matterport {
    ($release:literal, $name:literal, $trained_on:expr) => {
        Published {
            name: concat!("matterport/", $name),
            project: &MATTERPORT,
            path: concat!($release, "/", $name, ".h5"),
            bytes: None,
            check: Check::Untold,
            trained_on: $trained_on,
            ap: UNTOLD,
            preset: None,
        }
    };
}

/// A file of the ONNX model zoo's: its folder, name, size and SHA-256.
macro_rules! onnx_zoo {
    ($folder:literal, $name:literal, $bytes:literal, $sha256:literal, $ap:expr) => {
        Published {
            name: concat!("onnx-zoo/", $name),
            project: &ONNX_ZOO,
            path: concat!($folder, "/model/", $name, ".onnx"),
            bytes: Some($bytes),
            check: Check::Sha256($sha256),
            trained_on: COCO,
            ap: $ap,
            preset: None,
        }
    };
}

/// Box and mask AP.
const fn ap(boxes: f32, masks: f32) -> [Option<f32>; 2] {
    [Some(boxes), Some(masks)]
}

const UNTOLD: [Option<f32>; 2] = [None, None];

/// The weights files that [`pull`](super::pull) knows.
pub static PUBLISHED: [Published; 56] = [
    torchvision(
        "maskrcnn_resnet50_fpn",
        "maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth",
        (178_090_079, "bf2d0c1efbc936eeee2bc95a48e80ebc86b891f61b0106485937fc29f9315fc0"),
        ap(37.9, 34.6),
    ),
    torchvision(
        "maskrcnn_resnet50_fpn_v2",
        "maskrcnn_resnet50_fpn_v2_coco-73cbd019.pth",
        (185_828_065, "73cbd0190fcbe3ba339921fbce2c3a0b6bb9126c9a133c85e43a2a8e060a109e"),
        ap(47.4, 41.8),
    ),
    torchvision(
        "fasterrcnn_resnet50_fpn",
        "fasterrcnn_resnet50_fpn_coco-258fb6c6.pth",
        (167_502_836, "258fb6c638b15964ddcdd1ae0748c5eef1be9e732750120cc857feed3faac384"),
        [Some(37.0), None],
    ),
    torchvision(
        "fasterrcnn_resnet50_fpn_v2",
        "fasterrcnn_resnet50_fpn_v2_coco-dd69338a.pth",
        (175_221_657, "dd69338a24b8d7381807e247652bdc356325bcbaf1cd3e092e00e0a1a58706bf"),
        [Some(46.7), None],
    ),
    on_mobilenet(
        "fasterrcnn_mobilenet_v3_large_fpn",
        "fasterrcnn_mobilenet_v3_large_fpn-fb6a3cc7.pth",
        "fb6a3cc7",
        32.8,
        None,
    ),
    on_mobilenet(
        "fasterrcnn_mobilenet_v3_large_320_fpn",
        "fasterrcnn_mobilenet_v3_large_320_fpn-907ea3f9.pth",
        "907ea3f9",
        22.8,
        Some("tv-mobilenet-320"),
    ),
    detectron2!("COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_1x", "137260431", "a54504", COCO, ap(38.6, 35.2), None),
    detectron2!("COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x", "137849600", "f10217", COCO, ap(41.0, 37.2), None),
    detectron2!("COCO-InstanceSegmentation/mask_rcnn_R_101_FPN_3x", "138205316", "a3ec72", COCO, ap(42.9, 38.6), None),
    detectron2!(
        "COCO-InstanceSegmentation/mask_rcnn_X_101_32x8d_FPN_3x",
        "139653917",
        "2d9806",
        COCO,
        ap(44.3, 39.5),
        None
    ),
    detectron2!("COCO-InstanceSegmentation/mask_rcnn_R_50_C4_1x", "137259246", "9243eb", COCO, ap(36.8, 32.2), None),
    detectron2!("COCO-InstanceSegmentation/mask_rcnn_R_50_C4_3x", "137849525", "4ce675", COCO, ap(39.8, 34.4), None),
    detectron2!("COCO-InstanceSegmentation/mask_rcnn_R_50_DC5_1x", "137260150", "4f86c3", COCO, ap(38.3, 34.2), None),
    detectron2!("COCO-InstanceSegmentation/mask_rcnn_R_50_DC5_3x", "137849551", "84107b", COCO, ap(40.0, 35.9), None),
    detectron2!("COCO-InstanceSegmentation/mask_rcnn_R_101_C4_3x", "138363239", "a2914c", COCO, ap(42.6, 36.7), None),
    detectron2!("COCO-InstanceSegmentation/mask_rcnn_R_101_DC5_3x", "138363294", "0464b7", COCO, ap(41.9, 37.3), None),
    detectron2!("COCO-Detection/faster_rcnn_R_50_FPN_3x", "137849458", "280758", COCO, UNTOLD, None),
    detectron2!("PascalVOC-Detection/faster_rcnn_R_50_C4", "142202221", "b1acc2", "PASCAL VOC", UNTOLD, None),
    detectron2!("Cityscapes/mask_rcnn_R_50_FPN", "142423278", "af9cf5", "Cityscapes", UNTOLD, Some("d2-cityscapes")),
    detectron2!(
        "LVISv0.5-InstanceSegmentation/mask_rcnn_R_50_FPN_1x",
        "144219072",
        "571f7c",
        "LVIS v0.5",
        UNTOLD,
        None
    ),
    detectron2!(
        "Detectron1-Comparisons/mask_rcnn_R_50_FPN_noaug_1x",
        "137781281",
        "62ca52",
        COCO,
        UNTOLD,
        Some("d2-d1-comparison")
    ),
    detectron2!("Misc/mask_rcnn_R_50_FPN_3x_gn", "138602888", "dc5d9e", COCO, UNTOLD, None),
    detectron2!("Misc/mask_rcnn_R_50_FPN_3x_syncbn", "169527823", "3b3c51", COCO, UNTOLD, None),
    detectron2!("new_baselines/mask_rcnn_R_50_FPN_100ep_LSJ", "42047764", "bb69de", COCO, UNTOLD, Some("d2-lsj")),
    detectron2!("new_baselines/mask_rcnn_R_50_FPN_200ep_LSJ", "42047638", "89a8d3", COCO, UNTOLD, Some("d2-lsj")),
    detectron2!("new_baselines/mask_rcnn_R_50_FPN_400ep_LSJ", "42019571", "14d201", COCO, UNTOLD, Some("d2-lsj")),
    detectron2!("new_baselines/mask_rcnn_R_101_FPN_100ep_LSJ", "42025812", "4f7b58", COCO, UNTOLD, Some("d2-lsj")),
    detectron2!("new_baselines/mask_rcnn_R_101_FPN_200ep_LSJ", "42131867", "0bb7ae", COCO, UNTOLD, Some("d2-lsj")),
    detectron2!("new_baselines/mask_rcnn_R_101_FPN_400ep_LSJ", "42073830", "f96b26", COCO, UNTOLD, Some("d2-lsj")),
    mmdetection!("mask_rcnn_r50_fpn_1x_coco", "_20200205", "d4b0c5d6", ap(38.2, 34.7)),
    mmdetection!(
        "mask_rcnn_r50_fpn_2x_coco",
        "_bbox_mAP-0.392__segm_mAP-0.354_20200505_003907",
        "3e542a40",
        ap(39.2, 35.4)
    ),
    mmdetection!("mask_rcnn_r50_fpn_mstrain-poly_3x_coco", "_20210524_201154", "21b550bb", ap(40.9, 37.1)),
    mmdetection!("mask_rcnn_r101_fpn_1x_coco", "_20200204", "1efe0ed5", ap(40.0, 36.1)),
    mmdetection!(
        "mask_rcnn_r101_fpn_2x_coco",
        "_bbox_mAP-0.408__segm_mAP-0.366_20200505_071027",
        "14b391c7",
        ap(40.8, 36.6)
    ),
    mmdetection!("mask_rcnn_r101_fpn_mstrain-poly_3x_coco", "_20210524_200244", "5675c317", ap(42.7, 38.5)),
    mmdetection!("mask_rcnn_x101_32x4d_fpn_1x_coco", "_20200205", "478d0b67", ap(41.9, 37.5)),
    mmdetection!(
        "mask_rcnn_x101_32x4d_fpn_2x_coco",
        "_bbox_mAP-0.422__segm_mAP-0.378_20200506_004702",
        "faef898c",
        ap(42.2, 37.8)
    ),
    mmdetection!("mask_rcnn_x101_32x4d_fpn_mstrain-poly_3x_coco", "_20210524_201410", "abcd7859", ap(43.6, 39.0)),
    mmdetection!("mask_rcnn_x101_64x4d_fpn_1x_coco", "_20200201", "9352eb0d", ap(42.8, 38.4)),
    mmdetection!("mask_rcnn_x101_64x4d_fpn_2x_coco", "_20200509_224208", "39d6f70c", ap(42.7, 38.1)),
    mmdetection!("mask_rcnn_x101_64x4d_fpn_mstrain-poly_3x_coco", "_20210526_120447", "c376f129", ap(44.5, 39.7)),
    mmdetection!(
        "mask_rcnn_r50_caffe_fpn_1x_coco",
        "_bbox_mAP-0.38__segm_mAP-0.344_20200504_231812",
        "0ebd1859",
        ap(38.0, 34.4)
    ),
    mmdetection!(
        "mask_rcnn_r50_caffe_fpn_mstrain-poly_2x_coco",
        "_bbox_mAP-0.403__segm_mAP-0.365_20200504_231822",
        "a75c98ce",
        ap(40.3, 36.5)
    ),
    mmdetection!(
        "mask_rcnn_r50_caffe_fpn_mstrain-poly_3x_coco",
        "_bbox_mAP-0.408__segm_mAP-0.37_20200504_163245",
        "42aa3d00",
        ap(40.8, 37.0)
    ),
    mmdetection!("mask_rcnn_r101_caffe_fpn_1x_coco", "_20200601_095758", "805e06c1", ap(40.4, 36.4)),
    mmdetection!("mask_rcnn_r101_caffe_fpn_mstrain-poly_3x_coco", "_20210526_132339", "3c33ce02", ap(42.9, 38.5)),
    matterport!("v2.0", "mask_rcnn_coco", COCO),
    matterport!("v2.1", "mask_rcnn_balloon", "61 balloons"),
    onnx_zoo!(
        "mask-rcnn",
        "MaskRCNN-10",
        177_925_424,
        "a519d8102cb162e78cbf123615aa5a8f3bf9d0fa1dec61a2fbbb42fa3f0e0757",
        ap(36.1, 32.7)
    ),
    onnx_zoo!(
        "mask-rcnn",
        "MaskRCNN-12",
        177_970_010,
        "5bf940c124d9117f6fae350c4e0d46df180cbb01981832b35fdbed148078b946",
        [Some(33.7), None]
    ),
    onnx_zoo!(
        "mask-rcnn",
        "MaskRCNN-12-int8",
        45_769_352,
        "4409935e855719fd6cd986f7ec2a3de840d0bd9c9cf7a0cba84ce95377f5b476",
        [Some(33.1), None]
    ),
    onnx_zoo!(
        "mask-rcnn",
        "MaskRCNN-12-qdq",
        45_676_737,
        "d6fe3a9f49c3009d745b388c09c06ec3b332d942ba456053411a1f1bff22af9c",
        [Some(33.3), None]
    ),
    onnx_zoo!(
        "faster-rcnn",
        "FasterRCNN-10",
        167_330_019,
        "dfb81423efbea52e45df242ade64cfca0ba05fae78e00cf0c68a0979987f87eb",
        UNTOLD
    ),
    onnx_zoo!(
        "faster-rcnn",
        "FasterRCNN-12",
        176_713_194,
        "789104f5a47f008450a37e02da8a8d3642766ed10d91238312b1532fe72789a6",
        UNTOLD
    ),
    onnx_zoo!(
        "faster-rcnn",
        "FasterRCNN-12-int8",
        44_631_113,
        "95f67f5f6249f4804f1302367dd88cee32bf47713b9858cc6d8ba835548f9b8e",
        UNTOLD
    ),
    onnx_zoo!(
        "faster-rcnn",
        "FasterRCNN-12-qdq",
        44_525_748,
        "7b8b530b50b2fa9737625f2bbf454c439e9156c94d44e22602946d019f105f1c",
        UNTOLD
    ),
];
