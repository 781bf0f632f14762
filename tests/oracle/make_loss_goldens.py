"""Writes the goldens of the loss: torchvision's terms in training for small pictures, and what they are of.

    python make_loss_goldens.py --weights WEIGHTS.safetensors --out ../golden

`loss_scene` is of the default model and of `scene_small`'s picture, with what torchvision finds there, moved a little, as
truths; `loss_none` of a part of it without truths; `loss_classes` of seven classes and of weights by formula (`make_body_goldens.py`),
with drawn truths of every size.
"""
import argparse
import json
from pathlib import Path

import numpy as np
import torch
import torchvision
from safetensors import safe_open
from safetensors.torch import save_file

import generated
import loss
import make_body_goldens as bodies
import oracle
from make_goldens import SMALL

TERMS = ("loss_objectness", "loss_rpn_box_reg", "loss_classifier", "loss_box_reg", "loss_mask")
# Mask targets of the first RoIs on truths.
TARGETS = 6
# Objects of the scene that are truths; the others are background.
TRUTHS = 8


def record(model, pixels, truths, seed):
    """The terms, and what they are of."""
    torch.manual_seed(seed)
    samples = loss.Samples(loss.train(model))
    matches, matcher = [], model.rpn.proposal_matcher
    model.rpn.proposal_matcher = Recorder(matcher, matches)
    targets, project = [], torchvision.models.detection.roi_heads.project_masks_on_boxes
    torchvision.models.detection.roi_heads.project_masks_on_boxes = lambda *args: keep(targets, project(*args))
    terms, taken = loss.losses(model, samples, pixels, truths)
    torchvision.models.detection.roi_heads.project_masks_on_boxes = project
    model.rpn.proposal_matcher = matcher
    count = len(taken["labels"])
    # Ours: 0 ignored, 1 background, 2 and more the truths.
    codes = {-2: 0, -1: 1}
    coded = [codes.get(m, m + 2) for m in matches[0].tolist()] if matches else [1] * count
    on = taken["roi_labels"] > 0
    of_rois = torch.cat([taken["roi_matches"][on] + 2, torch.ones(int((~on).sum()), dtype=torch.int64)])
    resized, _ = model.transform([oracle.to_input(pixels)])
    out = {
        "pixels": torch.from_numpy(pixels),
        "transform.size": torch.tensor(resized.image_sizes[0], dtype=torch.int32),
        "truths.boxes": truths["boxes"],
        "truths.labels": truths["labels"].int(),
        "truths.masks": torch.from_numpy(np.packbits(truths["masks"].numpy(), axis=-1, bitorder="little")),
        "anchors.matches": torch.tensor(coded, dtype=torch.int32),
        "positive_anchors": torch.tensor(taken["positive_anchors"], dtype=torch.int32),
        "negative_anchors": torch.tensor(taken["negative_anchors"], dtype=torch.int32),
        "positive_rois": torch.tensor(taken["positive_rois"], dtype=torch.float32).reshape(-1, 4),
        "negative_rois": torch.tensor(taken["negative_rois"], dtype=torch.float32).reshape(-1, 4),
        "rois.matches": of_rois.int(),
        "proposals.count": torch.tensor([len(taken["proposals"])], dtype=torch.int32),
        "mask.targets": targets[0][:TARGETS] if targets else torch.zeros((0, 28, 28)),
        "losses": torch.tensor([terms[term] for term in TERMS], dtype=torch.float64).float(),
    }
    return {key: x.contiguous().clone() for key, x in out.items()}


def keep(into, value):
    into.append(value)
    return value


class Recorder:
    """A matcher that tells what it said."""

    def __init__(self, matcher, said):
        self.matcher, self.said = matcher, said
        self.BELOW_LOW_THRESHOLD, self.BETWEEN_THRESHOLDS = matcher.BELOW_LOW_THRESHOLD, matcher.BETWEEN_THRESHOLDS

    def __call__(self, quality):
        matches = self.matcher(quality)
        self.said.append(matches.clone())
        return matches


def scene(path):
    """The picture of a golden, and what was found in it, each box moved and its mask with it."""
    with safe_open(path, "pt") as file:
        pixels, boxes, packed = (file.get_tensor(name) for name in ("pixels", "post.boxes", "post.masks"))
    h, w = pixels.shape[:2]
    boxes, packed = boxes[:TRUTHS], packed[:TRUTHS]
    masks = torch.from_numpy(np.unpackbits(packed.numpy(), axis=-1, bitorder="little")[:, :, :w])
    moved = []
    for i, mask in enumerate(masks):
        moved.append(torch.roll(mask, (i % 5 - 2, i % 3 - 1), (0, 1)))
    shift = torch.tensor([[i % 3 - 1, i % 5 - 2] * 2 for i in range(len(boxes))], dtype=torch.float32)
    boxes = boxes + shift
    boxes[:, 0::2].clamp_(min=0, max=w)
    boxes[:, 1::2].clamp_(min=0, max=h)
    labels = torch.ones(len(boxes), dtype=torch.int64)
    return pixels.numpy(), {"boxes": boxes, "labels": labels, "masks": torch.stack(moved)}


def drawn(height, width, classes):
    """Ellipses from an eighth of the picture to nearly all of it, two of them nearly the same."""
    places = [(20, 30, 18, 22), (70, 60, 40, 50), (90, 120, 30, 20), (66, 80, 60, 70), (110, 40, 12, 30), (111, 41, 12, 31)]
    y, x = np.mgrid[:height, :width]
    masks = [((y - cy) / ry) ** 2 + ((x - cx) / rx) ** 2 < 1 for cy, cx, ry, rx in places]
    sides = lambda m: (np.where(m.any(0))[0], np.where(m.any(1))[0])
    boxes = [[xs[0], ys[0], xs[-1] + 1, ys[-1] + 1] for xs, ys in map(sides, masks)]
    return {
        "boxes": torch.tensor(np.array(boxes), dtype=torch.float32),
        "labels": torch.tensor([1 + i % (classes - 1) for i in range(len(places))]),
        "masks": torch.from_numpy(np.stack(masks).astype(np.uint8)),
    }


def write(out, name, tensors, metadata):
    path = out / f"{name}.safetensors"
    save_file(tensors, path, metadata | {"torchvision": torchvision.__version__})
    counts = {k: len(x) for k, x in tensors.items() if k.endswith(("anchors", "rois"))}
    terms = dict(zip(TERMS, tensors["losses"].tolist()))
    print(f"{path.name}: {path.stat().st_size:,} bytes, {len(tensors['truths.boxes'])} truths, {counts}, {terms}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    pixels, truths = scene(args.out / "scene_small.safetensors")
    model, cfg = oracle.load(args.weights, SMALL)
    write(args.out, "loss_scene", record(model, pixels, truths, 1), {"config": json.dumps(cfg)})
    model, cfg = oracle.load(args.weights, SMALL)
    pixels = np.ascontiguousarray(pixels[:100, :117])
    none = {key: x[:0] for key, x in truths.items()}
    none["masks"] = none["masks"][:, :100, :117]
    write(args.out, "loss_none", record(model, pixels, none, 1), {"config": json.dumps(cfg)})

    changes = {"backbone": {"layers": [1, 1, 1, 1]}}
    model = bodies.build(changes)
    scales = {bodies.our_name(key): bodies.DAMPING for key in model.state_dict() if key.endswith("bn3.weight")}
    bodies.generate(model, scales)
    pixels = generated.picture("bodies", 140, 170)
    bodies.stages(model, pixels, scales)
    metadata = {
        "config": json.dumps(bodies.config("classes", changes)),
        "seed": str(bodies.SEED),
        "scales": json.dumps(scales),
    }
    truths = drawn(*pixels.shape[:2], bodies.CLASSES)
    write(args.out, "loss_classes", record(model, pixels, truths, 1), metadata)


if __name__ == "__main__":
    main()
