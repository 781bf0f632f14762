"""Times torchvision's whole model on a folder of images: what a CPU does without us.

    python timing.py --weights WEIGHTS.safetensors --images DIR [--sizes 256x256] [--threads 2]

One image a call, pixels in memory to pasted soft masks; the best of --repeats. The work after the network grows with
the detections, so images are listed by their number.
"""
import argparse
import statistics
import time
from pathlib import Path

import torch

import oracle
from parity import list_images


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--images", type=Path, required=True, metavar="DIR")
    parser.add_argument("--sizes", nargs="+", metavar="WxH", help="only images of these sizes, such as 256x256")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    model, _ = oracle.load(args.weights)
    images = {path.name: oracle.read_pixels(path) for path in list_images([args.images], args.sizes)}
    oracle.detections(model, next(iter(images.values())))  # the first call allocates and picks kernels
    rows = []
    for name, pixels in images.items():
        seconds = []
        for _ in range(args.repeats):
            start = time.perf_counter()
            found = oracle.detections(model, pixels)
            seconds.append(time.perf_counter() - start)
        rows.append((len(found["scores"]), min(seconds), name))
    print(f"{'detections':>10}{'ms':>9}  image")
    for count, best, name in sorted(rows):
        print(f"{count:>10}{best * 1e3:>9.1f}  {name}")
    median = statistics.median(best for _, best, _ in rows)
    print(f"median {median * 1e3:.1f} ms an image, {len(rows)} images, {args.threads} threads")


if __name__ == "__main__":
    main()
