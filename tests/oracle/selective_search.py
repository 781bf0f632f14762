"""`maskrcnn propose` against OpenCV's selective search: recall of annotated boxes, and time.

    python tests/oracle/selective_search.py --program target/release/maskrcnn --images photos --annotations instances.json

Both get `--threads` threads (default 2), and take turns image by image, so that whatever else the machine does slows both. Ours is
the whole program: its start, reading the picture, searching, writing the file. OpenCV's is `process` and what it is set up with;
the picture is read before, and Python's start is not counted. `--cpu` seconds are those that the system counts for all threads.
Exits with 1 where recall at IoU 0.5 is more than 3 points lower, or ours is slower. Needs opencv-contrib-python.
"""

import argparse
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

import cv2
import numpy as np


def iou(box, boxes):
    wide = np.minimum(box[2], boxes[:, 2]) - np.maximum(box[0], boxes[:, 0])
    high = np.minimum(box[3], boxes[:, 3]) - np.maximum(box[1], boxes[:, 1])
    both = wide.clip(0) * high.clip(0)
    area = lambda b: (b[..., 2] - b[..., 0]) * (b[..., 3] - b[..., 1])
    return both / (area(np.asarray(box)) + area(boxes) - both)


def corners(boxes):
    boxes = np.asarray(boxes, float).reshape(-1, 4)
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], 1)


def by_opencv(path):
    image = cv2.imread(str(path))
    wall, cpu = time.perf_counter(), time.process_time()
    search = cv2.ximgproc.segmentation.createSelectiveSearchSegmentation()
    search.setBaseImage(image)
    search.switchToSelectiveSearchFast()
    boxes = search.process()
    return corners(boxes), time.perf_counter() - wall, time.process_time() - cpu


def by_program(program, path, most, threads, folder):
    out = pathlib.Path(folder) / "boxes.json"
    used = lambda: sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
    wall, cpu = time.perf_counter(), used()
    command = [program, "propose", str(path), "--out", str(out), "--max-boxes", str(most)]
    env = os.environ | {"RAYON_NUM_THREADS": str(threads)}
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=env)
    times = time.perf_counter() - wall, used() - cpu
    return corners([r["bbox"] for r in json.loads(out.read_text())]), *times


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--program", default="target/release/maskrcnn")
    args.add_argument("--images", type=pathlib.Path, required=True)
    args.add_argument("--annotations", type=pathlib.Path, required=True)
    args.add_argument("--most", type=int, default=2000)
    args.add_argument("--threads", type=int, default=2)
    args = args.parse_args()
    cv2.setNumThreads(args.threads)
    truth = json.loads(args.annotations.read_text())
    objects = {}
    for a in truth["annotations"]:
        if not a.get("iscrowd"):
            objects.setdefault(a["image_id"], []).append(a["bbox"])

    names = ["ours", "OpenCV"]
    best, times, counts = {n: [] for n in names}, {n: np.zeros(2) for n in names}, {n: [] for n in names}
    with tempfile.TemporaryDirectory() as folder:
        for image in truth["images"]:
            path = args.images / image["file_name"]
            found = {
                "ours": by_program(args.program, path, args.most, args.threads, folder),
                "OpenCV": by_opencv(path),
            }
            for name, (boxes, *used) in found.items():
                times[name] += used
                counts[name].append(min(len(boxes), args.most))
                for box in corners(objects.get(image["id"], [])):
                    best[name].append(iou(box, boxes[: args.most]).max() if len(boxes) else 0.0)
    best = {n: np.array(b) for n, b in best.items()}
    n = len(truth["images"])
    print(f"{n} images, {len(best['ours'])} objects, at most {args.most} boxes an image, {args.threads} threads")
    print(f"{'':8}{'boxes':>8}{'IoU .5':>9}{'IoU .7':>9}{'mean best':>11}{'s/image':>9}{'CPU s/image':>13}")
    for name in names:
        b = best[name]
        wall, cpu = times[name] / n
        print(
            f"{name:8}{np.mean(counts[name]):8.0f}{(b >= 0.5).mean():9.4f}{(b >= 0.7).mean():9.4f}{b.mean():11.4f}"
            f"{wall:9.3f}{cpu:13.3f}"
        )
    less = (best["OpenCV"] >= 0.5).mean() - (best["ours"] >= 0.5).mean()
    good = less <= 0.03 and times["ours"][0] <= times["OpenCV"][0]
    print("as good" if good else "NOT as good")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
