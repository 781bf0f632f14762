"""Compares `maskrcnn eval` with pycocotools on any annotations and results: the 24 numbers, and the time of both.

    python eval_parity.py --ours ../../target/release/maskrcnn --annotations instances.json --results FILE.json|DIR

Results that name images by their files' stems, as `maskrcnn detect` does, are given to pycocotools by their ids. The times
are of the whole work, reading included; Python's start and its imports are not counted, and ours is a whole process. Needs
numpy and pycocotools. Exits with 1 where a number differs by more than 1e-6.
"""
import argparse
import contextlib
import io
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval


def by_ids(annotations, results):
    """The results in one file, by the annotations' ids."""
    images = json.loads(annotations.read_text())["images"]
    ids = {image["id"] for image in images}
    stems = {Path(image["file_name"]).stem: image["id"] for image in images}
    files = sorted(results.glob("*.json")) if results.is_dir() else [results]
    entries = [entry for file in files for entry in json.loads(file.read_text())]
    for entry in entries:
        if entry["image_id"] not in ids:
            entry["image_id"] = stems[str(entry["image_id"])]
    return entries


def theirs(annotations, results, kinds):
    """(numbers by kind, seconds)."""
    with contextlib.redirect_stdout(io.StringIO()):
        begin, out = time.perf_counter(), {}
        truth = COCO(str(annotations))
        found = truth.loadRes(str(results))
        for kind in kinds:
            evaluation = COCOeval(truth, found, kind)
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
            out[kind] = evaluation.stats
        return out, time.perf_counter() - begin


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours", type=Path, required=True)
    parser.add_argument("--annotations", type=Path, required=True)
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--repeat", type=int, default=5, help="the least time of so many runs is told")
    args = parser.parse_args()
    command = [args.ours, "eval", "--annotations", args.annotations, "--results", args.results, "--json"]
    times = []
    for _ in range(args.repeat):
        begin = time.perf_counter()
        said = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
        times.append(time.perf_counter() - begin)
    ours = json.loads(said)
    kinds = {"bbox": "boxes", "segm": "masks"} if "masks" in ours else {"bbox": "boxes"}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "results.json"
        file.write_text(json.dumps(by_ids(args.annotations, args.results)))
        runs = [theirs(args.annotations, file, kinds) for _ in range(args.repeat)]
    worst = 0.0
    for kind, name in kinds.items():
        difference = np.abs(runs[0][0][kind] - np.array(ours[name]["stats"])).max()
        worst = max(worst, difference)
        print(f"{kind}: {' '.join(f'{v:.3f}' for v in ours[name]['stats'])}; at most {difference:.1e} from pycocotools")
    print(f"ours {min(times):.3f} s, pycocotools {min(run[1] for run in runs):.3f} s")
    sys.exit(0 if worst <= 1e-6 else 1)


if __name__ == "__main__":
    main()
