"""torchvision's four ResNet-50-FPN detectors with weights that a formula makes.

    python generated.py --out DIR [--seed 2]

The published weights are 160 MB and more; these are none at all: every value follows from the tensor's name by the
integer hash of `src/weights/synth.rs`, bit for bit. A network of such weights would not behave like one that was
trained, so a small file per architecture, the calibration, adds what the formula cannot know:

* `running_mean` and `running_var` of every BatchNorm, measured on pictures that this script draws;
* `scales` in the metadata: powers of two, exact in any language, by which some weights are multiplied, so that boxes
  move by plausible amounts and scores spread.

A weight is `f32(formula) * f32(scale)`. The Faster R-CNN of an architecture has the same tensors as its Mask R-CNN,
less the mask head, and shares its calibration.
"""
import argparse
import json
import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
import torchvision
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

import oracle

CALIBRATIONS = {
    "maskrcnn_resnet50_fpn": "coco_v1_calibration",
    "fasterrcnn_resnet50_fpn": "coco_v1_calibration",
    "maskrcnn_resnet50_fpn_v2": "coco_v2_calibration",
    "fasterrcnn_resnet50_fpn_v2": "coco_v2_calibration",
}
# P4 and P5 louder than the rest, or nearly all of the best proposals would be P2's, which has the most. In v1, besides,
# one variance near 1e-6: an epsilon of 1e-5 where torchvision has 0 cannot go unseen.
GIVEN = {
    "coco_v1_calibration": {
        "backbone.fpn.layer_blocks.2.0.weight": 2.0,
        "backbone.fpn.layer_blocks.3.0.weight": 4.0,
        "backbone.body.layer2.1.conv2.weight": 2.0**-10,
    },
    "coco_v2_calibration": {
        "backbone.fpn.layer_blocks.2.1.weight": 2.0,
        "backbone.fpn.layer_blocks.3.1.weight": 2.0,
    },
}
# The last BatchNorm of every bottleneck, so that a block adds little to what passes by it: at 1, rounding errors grow
# from block to block, to 3e-5 of C5 instead of 3e-6, and turn decisions.
DAMPING = 0.25
# The standard deviations that outputs get by a power of two, so within a factor of sqrt(2).
SPREADS = {
    "rpn.head.cls_logits.weight": 0.25,
    "rpn.head.bbox_pred.weight": 0.3,
    "roi_heads.box_predictor.cls_score.weight": 2.0,
    "roi_heads.box_predictor.bbox_pred.weight": 1.5,
    "roi_heads.mask_predictor.mask_fcn_logits.weight": 2.0,
}
PICTURES = [(480, 640), (640, 480), (480, 720), (520, 520)]


def fnv1a(text):
    h = 0xCBF29CE484222325
    for byte in text.encode():
        h = (h ^ byte) * 0x100000001B3 % 2**64
    return h


def noise(start, count):
    """Values `start`, `start + 1` ... of splitmix64, as f64 in [-1, 1)."""
    z = np.uint64(start) + np.arange(count, dtype=np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(40)).astype(np.float64) / 2**23 - 1


def values(name, shape, seed):
    """A tensor by the formula in `src/weights/synth.rs`."""
    fan_in = shape[0] if "conv5_mask" in name else math.prod(shape[1:])
    match name.rsplit(".", 1)[1], len(shape):
        case "weight", axes if axes > 1:
            centre, spread = 0.0, math.sqrt(6 / fan_in)
        case "weight", _:
            centre, spread = 1.0, 0.1
        case "running_var", _:
            centre, spread = 1.0, 0.2
        case _:
            centre, spread = 0.0, 0.1
    data = centre + spread * noise(fnv1a(name) ^ seed, math.prod(shape))
    return torch.from_numpy(data.astype(np.float32).reshape(shape))


def generate(model, seed, scales):
    """Fills a model by the formula and the scales."""
    for name, tensor in model.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            tensor.copy_(values(name, tuple(tensor.shape), seed) * scales.get(name, 1.0))


def picture(name, height, width):
    """u8 [H, W, 3]: noise at all sizes, as in photographs, and flat shapes with edges before it."""
    draw = (noise(fnv1a(name), 1 << 18) + 1) / 2
    taken = 0

    def take(count):
        nonlocal taken
        taken += count
        return draw[taken - count : taken]

    image = torch.zeros(1, 3, height, width, dtype=torch.float64)
    for cells in (2, 4, 8, 16, 32, 64):
        grid = torch.from_numpy(take(3 * cells**2).reshape(1, 3, cells, cells) - 0.5)
        grid = 0.4 * grid + grid.mean(dim=1, keepdim=True)
        image += F.interpolate(grid, (height, width), mode="bilinear") * (1.6 / cells**0.5)
    image = image[0].permute(1, 2, 0).numpy() * 0.5 + 0.45
    y, x = np.mgrid[:height, :width]
    for _ in range(24):
        cy, cx, ry, rx, kind, *colour, opacity = take(9)
        side = min(height, width) * 0.3
        dy, dx = (y - cy * height) / (side * (ry**2 + 0.05)), (x - cx * width) / (side * (rx**2 + 0.05))
        inside = np.maximum(abs(dy), abs(dx)) < 1 if kind < 0.5 else dy**2 + dx**2 < 1
        image[inside] += (0.5 + 0.5 * opacity) * (np.array(colour) - image[inside])
    return (image.clip(0, 1) * 255).round().astype(np.uint8)


@torch.no_grad()
def measure(module, *inputs):
    """Runs a module so that the statistics of its BatchNorms become those of these inputs; returns what it gives."""
    norms = [m for m in module.modules() if isinstance(m, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    module(*inputs)
    module.eval()
    return module(*inputs)


@torch.no_grad()
def spread(model, name, outputs, scales):
    """Scales a weight so that its layer's `outputs` spread as `SPREADS` says."""
    scales[name] = 2.0 ** round(math.log2(SPREADS[name] / outputs.std().item()))
    model.get_parameter(name).mul_(scales[name])


@torch.no_grad()
def calibrate(name, seed):
    """(statistics, scales) of a Mask R-CNN, part by part, each on what the parts before it now give."""
    model = oracle.factory(name, {"transform.min_size": 480, "transform.max_size": 800})
    if name == "maskrcnn_resnet50_fpn":
        for norm in (m for m in model.modules() if isinstance(m, nn.BatchNorm2d)):
            norm.eps = 1e-12  # `oracle.published` has 0, which training refuses
    damped = {key: DAMPING for key in model.state_dict() if key.endswith("bn3.weight")}
    scales = damped | GIVEN[CALIBRATIONS[name]]
    generate(model, seed, scales)
    rpn, heads = model.rpn, model.roi_heads
    pixels = [oracle.to_input(picture(f"calibration {i}", *size)) for i, size in enumerate(PICTURES)]
    images, _ = model.transform(pixels)
    pyramid = measure(model.backbone, images.tensors)

    levels = rpn.head(list(pyramid.values()))
    for part, outputs in zip(("cls_logits", "bbox_pred"), levels):
        spread(model, f"rpn.head.{part}.weight", torch.cat([x.flatten() for x in outputs]), scales)
    proposals, _ = rpn(images, pyramid)

    features = measure(heads.box_head, heads.box_roi_pool(pyramid, proposals, images.image_sizes))
    for part, outputs in zip(("cls_score", "bbox_pred"), heads.box_predictor(features)):
        spread(model, f"roi_heads.box_predictor.{part}.weight", outputs, scales)
    logits, deltas = heads.box_predictor(features)
    boxes, _, _ = heads.postprocess_detections(logits, deltas, proposals, images.image_sizes)

    features = measure(heads.mask_head, heads.mask_roi_pool(pyramid, boxes, images.image_sizes))
    spread(model, "roi_heads.mask_predictor.mask_fcn_logits.weight", heads.mask_predictor(features), scales)
    statistics = {key: x for key, x in model.state_dict().items() if key.endswith(("running_mean", "running_var"))}
    return statistics, scales


def write_calibration(path, name, seed):
    statistics, scales = calibrate(name, seed)
    metadata = {"model": name, "seed": str(seed), "scales": json.dumps(scales), "torchvision": torchvision.__version__}
    save_file(statistics, path, metadata)
    print(f"{path.name}: {path.stat().st_size:,} bytes, {len(statistics)} tensors, {metadata}")


def state(name, calibrations):
    """(state dict, seed) of a model with the calibration in a folder."""
    path = calibrations / f"{CALIBRATIONS[name]}.safetensors"
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
        statistics = {key: file.get_tensor(key) for key in file.keys()}
    seed = int(metadata["seed"])
    model = oracle.factory(name)
    generate(model, seed, json.loads(metadata["scales"]))
    tensors = model.state_dict()
    tensors |= {key: x for key, x in statistics.items() if key in tensors}
    if not name.endswith("_v2"):
        tensors = {key: x for key, x in tensors.items() if not key.endswith("num_batches_tracked")}
    return tensors, seed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the two calibrations go")
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    args.out.mkdir(parents=True, exist_ok=True)
    for name in ("maskrcnn_resnet50_fpn", "maskrcnn_resnet50_fpn_v2"):
        write_calibration(args.out / f"{CALIBRATIONS[name]}.safetensors", name, args.seed)


if __name__ == "__main__":
    main()
