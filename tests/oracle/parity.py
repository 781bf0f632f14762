"""Compares our detections with torchvision's on a folder of images, and the accuracy of both.

    python parity.py --ours target/release/maskrcnn --weights WEIGHTS.safetensors --images DIR \\
        [--annotations instances.json] [--cache torchvision.json]
    python parity.py --ours target/release/maskrcnn --model maskrcnn_resnet50_fpn_v2 --weights FILE.pth --images DIR

Weights of ours say themselves what network they are of. With --model, they are a state dict of torchvision's own
model of that name, as `torch.save` wrote it. Where both sides have no masks, boxes alone are compared.

Requirements: of all detections scoring at least --threshold on either side, 99 % have a partner one to one on the
other side (same label, box corners within 0.5 px, scores within 0.005, mask IoU at least 0.98), and, with
--annotations, AP of boxes and of masks differs by at most 0.002. Exits with 1 where one fails.

torchvision runs only on images that --cache lacks, so a full cache needs neither torch nor torchvision.
"""
import argparse
import contextlib
import hashlib
import io
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

MAX_CORNER, MAX_SCORE, MIN_IOU = 0.5, 0.005, 0.98
MIN_SHARE, MAX_AP_DIFFERENCE = 0.99, 0.002
MODELS = [f"{kind}_resnet50_fpn{version}" for kind in ("maskrcnn", "fasterrcnn") for version in ("", "_v2")]
SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"}


def list_images(places, sizes=None, limit=None):
    """Images, given one by one or as folders, by name, optionally only those of given WIDTHxHEIGHT sizes."""
    files = (path for place in places for path in (place.iterdir() if place.is_dir() else [place]))
    paths = sorted((path for path in files if path.suffix.lower() in SUFFIXES), key=lambda path: path.name)
    if sizes:
        paths = [path for path in paths if "{}x{}".format(*ImageOps.exif_transpose(Image.open(path)).size) in sizes]
    return paths[:limit]


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def torchvision_model(name, weights):
    """(model, score its detections start at, threshold of its masks); `name` is None for weights of ours."""
    import torch

    import oracle

    if name:
        model = oracle.published(name, torch.load(weights, "cpu", weights_only=True))
        return model, model.roi_heads.score_thresh, 0.5
    model, cfg = oracle.load(weights)
    return model, cfg["box"]["score_thresh"], cfg["mask"]["threshold"]


def torchvision_detections(paths, name, weights, cache_path, threads):
    """File name to (detections in our own output format), and the score they start at; fills the cache."""
    cache = {"weights_sha256": sha256(weights), "images": {}}
    if cache_path and cache_path.exists():
        stored = json.loads(cache_path.read_text())
        if stored["weights_sha256"] == cache["weights_sha256"]:
            cache = stored
        else:
            print(f"{cache_path} is of other weights: starting afresh")
    todo = [p for p in paths if cache["images"].get(p.name, {}).get("sha256") != sha256(p)]
    if todo:
        import torch
        import torchvision

        import oracle

        torch.set_num_threads(threads)
        model, cache["score_thresh"], mask_threshold = torchvision_model(name, weights)
        cache["torchvision"] = torchvision.__version__
        for path in todo:
            found = oracle.detections(model, oracle.read_pixels(path))
            entries = to_entries(found, mask_threshold)
            cache["images"][path.name] = {"sha256": sha256(path), "detections": entries}
            print(f"torchvision: {path.name}: {len(entries)}", flush=True)
        if cache_path:
            cache_path.write_text(json.dumps(cache))
    return {p.name: cache["images"][p.name]["detections"] for p in paths}, cache["score_thresh"]


def to_entries(found, mask_threshold):
    """torchvision's result as COCO entries: bbox x, y, w, h and compressed RLE, in original pixels."""
    entries = []
    for (x1, y1, x2, y2), score, label in zip(*(found[key].tolist() for key in ("boxes", "scores", "labels"))):
        entries.append({"category_id": label, "bbox": [x1, y1, x2 - x1, y2 - y1], "score": score})
    for entry, soft in zip(entries, found["masks"][:, 0].numpy() if "masks" in found else []):
        rle = coco_mask.encode(np.asfortranarray(soft > mask_threshold, dtype=np.uint8))
        entry["segmentation"] = {"size": rle["size"], "counts": rle["counts"].decode()}
    return entries


def our_detections(ours, paths, weights, score, device):
    """File name to detections, read from a folder of `<stem>.json` or made by running the program."""
    if ours.is_dir():
        return {path.name: json.loads((ours / f"{path.stem}.json").read_text()) for path in paths}
    with tempfile.TemporaryDirectory() as out:
        command = [ours.resolve(), "detect", *paths, "--weights", weights, "--out", out, "--score", str(score)]
        command += ["--device", device] if device else []
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return our_detections(Path(out), paths, weights, score, device)


class Detections:
    """One image's detections as arrays, best score first."""

    def __init__(self, entries):
        entries = sorted(entries, key=lambda entry: -entry["score"])
        self.scores = np.array([entry["score"] for entry in entries])
        self.labels = np.array([entry["category_id"] for entry in entries], int)
        xywh = np.array([entry["bbox"] for entry in entries]).reshape(-1, 4)
        self.boxes = np.hstack([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]])
        self.masks = [entry["segmentation"] for entry in entries if "segmentation" in entry]
        if len(self.masks) not in (0, len(entries)):
            raise ValueError("some detections of an image have masks and some have none")


def empty(masks):
    """Which masks have no pixel. One by one: pycocotools 2.0.11 cannot take the areas of more than 255 at once."""
    return np.array([coco_mask.area(mask) == 0 for mask in masks])


class Differences:
    """Every detection of one side against every one of the other: [len(a), len(b)] each."""

    def __init__(self, a, b):
        self.corner = np.abs(a.boxes[:, None] - b.boxes[None]).max(axis=-1, initial=0)
        self.score = np.abs(a.scores[:, None] - b.scores[None])
        self.label = a.labels[:, None] != b.labels[None]
        # Without masks on both sides they all agree; on one side only, none do.
        self.iou = np.full(self.corner.shape, float(not a.masks and not b.masks))
        if a.masks and b.masks:
            self.iou = coco_mask.iou(a.masks, b.masks, [False] * len(b.masks))
            # Two empty masks agree, but pycocotools calls their IoU 0.
            self.iou[np.outer(empty(a.masks), empty(b.masks))] = 1
        self.agree = ~self.label & (self.corner <= MAX_CORNER) & (self.score <= MAX_SCORE) & (self.iou >= MIN_IOU)

    def failures(self, i, j):
        """The criteria that a pair does not meet, with its numbers."""
        said = [
            (self.label[i, j], "label differs"),
            (self.corner[i, j] > MAX_CORNER, "box differs"),
            (self.score[i, j] > MAX_SCORE, f"score differs {self.score[i, j]:.4f}"),
            (self.iou[i, j] < MIN_IOU, f"mask IoU {self.iou[i, j]:.4f}"),
        ]
        return [text for failed, text in said if failed]


def match(differences, rows, columns):
    """Greedy one-to-one pairs among those that agree, the best mask IoU first, then the nearest box."""
    i, j = np.nonzero(differences.agree & rows[:, None] & columns[None])
    order = np.lexsort((differences.corner[i, j], -differences.iou[i, j]))
    pairs, used_rows, used_columns = [], set(), set()
    for i, j in zip(i[order].tolist(), j[order].tolist()):
        if i not in used_rows and j not in used_columns:
            pairs.append((i, j))
            used_rows.add(i)
            used_columns.add(j)
    return pairs


class Comparison:
    """Matches image after image and keeps the sums that the report is made of."""

    def __init__(self, threshold):
        self.threshold = threshold
        self.ours = self.theirs = self.straddling = 0
        self.masks = False
        self.matched, self.complaints = [], []

    def add(self, name, ours, theirs):
        ours, theirs = Detections(ours), Detections(theirs)
        self.masks |= bool(ours.masks or theirs.masks)
        differences = Differences(ours, theirs)
        pairs = match(differences, ours.scores >= self.threshold, theirs.scores >= self.threshold)
        self.matched += [(differences.corner[p], differences.score[p], differences.iou[p]) for p in pairs]
        self.ours += self.explain(f"{name}: ours", ours, theirs, dict(pairs))
        self.theirs += self.explain(f"{name}: theirs", theirs, ours, {j: i for i, j in pairs})

    def explain(self, title, own, other, partners):
        """Says of every detection without a partner which criteria the nearest box on the other side fails.

        Returns how many detections had to have one.
        """
        differences = Differences(own, other)
        required = int((own.scores >= self.threshold).sum())
        for i in sorted(set(range(required)) - set(partners)):
            text = f"{title} {own.scores[i]:.4f} [{' '.join(f'{x:.1f}' for x in own.boxes[i])}]: "
            if not len(other.scores):
                self.complaints.append(text + "the other side has no detection")
                continue
            j = int(differences.corner[i].argmin())
            reasons = differences.failures(i, j)
            if other.scores[j] < self.threshold:
                reasons.append("below the threshold there")
                self.straddling += int(differences.agree[i, j])
            if j in partners.values():
                reasons.append("taken by another")
            text += f"nearest scores {other.scores[j]:.4f}, corner {differences.corner[i, j]:.3f} px: "
            self.complaints.append(text + ", ".join(reasons))
        return required

    def share(self):
        total = self.ours + self.theirs
        return 2 * len(self.matched) / total if total else 1.0

    def report(self, shown):
        for line in self.complaints[:shown]:
            print("unmatched", line)
        if len(self.complaints) > shown:
            print(f"unmatched ... and {len(self.complaints) - shown} more")
        print(f"\nscore >= {self.threshold}: {self.ours} ours, {self.theirs} theirs, {len(self.matched)} matched,")
        print(f"{len(self.complaints)} unmatched, {self.straddling} of them only because the scores straddle the threshold")
        if self.matched:
            corner, score, iou = np.array(self.matched).T
            print(f"\n{'matched pairs':<16}{'median':>12}{'90 %':>12}{'99 %':>12}{'worst':>12}")
            rows = [("corner, px", corner), ("score", score)] + [("1 - mask IoU", 1 - iou)] * self.masks
            for title, values in rows:
                print(f"{title:<16}" + "".join(f"{x:>12.3g}" for x in np.percentile(values, [50, 90, 99, 100])))


def average_precision(annotations, ids, detections, kind):
    """AP, AP50 and AP75 over all areas, at most 300 detections an image (pycocotools' default is 100)."""
    results = [{**entry, "image_id": ids[name]} for name, entries in detections.items() for entry in entries]
    if not results:
        return 0.0, 0.0, 0.0
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools reports its progress
        truth = COCO(annotations)
        evaluation = COCOeval(truth, truth.loadRes(results), kind)
        evaluation.params.maxDets = [1, 100, 300]
        evaluation.params.imgIds = [ids[name] for name in detections]
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"][:, :, :, 0, 2]
    return tuple(float(x[x > -1].mean()) for x in (precision, precision[0], precision[5]))


def accuracy(annotations, ours, theirs, kinds):
    """Prints AP of both sides by kind; returns the largest difference in AP."""
    ids = {image["file_name"]: image["id"] for image in json.loads(annotations.read_text())["images"]}
    rows, worst = [], 0.0
    for kind in kinds:
        mine, reference = (average_precision(annotations, ids, x, kind) for x in (ours, theirs))
        rows += [(kind, "ours", mine), (kind, "torchvision", reference)]
        worst = max(worst, abs(mine[0] - reference[0]))
    print(f"\n{'':<6}{'':<14}{'AP':>9}{'AP50':>9}{'AP75':>9}")
    for kind, side, values in rows:
        print(f"{kind:<6}{side:<14}" + "".join(f"{x:>9.4f}" for x in values))
    return worst


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours", type=Path, required=True, help="the program, or a folder of <stem>.json that it wrote")
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--model", choices=MODELS, help="torchvision's name of the model whose state dict --weights is")
    parser.add_argument("--images", type=Path, nargs="+", required=True, metavar="DIR|FILE")
    parser.add_argument("--annotations", type=Path, help="COCO ground truth, for AP")
    parser.add_argument("--threshold", type=float, default=0.1, help="score from which detections must match")
    parser.add_argument("--score", type=float, default=0.05, help="score from which detections count for AP")
    parser.add_argument("--limit", type=int, help="only the first images by name")
    parser.add_argument("--sizes", nargs="+", metavar="WxH", help="only images of these sizes, such as 256x256")
    parser.add_argument("--cache", type=Path, help="JSON file to keep torchvision's detections in")
    parser.add_argument("--device", help="passed on to the program")
    parser.add_argument("--threads", type=int, default=2, help="for torchvision")
    parser.add_argument("--shown", type=int, default=40, help="how many unmatched detections to list")
    args = parser.parse_args()

    paths = list_images(args.images, args.sizes, args.limit)
    if not paths:
        parser.error("no images to compare in " + ", ".join(map(str, args.images)))
    theirs, lowest = torchvision_detections(paths, args.model, args.weights, args.cache, args.threads)
    if args.score < lowest:
        parser.error(f"--score {args.score}: torchvision's detections of these weights start at {lowest}")
    ours = our_detections(args.ours, paths, args.weights, args.score, args.device)
    ours, theirs = (
        {name: [entry for entry in entries if entry["score"] > args.score] for name, entries in side.items()}
        for side in (ours, theirs)
    )

    comparison = Comparison(args.threshold)
    for path in paths:
        comparison.add(path.name, ours[path.name], theirs[path.name])
    print(f"{len(paths)} images")
    comparison.report(args.shown)
    checks = [("matched share", comparison.share(), ">=", MIN_SHARE, comparison.share() >= MIN_SHARE)]
    if args.annotations:
        worst = accuracy(args.annotations, ours, theirs, ("bbox", "segm") if comparison.masks else ("bbox",))
        checks.append(("AP difference", worst, "<=", MAX_AP_DIFFERENCE, worst <= MAX_AP_DIFFERENCE))
    print()
    for title, value, sign, bound, passed in checks:
        print(f"{title:<16}{value:>9.4f}   required {sign} {bound}   {'ok' if passed else 'FAILED'}")
    sys.exit(0 if all(check[-1] for check in checks) else 1)


if __name__ == "__main__":
    main()
