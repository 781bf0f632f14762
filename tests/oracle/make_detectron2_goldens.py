"""Writes the goldens of detectron2's networks, and lists of their tensors.

    python make_detectron2_goldens.py --detectron2 DIR --out ../golden [NAME ...]
    python make_detectron2_goldens.py --detectron2 DIR --names ../fixtures/state_dicts

DIR is a checkout of detectron2, of which nothing need be built: its operators on RoIs are torchvision's. Weights are made
by the formula of `src/weights/synth.rs` on detectron2's own names, and stored nowhere: the metadata of a golden have the
seed, the names and shapes, and the powers of two by which some are multiplied (`generated.py` says why). What the test
opens is a file as detectron2's model zoo has them, and no setting is told but those in `settings`. Maps are sampled, and
logits and deltas are in our layout: the background first, with deltas of its own.
"""
import argparse
import json
import math
import sys
import types
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torchvision.ops import boxes as box_ops

import generated

SEED, SAMPLES, DAMPING, CLASSES = 5, 2048, 0.25, 7
ZOO = "COCO-InstanceSegmentation/mask_rcnn_"
# By name: the file in `configs`, and what differs from it.
VARIANTS = {
    "fpn": (ZOO + "R_50_FPN_3x", []),
    "c4": (ZOO + "R_50_C4_3x", []),
    "dc5": (ZOO + "R_50_DC5_3x", []),
    "agnostic": ("Misc/mask_rcnn_R_50_FPN_1x_cls_agnostic", ["MODEL.ROI_MASK_HEAD.CLS_AGNOSTIC_MASK", True]),
    "gn": ("Misc/scratch_mask_rcnn_R_50_FPN_3x_gn", []),
    "syncbn": ("Misc/mask_rcnn_R_50_FPN_3x_syncbn", []),
    "x101": (ZOO + "X_101_32x8d_FPN_3x", []),
}
NAMES = {
    "fpn": ("detectron2_R_50_FPN", 80),
    "c4": ("detectron2_R_50_C4", 80),
    "dc5": ("detectron2_R_50_DC5", 80),
    "gn": ("detectron2_R_50_FPN_gn", 80),
    "syncbn": ("detectron2_R_50_FPN_syncbn", 80),
    "x101": ("detectron2_X_101_FPN", 80),
}
SMALL = {"transform": {"min_size": 128, "max_size": 200}, "rpn": {"pre_nms_top_n": 300, "post_nms_top_n": 100}}
SMALL |= {"box": {"detections_per_img": 20}}
SPREADS = {
    "proposal_generator.rpn_head.objectness_logits": 1.0,
    "proposal_generator.rpn_head.anchor_deltas": 0.3,
    "roi_heads.box_predictor.cls_score": 2.0,
    "roi_heads.box_predictor.bbox_pred": 1.5,
    "roi_heads.mask_head.predictor": 2.0,
}


def load_detectron2(folder):
    """Makes detectron2 importable without its compiled part, which nothing here calls."""
    sys.path.insert(0, str(folder))
    sys.modules["detectron2._C"] = types.ModuleType("detectron2._C")
    import detectron2

    detectron2._C = sys.modules["detectron2._C"]
    box_ops.batched_nms = box_ops._batched_nms_vanilla


def configured(folder, name, classes, small):
    from detectron2.config import get_cfg

    file, changes = VARIANTS[name]
    cfg = get_cfg()
    cfg.merge_from_file(str(folder / "configs" / f"{file}.yaml"))
    cfg.MODEL.DEVICE, cfg.MODEL.ROI_HEADS.NUM_CLASSES = "cpu", classes
    cfg.merge_from_list(["VERSION", 2, *changes])
    for norm in (cfg.MODEL.RESNETS, cfg.MODEL.FPN, cfg.MODEL.ROI_BOX_HEAD, cfg.MODEL.ROI_MASK_HEAD):
        # The same on one machine.
        norm.NORM = norm.NORM.replace("SyncBN", "BN")
    if small:
        cfg.INPUT.MIN_SIZE_TEST, cfg.INPUT.MAX_SIZE_TEST = 128, 200
        cfg.MODEL.RPN.PRE_NMS_TOPK_TEST, cfg.MODEL.RPN.POST_NMS_TOPK_TEST = 300, 100
        cfg.TEST.DETECTIONS_PER_IMAGE = 20
    return cfg


def build(cfg):
    from detectron2.modeling import build_model

    return build_model(cfg).eval()


def damped(model):
    """Residual branches quieter than what passes by them, and bytes brought to the size of what torchvision's bodies get."""
    scales = {key: DAMPING for key in model.state_dict() if key.endswith("conv3.norm.weight")}
    stem = next(key for key in model.state_dict() if key.endswith("stem.conv1.weight"))
    return scales | {stem: 2.0**-6 if model.pixel_std.max() == 1 else 1.0}


@torch.no_grad()
def spread(model, name, outputs, scales):
    key = f"{name}.weight"
    scales[key] = 2.0 ** round(math.log2(SPREADS[name] / outputs.std().item()))
    model.get_parameter(key).mul_(scales[key])


def channels_last(x):
    """[1, C, H, W] as ours lies in memory."""
    return x[0].permute(1, 2, 0).flatten()


def sample(x):
    stride = -(-x.numel() // SAMPLES) | 1
    return x[::stride]


def resized(cfg, rgb):
    """What detectron2's predictor gives the network of an image: BGR, resized."""
    import detectron2.data.transforms as T

    bgr = rgb[:, :, ::-1]
    aug = T.ResizeShortestEdge([cfg.INPUT.MIN_SIZE_TEST] * 2, cfg.INPUT.MAX_SIZE_TEST)
    image = aug.get_transform(bgr).apply_image(bgr)
    image = np.ascontiguousarray(image[:, :, :: 1 if cfg.INPUT.FORMAT == "BGR" else -1].astype("float32").transpose(2, 0, 1))
    return {"image": torch.as_tensor(image), "height": rgb.shape[0], "width": rgb.shape[1]}


@torch.no_grad()
def stages(model, cfg, pixels, scales=None):
    """Every stage; with `scales`, the last layers get weights that make their outputs spread on the way."""
    from detectron2.modeling.roi_heads.mask_head import mask_rcnn_inference

    calibrate = (lambda name, outputs: spread(model, name, outputs, scales)) if scales is not None else lambda *_: None
    out = {"pixels": torch.from_numpy(pixels)}
    given = resized(cfg, pixels)
    images = model.preprocess_image([given])
    out["transform.size"] = torch.tensor(images.image_sizes[0], dtype=torch.int32)
    # Red first, as ours.
    rgb = images.tensor[0].flip(0) if cfg.INPUT.FORMAT == "BGR" else images.tensor[0]
    out["transform"] = rgb.contiguous()
    features = model.backbone(images.tensor)
    body = getattr(model.backbone, "bottom_up", model.backbone)
    x = body.stem(images.tensor)
    for i, stage in enumerate(body.stages):
        x = stage(x)
        out[f"c{i + 2}"] = sample(channels_last(x))
    for name, x in features.items():
        if name.startswith("p"):
            out[name] = sample(channels_last(x))
    rpn, heads = model.proposal_generator, model.roi_heads
    maps = [features[f] for f in rpn.in_features]
    for part, outputs in zip(("objectness_logits", "anchor_deltas"), rpn.rpn_head(maps)):
        calibrate(f"proposal_generator.rpn_head.{part}", torch.cat([x.flatten() for x in outputs]))
    logits, deltas = rpn.rpn_head(maps)
    logits = [x.permute(0, 2, 3, 1).flatten(1) for x in logits]
    deltas = [x.view(1, -1, 4, *x.shape[-2:]).permute(0, 3, 4, 1, 2).flatten(1, -2) for x in deltas]
    out["rpn.logits"] = torch.cat(logits, 1)[0]
    out["rpn.deltas"] = sample(torch.cat(deltas, 1).flatten())
    proposals = rpn.predict_proposals(rpn.anchor_generator(maps), logits, deltas, images.image_sizes)
    out["rpn.proposals"] = proposals[0].proposal_boxes.tensor
    out["rpn.scores"] = proposals[0].objectness_logits.sigmoid()

    maps = [features[f] for f in heads.in_features]
    c4 = not hasattr(heads, "box_pooler")
    boxes = [proposals[0].proposal_boxes]
    pooled = heads._shared_roi_transform(maps, boxes).mean([2, 3]) if c4 else heads.box_head(heads.box_pooler(maps, boxes))
    for part, outputs in zip(("cls_score", "bbox_pred"), heads.box_predictor(pooled)):
        calibrate(f"roi_heads.box_predictor.{part}", outputs)
    logits, deltas = heads.box_predictor(pooled)
    out["box.logits"] = torch.cat([logits[:, -1:], logits[:, :-1]], 1)
    one = deltas.shape[1] == 4
    out["box.deltas"] = deltas if one else torch.cat([torch.zeros(len(deltas), 4), deltas], 1)
    found, _ = heads.box_predictor.inference((logits, deltas), proposals)
    out["det.boxes"], out["det.scores"] = found[0].pred_boxes.tensor, found[0].scores
    out["det.labels"] = (found[0].pred_classes + 1).int()
    boxes = [found[0].pred_boxes]
    pooled = heads._shared_roi_transform(maps, boxes) if c4 else heads.mask_pooler(maps, boxes)
    calibrate("roi_heads.mask_head.predictor", heads.mask_head.layers(pooled))
    mask_rcnn_inference(heads.mask_head.layers(pooled), found)
    out["mask.probs"] = found[0].pred_masks[:, 0]
    whole = model.inference([given])[0]["instances"]
    assert torch.equal(whole.scores, out["det.scores"]), "the whole network finds something else"
    out["post.boxes"], out["post.masks"] = whole.pred_boxes.tensor, whole.pred_masks
    return out


def golden(folder, name):
    cfg = configured(folder, name, CLASSES, small=True)
    model = build(cfg)
    scales = damped(model)
    generated.generate(model, SEED, scales)
    pixels = generated.picture("detectron2", 170, 210)
    tensors = stages(model, cfg, pixels, scales)
    rgb = tensors["transform"]
    tensors["transform"] = sample(channels_last(torch.cat([rgb, torch.zeros_like(rgb[:1])])[None]))
    tensors["mask.probs"] = tensors["mask.probs"][:4]
    masks = np.packbits(tensors["post.masks"].numpy(), axis=2, bitorder="little")
    tensors["post.masks"] = torch.from_numpy(masks)
    shapes = [[key, list(x.shape)] for key, x in model.state_dict().items() if not key.endswith("num_batches_tracked")]
    metadata = {
        "detectron2": json.dumps(shapes),
        "seed": str(SEED),
        "scales": json.dumps(scales),
        "settings": json.dumps(SMALL),
    }
    return {key: x.contiguous().clone() for key, x in tensors.items()}, metadata


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("variants", nargs="*", metavar="NAME", help=f"of {', '.join(VARIANTS)}; all but x101 if none is given")
    parser.add_argument("--detectron2", type=Path, required=True, metavar="DIR", help="a checkout of detectron2")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where goldens go")
    parser.add_argument("--names", type=Path, metavar="DIR", help="where lists of tensors go")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    load_detectron2(args.detectron2)
    if args.names:
        for name, (file, classes) in NAMES.items():
            model = build(configured(args.detectron2, name, classes, small=False))
            shape = lambda x: "x".join(map(str, x.shape))
            lines = [f"{key} {shape(x)}" for key, x in model.state_dict().items() if not key.endswith("num_batches_tracked")]
            (args.names / f"{file}.txt").write_text("".join(f"{line}\n" for line in lines))
            print(f"{file}: {len(lines)} tensors")
    for name in args.variants or [name for name in VARIANTS if name != "x101"]:
        if args.out:
            tensors, metadata = golden(args.detectron2, name)
            path = args.out / f"detectron2_{name}.safetensors"
            save_file(tensors, path, metadata)
            found = len(tensors["det.boxes"])
            print(f"{path.name}: {path.stat().st_size:,} bytes, {len(tensors['rpn.proposals'])} proposals, {found} detections", flush=True)


if __name__ == "__main__":
    main()
