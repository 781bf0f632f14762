"""Makes a small COCO set with everything that the rules of evaluation turn on, and pycocotools' numbers for it. Needs
numpy, pycocotools and scipy.

    python make_eval_golden.py --out ../golden/eval.json

The set: crowds, objects of all three ranges of area and on their very ends, equal scores, several classes (one without
objects, one that is never found), an image without objects, one without results, one with more results than 100, images
out of order; polygons, run lengths compressed and not. The polygons beside it hold the drawing of polygons alone.
"""
import argparse
import contextlib
import copy
import io
import json
from pathlib import Path

import numpy as np
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from scipy.optimize import linear_sum_assignment


def encoded(bitmap):
    rle = coco_mask.encode(np.asfortranarray(bitmap, dtype=np.uint8))
    return {"size": [int(n) for n in rle["size"]], "counts": rle["counts"].decode()}


def runs(bitmap):
    """Uncompressed run lengths."""
    flat, counts, value = bitmap.flatten(order="F"), [0], 0
    for pixel in flat:
        if pixel != value:
            counts.append(0)
            value = pixel
        counts[-1] += 1
    return {"size": list(bitmap.shape), "counts": [int(n) for n in counts]}


def ellipse(size, centre, radii):
    h, w = size
    y, x = np.mgrid[:h, :w] + 0.5
    return (((x - centre[0]) / radii[0]) ** 2 + ((y - centre[1]) / radii[1]) ** 2 <= 1).astype(np.uint8)


def rectangle(size, box):
    x, y, w, h = box
    bitmap = np.zeros(size, np.uint8)
    bitmap[y : y + h, x : x + w] = 1
    return bitmap


# (image, class, crowd, box). Ten of a class of their own, of which seven are found before anything wrong: a recall of 0.7,
# which numpy's linspace has a last bit higher. Two that one result overlaps equally, and a crowd listed before what is in it.
EXACT_OBJECTS = [(62, 5, 0, (40 * n, 10, 20, 20)) for n in range(10)] + [
    (63, 4, 1, (0, 40, 150, 50)),
    (63, 4, 0, (100, 5, 30, 20)),
    (63, 4, 0, (108, 5, 30, 20)),
    (63, 4, 0, (20, 50, 30, 20)),
]
# (image, class, box, score).
EXACT_RESULTS = [(62, 5, (40 * n, 10, 20, 20), 0.99 - n / 100) for n in range(7)] + [
    (62, 5, (25, 35, 10, 10), 0.9),
    (62, 5, (65, 35, 10, 10), 0.89),
    (62, 5, (280, 10, 20, 20), 0.88),
    (63, 4, (104, 5, 30, 20), 0.97),
    (63, 4, (97, 5, 30, 20), 0.96),
    (63, 4, (23, 50, 30, 20), 0.95),
]


def outline(centre, radii, corners, random):
    angles = np.sort(random.uniform(0, 2 * np.pi, corners))
    return [round(float(v), 2) for a in angles for v in (centre[0] + radii[0] * np.cos(a), centre[1] + radii[1] * np.sin(a))]


def objects(random):
    """Images and annotations."""
    sizes = {7: (200, 260), 3: (220, 300), 12: (240, 240), 5: (64, 80), 40: (150, 200), 9: (90, 90), 21: (120, 300),
             60: (70, 70), 61: (50, 40), 62: (60, 420), 63: (90, 300)}
    images = [{"id": i, "file_name": f"img_{i}.png", "height": h, "width": w} for i, (h, w) in sizes.items()]
    annotations = []

    def add(image, category, centre, radii, form="compressed", crowd=0, area=None):
        h, w = sizes[image]
        bitmap = ellipse((h, w), centre, radii)
        if form == "polygon":
            segmentation = [outline(centre, radii, 9, random)]
        elif form == "polygons":
            left, right = (centre[0] - radii[0] / 2, centre[1]), (centre[0] + radii[0] / 2, centre[1])
            segmentation = [outline(c, (radii[0] / 1.6, radii[1]), 7, random) for c in (left, right)]
        else:
            segmentation = runs(bitmap) if form == "runs" else encoded(bitmap)
        if form.startswith("polygon"):
            bitmap = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(segmentation, h, w)))
        annotations.append({
            "id": 100 + 3 * len(annotations),
            "image_id": image,
            "category_id": category,
            "iscrowd": crowd,
            "area": float(bitmap.sum()) if area is None else area,
            "bbox": [float(v) for v in coco_mask.toBbox(encoded(bitmap))],
            "segmentation": segmentation,
        })

    forms = ["compressed", "polygon", "polygons", "runs"]
    for n in range(34):
        image = [7, 3, 12, 21][n % 4]
        h, w = sizes[image]
        radii = [(6, 8), (14, 11), (24, 30), (60, 62)][n // 4 % 4]
        centre = (random.uniform(radii[0], w - radii[0]), random.uniform(radii[1], max(h - radii[1], radii[1] + 1)))
        add(image, [1, 2, 4][n % 3], centre, radii, "compressed" if radii[0] == 60 else forms[n % 4])
    add(7, 1, (120, 90), (70, 60), "runs", crowd=1)
    add(3, 2, (60, 60), (50, 40), "compressed", crowd=1)
    add(12, 1, (120, 120), (90, 90), "polygon", crowd=1)
    # The ends of the ranges belong to both.
    add(5, 1, (20, 30), (15, 18), area=1024.0)
    add(5, 2, (50, 30), (20, 25), area=9216.0)
    # A grid for more results than 100.
    for n in range(60):
        add(40, 2, (10 + 18 * (n % 10), 10 + 22 * (n // 10)), (6, 8), "polygon" if n % 3 == 0 else "compressed")
    # A class that nothing finds.
    add(9, 8, (40, 40), (20, 20))
    # Drawn exactly: what is asked of these is a matter of equal numbers.
    for image, category, crowd, (x, y, w, h) in EXACT_OBJECTS:
        bitmap = rectangle(sizes[image], (x, y, w, h))
        annotations.append({"id": 100 + 3 * len(annotations), "image_id": image, "category_id": category, "iscrowd": crowd,
                            "area": float(w * h), "bbox": [x, y, w, h], "segmentation": encoded(bitmap)})
    categories = [{"id": 5, "name": "square"}, {"id": 4, "name": "ring"}, {"id": 1, "name": "disc"}, {"id": 2, "name": "grain"},
                  {"id": 8, "name": "missed"}, {"id": 6, "name": "absent"}]
    return {"images": images, "categories": categories, "annotations": annotations}


def results(truth, random):
    """Results near the annotations, further ones near nothing, and equal scores."""
    sizes = {image["id"]: (image["height"], image["width"]) for image in truth["images"]}
    out = [{"image_id": image, "category_id": category, "bbox": list(box), "score": score,
            "segmentation": encoded(rectangle(sizes[image], box))} for image, category, box, score in EXACT_RESULTS]

    def add(image, category, box):
        x, y, w, h = box
        score = round(float(random.uniform(0, 1)) * 20) / 20
        bitmap = ellipse(sizes[image], (x + w / 2, y + h / 2), (max(w / 2, 0.6), max(h / 2, 0.6)))
        out.append({"image_id": image, "category_id": category, "bbox": [round(float(v), 2) for v in box],
                    "score": score, "segmentation": encoded(bitmap)})

    for annotation in truth["annotations"]:
        if annotation["category_id"] == 8 or annotation["id"] % 7 == 0 or annotation["image_id"] in (62, 63):
            continue
        x, y, w, h = annotation["bbox"]
        for _ in range(4 if annotation["iscrowd"] else 1 + annotation["id"] % 3 + (annotation["image_id"] == 40)):
            s = random.choice([0.02, 0.08, 0.2])
            dx, dy, dw, dh = random.normal(0, s, 4)
            category = annotation["category_id"] if random.uniform() < 0.9 else 1
            add(annotation["image_id"], category, (x + w * dx, y + h * dy, w * np.exp(dw), h * np.exp(dh)))
    for _ in range(12):
        add(int(random.choice([7, 3, 9, 60])), int(random.choice([1, 2, 4])),
            (random.uniform(0, 60), random.uniform(0, 50), random.uniform(3, 30), random.uniform(3, 30)))
    # An exact one, and the same once more.
    x, y, w, h = truth["annotations"][0]["bbox"]
    for _ in range(2):
        add(truth["annotations"][0]["image_id"], truth["annotations"][0]["category_id"], (x, y, w, h))
    random.shuffle(out)
    return [r for r in out if r["image_id"] != 21]


def numbers(truth, found, kind, max_dets, classes):
    """The twelve numbers, of all classes and of each."""
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = copy.deepcopy(truth)
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(copy.deepcopy(found)), kind)
        evaluation.params.maxDets = max_dets
        evaluation.evaluate()
        evaluation.accumulate()
        if max_dets == [1, 10, 100]:
            evaluation.summarize()

    def mean(values):
        values = values[values > -1]
        return float(values.mean()) if len(values) else -1.0

    def stats(k):
        p, r = evaluation.eval["precision"][:, :, k], evaluation.eval["recall"][:, k]
        return ([mean(p[..., 0, 2]), mean(p[0, ..., 0, 2]), mean(p[5, ..., 0, 2])]
                + [mean(p[..., a, 2]) for a in (1, 2, 3)]
                + [mean(r[..., 0, m]) for m in range(3)] + [mean(r[..., a, 2]) for a in (1, 2, 3)])

    everything = stats(slice(None))
    if max_dets == [1, 10, 100]:  # pycocotools' own words for it; for others, it knows no AP
        assert np.allclose(everything, evaluation.stats, atol=1e-12), (everything, evaluation.stats)
    return {"stats": everything, "classes": {str(c): stats(slice(k, k + 1)) for k, c in enumerate(classes)}}


def matching(truth, found, score):
    """StarDist's matching of masks, image by image and class by class: as many pairs as there can be, then the highest IoUs."""
    coco = COCO()
    coco.dataset = copy.deepcopy(truth)
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
    groups = {}
    for annotation in truth["annotations"]:
        key = annotation["image_id"], annotation["category_id"]
        groups.setdefault(key, ([], [], []))[1 + annotation["iscrowd"]].append(coco.annToRLE(annotation))
    for result in found:
        if result["score"] >= score:
            key = result["image_id"], result["category_id"]
            groups.setdefault(key, ([], [], []))[0].append(result["segmentation"])
    rows = []
    for threshold in [n / 100 for n in range(50, 95, 5)]:
        tp = fp = fn = 0
        total = 0.0
        for results, objects, crowds in groups.values():
            pairs = []
            if results and objects:
                ious = coco_mask.iou(results, objects, [0] * len(objects))
                kept = np.where(ious >= threshold, 1 + ious / (2 * min(ious.shape)), 0)
                pairs = [(i, j) for i, j in zip(*linear_sum_assignment(-kept)) if ious[i, j] >= threshold]
                total += sum(ious[p] for p in pairs)
            alone = set(range(len(results))) - {i for i, _ in pairs}
            if alone and crowds:
                cover = coco_mask.iou(results, crowds, [1] * len(crowds)).max(axis=1)
                alone = {i for i in alone if cover[i] < 0.5}
            tp, fp, fn = tp + len(pairs), fp + len(alone), fn + len(objects) - len(pairs)
        rows.append({"iou": threshold, "tp": tp, "fp": fp, "fn": fn, "precision": tp / (tp + fp), "recall": tp / (tp + fn),
                     "accuracy": tp / (tp + fp + fn), "f1": 2 * tp / (2 * tp + fp + fn),
                     "mean_matched_iou": total / tp, "panoptic_quality": total / (tp + fp / 2 + fn / 2)})
    return rows


def polygons(random):
    """Polygons with the code of what they cover: odd ones first."""
    odd = [
        [1.0, 1.0, 1.0, 5.0, 6.0, 5.0, 6.0, 1.0],
        [0.0, 0.0, 30.0, 0.0, 30.0, 20.0, 0.0, 20.0],
        [-5.5, -3.25, 40.0, 6.5, 12.0, 50.0],
        [3.0, 3.0, 3.0, 3.0, 9.0, 9.0, 3.0, 9.0],
        [2.0, 2.0, 2.0, 2.0, 2.0, 2.0],
        [5.0, 5.0, 12.0, 5.0, 20.0, 5.0],
        [2.0, 2.0, 25.0, 18.0, 2.0, 18.0, 25.0, 2.0],
        [4.3, 4.3, 4.9, 4.3, 4.9, 4.9, 4.3, 4.9],
        [100.0, 100.0, 120.0, 100.0, 110.0, 130.0],
        [10.5, 19.5, 11.5, 25.0, 12.5, 19.5, 11.5, 10.0],
        [29.6, 2.0, 29.6, 7.0, 27.5, 7.0, 27.5, 2.0],
    ]
    some = [[round(float(v), 2) for v in random.uniform(-6, 36, 2 * n)] for n in (3, 3, 4, 5, 6, 8, 12, 20, 40)]
    out = []
    for polygon in odd + some:
        rle = coco_mask.merge(coco_mask.frPyObjects([polygon], 20, 30))
        out.append({"polygon": polygon, "size": [20, 30], "counts": rle["counts"].decode()})
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    random = np.random.default_rng(5)
    truth = objects(random)
    found = results(truth, random)
    classes = sorted(category["id"] for category in truth["categories"])
    most = max(sum(r["image_id"] == 40 and r["category_id"] == c for r in found) for c in classes)
    assert most > 100, most
    sets = {
        "both": found,
        "boxes": [{k: v for k, v in r.items() if k != "segmentation"} for r in found],
        "masks": [{k: v for k, v in r.items() if k != "bbox"} for r in found],
    }
    expected = []
    for name, kinds in (("both", ("bbox", "segm")), ("boxes", ("bbox",)), ("masks", ("bbox", "segm"))):
        for max_dets in ([1, 10, 100], [3, 30, 300]):
            for kind in kinds:
                expected.append({"results": name, "kind": kind, "max_dets": max_dets,
                                 **numbers(truth, sets[name], kind, max_dets, classes)})
    golden = {"annotations": truth, "results": found, "expected": expected,
              "matching": {"score": 0.35, "by_iou": matching(truth, found, 0.35)},
              "polygons": polygons(random)}
    text = json.dumps(golden, separators=(",", ":"))
    for key in ('{"id"', '{"image_id"', '{"results"', '{"polygon"', '{"iou"'):
        text = text.replace(key, "\n" + key)
    args.out.write_text(text + "\n")
    print(f"{len(truth['annotations'])} annotations, {len(found)} results, {most} of one image and class, {len(text)} bytes")


if __name__ == "__main__":
    main()
