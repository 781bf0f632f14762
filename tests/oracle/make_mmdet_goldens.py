"""Writes the goldens of MMDetection's networks, and lists of their tensors.

    pip install --no-deps --target DIR mmdet mmengine mmcv-lite    # and what they ask for: addict, yapf, terminaltables, …
    python make_mmdet_goldens.py --site DIR --out ../golden [NAME ...]
    python make_mmdet_goldens.py --site DIR --names ../fixtures/state_dicts

The networks are MMDetection's own, of version 3; of the operators that mmcv compiles, RoIAlign and NMS are torchvision's, and no
other is called. Weights are made by the formula of `src/weights/synth.rs` on MMDetection's own names, and stored nowhere: the
metadata of a golden have the seed, the names and shapes, and the powers of two by which some are multiplied (`generated.py`
says why). What the test opens is a checkpoint as MMDetection's trainer writes them, with the configuration of the training as
text in its `meta`. Maps are sampled, and logits and deltas are in our layout: the background first, with deltas of its own.
"""
import argparse
import copy
import importlib.abc
import importlib.machinery
import json
import math
import sys
import types
import warnings
from pathlib import Path

import numpy as np
import torch
import torchvision
from safetensors.torch import save_file

import generated

SEED, SAMPLES, DAMPING, CLASSES = 6, 1024, 0.25, 5
NAMES = ["bolt", "nut", "washer", "rivet", "pin"]
FPN, C4 = "mask-rcnn_r50_fpn", "mask-rcnn_r50-caffe-c4"
CAFFE = {"mean": [103.53, 116.28, 123.675], "std": [1.0, 1.0, 1.0], "bgr_to_rgb": False}
# The spread of outputs, by the end of a name.
SPREADS = {"rpn_cls": 1.0, "rpn_reg": 0.3, "fc_cls": 2.0, "fc_reg": 1.5, "conv_logits": 2.0}
WHOLE = {"fpn": FPN, "c4": C4, "caffe": FPN, "x101": FPN}


class Stub(types.ModuleType):
    """A module that has whatever is asked for: classes that do nothing."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        made = type(name, (torch.nn.Module,), {})
        setattr(self, name, made)
        return made


class Absent(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Modules that MMDetection imports and that no network needs."""

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("matplotlib", "seaborn", "motmetrics", "trackeval", "lvis", "emoji", "fairscale", "nltk"):
            return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec):
        return Stub(spec.name)

    def exec_module(self, module):
        module.__path__ = []


class RoIAlign(torch.nn.Module):
    def __init__(self, output_size, spatial_scale=1.0, sampling_ratio=0, pool_mode="avg", aligned=True):
        super().__init__()
        self.output_size = (output_size, output_size) if isinstance(output_size, int) else tuple(output_size)
        self.spatial_scale, self.sampling_ratio, self.aligned = spatial_scale, sampling_ratio, aligned

    def forward(self, x, rois):
        return torchvision.ops.roi_align(x, rois, self.output_size, self.spatial_scale, self.sampling_ratio, self.aligned)


def batched_nms(boxes, scores, idxs, nms_cfg, class_agnostic=False):
    """Group by group instead of far apart, which f32 would round."""
    keep = torchvision.ops.boxes._batched_nms_vanilla(boxes, scores, idxs, nms_cfg["iou_threshold"])
    return torch.cat([boxes[keep], scores[keep, None]], 1), keep


def load_mmdet(site):
    warnings.filterwarnings("ignore")
    sys.path.insert(0, str(site))
    sys.meta_path.append(Absent())
    ops = Stub("mmcv.ops")
    ops.__path__ = []
    for name in ("", ".nms", ".merge_cells", ".carafe", ".corner_pool", ".roi_align", ".modulated_deform_conv", ".deform_conv"):
        sys.modules["mmcv.ops" + name] = Stub("mmcv.ops" + name) if name else ops
    ops.RoIAlign = RoIAlign
    ops.batched_nms = sys.modules["mmcv.ops.nms"].batched_nms = batched_nms
    import mmcv

    # The next that MMDetection 3.3 takes has the same networks.
    mmcv.__version__ = "2.1.0"
    mmcv.ops = ops
    import mmcv.cnn.bricks.transformer as transformer

    transformer.MultiScaleDeformableAttention = ops.MultiScaleDeformableAttention
    from mmdet.utils import register_all_modules

    register_all_modules()


def configured(site, name, classes, narrow):
    """The model's configuration, and the pipeline for tests."""
    from mmengine.config import Config

    cfg = Config.fromfile(str(site / f"mmdet/.mim/configs/_base_/models/{WHOLE[name]}.py"))
    model = cfg.model
    model.backbone.init_cfg = None
    heads = [model.roi_head.bbox_head, model.roi_head.mask_head]
    for head in heads:
        head.num_classes = classes
    if name == "caffe":
        model.backbone.style = "caffe"
        model.data_preprocessor.update(CAFFE)
        # One set of deltas and one mask for all, and rules that are not the default.
        heads[0].reg_class_agnostic = True
        heads[1].class_agnostic = True
        model.rpn_head.anchor_generator.ratios = [0.5, 1.5]
        model.test_cfg.rcnn.score_thr = 0.1
        model.roi_head.bbox_roi_extractor.roi_layer.sampling_ratio = 2
    if name == "x101":
        model.backbone.update(type="ResNeXt", depth=101, groups=32, base_width=8)
    scale = (1333, 800)
    if narrow:
        scale = (200, 120)
        model.backbone.update(base_channels=16, stem_channels=16)
        model.test_cfg.rpn.update(nms_pre=300, max_per_img=100)
        model.test_cfg.rcnn.max_per_img = 20
        if name == "c4":
            model.rpn_head.update(in_channels=256, feat_channels=256)
            model.roi_head.bbox_roi_extractor.out_channels = 256
            heads[0].in_channels = heads[1].in_channels = 512
            heads[1].conv_out_channels = 32
        else:
            model.neck.update(in_channels=[64, 128, 256, 512], out_channels=32)
            model.rpn_head.update(in_channels=32, feat_channels=32)
            for part in (model.roi_head.bbox_roi_extractor, model.roi_head.mask_roi_extractor):
                part.out_channels = 32
            heads[0].update(in_channels=32, fc_out_channels=64)
            heads[1].update(in_channels=32, conv_out_channels=32)
    cfg.test_pipeline = [
        dict(type="LoadImageFromFile", backend_args=None),
        dict(type="Resize", scale=scale, keep_ratio=True),
        dict(type="PackDetInputs", meta_keys=("img_id", "ori_shape", "img_shape", "scale_factor")),
    ]
    return cfg


def build(cfg):
    from mmdet.registry import MODELS

    model = MODELS.build(copy.deepcopy(cfg.model))
    if model.roi_head.with_shared_head and model.backbone.base_channels != 64:
        # The configuration has no width for it.
        from mmdet.models.backbones.resnet import Bottleneck
        from mmdet.models.layers import ResLayer

        head, width = cfg.model.roi_head.shared_head, model.backbone.base_channels
        model.roi_head.shared_head.layer4 = ResLayer(
            Bottleneck, width * 16, width * 8, 3, stride=2, style=head.style, norm_cfg=head.norm_cfg
        )
    return model.eval()


def damped(model):
    """Residual branches quieter than what passes by them, and bytes brought to the size of what torchvision's bodies get."""
    scales = {key: DAMPING for key in model.state_dict() if key.endswith("bn3.weight")}
    return scales | {"backbone.conv1.weight": 2.0**-6 if model.data_preprocessor.std.max() == 1 else 1.0}


@torch.no_grad()
def spread(model, name, outputs, scales):
    key = f"{name}.weight"
    scales[key] = 2.0 ** round(math.log2(SPREADS[name.rsplit(".", 1)[1]] / outputs.std().item()))
    model.get_parameter(key).mul_(scales[key])


def channels_last(x):
    """[1, C, H, W] as ours lies in memory."""
    return x[0].permute(1, 2, 0).flatten()


def sample(x):
    stride = -(-x.numel() // SAMPLES) | 1
    return x[::stride]


def packed(cfg, rgb):
    """What the pipeline gives the network of an image: BGR, resized, and what is said of it."""
    import mmcv
    from mmdet.structures import DetDataSample

    bgr = np.ascontiguousarray(rgb[:, :, ::-1])
    resized = mmcv.imrescale(bgr, cfg.test_pipeline[1]["scale"])
    (h, w), (new_h, new_w) = bgr.shape[:2], resized.shape[:2]
    sample = DetDataSample(metainfo=dict(ori_shape=(h, w), img_shape=(new_h, new_w), scale_factor=(new_w / w, new_h / h)))
    return {"inputs": [torch.from_numpy(np.ascontiguousarray(resized.transpose(2, 0, 1)))], "data_samples": [sample]}


@torch.no_grad()
def stages(model, cfg, pixels, scales=None):
    """Every stage; with `scales`, the last layers get weights that make their outputs spread on the way."""
    from mmdet.structures.bbox import bbox2roi

    calibrate = (lambda name, outputs: spread(model, name, outputs, scales)) if scales is not None else lambda *_: None
    out = {"pixels": torch.from_numpy(pixels)}
    data = model.data_preprocessor(packed(cfg, pixels), False)
    x, samples = data["inputs"], data["data_samples"]
    metas = [s.metainfo for s in samples]
    h, w = metas[0]["img_shape"]
    out["transform.size"] = torch.tensor([h, w], dtype=torch.int32)
    rgb = x[0] if cfg.model.data_preprocessor.bgr_to_rgb else x[0].flip(0)
    out["transform"] = sample(channels_last(torch.cat([rgb, torch.zeros_like(rgb[:1])])[None]))
    features = model.backbone(x)
    body = model.backbone
    c = body.maxpool(body.relu(body.norm1(body.conv1(x))))
    for i, layer in enumerate(body.res_layers):
        c = getattr(body, layer)(c)
        out[f"c{i + 2}"] = sample(channels_last(c))
    if model.with_neck:
        features = model.neck(features)
        for i, p in enumerate(features):
            out[f"p{i + 2}"] = sample(channels_last(p))
    rpn, heads = model.rpn_head, model.roi_head
    for part, outputs in zip(("rpn_cls", "rpn_reg"), rpn(features)):
        calibrate(f"rpn_head.{part}", torch.cat([x.flatten() for x in outputs]))
    logits, deltas = rpn(features)
    out["rpn.logits"] = torch.cat([x.permute(0, 2, 3, 1).flatten() for x in logits])
    out["rpn.deltas"] = sample(torch.cat([x.permute(0, 2, 3, 1).flatten() for x in deltas]))
    proposals = rpn.predict_by_feat(logits, deltas, batch_img_metas=metas, cfg=model.test_cfg.rpn, rescale=False)
    out["rpn.proposals"], out["rpn.scores"] = proposals[0].bboxes, proposals[0].scores

    rois = bbox2roi([proposals[0].bboxes])
    forward = lambda: heads._bbox_forward(features, rois)
    for part, outputs in zip(("fc_cls", "fc_reg"), (forward()["cls_score"], forward()["bbox_pred"])):
        calibrate(f"roi_head.bbox_head.{part}", outputs)
    logits, deltas = forward()["cls_score"], forward()["bbox_pred"]
    out["box.logits"] = torch.cat([logits[:, -1:], logits[:, :-1]], 1)
    out["box.deltas"] = deltas if deltas.shape[1] == 4 else torch.cat([torch.zeros(len(deltas), 4), deltas], 1)
    found = heads.predict_bbox(features, metas, proposals, rcnn_test_cfg=model.test_cfg.rcnn, rescale=False)
    out["det.boxes"], out["det.scores"] = found[0].bboxes.clone(), found[0].scores
    out["det.labels"] = (found[0].labels + 1).int()
    forward = lambda: heads._mask_forward(features, bbox2roi([out["det.boxes"]]))["mask_preds"]
    calibrate("roi_head.mask_head.conv_logits", forward())
    masks = forward().sigmoid()
    out["mask.probs"] = masks[:, 0] if masks.shape[1] == 1 else masks[range(len(masks)), found[0].labels]
    whole = model.predict(x, samples, rescale=True)[0].pred_instances
    assert torch.equal(whole.scores, out["det.scores"]), "the whole network finds something else"
    out["post.boxes"], out["post.masks"] = whole.bboxes, whole.masks
    return out


def shapes(model):
    return [[key, list(x.shape)] for key, x in model.state_dict().items() if not key.endswith("num_batches_tracked")]


def golden(site, name, pixels, classes=CLASSES, narrow=True):
    cfg = configured(site, name, classes, narrow)
    model = build(cfg)
    scales = damped(model)
    generated.generate(model, SEED, scales)
    tensors = stages(model, cfg, pixels, scales)
    tensors["mask.probs"] = tensors["mask.probs"][:4]
    masks = np.packbits(np.asarray(tensors["post.masks"]), axis=2, bitorder="little")
    tensors["post.masks"] = torch.from_numpy(masks)
    metadata = {
        "family": "MMDetection",
        "shapes": json.dumps(shapes(model)),
        "seed": str(SEED),
        "scales": json.dumps(scales),
        "training": cfg.pretty_text,
        "classes": json.dumps(NAMES if classes == CLASSES else []),
        "settings": "{}",
    }
    return {key: x.contiguous().clone() for key, x in tensors.items()}, metadata


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("variants", nargs="*", metavar="NAME", help=f"of {', '.join(WHOLE)}; all but x101 if none is given")
    parser.add_argument("--site", type=Path, required=True, metavar="DIR", help="where mmdet, mmengine and mmcv-lite are installed")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where goldens go")
    parser.add_argument("--names", type=Path, metavar="DIR", help="where lists of tensors go")
    parser.add_argument("--photo", type=Path, metavar="PNG", help="of its real size, and on this picture")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    load_mmdet(args.site)
    if args.names:
        for name, file in (("fpn", "mmdet_r50_fpn"), ("c4", "mmdet_r50_c4"), ("x101", "mmdet_x101_32x8d_fpn")):
            model = build(configured(args.site, name, 80, narrow=False))
            lines = ["{} {}".format(key, "x".join(map(str, shape))) for key, shape in shapes(model)]
            (args.names / f"{file}.txt").write_text("".join(f"{line}\n" for line in lines))
            counters = sum(key.endswith("num_batches_tracked") for key in model.state_dict())
            print(f"{file}: {len(lines)} tensors, {len(lines) + counters} with counters")
    for name in args.variants or [name for name in WHOLE if name != "x101"]:
        if args.out:
            if args.photo:
                from PIL import Image

                pixels = np.asarray(Image.open(args.photo).convert("RGB"))
                tensors, metadata = golden(args.site, name, pixels, 80, narrow=False)
            else:
                tensors, metadata = golden(args.site, name, generated.picture("mmdet", 90, 120))
            path = args.out / f"mmdet_{name}.safetensors"
            save_file(tensors, path, metadata)
            found = len(tensors["det.boxes"])
            print(f"{path.name}: {path.stat().st_size:,} bytes, {len(tensors['rpn.proposals'])} proposals, {found} detections", flush=True)


if __name__ == "__main__":
    main()
