"""Writes the goldens of R-CNN: what torch makes of each proposal's crop by itself.

    python make_crop_golden.py --calibrations ../golden --out ../golden [--real DIR PHOTO.jpg]

`crops_fpn_small` is of torchvision's Mask R-CNN with generated weights (`generated.py`) on a drawn picture,
`crops_c4_small` of the body without an FPN that `body_c4` has. Each has boxes, what is seen of them, a sample of the first
warped crop, and the logits and deltas of all. `--real` gets `crops__<photo>`: twenty boxes of a photo.

The crop is R-CNN's (`rcnn_im_crop.m`) for boxes of continuous coordinates: enlarged by 224 / (224 - 2 * 16) about its
centre, rounded to pixels, cut at the image's border, warped to its share of the square, the rest of it zero.
"""
import argparse
import json
import math
from pathlib import Path

import torch
import torch.nn.functional as F
import torchvision
import torchvision.ops.boxes as box_ops
from safetensors import safe_open
from safetensors.torch import save_file
from torchvision.ops import MultiScaleRoIAlign

import generated
import make_body_goldens as bodies
import make_coco_goldens as coco
import oracle

SIDE, CONTEXT, SAMPLES = 224, 16, 4096


def nearest(v):
    """Halves away from zero."""
    return int(math.copysign(math.floor(abs(v) + 0.5), v))


def window(box, width, height):
    x1, y1, x2, y2 = box
    out = []
    for low, high, pixels in ((x1, x2, width), (y1, y2, height)):
        low, high = max(low, 0.0), min(high, float(pixels))
        centre, half = (low + high) / 2, (high - low) / 2 * SIDE / (SIDE - 2 * CONTEXT)
        first = min(nearest(centre - half), pixels - 1)
        out.append((first, max(nearest(centre + half), first + 1, 1)))
    return out


def crop(normalised, seen):
    """[3, S, S] of the [3, H, W] image."""
    _, height, width = normalised.shape
    spans = []
    for (first, end), pixels in zip(seen, (width, height)):
        low, high = max(first, 0), min(end, pixels)
        begin = min(nearest((low - first) * SIDE / (end - first)), SIDE - 1)
        length = min(max(nearest((high - low) * SIDE / (end - first)), 1), SIDE - begin)
        spans.append((low, high, begin, length))
    (left, right, column, wide), (top, bottom, row, tall) = spans
    part = normalised[None, :, top:bottom, left:right]
    square = torch.zeros(3, SIDE, SIDE)
    square[:, row : row + tall, column : column + wide] = F.interpolate(part, (tall, wide), mode="bilinear")[0]
    return square


def boxes(name, count, width, height):
    """Of all sizes and shapes; the first are the whole image, a pixel in a corner, a strip, and what is over the border."""
    draw = (generated.noise(generated.fnv1a(name), 4 * count) + 1) / 2
    out = [[0, 0, width, height], [width - 1, height - 1, width, height], [0, height / 2, width, height / 2 + 1.5],
           [-20.5, -9.25, width / 3, height / 2]]
    for a, b, c, d in draw.reshape(-1, 4)[: count - len(out)]:
        w, h = max(1.5, width * c**2), max(1.5, height * d**2)
        x, y = a * (width - w), b * (height - h)
        out.append([x, y, x + w, y + h])
    return torch.tensor(out, dtype=torch.float32)


@torch.no_grad()
def golden(model, pixels, count, name):
    heads, (height, width) = model.roi_heads, pixels.shape[:2]
    given = boxes(name, count, width, height)
    seen = [window(box, width, height) for box in given.tolist()]
    image = model.transform.normalize(oracle.to_input(pixels))
    logits, deltas, first = [], [], None
    for each in seen:
        square = crop(image, each)
        first = square if first is None else first
        maps = model.backbone(square[None])
        # The whole crop is the RoI, of a square image of its own.
        pool = heads.box_roi_pool
        pool = MultiScaleRoIAlign(pool.featmap_names, pool.output_size, pool.sampling_ratio)
        whole = [torch.tensor([[0.0, 0.0, SIDE, SIDE]])]
        predicted = heads.box_predictor(heads.box_head(pool(maps, whole, [(SIDE, SIDE)])))
        logits.append(predicted[0][0]), deltas.append(predicted[1][0])
    windows = torch.tensor([[x[0], y[0], x[1], y[1]] for x, y in seen], dtype=torch.float32)
    logits, deltas = torch.stack(logits), torch.stack(deltas)
    # As the detector does it, in an image that was not resized.
    found = heads.postprocess_detections(logits, deltas, [windows], [(height, width)])
    out = {"crops.det.boxes": found[0][0], "crops.det.scores": found[1][0], "crops.det.labels": found[2][0].int()}
    pixels_last = F.pad(first, (0, 0, 0, 0, 0, 1)).permute(1, 2, 0).flatten()
    resized = model.transform([oracle.to_input(pixels)])[0].image_sizes[0]
    return out | {
        "pixels": torch.from_numpy(pixels),
        "transform.size": torch.tensor(resized, dtype=torch.int32),
        "crops.boxes": given,
        "crops.windows": windows,
        "crops.warp": pixels_last[:: -(-pixels_last.numel() // SAMPLES) | 1],
        "crops.logits": logits,
        "crops.deltas": deltas,
    }


def write(path, tensors, metadata):
    tensors = {key: x.contiguous().clone() for key, x in tensors.items()}
    save_file(tensors, path, {"name": path.stem, "torchvision": torchvision.__version__} | metadata)
    found = len(tensors["crops.det.boxes"])
    print(f"{path.name}: {path.stat().st_size:,} bytes, {len(tensors['crops.boxes'])} boxes, {found} detections", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo", nargs="?", type=Path, metavar="PHOTO.jpg")
    parser.add_argument("--calibrations", type=Path, required=True, metavar="DIR")
    parser.add_argument("--out", type=Path, metavar="DIR")
    parser.add_argument("--real", type=Path, metavar="DIR")
    args = parser.parse_args()
    torch.set_num_threads(2)
    box_ops.batched_nms = box_ops._batched_nms_vanilla
    name = "maskrcnn_resnet50_fpn"
    tensors, seed = generated.state(name, args.calibrations)
    if args.out:
        model = oracle.published(name, tensors, coco.SMALL)
        pixels = generated.picture("crops", 130, 155)
        write(args.out / "crops_fpn_small.safetensors", golden(model, pixels, 12, "fpn"), coco.describe(name, seed, coco.SMALL))
        with safe_open(args.calibrations / "body_c4.safetensors", "pt") as file:
            metadata = file.metadata()
        model = bodies.build(bodies.VARIANTS["c4"])
        bodies.generate(model, json.loads(metadata["scales"]))
        kept = {key: metadata[key] for key in ("config", "seed", "scales")}
        write(args.out / "crops_c4_small.safetensors", golden(model, pixels, 8, "c4"), kept)
    if args.real:
        pixels = oracle.read_pixels(args.photo)
        path = args.real / f"crops__{args.photo.stem}.safetensors"
        write(path, golden(oracle.published(name, tensors), pixels, 20, args.photo.stem), coco.describe(name, seed, {}))


if __name__ == "__main__":
    main()
