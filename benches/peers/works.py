"""What is computed: weights, pictures, and torchvision's answers that every peer's are held against.

    python works.py DATA [--ours maskrcnn]

writes all of it to the folder DATA. A file that is there is kept.
"""
import argparse
import subprocess
import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
OURS = ROOT / "target" / "release" / "maskrcnn"
COCO = "maskrcnn_resnet50_fpn"
SIZE = (800, 1216)
LEVELS = 5
# Of the maps, only these are read back in a timed run: each of them needs the FPN map of its level.
RPN = [f"{kind}{i}" for kind in ("logits", "deltas") for i in range(LEVELS)]
MAPS = [f"p{i + 2}" for i in range(LEVELS)] + RPN
# The stages of `maskrcnn profile` that give them.
STAGES = ("C1", "C2", "C3", "C4", "C5", "FPN", "RPN")
# Detections are the same where label, corners (pixels) and score agree to these.
MAX_CORNER, MAX_SCORE = 0.5, 0.005
# Both networks keep detections from here on.
SCORE = 0.05

sys.path.insert(0, str(ROOT / "tests" / "oracle"))


@dataclass(frozen=True)
class Work:
    """One thing to compute. `images` are file names in DATA."""

    name: str
    title: str
    images: tuple[str, ...]
    maps: bool
    embedded: bool

    def flags(self, data):
        """How our program is told which network this is."""
        return [] if self.embedded else ["--weights", str(data / f"{COCO}.pth"), "--bn-eps", "0"]

    def reference(self, data):
        return data / f"{self.name}.npz"


SCENES = {f"scene{count}.png": count for count in (20, 40, 60)}
WORKS = {
    work.name: work
    for work in (
        Work("maps", f"backbone + FPN + RPN head of {COCO} at 800x1216", ("picture.png",), True, False),
        Work("whole", f"{COCO} at 800x1216, pixels to pasted masks", ("picture.png",), False, False),
        Work("default", "the default model on 256x256 (network input 640x640), pixels to pasted masks", tuple(SCENES), False, True),
    )
}


def load(work, data):
    """torchvision's model with the work's weights, its NMS as torchvision has it."""
    import torch
    import torchvision.ops.boxes as box_ops

    import oracle

    batched_nms = box_ops.batched_nms
    if work.embedded:
        model, _ = oracle.load(ROOT / "assets" / "nuclei.safetensors")
    else:
        model = oracle.published(COCO, torch.load(data / f"{COCO}.pth", "cpu", weights_only=True))
    box_ops.batched_nms = batched_nms  # the oracle replaces it by a slower one that rounds less
    return model


def pixels(work, data):
    """The images as f32 [3, H, W] in 0..1."""
    import oracle

    return [oracle.to_input(oracle.read_pixels(data / name)) for name in work.images]


def network_input(model, images):
    """The first image resized, normalised and padded: f32 [1, 3, H, W]."""
    return model.transform(images[:1])[0].tensors


def maps_module(model):
    """From the network's input to `MAPS`."""
    import torch

    class Maps(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.backbone, self.head = model.backbone, model.rpn.head

        def forward(self, x):
            pyramid = list(self.backbone(x).values())
            logits, deltas = self.head(pyramid)
            return (*pyramid, *logits, *deltas)

    return Maps().eval()


def fold(module):
    """BatchNorms folded into the convolutions before them, as a converter for inference would."""
    import torch

    for child in module.children():
        fold(child)
    names = list(module._modules)
    for conv_name, norm_name in pairwise(names):
        conv, norm = module._modules[conv_name], module._modules[norm_name]
        if isinstance(conv, torch.nn.Conv2d) and hasattr(norm, "running_var"):
            scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
            shift = norm.bias - norm.running_mean * scale
            if conv.bias is not None:
                shift = shift + conv.bias * scale
            conv.weight = torch.nn.Parameter(conv.weight * scale[:, None, None, None])
            conv.bias = torch.nn.Parameter(shift)
            module._modules[norm_name] = torch.nn.Identity()
    return module


def worst(reference, maps):
    """Largest relative error, in L2, of the FPN maps and of the RPN's outputs."""

    def error(name):
        a, b = maps[name].astype(np.float64), reference[name].astype(np.float64)
        if a.shape != b.shape:
            raise ValueError(f"{name} is {a.shape} and not {b.shape}")
        return np.linalg.norm(a - b) / np.linalg.norm(b)

    return f"FPN {max(map(error, MAPS[:LEVELS])):.0e}, RPN {max(map(error, RPN)):.0e}"


def matched(reference, found):
    """How many of torchvision's detections have a partner, one to one, in lists of (boxes, scores, labels)."""
    hits = total = others = 0
    for i, (boxes, scores, labels) in enumerate(found):
        free = np.ones(len(scores), bool)
        for box, score, label in zip(*(reference[f"{kind}{i}"] for kind in ("boxes", "scores", "labels"))):
            total += 1
            if len(scores) == 0:
                continue
            near = free & (labels == label) & (abs(scores - score) <= MAX_SCORE)
            near &= (abs(boxes - box) <= MAX_CORNER).all(axis=1)
            if near.any():
                free[np.flatnonzero(near)[np.argmin(abs(boxes[near] - box).max(axis=1))]] = False
                hits += 1
        others += free.sum()
    return f"{hits} of {total} detections" + (f", {others} more" if others else "")


def numpy_detections(found):
    """torchvision's answer of one image as (boxes, scores, labels)."""
    return tuple(found[key].float().cpu().numpy() for key in ("boxes", "scores", "labels"))


def prepare(data, ours):
    import torch
    from PIL import Image

    import generated
    import oracle

    data.mkdir(parents=True, exist_ok=True)
    if not (data / f"{COCO}.pth").exists():
        tensors, _ = generated.state(COCO, ROOT / "tests" / "golden")
        torch.save(oracle.published(COCO, tensors).state_dict(), data / f"{COCO}.pth")
    if not (data / "picture.png").exists():
        Image.fromarray(generated.picture("peers", *SIZE)).save(data / "picture.png")
    for name, count in SCENES.items():
        if not (data / name).exists():
            subprocess.run([ours, "scene", data / name, "--width", "256", "--height", "256", "--count", str(count)], check=True)
    for work in WORKS.values():
        if not work.reference(data).exists():
            write_reference(work, data)


def write_reference(work, data):
    import torch

    model, images = load(work, data), pixels(work, data)
    with torch.inference_mode():
        if work.maps:
            x = network_input(model, images)
            assert x.shape[2:] == SIZE, x.shape
            tensors = {"input": x} | dict(zip(MAPS, maps_module(model)(x)))
            arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
        else:
            found = [numpy_detections(model([image])[0]) for image in images]
            arrays = {f"{kind}{i}": x for i, one in enumerate(found) for kind, x in zip(("boxes", "scores", "labels"), one)}
    np.savez(work.reference(data), **arrays)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--ours", type=Path, default=OURS)
    args = parser.parse_args()
    prepare(args.data, args.ours)


if __name__ == "__main__":
    main()
