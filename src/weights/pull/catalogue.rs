//! What the projects publish: names, addresses, hashes.
//!
//! Addresses, sizes and digits of hashes are as the projects' own lists have them (torchvision's metadata, detectron2's
//! `MODEL_ZOO.md`), and so are the average precisions, on COCO val2017 unless the row says otherwise.

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

/// Box and mask AP.
const fn ap(boxes: f32, masks: f32) -> [Option<f32>; 2] {
    [Some(boxes), Some(masks)]
}

const UNTOLD: [Option<f32>; 2] = [None, None];

/// The weights files that [`pull`](super::pull) knows.
pub static PUBLISHED: [Published; 27] = [
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
];
