"""Compares `maskrcnn loss` with torchvision's loss in training, term by term, for the same anchors and RoIs.

    python loss.py --ours ../../target/release/maskrcnn --weights WEIGHTS.safetensors --annotations instances.json --images DIR
    python loss.py --ours … --generated maskrcnn_resnet50_fpn --annotations instances.json --images DIR --count 5

Both ways: torchvision samples, and ours takes its samples; ours samples, and torchvision takes those. What both match the
anchors with is compared, too: our samples are told on truths or on the background, and torchvision must say the same of each.
BatchNorm is that of the weights (`eval`), which torchvision's is in training only where it is frozen. Exits with 1 where a
term differs by more than --limit.
"""
import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from pycocotools import mask as coco_mask
from safetensors.torch import save_file
from torch import nn
from torchvision.models.detection import _utils as det_utils
from torchvision.models.detection import roi_heads
from torchvision.ops import FrozenBatchNorm2d

import generated
import oracle

TERMS = ("loss_classifier", "loss_box_reg", "loss_mask", "loss_objectness", "loss_rpn_box_reg")


def train(model):
    """In training, but for BatchNorm, which stays what the weights say."""
    model.train()
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm2d, FrozenBatchNorm2d)):
            module.eval()
    return model


def target(annotations, height, width, label):
    """An image's annotations as torchvision's reference takes them (`references/detection/coco_utils.py`)."""
    kept = [a for a in annotations if not a.get("iscrowd", 0) and label(a["category_id"]) is not None]
    boxes = torch.as_tensor([a["bbox"] for a in kept], dtype=torch.float32).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    boxes[:, 0::2].clamp_(min=0, max=width)
    boxes[:, 1::2].clamp_(min=0, max=height)
    inside = (boxes[:, 3] > boxes[:, 1]) & (boxes[:, 2] > boxes[:, 0])

    def mask(segmentation):
        if isinstance(segmentation, list):
            rles = coco_mask.frPyObjects(segmentation, height, width)
            return coco_mask.decode(rles).any(axis=2)
        if isinstance(segmentation["counts"], list):
            segmentation = coco_mask.frPyObjects(segmentation, height, width)
        return coco_mask.decode(segmentation).astype(bool)

    masks = [torch.from_numpy(mask(a["segmentation"]).astype(np.uint8)) for a in kept]
    masks = torch.stack(masks) if masks else torch.zeros((0, height, width), dtype=torch.uint8)
    labels = torch.as_tensor([label(a["category_id"]) for a in kept], dtype=torch.int64)
    return {"boxes": boxes[inside], "labels": labels[inside], "masks": masks[inside]}


class Samples:
    """Stands in for torchvision's samplers, and for what is chosen of the proposals.

    With `given`, those anchors and RoIs are taken, whatever was drawn; what was taken is in `taken` after a run.
    """

    def __init__(self, model, seed=0):
        self.model, self.given, self.taken = model, None, {}
        self.random = torch.Generator().manual_seed(seed)
        model.rpn.fg_bg_sampler = self.of_anchors
        self.draw = det_utils.BalancedPositiveNegativeSampler(512, 0.25)
        self.select = model.roi_heads.select_training_samples
        model.roi_heads.select_training_samples = self.of_rois
        self.assign = model.rpn.assign_targets_to_anchors
        model.rpn.assign_targets_to_anchors = self.of_matches

    def of_matches(self, anchors, targets):
        labels, boxes = self.assign(anchors, targets)
        self.taken["labels"] = labels[0]
        self.taken["matched_boxes"] = boxes[0]
        return labels, boxes

    def of_anchors(self, labels):
        if self.given is None:
            positive, negative = det_utils.BalancedPositiveNegativeSampler(256, 0.5)(labels)
        else:
            positive, negative = ([torch.zeros_like(labels[0], dtype=torch.uint8)] for _ in range(2))
            positive[0][self.given["positive_anchors"]] = 1
            negative[0][self.given["negative_anchors"]] = 1
            assert (labels[0][self.given["positive_anchors"]] == 1).all(), "an anchor that is on no truth for torchvision"
            assert (labels[0][self.given["negative_anchors"]] == 0).all(), "an anchor not on the background for torchvision"
        self.taken["positive_anchors"] = torch.where(positive[0])[0].tolist()
        self.taken["negative_anchors"] = torch.where(negative[0])[0].tolist()
        return positive, negative

    def of_rois(self, proposals, targets):
        self.taken["proposals"] = proposals[0]
        if self.given is not None:
            rois = self.given["positive_rois"] + self.given["negative_rois"]
            proposals = [torch.tensor(rois, dtype=torch.float32).reshape(-1, 4)]
            heads, truths = self.model.roi_heads, targets[0]
            matched, labels = heads.assign_targets_to_proposals(proposals, [truths["boxes"]], [truths["labels"]])
            on = torch.zeros(len(rois), dtype=torch.bool)
            on[: len(self.given["positive_rois"])] = True
            assert torch.equal(labels[0] > 0, on) and (labels[0] >= 0).all(), "RoIs that are matched otherwise by torchvision"
            truth_boxes = truths["boxes"] if len(truths["boxes"]) else torch.zeros((1, 4))
            deltas = heads.box_coder.encode([truth_boxes[matched[0]]], proposals)
            out = proposals, matched, labels, deltas
        else:
            out = self.select(proposals, targets)
        boxes, labels = out[0][0], out[2][0]
        self.taken["positive_rois"] = boxes[labels > 0].tolist()
        self.taken["negative_rois"] = boxes[labels == 0].tolist()
        self.taken["roi_labels"], self.taken["roi_matches"] = labels, out[1][0]
        return out


@torch.no_grad()
def losses(model, samples, pixels, truths, given=None):
    """torchvision's terms, and what they are of."""
    oracle.forget_scales(model)
    samples.given, samples.taken = given, {}
    terms = model([oracle.to_input(pixels)], [{k: v.clone() for k, v in truths.items()}])
    return {k: float(v) for k, v in terms.items()}, dict(samples.taken)


def open_model(args, folder):
    """(model, the options by which ours takes the same, class names)."""
    if args.generated is None:
        model, cfg = oracle.load(args.weights)
        return model, ["--weights", str(args.weights)], cfg["class_names"]
    state, _ = generated.state(args.generated, Path(__file__).parent.parent / "golden")
    path = folder / "maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth" if not args.generated.endswith("_v2") else folder / "v2.pth"
    torch.save(state, path)
    return oracle.published(args.generated, state), ["--weights", str(path)], None


def run_ours(args, options, annotations, extra):
    command = [str(args.ours), "loss", *options, "--annotations", str(annotations), "--images", str(annotations.parent)]
    command += ["--precision", "f32", "--json", *extra]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stderr}")
    return json.loads(done.stdout)


def differ(ours, theirs):
    return abs(ours - theirs) / max(abs(theirs), 1e-30)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours", type=Path, required=True)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--generated", metavar="MODEL")
    parser.add_argument("--annotations", type=Path, required=True)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--count", type=int, default=5)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--limit", type=float, default=1e-4)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    if (args.weights is None) == (args.generated is None):
        parser.error("one of --weights and --generated is needed")

    data = json.loads(args.annotations.read_text())
    data["images"] = sorted(data["images"], key=lambda image: image["id"])[args.first :][: args.count]
    chosen = {image["id"] for image in data["images"]}
    data["annotations"] = [a for a in data["annotations"] if a["image_id"] in chosen]
    worst = {}
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        annotations, theirs_file, ours_file = (folder / f"{name}.json" for name in ("annotations", "theirs", "ours"))
        model, options, names = open_model(args, folder)
        samples = Samples(train(model))
        categories = {c["id"]: c["name"] for c in data["categories"]}
        if names is None:
            label = lambda category: category
        else:
            by_name = {name.lower(): i for i, name in enumerate(names) if i}
            label = lambda category: by_name.get(categories[category].lower())

        pixels, truths, theirs, given = [], [], [], []
        for image in data["images"]:
            pixels.append(oracle.read_pixels(args.images / image["file_name"]))
            # Both read the same pixels: decoders of JPEG are not what is compared.
            image["file_name"] = f"{Path(image['file_name']).stem}.png"
            Image.fromarray(pixels[-1]).save(folder / image["file_name"])
            own = [a for a in data["annotations"] if a["image_id"] == image["id"]]
            truths.append(target(own, *pixels[-1].shape[:2], label))
            terms, taken = losses(model, samples, pixels[-1], truths[-1])
            theirs.append(terms)
            given.append(taken)
        keys = ("positive_anchors", "negative_anchors", "positive_rois", "negative_rois")
        entries = [{"image_id": i["id"]} | {k: g[k] for k in keys} for i, g in zip(data["images"], given)]
        annotations.write_text(json.dumps(data))
        theirs_file.write_text(json.dumps({"images": entries}))

        # torchvision's samples, taken by ours.
        ours = run_ours(args, options, annotations, ["--sampled", str(theirs_file)])
        report("torchvision's samples", data, ours, theirs, worst)
        # Ours, taken by torchvision.
        ours = run_ours(args, options, annotations, ["--seed", str(args.seed), "--save-sampled", str(ours_file)])
        entries = json.loads(ours_file.read_text())["images"]
        theirs, shared = [], []
        for p, t, entry in zip(pixels, truths, entries):
            terms, taken = losses(model, samples, p, t, entry)
            theirs.append(terms)
            shared.append(found(entry, taken, t, p, model))
        report("our samples", data, ours, theirs, worst)
        print("our sampled RoIs that are a proposal of torchvision's or a truth, within 0.05 px: "
              + ", ".join(f"{a} of {b}" for a, b in shared))
    print("worst: " + ", ".join(f"{term} {v:.1e}" for term, v in worst.items()))
    sys.exit(max(worst.values()) > args.limit)


def found(entry, taken, truths, pixels, model):
    """How many of our RoIs are among what torchvision would have sampled from."""
    rois = torch.tensor(entry["positive_rois"] + entry["negative_rois"]).reshape(-1, 4)
    _, resized = model.transform([oracle.to_input(pixels)], [{k: v.clone() for k, v in truths.items()}])
    there = torch.cat([taken["proposals"], resized[0]["boxes"]])
    near = (rois[:, None] - there[None]).abs().amax(dim=2).amin(dim=1)
    return int((near < 0.05).sum()), len(rois)


def report(title, data, ours, theirs, worst):
    print(title)
    for image, a, b in zip(data["images"], ours["images"], theirs):
        assert a["image_id"] == image["id"]
        cells = []
        for term in TERMS:
            if term in b:
                d = differ(a[term], b[term])
                worst[term] = max(worst.get(term, 0.0), d)
                cells.append(f"{term[5:]} {b[term]:.6f} {d:.1e}")
        print(f"  {image['file_name']}: truths {a['truths']}, anchors {a['anchors']}, RoIs {a['rois']}: " + "; ".join(cells), flush=True)


if __name__ == "__main__":
    main()
