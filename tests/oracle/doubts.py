"""Counts the decisions of a network that another rounding could turn: what a comparison must not hold an engine to."""
import contextlib

import torch
import torchvision.ops.boxes as box_ops
from torchvision.ops import box_iou

NEAR_IOU = 1e-5


@contextlib.contextmanager
def recorded():
    """Collects the arguments and the answer of every NMS."""
    calls, nms = [], box_ops.batched_nms

    def recording(*arguments):
        kept = nms(*arguments)
        calls.append((*arguments, kept))
        return kept

    box_ops.batched_nms = recording
    try:
        yield calls
    finally:
        box_ops.batched_nms = nms


def near_suppressions(boxes, scores, groups, threshold, kept):
    """Boxes that a kept one suppresses or spares by less than `NEAR_IOU`, and that no other suppresses for certain."""
    near = 0
    for group in groups.unique():
        mine, others = kept[groups[kept] == group], torch.where(groups == group)[0]
        margin = box_iou(boxes[mine], boxes[others]).double() - threshold
        margin[scores[mine][:, None] <= scores[others][None]] = -1
        near += int(((margin.abs() < NEAR_IOU).any(0) & (margin < NEAR_IOU).all(0)).sum())
    return near


def cut(scores, kept, count):
    """How much better the last of the best `count` is than the first left out; infinite if none is."""
    best = scores[kept].sort(descending=True).values
    return (best[count - 1] - best[count]).item() if len(best) > count else float("inf")


def near_levels(boxes):
    """Boxes whose size puts them on the border of two pyramid levels."""
    sides = (boxes[:, 2:] - boxes[:, :2]).double()
    level = 4 + torch.log2(sides.prod(1).sqrt() / 224) + 1e-6
    return int((((level - level.round()).abs() < 1e-5) & (level > 2.5) & (level < 5.5)).sum())


def describe(stages, calls, model):
    """One line on everything uncertain in the stages of an image, given the NMS calls that `recorded` saw."""
    of_proposals, of_detections = calls[:2]
    chosen = []
    for i in range(5):
        logits = stages[f"rpn.logits.{i}"].permute(1, 2, 0).flatten()
        indices = stages[f"rpn.topk.indices.{i}"].long()
        rest = torch.ones(len(logits), dtype=torch.bool)
        rest[indices] = False
        chosen.append((logits[indices].min() - logits[rest].max()).item() if rest.any() else float("inf"))
    scores = stages["rpn.scores"]
    probabilities = stages["box.logits"].softmax(1)[:, 1:]
    said = [
        f"{len(scores)} proposals scoring {scores[-1]:.4f} to {scores[0]:.6f}",
        f"{int((scores.diff() > -1e-6).sum())} within 1e-6 of the one before",
        f"top-k cut by {min(chosen):.1e}",
        f"proposals cut by {cut(*of_proposals[1::3], model.rpn.post_nms_top_n()):.1e}",
        f"{near_suppressions(*of_proposals)} + {near_suppressions(*of_detections)} suppressions",
        f"{near_levels(stages['rpn.proposals'])} + {near_levels(stages['det.boxes'])} levels",
        f"{int((probabilities > 0.05).sum())} scores over 0.05, {int(((probabilities - 0.05).abs() < 1e-6).sum())} at it",
        f"{len(of_detections[-1])} detections after NMS, cut by {cut(*of_detections[1::3], model.roi_heads.detections_per_img):.1e}",
        f"scoring {stages['det.scores'][-1]:.4f} to {stages['det.scores'][0]:.4f}",
        f"{int((stages['det.scores'].diff() > -1e-5).sum())} within 1e-5 of the one before",
        f"{len(stages['det.labels'].unique())} labels",
    ]
    if "mask.probs" in stages:
        probs = stages["mask.probs"].flatten(1)
        both = ((probs.min(1).values < 0.5) & (probs.max(1).values > 0.5)).sum()
        said.append(f"{int(both)} masks with both sides, {(probs > 0.5).float().mean():.2f} inside")
        said.append(f"{((probs < 0.001) | (probs > 0.999)).float().mean():.3f} saturated")
    return "; ".join(said)
