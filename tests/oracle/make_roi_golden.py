"""Writes the golden of RoIs alone: a thousand on one map, pooled in every way.

    python make_roi_golden.py --out ../golden

`rois` has a map, RoIs inside, over the border, past it, of no area, turned round and on halves of the map's pixels, and
what `torchvision.ops.roi_pool` and `roi_align` make of them; the maximum of RoIAlign's samples is that of a sample a bin.
The map's values are whole, and each stands there once: what RoIPool gives is kept as a byte.
"""
import argparse
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torchvision.ops import roi_align, roi_pool

ROIS, HEIGHT, WIDTH, STRIDE = 1000, 12, 13, 16
# Bins along a side, of RoIPool and of RoIAlign; samples a bin and axis.
POOL, ALIGN, SAMPLING = 3, 2, 2


def rois(generator):
    """Boxes in pixels of the image; each kind is a seventh of them."""
    width, height = WIDTH * STRIDE, HEIGHT * STRIDE
    size = torch.tensor([width, height, width, height], dtype=torch.float32)
    a, b = torch.rand(2, ROIS, 4, generator=generator) * size
    inside = torch.cat([torch.minimum(a, b)[:, :2], torch.maximum(a, b)[:, :2]], 1)
    boxes = inside.clone()
    kind = torch.arange(ROIS) % 7
    boxes[kind == 1] = (inside * 2 - size / 2)[kind == 1]  # over the border
    boxes[kind == 2, 2:] = inside[kind == 2, :2]  # of no area
    boxes[kind == 3] = inside[kind == 3][:, [2, 3, 0, 1]]  # turned round
    boxes[kind == 4] = ((inside / 8).round() * 8)[kind == 4]  # on halves of pixels
    boxes[kind == 5] = (inside + size * 1.5 * torch.sign(a - b)[:, :1])[kind == 5]  # past the border
    boxes[kind == 6, 2:] = (inside[:, :2] + 20 * torch.rand(ROIS, 2, generator=generator))[kind == 6]  # small
    return boxes


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    args = parser.parse_args()
    generator = torch.Generator().manual_seed(5)
    boxes = rois(generator)
    values = [torch.randperm(HEIGHT * WIDTH, generator=generator) + 1 for _ in range(4)]
    x = torch.stack(values).reshape(1, 4, HEIGHT, WIDTH).float()
    numbered = F.pad(boxes, (1, 0))
    single = roi_align(x, numbered, ALIGN * SAMPLING, 1 / STRIDE, 1)
    tensors = {
        "map": x,
        "rois": boxes,
        "pool": roi_pool(x, numbered, POOL, 1 / STRIDE).to(torch.uint8),
        "align": roi_align(x, numbered, ALIGN, 1 / STRIDE, SAMPLING),
        "align_max": F.max_pool2d(single, SAMPLING),
        "aligned": roi_align(x, numbered, ALIGN, 1 / STRIDE, SAMPLING, aligned=True),
    }
    path = args.out / "rois.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
    print(f"{path.name}: {path.stat().st_size:,} bytes; {int((tensors['pool'] == 0).sum())} of {tensors['pool'].numel()} bins are empty")


if __name__ == "__main__":
    main()
