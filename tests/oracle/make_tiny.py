"""Writes checkpoints of a very small Mask R-CNN, as torch.save writes them, for the tests of the program.

    python make_tiny.py --out tests/fixtures

The values follow from the tensors' names (`generated.py`), so that the tests can make the same network without a file:
`tiny_zip.pth` has torchvision's present names in the training script's wrapper, `tiny_legacy.pth` the older names in
the older container, and `tiny_lightning.ckpt` is as PyTorch Lightning writes it: the network as a field of a field, a
loss and a metric beside it, and hyperparameters that are no tensors.
"""
import argparse
import datetime
import re
from collections import OrderedDict
from pathlib import Path, PosixPath

import numpy as np
import torch

import generated

SEED, WIDTH, FPN, CLASSES, HIDDEN = 3, 4, 4, 3, 8


def shapes():
    """Name and shape of every tensor: ResNet of one basic block a stage, FPN, two classes and background."""
    def layer(stem, *shape):
        return {f"{stem}.weight": shape, f"{stem}.bias": shape[:1]}

    def conv_bn(conv, bn, *shape):
        vectors = ("weight", "bias", "running_mean", "running_var")
        return {f"{conv}.weight": shape} | {f"{bn}.{part}": shape[:1] for part in vectors}

    body = "backbone.body"
    out = conv_bn(f"{body}.conv1", f"{body}.bn1", WIDTH, 3, 7, 7)
    previous = WIDTH
    for stage in range(4):
        width, block = WIDTH << stage, f"{body}.layer{stage + 1}.0"
        out |= conv_bn(f"{block}.conv1", f"{block}.bn1", width, previous, 3, 3)
        out |= conv_bn(f"{block}.conv2", f"{block}.bn2", width, width, 3, 3)
        if stage > 0:
            out |= conv_bn(f"{block}.downsample.0", f"{block}.downsample.1", width, previous, 1, 1)
        previous = width
    for level in range(4):
        out |= layer(f"backbone.fpn.inner_blocks.{level}.0", FPN, WIDTH << level, 1, 1)
        out |= layer(f"backbone.fpn.layer_blocks.{level}.0", FPN, FPN, 3, 3)
    out |= layer("rpn.head.conv.0.0", FPN, FPN, 3, 3)
    out |= layer("rpn.head.cls_logits", 3, FPN, 1, 1) | layer("rpn.head.bbox_pred", 12, FPN, 1, 1)
    out |= layer("roi_heads.box_head.fc6", HIDDEN, FPN * 49) | layer("roi_heads.box_head.fc7", HIDDEN, HIDDEN)
    out |= layer("roi_heads.box_predictor.cls_score", CLASSES, HIDDEN)
    out |= layer("roi_heads.box_predictor.bbox_pred", 4 * CLASSES, HIDDEN)
    out |= layer("roi_heads.mask_head.0.0", HIDDEN, FPN, 3, 3)
    out |= {"roi_heads.mask_predictor.conv5_mask.weight": (HIDDEN, HIDDEN, 2, 2)}
    out |= {"roi_heads.mask_predictor.conv5_mask.bias": (HIDDEN,)}
    return out | layer("roi_heads.mask_predictor.mask_fcn_logits", CLASSES, HIDDEN, 1, 1)


def older(name):
    name = name.replace("rpn.head.conv.0.0.", "rpn.head.conv.").replace("mask_head.0.0.", "mask_head.mask_fcn1.")
    return re.sub(r"(_blocks\.\d)\.0\.", r"\1.", name)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    out = parser.parse_args().out
    state = OrderedDict((name, generated.values(name, shape, SEED)) for name, shape in shapes().items())
    torch.save({"model": state, "epoch": 3}, out / "tiny_zip.pth")
    fields = OrderedDict((f"model.detector.{name}", tensor) for name, tensor in state.items())
    fields |= {"loss.weight": torch.ones(3), "val_map.scores": torch.zeros(2, 5)}
    settings = {
        "root": PosixPath("cells"),
        "lr": np.float64(0.02),
        "begin": datetime.datetime(2026, 1, 2),
        "args": argparse.Namespace(epochs=3),
    }
    torch.save({"epoch": 3, "state_dict": fields, "hyper_parameters": settings}, out / "tiny_lightning.ckpt")
    renamed = OrderedDict((older(name), tensor) for name, tensor in state.items())
    torch.save(renamed, out / "tiny_legacy.pth", _use_new_zipfile_serialization=False)


if __name__ == "__main__":
    main()
