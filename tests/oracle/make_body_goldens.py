"""Writes the goldens of other bodies, necks and heads, each put together from torchvision's parts.

    python make_body_goldens.py --out ../golden [NAME ...]

Weights are made by the formula of `src/weights/synth.rs`, whole, and need no file: with damped residual branches, values
stay of one size from layer to layer without measured statistics. The metadata of a golden have the configuration, the
seed and the powers of two by which some weights are multiplied (`generated.py` says why). Maps are sampled.
"""
import argparse
import json
import math
from pathlib import Path

import torch
import torchvision
from safetensors.torch import save_file
from torch import nn
from torchvision.models import resnet
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import BackboneWithFPN, mobilenet_backbone
from torchvision.models.detection.faster_rcnn import FastRCNNConvFCHead, FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.roi_heads import maskrcnn_inference
from torchvision.models.detection.rpn import RPNHead, concat_box_prediction_layers
from torchvision.ops import MultiScaleRoIAlign
from torchvision.ops import boxes as box_ops
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

import generated
import oracle

CLASSES, SEED, SAMPLES, DAMPING = 7, 5, 2048, 0.25
LAYERS = {"resnet50": [3, 4, 6, 3], "small": [1, 1, 1, 1]}
ALL = [32.0, 64.0, 128.0, 256.0, 512.0]
SMALL = {"transform": {"min_size": 128, "max_size": 200}}
ONE_MAP = {"anchor_sizes": [ALL]}
MOBILENET = {"type": "mobilenet-v3-large", "layers": []}
# By name: what of our configuration differs from torchvision's maskrcnn_resnet50_fpn.
VARIANTS = {
    "c4": {"backbone": {"layers": [2, 2, 2, 2]}, "neck": "c4"} | ONE_MAP,
    "dc5": {"backbone": {"layers": [1, 2, 1, 2]}, "neck": "dc5"} | ONE_MAP,
    "dc5_dilated_first": {"backbone": {"layers": [1, 1, 1, 2], "dilate_first": True}, "neck": "dc5"} | ONE_MAP,
    "group_norm": {"backbone": {"layers": [2, 1, 1, 1], "group_norm": 32}},
    "group_norm_throughout": {
        "backbone": {"layers": [1, 1, 1, 1], "group_norm": 32},
        "fpn_norm": True,
        "group_norm": 32,
        "box": {"convs": [64, 64], "fc_layers": 1, "representation": 256},
        "mask": {"norm": True, "layers": [64, 64], "dim_reduced": 64},
    },
    "resnext50": {"backbone": {"layers": [3, 4, 6, 3], "inner_width": 128, "groups": 32}},
    "wide_resnet50": {"backbone": {"layers": [3, 4, 6, 3], "inner_width": 128}},
    "class_agnostic": {
        "backbone": {"layers": [1, 1, 1, 1]},
        "box": {"class_agnostic": True},
        "mask": {"class_agnostic": True},
    },
    "returned_layers": {
        "backbone": {"layers": [1, 1, 1, 1], "first_level": 1},
        "anchor_sizes": [[32.0, 45.0], [64.0, 90.0], [128.0, 180.0], [256.0, 362.0]],
    },
    "mobilenet": {"backbone": MOBILENET | {"first_level": 4}, "anchor_sizes": [ALL] * 3},
    "mobilenet_from_8": {"backbone": MOBILENET | {"first_level": 2}, "anchor_sizes": [ALL] * 5},
    "stride_in_1x1": {"backbone": {"layers": [1, 2, 1, 1], "stride_in_1x1": True}},
}
# The norms that end a MobileNetV3's blocks, by block: without, values grow to where a hard swish is a ReLU and a hard sigmoid
# is 0 or 1.
PROJECTIONS = {
    f"backbone.body.{block}.block.{place}.1.weight": 2.0**-power
    for block, (place, power) in enumerate(
        [(1, 1), (2, 1), (2, 2), (3, 0), (3, 0), (3, 0), (2, 1), (2, 1), (2, 2), (2, 2), (3, -1), (3, 0), (3, 0), (3, 0), (3, 0)], 1
    )
}
GIVEN = {"mobilenet": PROJECTIONS, "mobilenet_from_8": PROJECTIONS}
SPREADS = {
    "rpn.head.cls_logits": 1.0,
    "rpn.head.bbox_pred": 0.3,
    "roi_heads.box_predictor.cls_score": 2.0,
    "roi_heads.box_predictor.bbox_pred": 1.5,
    "roi_heads.mask_predictor.mask_fcn_logits": 2.0,
}


class OneForAll(nn.Module):
    """A predictor whose deltas serve all classes."""

    def __init__(self, features, classes):
        super().__init__()
        self.cls_score, self.bbox_pred, self.classes = nn.Linear(features, classes), nn.Linear(features, 4), classes

    def forward(self, x):
        x = x.flatten(start_dim=1)
        return self.cls_score(x), self.bbox_pred(x).repeat(1, self.classes)


class OneMask(MaskRCNNPredictor):
    """A mask predictor whose mask serves all classes."""

    def forward(self, x):
        return super().forward(x).expand(-1, CLASSES, -1, -1)


class LastStage(nn.Module):
    """The body's last stage as a head; a mean pools the box head's."""

    def __init__(self, layer4, mean):
        super().__init__()
        self.layer4, self.mean = layer4, mean

    def forward(self, x):
        x = self.layer4(x)
        return x.mean([2, 3]) if self.mean else x


class OneMap(nn.Module):
    """A body of which one map is read."""

    def __init__(self, body, layer, channels):
        super().__init__()
        self.body, self.out_channels = IntermediateLayerGetter(body, {layer: "0"}), channels

    def forward(self, x):
        return self.body(x)


def section(changes, name, **defaults):
    return defaults | changes.get(name, {})


def build(changes):
    """The untrained model of a variant, in inference mode."""
    backbone = section(changes, "backbone", inner_width=64, groups=1, group_norm=0, first_level=0)
    sizes = changes.get("anchor_sizes", [[size] for size in ALL])
    if "type" in backbone:
        returned = list(range(backbone["first_level"], 6))
        base = mobilenet_backbone(
            backbone_name="mobilenet_v3_large", weights=None, fpn=True, trainable_layers=6, returned_layers=returned
        )
        names = [str(i) for i in range(len(returned))]
        return MaskRCNN(
            base,
            CLASSES,
            min_size=SMALL["transform"]["min_size"],
            max_size=SMALL["transform"]["max_size"],
            rpn_anchor_generator=AnchorGenerator(tuple(map(tuple, sizes)), ((0.5, 1.0, 2.0),) * len(sizes)),
            rpn_pre_nms_top_n_test=300,
            rpn_post_nms_top_n_test=100,
            box_roi_pool=MultiScaleRoIAlign(names, 7, 2),
            box_detections_per_img=20,
            mask_roi_pool=MultiScaleRoIAlign(names, 14, 2),
        ).eval()
    neck, fpn = changes.get("neck", "fpn"), 256
    groups = changes.get("group_norm", 0)
    norm = lambda groups: (lambda c: nn.GroupNorm(groups, c)) if groups else nn.BatchNorm2d
    body = resnet.ResNet(
        resnet.Bottleneck,
        backbone["layers"],
        groups=backbone["groups"],
        width_per_group=backbone["inner_width"] // backbone["groups"],
        replace_stride_with_dilation=[False, False, neck == "dc5"],
        norm_layer=norm(backbone["group_norm"]),
    )
    if backbone.get("dilate_first"):
        body.layer4[0].conv2.dilation = body.layer4[0].conv2.padding = (2, 2)
    if backbone.get("stride_in_1x1"):
        for layer in (body.layer2, body.layer3, body.layer4):
            layer[0].conv1.stride, layer[0].conv2.stride = layer[0].conv2.stride, (1, 1)
    box = section(changes, "box", convs=[], representation=1024)
    mask = section(changes, "mask", layers=[256] * 4, dim_reduced=256)
    if neck == "fpn":
        first = backbone["first_level"]
        layers = {f"layer{i + 1}": str(i - first) for i in range(first, 4)}
        channels = [256 << i for i in range(first, 4)]
        norm_layer = norm(groups) if changes.get("fpn_norm") else None
        # Only the maps themselves: their pooled level is made by `extra_blocks`.
        base = BackboneWithFPN(body, layers, channels, fpn, LastLevelMaxPool(), norm_layer)
        names, roi, width = list(layers.values()), 7, fpn
    elif neck == "c4":
        base, names, roi, width = OneMap(body, "layer3", 1024), ["0"], 14, 1024
    else:
        base, names, roi, width = OneMap(body, "layer4", 2048), ["0"], 7, 2048
    features = 2048 if neck == "c4" else box["representation"]
    if neck == "c4":
        box_head, mask_head, mask_in = LastStage(body.layer4, True), LastStage(body.layer4, False), 2048
    else:
        if box["convs"]:
            fcs = [box["representation"]] * box["fc_layers"]
            box_head = FastRCNNConvFCHead((width, roi, roi), box["convs"], fcs, norm_layer=norm(groups))
        else:
            box_head = TwoMLPHead(width * roi**2, box["representation"])
        mask_head = MaskRCNNHeads(width, mask["layers"], 1, norm_layer=norm(groups) if mask.get("norm") else None)
        mask_in = mask["layers"][-1]
    one = box.get("class_agnostic", False)
    mask_predictor = MaskRCNNPredictor(mask_in, mask["dim_reduced"], CLASSES)
    if mask.get("class_agnostic"):
        mask_predictor = OneMask(mask_in, mask["dim_reduced"], 1)
    model = MaskRCNN(
        base,
        min_size=SMALL["transform"]["min_size"],
        max_size=SMALL["transform"]["max_size"],
        rpn_anchor_generator=AnchorGenerator(tuple(map(tuple, sizes)), ((0.5, 1.0, 2.0),) * len(sizes)),
        rpn_head=RPNHead(width, 3 * len(sizes[0])),
        rpn_pre_nms_top_n_test=300,
        rpn_post_nms_top_n_test=100,
        box_roi_pool=MultiScaleRoIAlign(names, roi, 2),
        box_head=box_head,
        box_predictor=(OneForAll if one else FastRCNNPredictor)(features, CLASSES),
        box_detections_per_img=20,
        mask_roi_pool=MultiScaleRoIAlign(names, 14, 2),
        mask_head=mask_head,
        mask_predictor=mask_predictor,
    )
    return model.eval()


def our_name(name):
    """A tensor's name in our files: with C4, the last stage is the body's wherever it is used."""
    for head in ("box_head", "mask_head"):
        name = name.replace(f"roi_heads.{head}.layer4", "backbone.body.layer4")
    return name


@torch.no_grad()
def generate(model, scales):
    for name, tensor in model.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            name = our_name(name)
            tensor.copy_(generated.values(name, tuple(tensor.shape), SEED) * scales.get(name, 1.0))


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


@torch.no_grad()
def stages(model, pixels, scales):
    """Every stage; on the way, the last layers get weights that make their outputs spread."""
    rpn, heads, out = model.rpn, model.roi_heads, {"pixels": torch.from_numpy(pixels)}
    images, _ = model.transform([oracle.to_input(pixels)])
    sizes = images.image_sizes
    out["transform.size"] = torch.tensor(sizes[0], dtype=torch.int32)
    x, first = images.tensors, None
    for name, module in model.backbone.body.items():
        x = module(x)
        if name.startswith("layer"):
            out[f"c{int(name[-1]) + 1}"] = sample(channels_last(x))
        elif "layer1" not in model.backbone.body and name in model.backbone.body.return_layers:
            first = first or round(math.log2(images.tensors.shape[3] / x.shape[3]))
            out[f"c{first + int(model.backbone.body.return_layers[name])}"] = sample(channels_last(x))
    maps = model.backbone(images.tensors)
    features = list(maps.values())
    if len(features) > 1:
        first = round(math.log2(images.tensors.shape[3] / features[0].shape[3]))
        out |= {f"p{first + i}": sample(channels_last(x)) for i, x in enumerate(features)}
    for name, outputs in zip(("cls_logits", "bbox_pred"), rpn.head(features)):
        spread(model, f"rpn.head.{name}", torch.cat([x.flatten() for x in outputs]), scales)
    logits, deltas = rpn.head(features)
    counts = [x[0].numel() for x in logits]
    objectness, flat = concat_box_prediction_layers(logits, deltas)
    out["rpn.logits"], out["rpn.deltas"] = objectness.flatten(), sample(flat.flatten())
    anchors = rpn.anchor_generator(images, features)
    decoded = rpn.box_coder.decode(flat, anchors).view(1, -1, 4)
    proposals, scores = rpn.filter_proposals(decoded, objectness, sizes, counts)
    out["rpn.proposals"], out["rpn.scores"] = proposals[0], scores[0]
    pooled = heads.box_head(heads.box_roi_pool(maps, proposals, sizes))
    for name, outputs in zip(("cls_score", "bbox_pred"), heads.box_predictor(pooled)):
        spread(model, f"roi_heads.box_predictor.{name}", outputs, scales)
    out["box.logits"], box_deltas = heads.box_predictor(pooled)
    one = isinstance(heads.box_predictor, OneForAll)
    out["box.deltas"] = box_deltas[:, :4] if one else box_deltas
    boxes, scores, labels = heads.postprocess_detections(out["box.logits"], box_deltas, proposals, sizes)
    out["det.boxes"], out["det.scores"], out["det.labels"] = boxes[0], scores[0], labels[0].int()
    pooled = heads.mask_head(heads.mask_roi_pool(maps, boxes, sizes))
    spread(model, "roi_heads.mask_predictor.mask_fcn_logits", heads.mask_predictor(pooled), scales)
    probabilities = maskrcnn_inference(heads.mask_predictor(pooled), labels)[0]
    out["mask.probs"] = probabilities[:4, 0]
    whole = oracle.detections(model, pixels)
    assert torch.equal(whole["labels"].int(), out["det.labels"]) and torch.equal(whole["scores"], out["det.scores"])
    out["post.boxes"] = whole["boxes"]
    return out


def config(name, changes):
    """What ours reads, with what all have."""
    c4 = changes.get("neck") == "c4"
    box = {"detections_per_img": 20} | ({"roi_size": 14, "fc_layers": 0} if c4 else {})
    mask = {"layers": [], "output_size": 14} if c4 else {}
    return {
        **changes,
        **SMALL,
        "name": name,
        "num_classes": CLASSES,
        "rpn": {"pre_nms_top_n": 300, "post_nms_top_n": 100},
        "box": box | changes.get("box", {}),
        "mask": mask | changes.get("mask", {}),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(VARIANTS)}; all if none is given")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    box_ops.batched_nms = box_ops._batched_nms_vanilla
    pixels = generated.picture("bodies", 140, 170)
    for name in args.names or VARIANTS:
        changes = VARIANTS[name]
        model = build(changes)
        scales = {our_name(key): DAMPING for key in model.state_dict() if key.endswith("bn3.weight")} | GIVEN.get(name, {})
        generate(model, scales)
        tensors = {key: x.contiguous().clone() for key, x in stages(model, pixels, scales).items()}
        metadata = {
            "config": json.dumps(config(name, changes)),
            "seed": str(SEED),
            "scales": json.dumps(scales),
            "torchvision": torchvision.__version__,
        }
        path = args.out / f"body_{name}.safetensors"
        save_file(tensors, path, metadata)
        found = len(tensors["det.boxes"])
        print(f"{path.name}: {path.stat().st_size:,} bytes, {len(tensors['rpn.proposals'])} proposals, {found} detections", flush=True)


if __name__ == "__main__":
    main()
