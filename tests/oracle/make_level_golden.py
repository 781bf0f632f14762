"""Writes the golden of large RoIs: of what torchvision's level mapper gives to P4 and P5, which small images lack.

    maskrcnn weights convert tests/fixtures/tiny_zip.pth tiny.safetensors --bn-eps 1e-5
    python make_level_golden.py --weights tiny.safetensors --out ../golden

`levels_small` is a network of a few channels on a drawn picture of 128 x 160, enlarged to 512 x 640, with proposals and
detections from a few pixels to the whole image. It has the picture, the coarse half of the pyramid, and the RoIs with
what both RoIAligns make of them. `pooled_small` is the same network with torchvision's `roi_pool` in the box head and the
maximum of RoIAlign's samples in the mask head.
"""
import argparse
import json
import math
from pathlib import Path

import torch
import torchvision
from safetensors.torch import save_file

import doubts
import generated
import oracle

OVERRIDES = {
    "transform.min_size": 512,
    "transform.max_size": 640,
    # The fixture's weights are not trained: smaller inputs and deltas keep boxes near their anchors.
    "transform.image_std": [5.5, 5.5, 5.5],
    "box.reg_weights": [100.0, 100.0, 50.0, 50.0],
    # So few of each level that the large anchors of P5 and P6 are a third of them.
    "rpn.pre_nms_top_n": 40,
    "rpn.post_nms_top_n": 120,
    # Clipped to the image, large boxes are much alike.
    "rpn.nms_thresh": 0.99,
    "box.score_thresh": 0.0,
    "box.nms_thresh": 0.7,
    "box.detections_per_img": 100,
}
POOLED = {"box.pooling": "pool", "mask.pooling": "align-max"}
KEPT = ("pixels", "transform.size", "p4", "p5", "rpn.proposals", "rpn.scores", "box.features", "det.boxes", "det.scores",
        "det.labels", "mask.features", "post.boxes")


def load(path, changes):
    """(model, configuration as our files have it)."""
    with oracle.safe_open(path, "pt") as file:
        ours = json.loads(file.metadata()["config"])
        state = {key: file.get_tensor(key).float() for key in file.keys()}
    oracle.override(ours, OVERRIDES | changes)
    oracle.box_ops.batched_nms = oracle.box_ops._batched_nms_vanilla
    width = ours["backbone"]["base_width"]
    model = oracle.build(ours | {"backbone": ours["backbone"] | {"type": "resnet", "channels": [width << i for i in range(4)]}})
    missing, unexpected = model.load_state_dict(state, strict=False)
    if unexpected or any(not key.endswith("num_batches_tracked") for key in missing):
        raise ValueError(f"{path}: missing {missing}, unexpected {unexpected}")
    return model, ours


def levels(boxes):
    """How many boxes torchvision's mapper puts on P2, P3, P4 and P5."""
    mapped = torchvision.ops.poolers.LevelMapper(2, 5)([boxes])
    return mapped.bincount(minlength=4).tolist()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    args = parser.parse_args()
    torch.set_num_threads(2)
    for name, changes in (("levels_small", {}), ("pooled_small", POOLED)):
        model, cfg = load(args.weights, changes)
        with doubts.recorded() as calls:
            stages = oracle.stages(model, generated.picture("levels", 128, 160))
        print(doubts.describe(stages, calls, model))
        for stage in ("rpn.proposals", "det.boxes"):
            print(f"{stage}: {levels(stages[stage])} on P2 to P5")
        # The pyramid is the same.
        kept = [stage for stage in KEPT if not changes or stage not in ("p4", "p5")]
        tensors = {stage: stages[stage].contiguous().clone() for stage in kept}
        path = args.out / f"{name}.safetensors"
        metadata = {"name": path.stem, "config": json.dumps(cfg), "weights": "tests/fixtures/tiny_zip.pth"}
        save_file(tensors, path, metadata | {"torchvision": torchvision.__version__})
        print(f"{path.name}: {path.stat().st_size:,} bytes, {len(tensors)} tensors, {len(stages['det.boxes'])} detections")


if __name__ == "__main__":
    main()
