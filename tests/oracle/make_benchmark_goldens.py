"""Writes the goldens of maskrcnn-benchmark's networks and, by the same code, of Detectron's, and lists of their tensors.

    pip install --no-deps --target SITE yacs
    python make_benchmark_goldens.py --source DIR --site SITE --out ../golden [maskrcnn_benchmark] [detectron] [detectron_gn]

DIR is a checkout of maskrcnn-benchmark, of which nothing need be built: its RoIAlign is torchvision's here, and its NMS the one
below, which drops a box where the IoU reaches the threshold, as its own does on a CPU. Weights are made by the formula of
`src/weights/synth.rs` and stored nowhere, as in `make_mmdet_goldens.py`.

Detectron runs on Caffe2, which nobody can install any more. What it does in another way is written here: its names, its norms
(scale and shift alone), and that classes' boxes are made, cut off and suppressed in pixels of the image.
"""
import argparse
import json
import math
import re
import sys
import types
from pathlib import Path

import numpy as np
import torch
import torchvision
from safetensors.torch import save_file

import generated

SEED, SAMPLES, DAMPING, CLASSES = 8, 1024, 0.25, 6
SPREADS = {"cls_logits": 1.0, "rpn.head.bbox_pred": 0.3, "cls_score": 2.0, "predictor.bbox_pred": 1.5, "mask_fcn_logits": 2.0}


def nms(boxes, scores, threshold):
    order = torch.argsort(scores, descending=True, stable=True)
    area = (boxes[:, 2] - boxes[:, 0] + 1) * (boxes[:, 3] - boxes[:, 1] + 1)
    alive = torch.ones(len(boxes), dtype=torch.bool)
    for at, i in enumerate(order):
        if not alive[i]:
            continue
        rest = order[at + 1 :]
        low, high = torch.maximum(boxes[i, :2], boxes[rest, :2]), torch.minimum(boxes[i, 2:], boxes[rest, 2:])
        both = (high - low + 1).clamp(min=0).prod(1)
        alive[rest[both / (area[i] + area[rest] - both) >= threshold]] = False
    return alive.nonzero().squeeze(1)


def load(source, site):
    sys.path[:0] = [str(source), str(site)]
    compiled = types.ModuleType("maskrcnn_benchmark._C")
    compiled.nms = nms
    compiled.roi_align_forward = lambda x, rois, scale, h, w, ratio: torchvision.ops.roi_align(x, rois, (h, w), scale, ratio)
    for name in ("roi_align_backward", "roi_pool_forward", "roi_pool_backward", "sigmoid_focalloss_forward"):
        setattr(compiled, name, None)
    apex = types.ModuleType("apex")
    apex.amp = types.SimpleNamespace(float_function=lambda f: f)
    np.float = float
    six = types.ModuleType("torch._six")
    six.PY3 = True
    torch._six = six
    for name in ("", ".helpers", ".helpers.csHelpers"):
        # What no network needs.
        sys.modules["cityscapesscripts" + name] = types.ModuleType("cityscapesscripts" + name)
    sys.modules["cityscapesscripts.helpers"].csHelpers = sys.modules["cityscapesscripts.helpers.csHelpers"]
    sys.modules |= {"maskrcnn_benchmark._C": compiled, "apex": apex, "torch._six": six}
    import maskrcnn_benchmark

    maskrcnn_benchmark._C = compiled


def configured(narrow, classes, gn=False):
    from maskrcnn_benchmark.config import cfg

    cfg = cfg.clone()
    cfg.merge_from_list(
        ["MODEL.MASK_ON", True, "MODEL.DEVICE", "cpu", "MODEL.WEIGHT", "", "MODEL.BACKBONE.CONV_BODY", "R-50-FPN"]
        + ["MODEL.RESNETS.BACKBONE_OUT_CHANNELS", 256, "MODEL.RPN.USE_FPN", True, "MODEL.RPN.ANCHOR_STRIDE", (4, 8, 16, 32, 64)]
        + ["MODEL.RPN.PRE_NMS_TOP_N_TEST", 1000, "MODEL.RPN.POST_NMS_TOP_N_TEST", 1000, "MODEL.RPN.FPN_POST_NMS_TOP_N_TEST", 1000]
        + ["MODEL.ROI_HEADS.USE_FPN", True, "MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION", 7, "MODEL.ROI_BOX_HEAD.POOLER_SAMPLING_RATIO", 2]
        + ["MODEL.ROI_BOX_HEAD.POOLER_SCALES", (0.25, 0.125, 0.0625, 0.03125)]
        + ["MODEL.ROI_BOX_HEAD.FEATURE_EXTRACTOR", "FPN2MLPFeatureExtractor", "MODEL.ROI_BOX_HEAD.PREDICTOR", "FPNPredictor"]
        + ["MODEL.ROI_MASK_HEAD.POOLER_SCALES", (0.25, 0.125, 0.0625, 0.03125), "MODEL.ROI_MASK_HEAD.PREDICTOR", "MaskRCNNC4Predictor"]
        + ["MODEL.ROI_MASK_HEAD.FEATURE_EXTRACTOR", "MaskRCNNFPNFeatureExtractor", "MODEL.ROI_MASK_HEAD.POOLER_RESOLUTION", 14]
        + ["MODEL.ROI_MASK_HEAD.POOLER_SAMPLING_RATIO", 2, "MODEL.ROI_MASK_HEAD.RESOLUTION", 28]
        + ["MODEL.ROI_MASK_HEAD.SHARE_BOX_FEATURE_EXTRACTOR", False, "DATALOADER.SIZE_DIVISIBILITY", 32]
        + ["MODEL.ROI_BOX_HEAD.NUM_CLASSES", classes, "INPUT.MIN_SIZE_TEST", 800, "INPUT.MAX_SIZE_TEST", 1333]
    )
    if narrow:
        cfg.merge_from_list(
            ["MODEL.RESNETS.STEM_OUT_CHANNELS", 16, "MODEL.RESNETS.RES2_OUT_CHANNELS", 64, "MODEL.RESNETS.WIDTH_PER_GROUP", 16]
            + ["MODEL.RESNETS.BACKBONE_OUT_CHANNELS", 32, "MODEL.ROI_BOX_HEAD.MLP_HEAD_DIM", 64]
            + ["MODEL.ROI_MASK_HEAD.CONV_LAYERS", (32, 32, 32, 32), "INPUT.MIN_SIZE_TEST", 120, "INPUT.MAX_SIZE_TEST", 200]
            + ["MODEL.RPN.PRE_NMS_TOP_N_TEST", 300, "MODEL.RPN.FPN_POST_NMS_TOP_N_TEST", 100, "MODEL.ROI_HEADS.DETECTIONS_PER_IMG", 20]
        )
    if gn:
        # As Detectron's `gn_baselines` have it: norms of 32 groups throughout, four convolutions and one layer in the box head.
        cfg.merge_from_list(
            ["MODEL.RESNETS.TRANS_FUNC", "BottleneckWithGN", "MODEL.RESNETS.STEM_FUNC", "StemWithGN", "MODEL.RESNETS.STRIDE_IN_1X1", False]
            + ["MODEL.FPN.USE_GN", True, "MODEL.ROI_BOX_HEAD.USE_GN", True, "MODEL.ROI_MASK_HEAD.USE_GN", True]
            + ["MODEL.ROI_BOX_HEAD.FEATURE_EXTRACTOR", "FPNXconv1fcFeatureExtractor"]
        )
    if gn and narrow:
        # Groups of one channel in the stem and of more elsewhere.
        cfg.merge_from_list(
            ["MODEL.RESNETS.STEM_OUT_CHANNELS", 32, "MODEL.RESNETS.RES2_OUT_CHANNELS", 128, "MODEL.RESNETS.WIDTH_PER_GROUP", 32]
            + ["MODEL.RESNETS.BACKBONE_OUT_CHANNELS", 64, "MODEL.ROI_BOX_HEAD.CONV_HEAD_DIM", 32]
            + ["MODEL.ROI_MASK_HEAD.CONV_LAYERS", (32, 64, 32, 32)]
        )
    return cfg


def caffe2_name(name, bn="bn"):
    """What Detectron calls a tensor; None for what it has not. `bn` is what norms are called after."""
    end = {"weight": "w", "bias": "b"}.get(name.rsplit(".", 1)[1])
    stem = name.rsplit(".", 1)[0]
    of_norm = {"weight": "s", "bias": "b"}.get(name.rsplit(".", 1)[1])
    blocks = [2, 3, 5, 2]
    if end is None:
        return None
    if m := re.fullmatch(r"backbone\.body\.layer(\d)\.(\d+)\.(conv|bn)(\d)", stem):
        stage, block, kind, n = m.groups()
        base = f"res{int(stage) + 1}_{block}_branch2{'abc'[int(n) - 1]}"
        return f"{base}_w" if kind == "conv" else f"{base}_{bn}_{of_norm}"
    if m := re.fullmatch(r"backbone\.body\.layer(\d)\.(\d+)\.downsample\.(\d)", stem):
        stage, block, n = m.groups()
        base = f"res{int(stage) + 1}_{block}_branch1"
        return f"{base}_w" if n == "0" else f"{base}_{bn}_{of_norm}"
    # A convolution with a GroupNorm is a row of the two.
    if m := re.fullmatch(r"backbone\.fpn\.fpn_(inner|layer)(\d)(\.\d)?", stem):
        kind, n = m[1], int(m[2])
        end = f"{bn}_{of_norm}" if m[3] == ".1" else end
        last = f"res{n + 1}_{blocks[n - 1]}_sum"
        return {"layer": f"fpn_{last}_{end}", "inner": f"fpn_inner_{last}{'' if n == 4 else '_lateral'}_{end}"}[kind]
    if m := re.fullmatch(r".*\.(xconvs|mask_fcn)(\d?)\.(\d+)", stem):
        # In the box head, a ReLU is the third of each row.
        n, part = divmod(int(m[3]), 3) if m[1] == "xconvs" else (int(m[2]) - 1, int(m[3]))
        base = f"head_conv{n + 1}" if m[1] == "xconvs" else f"_[mask]_fcn{n + 1}"
        return f"{base}_w" if part == 0 else f"{base}_{bn}_{of_norm}"
    if stem == "backbone.body.stem.bn1":
        return f"res_conv1_bn_{of_norm}" if bn == "bn" else f"conv1_{bn}_{of_norm}"
    named = {
        "backbone.body.stem.conv1": "conv1",
        "rpn.head.conv": "conv_rpn_fpn2",
        "rpn.head.cls_logits": "rpn_cls_logits_fpn2",
        "rpn.head.bbox_pred": "rpn_bbox_pred_fpn2",
    }
    last = stem.rsplit(".", 1)[1]
    return f"{named.get(stem, '_[mask]_fcn' + last[8:] if re.fullmatch('mask_fcn[0-9]', last) else last)}_{end}"


def channels_last(x):
    return x[0].permute(1, 2, 0).flatten()


def sample(x):
    stride = -(-x.numel() // SAMPLES) | 1
    return x[::stride]


@torch.no_grad()
def fill(model, scales, rename, detectron):
    for name, tensor in model.state_dict().items():
        theirs = rename(name)
        if "cell_anchors" in name:
            continue
        if theirs is None:
            tensor.fill_(1.0 if name.endswith("var") else 0.0)
            continue
        # The formula goes by what follows a dot. Blobs have none: all are as biases.
        if detectron:
            noise = generated.noise(generated.fnv1a(theirs) ^ SEED, tensor.numel())
            values = torch.from_numpy((0.1 * noise).astype(np.float32).reshape(tuple(tensor.shape)))
        else:
            values = generated.values(theirs, tuple(tensor.shape), SEED)
        tensor.copy_(values * scales[theirs])


@torch.no_grad()
def stages(model, cfg, pixels, scales, rename, detectron):
    from PIL import Image as Pillow
    from maskrcnn_benchmark.data.transforms import build_transforms
    from maskrcnn_benchmark.modeling.roi_heads.mask_head.inference import Masker
    from maskrcnn_benchmark.structures.image_list import to_image_list

    def calibrate(name, outputs):
        key = f"{name}.weight"
        spread = next(v for end, v in SPREADS.items() if name.endswith(end))
        factor = 2.0 ** round(math.log2(spread / outputs.std().item()))
        scales[rename(key)] *= factor
        model.get_parameter(key).mul_(factor)

    out = {"pixels": torch.from_numpy(pixels)}
    h0, w0 = pixels.shape[:2]
    # Whatever has to be resized with the image.
    target = types.SimpleNamespace(resize=lambda size: target, transpose=lambda how: target)
    image, _ = build_transforms(cfg, is_train=False)(Pillow.fromarray(pixels), target)
    images = to_image_list([image], cfg.DATALOADER.SIZE_DIVISIBILITY)
    h, w = (int(v) for v in images.image_sizes[0])
    out["transform.size"] = torch.tensor([h, w], dtype=torch.int32)
    x = images.tensors
    out["transform"] = sample(channels_last(torch.cat([x[0].flip(0), torch.zeros_like(x[0][:1])])[None]))
    maps = model.backbone.body(x)
    for i, c in enumerate(maps):
        out[f"c{i + 2}"] = sample(channels_last(c))
    features = model.backbone(x)
    for i, p in enumerate(features):
        out[f"p{i + 2}"] = sample(channels_last(p))
    head = model.rpn.head
    for name, outputs in zip(("cls_logits", "bbox_pred"), head(features)):
        calibrate(f"rpn.head.{name}", torch.cat([v.flatten() for v in outputs]))
    logits, deltas = head(features)
    out["rpn.logits"] = torch.cat([v.permute(0, 2, 3, 1).flatten() for v in logits])
    out["rpn.deltas"] = sample(torch.cat([v.permute(0, 2, 3, 1).flatten() for v in deltas]))
    anchors = model.rpn.anchor_generator(images, features)
    proposals = model.rpn.box_selector_test(anchors, logits, deltas)
    out["rpn.proposals"], out["rpn.scores"] = proposals[0].bbox, proposals[0].get_field("objectness")

    box = model.roi_heads.box
    pooled = box.feature_extractor(features, proposals)
    for name, outputs in zip(("cls_score", "bbox_pred"), box.predictor(pooled)):
        calibrate(f"roi_heads.box.predictor.{name}", outputs)
    logits, deltas = box.predictor(pooled)
    out["box.logits"], out["box.deltas"] = logits, deltas
    given = proposals
    if detectron:
        # In pixels of the image, by its size.
        given = [p.resize((w0, h0)) for p in proposals]
        for p in given:
            p.add_field("objectness", proposals[0].get_field("objectness"))
    found = box.post_processor((logits, deltas), given)[0]
    order = found.get_field("scores").argsort(descending=True, stable=True)
    found = found[order]
    in_image = found if detectron else found.resize((w0, h0))
    found = found.resize((w, h)) if detectron else found
    out["det.boxes"], out["det.scores"] = found.bbox, found.get_field("scores")
    out["det.labels"] = found.get_field("labels").int()
    mask = model.roi_heads.mask
    forward = lambda: mask.predictor(mask.feature_extractor(features, [found]))
    calibrate("roi_heads.mask.predictor.mask_fcn_logits", forward())
    probs = forward().sigmoid()[range(len(found)), found.get_field("labels")]
    out["mask.probs"] = probs
    out["post.boxes"] = in_image.bbox
    out["post.masks"] = Masker(threshold=0.5, padding=1)([probs[:, None]], [in_image])[0][:, 0].to(torch.uint8)
    return out


def golden(cfg, detectron, pixels, gn=False):
    from maskrcnn_benchmark.modeling.detector import build_detection_model

    model = build_detection_model(cfg).eval()
    rename = (lambda name: caffe2_name(name, "gn" if gn else "bn")) if detectron else (lambda name: name)
    names = [name for name in model.state_dict() if rename(name) is not None and "cell_anchors" not in name]
    # What follows a dot tells the formula what a tensor is; of blobs it is told by scales instead.
    scales = {rename(name): 1.0 for name in names}
    for name in names:
        shape = model.state_dict()[name].shape
        if detectron and len(shape) > 1:
            scales[rename(name)] = 2.0 ** round(math.log2(10 * math.sqrt(6 / math.prod(shape[1:]))))
        if detectron and len(shape) == 1 and rename(name).endswith(("_bn_s", "_gn_s")):
            # Around nothing, and so are the outputs.
            scales[rename(name)] = 16.0
        if name.endswith("bn3.weight"):
            scales[rename(name)] *= DAMPING
    scales[rename("backbone.body.stem.conv1.weight")] *= 2.0**-6
    fill(model, scales, rename, detectron)
    tensors = stages(model, cfg, pixels, scales, rename, detectron)
    tensors["mask.probs"] = tensors["mask.probs"][:4]
    tensors["post.masks"] = torch.from_numpy(np.packbits(tensors["post.masks"].numpy(), axis=2, bitorder="little"))
    settings = {
        "transform": {"min_size": cfg.INPUT.MIN_SIZE_TEST, "max_size": cfg.INPUT.MAX_SIZE_TEST},
        "rpn": {"pre_nms_top_n": cfg.MODEL.RPN.PRE_NMS_TOP_N_TEST, "post_nms_top_n": cfg.MODEL.RPN.FPN_POST_NMS_TOP_N_TEST},
        "box": {"detections_per_img": cfg.MODEL.ROI_HEADS.DETECTIONS_PER_IMG},
    }
    if detectron:
        # The resize is maskrcnn-benchmark's here.
        settings["transform"]["resize"] = "pillow-floor"
    state = model.state_dict()
    metadata = {
        "family": "Detectron" if detectron else "maskrcnn-benchmark",
        "shapes": json.dumps([[rename(name), list(state[name].shape)] for name in names]),
        "seed": str(SEED),
        "scales": json.dumps(scales),
        "settings": json.dumps(settings),
    }
    if not detectron:
        cells = {name: x for name, x in state.items() if "cell_anchors" in name}
        metadata["given"] = json.dumps({name: [list(x.shape), x.flatten().tolist()] for name, x in cells.items()})
    return {key: x.contiguous().clone() for key, x in tensors.items()}, metadata


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("variants", nargs="*", metavar="NAME", default=[], help="maskrcnn_benchmark, detectron, detectron_gn; all if none is given")
    parser.add_argument("--source", type=Path, required=True, metavar="DIR", help="a checkout of maskrcnn-benchmark")
    parser.add_argument("--site", type=Path, required=True, metavar="DIR", help="where yacs is installed")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where goldens go")
    parser.add_argument("--photo", type=Path, metavar="PNG", help="of its real size, and on this picture")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    load(args.source, args.site)
    for name in args.variants or ["maskrcnn_benchmark", "detectron", "detectron_gn"]:
        if args.photo:
            from PIL import Image

            pixels = np.asarray(Image.open(args.photo).convert("RGB"))
        else:
            pixels = generated.picture("benchmark", 90, 121)
        gn = name.endswith("_gn")
        cfg = configured(not args.photo, 81 if args.photo else CLASSES, gn)
        tensors, metadata = golden(cfg, name.startswith("detectron"), pixels, gn)
        path = args.out / f"{name}_fpn.safetensors"
        save_file(tensors, path, metadata)
        found = len(tensors["det.boxes"])
        print(f"{path.name}: {path.stat().st_size:,} bytes, {len(tensors['rpn.proposals'])} proposals, {found} detections", flush=True)


if __name__ == "__main__":
    main()
