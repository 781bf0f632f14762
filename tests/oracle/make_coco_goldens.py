"""Writes the goldens of torchvision's four ResNet-50-FPN detectors with generated weights (`generated.py`).

    python make_coco_goldens.py --calibrations ../golden [--small-out ../golden] [--out DIR PHOTO.jpg ...]

`--small-out` gets `coco_v1_small`, `coco_v2_small` (Mask R-CNN, nearly every stage) and `coco_v1_box_small`,
`coco_v2_box_small` (Faster R-CNN, sampled), of drawn pictures. `--out` gets `<model>__<photo>`, every stage that
feeds another at the real size, and `<model>.pth`, the weights as torchvision's users have them: too large to commit.
The last image of those is the first photo cut to a short side of 578, which torchvision resizes to 799 and not to 800.
"""
import argparse
import json
import time
from pathlib import Path

import torch
import torchvision
from safetensors.torch import save_file

import doubts
import generated
import oracle
from make_goldens import full, pack_masks

SMALL = {
    "transform.min_size": 96,
    "transform.max_size": 160,
    "rpn.pre_nms_top_n": 300,
    "rpn.post_nms_top_n": 200,
    "box.detections_per_img": 40,
}
# Scaled to 96 x 114, padded at the right, and to 115 x 96, padded below. Of several sizes and seeds these are ones
# that leave nothing uncertain (`doubts.py`).
SMALL_SIZES = {"v1": (130, 155), "v2": (150, 125)}
# The first RoIs only, as in make_goldens.py.
SMALL_ROIS = {"box.features": 8, "box.conv": 8, "box.fc6": 16, "box.fc7": 16, "mask.features": 2, "mask.conv": 2, "mask.deconv": 1}
NOT_SMALL = ("c2", "c3", "c4", "mask.logits", "post.scores", "post.labels")
NOT_FULL = ("c2", "c3", "c4", "c5", "mask.logits")
FAMILIES = {
    "v1": ("maskrcnn_resnet50_fpn", "fasterrcnn_resnet50_fpn"),
    "v2": ("maskrcnn_resnet50_fpn_v2", "fasterrcnn_resnet50_fpn_v2"),
}


def nested(overrides):
    """Dotted settings as the sections of a configuration."""
    sections = {}
    for dotted, value in overrides.items():
        section, key = dotted.split(".")
        sections.setdefault(section, {})[key] = value
    return sections


def box_small(stages):
    """What `full` of make_goldens.py keeps, and the detections whole."""
    return full(stages) | {name: x for name, x in stages.items() if name.startswith("det.")}


def mask_small(stages):
    return {name: x[: SMALL_ROIS.get(name, len(x))] for name, x in stages.items() if name not in NOT_SMALL}


def all_that_feeds(stages):
    return {name: x for name, x in stages.items() if name not in NOT_FULL}


def run(model, pixels):
    """(stages, what is uncertain in them), having said how long it took."""
    start = time.perf_counter()
    with doubts.recorded() as calls:
        stages = oracle.stages(model, pixels)
    print(f"{(time.perf_counter() - start) / 2:.1f} s a pass; {doubts.describe(stages, calls, model)}", flush=True)
    return stages


def write(path, tensors, metadata):
    tensors = {key: x.contiguous().clone() for key, x in tensors.items()}
    if "post.soft_masks" in tensors:
        tensors["post.masks"] = pack_masks(tensors.pop("post.soft_masks"), 0.5)
    save_file(tensors, path, {"name": path.stem, "torchvision": torchvision.__version__} | metadata)
    print(f"{path.name}: {path.stat().st_size:,} bytes, {len(tensors)} tensors, {len(tensors['post.boxes'])} detections")


def describe(name, seed, overrides):
    """The metadata that say which network a golden is of."""
    calibration = generated.CALIBRATIONS[name]
    return {"model": name, "seed": str(seed), "calibration": calibration, "overrides": json.dumps(nested(overrides))}


def small_goldens(calibrations, out):
    for family, models in FAMILIES.items():
        pixels = generated.picture(f"small {family}", *SMALL_SIZES[family])
        for name, kind, kept in zip(models, ("small", "box_small"), (mask_small, box_small)):
            tensors, seed = generated.state(name, calibrations)
            stages = run(oracle.published(name, tensors, SMALL), pixels)
            write(out / f"coco_{family}_{kind}.safetensors", kept(stages), describe(name, seed, SMALL))


def full_goldens(calibrations, out, photos):
    images = {path.stem: oracle.read_pixels(path) for path in photos}
    first = photos[0].stem
    images[f"{first}_578"] = images[first][:578, :800]
    for name in (name for models in FAMILIES.values() for name in models):
        tensors, seed = generated.state(name, calibrations)
        model = oracle.published(name, tensors)
        # COCO_V1 is a file of the old kind, the others are zips.
        torch.save(model.state_dict(), out / f"{name}.pth", _use_new_zipfile_serialization=name.endswith("_v2"))
        for stem, pixels in images.items():
            write(out / f"{name}__{stem}.safetensors", all_that_feeds(run(model, pixels)), describe(name, seed, {}))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", nargs="*", type=Path, metavar="PHOTO.jpg", help="for --out; the first at least 800 x 578")
    parser.add_argument("--calibrations", type=Path, required=True, metavar="DIR")
    parser.add_argument("--small-out", type=Path, metavar="DIR")
    parser.add_argument("--out", type=Path, metavar="DIR")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    if bool(args.out) != bool(args.photos):
        parser.error("--out and photos belong together")
    torch.set_num_threads(args.threads)
    for directory in filter(None, (args.small_out, args.out)):
        directory.mkdir(parents=True, exist_ok=True)
    if args.small_out:
        small_goldens(args.calibrations, args.small_out)
    if args.out:
        full_goldens(args.calibrations, args.out, args.photos)


if __name__ == "__main__":
    main()
