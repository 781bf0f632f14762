"""torchvision's MaskRCNN, built from a weights file, with every stage laid open.

This is what the shaders are checked against. The network runs part by part, in the order of the paper, so that
each intermediate tensor has a name; the last step asserts that the parts give exactly what the whole model gives.
"""
import json

import numpy as np
import torch
import torch.nn.functional as F
import torchvision.ops.boxes as box_ops
from PIL import Image, ImageOps
from safetensors import safe_open
from torch import nn
from torchvision.models import detection
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection._utils import overwrite_eps
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.roi_heads import maskrcnn_inference
from torchvision.models.detection.rpn import RPNHead, concat_box_prediction_layers
from torchvision.models.resnet import BasicBlock
from torchvision.ops import FrozenBatchNorm2d, MultiScaleRoIAlign, roi_pool
from torchvision.ops._utils import convert_boxes_to_roi_format

LEVELS = ("p2", "p3", "p4", "p5", "p6")


class SampleMax(MultiScaleRoIAlign):
    """RoIAlign by the maximum of a bin's samples: RoIAlign of a sample a bin, and then the maximum of those of a bin."""

    def __init__(self, names, size, sampling):
        super().__init__(names, size * sampling, 1)
        self.sampling = sampling

    def forward(self, *args):
        return F.max_pool2d(super().forward(*args), self.sampling)


class RoIPools(MultiScaleRoIAlign):
    """torchvision's `roi_pool` from the level that its mapper gives a RoI."""

    def forward(self, features, boxes, image_shapes):
        maps = [features[name] for name in self.featmap_names]
        super().forward(features, boxes, image_shapes)  # finds the scales and the mapper
        rois = convert_boxes_to_roi_format(boxes)
        pooled = torch.zeros(len(rois), maps[0].shape[1], *self.output_size)
        for level, (x, scale) in enumerate(zip(maps, self.scales)):
            on = torch.where(self.map_levels(boxes) == level)[0]
            pooled[on] = roi_pool(x, rois[on], self.output_size, scale)
        return pooled


def roi_pooling(part):
    """What a head's `pooling` stands for."""
    kind = {"align": MultiScaleRoIAlign, "align-max": SampleMax, "pool": RoIPools}[part.get("pooling", "align")]
    return kind(["0", "1", "2", "3"], part["roi_size"], part["sampling_ratio"])


class BasicResNet(nn.Module):
    """A ResNet of basic blocks under torchvision's key names, at widths torchvision's own ResNet class refuses."""

    def __init__(self, blocks_per_stage, width):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        previous = width
        for stage, blocks in enumerate(blocks_per_stage):
            channels = width << stage
            layer = nn.Sequential()
            for block in range(blocks):
                stride = 2 if stage > 0 and block == 0 else 1
                shortcut = None
                if stride != 1 or previous != channels:
                    shortcut = nn.Sequential(nn.Conv2d(previous, channels, 1, stride, bias=False), nn.BatchNorm2d(channels))
                layer.append(BasicBlock(previous, channels, stride, shortcut))
                previous = channels
            self.add_module(f"layer{stage + 1}", layer)


def build(cfg):
    """The untrained model that a configuration describes, in inference mode."""
    backbone, rpn, box, mask, transform = (cfg[k] for k in ("backbone", "rpn", "box", "mask", "transform"))
    if (backbone["type"], backbone["block"]) != ("resnet", "basic"):
        raise ValueError(f"only ResNets of basic blocks are built here, not {backbone['type']} of {backbone['block']}")
    fpn, classes, ratios = cfg["fpn_channels"], cfg["num_classes"], tuple(cfg["anchor_ratios"])
    sizes = tuple(tuple(level) for level in cfg["anchor_sizes"])

    body = BasicResNet(backbone["layers"], backbone["base_width"])
    model = MaskRCNN(
        BackboneWithFPN(body, {f"layer{i + 1}": str(i) for i in range(4)}, backbone["channels"], fpn),
        min_size=transform["min_size"],
        max_size=transform["max_size"],
        image_mean=[mean / transform.get("image_range", 1) for mean in transform["image_mean"]],
        image_std=[std / transform.get("image_range", 1) for std in transform["image_std"]],
        size_divisible=transform["size_divisible"],
        rpn_anchor_generator=AnchorGenerator(sizes, (ratios,) * len(sizes)),
        rpn_head=RPNHead(fpn, len(ratios), conv_depth=rpn["conv_depth"]),
        rpn_pre_nms_top_n_test=rpn["pre_nms_top_n"],
        rpn_post_nms_top_n_test=rpn["post_nms_top_n"],
        rpn_nms_thresh=rpn["nms_thresh"],
        rpn_score_thresh=rpn["score_thresh"],
        box_roi_pool=roi_pooling(box),
        box_head=TwoMLPHead(fpn * box["roi_size"] ** 2, box["representation"]),
        box_predictor=FastRCNNPredictor(box["representation"], classes),
        box_score_thresh=box["score_thresh"],
        box_nms_thresh=box["nms_thresh"],
        box_detections_per_img=box["detections_per_img"],
        bbox_reg_weights=box["reg_weights"],
        mask_roi_pool=roi_pooling(mask),
        mask_head=MaskRCNNHeads(fpn, mask["layers"], 1),
        mask_predictor=MaskRCNNPredictor(mask["layers"][-1], mask["dim_reduced"], classes),
    )
    return model.eval()


def override(cfg, overrides):
    """Sets dotted keys (`transform.min_size`) in place; an unknown key is an error, not a silent no-op."""
    for dotted, value in overrides.items():
        *parents, last = dotted.split(".")
        node = cfg
        for key in parents:
            node = node[key]
        if last not in node:
            raise KeyError(dotted)
        node[last] = value


def load(path, overrides={}):
    """(model, configuration) of a weights file, with NMS done per group.

    torchvision otherwise separates groups by offsetting coordinates when there are few boxes, which rounds them by
    up to 5e-4 px and makes its CPU and GPU results differ.
    """
    box_ops.batched_nms = box_ops._batched_nms_vanilla
    with safe_open(path, "pt") as file:
        cfg = json.loads(file.metadata()["config"])
        state = {key: file.get_tensor(key).float() for key in file.keys()}
    override(cfg, overrides)
    model = build(cfg)
    missing, unexpected = model.load_state_dict(state, strict=False)
    missing = [key for key in missing if not key.endswith("num_batches_tracked")]
    if missing or unexpected:
        raise ValueError(f"{path}: missing {missing}, unexpected {unexpected}")
    return model, cfg


# Settings of ours that the factories take, by their names there.
ARGUMENTS = {
    "transform.min_size": "min_size",
    "transform.max_size": "max_size",
    "rpn.pre_nms_top_n": "rpn_pre_nms_top_n_test",
    "rpn.post_nms_top_n": "rpn_post_nms_top_n_test",
    "box.score_thresh": "box_score_thresh",
    "box.detections_per_img": "box_detections_per_img",
}


def factory(name, overrides={}):
    """torchvision's own model of that name for the 91 COCO ids, untrained, with NMS done per group (see `load`)."""
    box_ops.batched_nms = box_ops._batched_nms_vanilla
    arguments = {ARGUMENTS[dotted]: value for dotted, value in overrides.items()}
    return getattr(detection, name)(weights=None, weights_backbone=None, num_classes=91, **arguments).eval()


def freeze(module):
    """Replaces every BatchNorm by the FrozenBatchNorm2d that the factories take for published weights."""
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(module, name, FrozenBatchNorm2d(child.num_features))
        else:
            freeze(child)


def published(name, state, overrides={}):
    """torchvision's model of that name with a state dict, as its factory would load a published one.

    The files of the first version (`COCO_V1`) have no `num_batches_tracked`: they belong to frozen BatchNorms, for
    which the factory then sets an epsilon of 0.
    """
    model = factory(name, overrides)
    if not any(key.endswith("num_batches_tracked") for key in state):
        freeze(model)
        overwrite_eps(model, 0.0)
    model.load_state_dict(state)
    return model


def read_pixels(path):
    """u8 [H, W, 3], turned upright as the camera meant it, alpha dropped."""
    return np.array(ImageOps.exif_transpose(Image.open(path)).convert("RGB"))


def to_input(pixels):
    """u8 [H, W, 3] to the f32 [3, H, W] in 0..1 that torchvision takes."""
    return torch.from_numpy(pixels).permute(2, 0, 1).float() / 255


def forget_scales(model):
    """torchvision infers the RoI scales from the first image and keeps them; make every image the first."""
    for pool in (model.roi_heads.box_roi_pool, model.roi_heads.mask_roi_pool):
        if pool is not None:  # a Faster R-CNN has no masks
            pool.scales = pool.map_levels = None


@torch.no_grad()
def detections(model, pixels):
    """torchvision's own answer in original pixels: boxes [m, 4], scores [m], labels [m], soft masks [m, 1, H, W].

    A Faster R-CNN gives no masks.
    """
    forget_scales(model)
    return model([to_input(pixels)])[0]


def box_head(head, features):
    """The stages of a box head by name; the last one is what the predictor takes."""
    if isinstance(head, TwoMLPHead):
        fc6 = F.relu(head.fc6(features.flatten(1)))
        return {"box.fc6": fc6, "box.fc7": F.relu(head.fc7(fc6))}
    *convolutions, flatten, fc6, relu = head
    conv = features
    for layer in convolutions:
        conv = layer(conv)
    return {"box.conv": conv, "box.fc6": relu(fc6(flatten(conv)))}


@torch.no_grad()
def stages(model, pixels):
    """Every stage of one image by name, batch axis dropped. Asserts that the last ones equal `detections`."""
    forget_scales(model)
    rpn, heads, size = model.rpn, model.roi_heads, pixels.shape[:2]
    out = {"pixels": torch.from_numpy(pixels)}

    images, _ = model.transform([to_input(pixels)])
    out["transform"] = images.tensors[0]
    out["transform.size"] = torch.tensor(images.image_sizes[0], dtype=torch.int32)

    body = model.backbone.body(images.tensors)
    pyramid = model.backbone.fpn(body)
    out |= {f"c{i + 2}": x[0] for i, x in enumerate(body.values())}
    out |= dict(zip(LEVELS, (x[0] for x in pyramid.values())))

    features = list(pyramid.values())
    logits, deltas = rpn.head(features)
    counts = [x[0].numel() for x in logits]
    for i in range(len(logits)):
        out[f"rpn.logits.{i}"], out[f"rpn.deltas.{i}"] = logits[i][0], deltas[i][0]
    objectness, flat_deltas = concat_box_prediction_layers(logits, deltas)
    for i, level in enumerate(objectness.flatten().split(counts)):
        best = rpn._get_top_n_idx(level[None], [len(level)])[0]
        out[f"rpn.topk.indices.{i}"] = best.int()
    anchors = rpn.anchor_generator(images, features)
    decoded = rpn.box_coder.decode(flat_deltas, anchors).view(1, -1, 4)
    proposals, scores = rpn.filter_proposals(decoded, objectness, images.image_sizes, counts)
    out["rpn.proposals"], out["rpn.scores"] = proposals[0], scores[0]

    out["box.features"] = heads.box_roi_pool(pyramid, proposals, images.image_sizes)
    head = box_head(heads.box_head, out["box.features"])
    out |= head
    out["box.logits"], out["box.deltas"] = heads.box_predictor(list(head.values())[-1])
    boxes, scores, labels = heads.postprocess_detections(out["box.logits"], out["box.deltas"], proposals, images.image_sizes)
    out["det.boxes"], out["det.scores"], out["det.labels"] = boxes[0], scores[0], labels[0].int()

    found = {"boxes": boxes[0]}
    if heads.has_mask():
        out["mask.features"] = heads.mask_roi_pool(pyramid, boxes, images.image_sizes)
        out["mask.conv"] = heads.mask_head(out["mask.features"])
        out["mask.deconv"] = F.relu(heads.mask_predictor.conv5_mask(out["mask.conv"]))
        out["mask.logits"] = heads.mask_predictor.mask_fcn_logits(out["mask.deconv"])
        found["masks"] = maskrcnn_inference(out["mask.logits"], labels)[0]
        out["mask.probs"] = found["masks"][:, 0]

    found = model.transform.postprocess([found], images.image_sizes, [size])[0]
    out["post.boxes"], out["post.scores"], out["post.labels"] = found["boxes"], out["det.scores"], out["det.labels"]
    if heads.has_mask():
        out["post.soft_masks"] = found["masks"][:, 0]

    whole = detections(model, pixels)
    if heads.has_mask():
        whole["soft_masks"] = whole.pop("masks")[:, 0]
    for name, expected in whole.items():
        assert torch.equal(out[f"post.{name}"].to(expected.dtype), expected), f"the parts disagree with the model on {name}"
    return out
