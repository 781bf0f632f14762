"""Writes the golden tensors that the model tests compare with.

    python make_goldens.py --weights WEIGHTS.safetensors --out DIR [IMAGE.png ...]

For every image: `<stem>_small.safetensors`, each stage of a network shrunk until the file can be committed, and
`<stem>_full.safetensors`, the real configuration as detections plus a strided sample and the norm of each stage.
Besides, without an image file: `blank_small` (all zero, no detections) and `flat_small` (one colour, padded).
"""
import argparse
import hashlib
import json
from pathlib import Path

import numpy as np
import torch
import torchvision
from safetensors.torch import save_file

import oracle

SMALL = {
    "transform.min_size": 128,
    "rpn.pre_nms_top_n": 300,
    "rpn.post_nms_top_n": 100,
    "box.detections_per_img": 20,
}
# Per-RoI feature maps are by far the largest stages: keep the first few RoIs of each.
SMALL_ROIS = {"box.features": 16, "mask.features": 3, "mask.conv": 3, "mask.deconv": 1}
SAMPLES = 2048
# 112 x 140 scales to 128 x 160: no padding. 100 x 117 scales to 128 x 149, padded to 160.
BLANKS = {"blank": ((112, 140), (0, 0, 0)), "flat": ((100, 117), (190, 140, 200))}


def pack_masks(soft, threshold):
    """Soft [m, H, W] to bits u8 [m, H, ceil(W / 8)], the leftmost pixel in the lowest bit."""
    return torch.from_numpy(np.packbits((soft > threshold).numpy(), axis=-1, bitorder="little"))


def sample(tensor):
    """Every stride-th value: odd, so that it walks through all columns of the power-of-two shapes."""
    stride = -(-tensor.numel() // SAMPLES) | 1
    return tensor.flatten()[::stride]


def small(stages):
    """All stages, RoI feature maps cut short; scores and labels only once, as `det.*`."""
    kept = {name: x[: SMALL_ROIS.get(name, len(x))] for name, x in stages.items()}
    del kept["post.scores"], kept["post.labels"]
    return kept


def full(stages):
    """What goes in and what comes out whole, the rest sampled. Proposals are whole too: their order may differ."""
    whole = ("pixels", "transform.size", "rpn.proposals", "rpn.scores")
    kept = {name: x for name, x in stages.items() if name in whole or name.startswith("post.")}
    for name, x in stages.items():
        if x.dtype == torch.float32 and not name.startswith("post."):
            kept[f"sample.{name}"] = sample(x)
            kept[f"norm.{name}"] = torch.linalg.vector_norm(x.double()).float().reshape(1)
    return kept


def write(directory, name, tensors, cfg, weights_hash):
    tensors = {key: x.contiguous().clone() for key, x in tensors.items()}
    tensors["post.masks"] = pack_masks(tensors.pop("post.soft_masks"), cfg["mask"]["threshold"])
    path = directory / f"{name}.safetensors"
    metadata = {
        "name": name,
        "config": json.dumps(cfg),
        "torchvision": torchvision.__version__,
        "weights_sha256": weights_hash,
    }
    save_file(tensors, path, metadata)
    scores = tensors["rpn.scores"]
    ties = int((scores.diff() > -1e-6).sum())
    print(f"{path.name}: {path.stat().st_size:,} bytes, {len(tensors)} tensors, {len(tensors['post.boxes'])} detections, ", end="")
    print(f"{ties} of {len(scores)} proposals within 1e-6 of the score before, so in no certain order")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", nargs="*", type=Path, metavar="IMAGE.png")
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    args.out.mkdir(parents=True, exist_ok=True)
    weights_hash = hashlib.sha256(args.weights.read_bytes()).hexdigest()

    scenes = {path.stem: oracle.read_pixels(path) for path in args.images}
    blanks = {name: np.full((*size, 3), colour, np.uint8) for name, (size, colour) in BLANKS.items()}
    model, cfg = oracle.load(args.weights, SMALL)
    for name, pixels in (scenes | blanks).items():
        write(args.out, f"{name}_small", small(oracle.stages(model, pixels)), cfg, weights_hash)
    model, cfg = oracle.load(args.weights)
    for name, pixels in scenes.items():
        write(args.out, f"{name}_full", full(oracle.stages(model, pixels)), cfg, weights_hash)


if __name__ == "__main__":
    main()
