"""maskrcnn-benchmark's Mask R-CNN as its exporter to ONNX traced it for the model zoo, written anew: see `make_zoo_fixtures.py`."""
import math

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

import generated

SEED, DAMPING = 11, 0.25
MEAN = [102.9801, 115.9465, 122.7717]
LIMIT = math.log(1000 / 16)


class Shape:
    """Widths of a network, and what tests of it keep."""

    def __init__(self, stem=4, fpn=8, hidden=16, classes=81, blocks=(1, 1, 1, 1), short=96, most=(200, 60, 20), masks=True):
        self.stem, self.fpn, self.hidden, self.classes, self.blocks, self.short = stem, fpn, hidden, classes, blocks, short
        self.pre, self.post, self.found = most
        self.masks = masks

    def tensors(self):
        """Names and shapes, as maskrcnn-benchmark's state dicts have them."""
        out = {}

        def conv(name, k, c, side, bias=False):
            out[f"{name}.weight"] = (k, c, side, side)
            if bias:
                out[f"{name}.bias"] = (k,)

        def norm(name, k):
            for part in ("weight", "bias", "running_mean", "running_var"):
                out[f"{name}.{part}"] = (k,)

        conv("backbone.body.stem.conv1", self.stem, 3, 7)
        norm("backbone.body.stem.bn1", self.stem)
        c = self.stem
        for stage, blocks in enumerate(self.blocks):
            w, k = self.stem << stage, 4 * self.stem << stage
            for block in range(blocks):
                at = f"backbone.body.layer{stage + 1}.{block}"
                for n, (outs, ins, side) in enumerate([(w, c, 1), (w, w, 3), (k, w, 1)], 1):
                    conv(f"{at}.conv{n}", outs, ins, side)
                    norm(f"{at}.bn{n}", outs)
                if block == 0:
                    conv(f"{at}.downsample.0", k, c, 1)
                    norm(f"{at}.downsample.1", k)
                c = k
        f = self.fpn
        for n in range(4):
            conv(f"backbone.fpn.fpn_inner{n + 1}", f, 4 * self.stem << n, 1, True)
            conv(f"backbone.fpn.fpn_layer{n + 1}", f, f, 3, True)
        conv("rpn.head.conv", f, f, 3, True)
        conv("rpn.head.cls_logits", 3, f, 1, True)
        conv("rpn.head.bbox_pred", 12, f, 1, True)
        box = "roi_heads.box"
        for name, rows, columns in [
            (f"{box}.feature_extractor.fc6", self.hidden, 49 * f),
            (f"{box}.feature_extractor.fc7", self.hidden, self.hidden),
            (f"{box}.predictor.cls_score", self.classes, self.hidden),
            (f"{box}.predictor.bbox_pred", 4 * self.classes, self.hidden),
        ]:
            out[f"{name}.weight"], out[f"{name}.bias"] = (rows, columns), (rows,)
        if self.masks:
            for n in range(4):
                conv(f"roi_heads.mask.feature_extractor.mask_fcn{n + 1}", f, f, 3, True)
            conv("roi_heads.mask.predictor.conv5_mask", f, f, 2, True)
            conv("roi_heads.mask.predictor.mask_fcn_logits", self.classes, f, 1, True)
        return out


def cut(x):
    """To eight bits of mantissa: the files get half as large."""
    return (x.contiguous().view(torch.int32) & -65536).view(torch.float32)


def cells(stride):
    """Ratios of a pixel's square, whole, eight times as large, around the pixel."""
    out = []
    for ratio in (0.5, 1.0, 2.0):
        w = round(math.sqrt(stride * stride / ratio))
        h = round(w * ratio)
        x, y = (w * 8 - 1) / 2, (h * 8 - 1) / 2
        c = (stride - 1) / 2
        out.append([c - x, c - y, c + x, c + y])
    return torch.tensor(out)


class Nms(torch.autograd.Function):
    @staticmethod
    def forward(ctx, boxes, scores, threshold):
        import torchvision

        return torchvision.ops.nms(boxes, scores, threshold)

    @staticmethod
    def symbolic(g, boxes, scores, threshold):
        number = lambda v, kind: g.op("Constant", value_t=torch.tensor([v], dtype=kind))
        scores = g.op("Unsqueeze", g.op("Unsqueeze", scores, axes_i=[0]), axes_i=[0])
        boxes = g.op("Unsqueeze", boxes, axes_i=[0])
        most, least = number(2000, torch.int64), number(threshold, torch.float32)
        kept = g.op("NonMaxSuppression", boxes, scores, most, least)
        kept = g.op("Gather", kept, number(2, torch.int64), axis_i=1)
        return g.op("Squeeze", kept, axes_i=[1])


class RoiAlign(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, rois, scale, side):
        import torchvision

        return torchvision.ops.roi_align(x, [rois], side, scale, 2)

    @staticmethod
    def symbolic(g, x, rois, scale, side):
        first = g.op("Gather", rois, g.op("Constant", value_t=torch.tensor(0)), axis_i=1)
        image = g.op("Cast", g.op("Mul", first, g.op("Constant", value_t=torch.tensor(0.0))), to_i=7)
        return g.op("RoiAlign", x, rois, image, spatial_scale_f=scale, output_height_i=side, output_width_i=side, sampling_ratio_i=2)


def best(scores, most):
    """The indices of the best, as many as there are."""
    most = torch.min(torch.cat((torch.tensor([most]), torch._shape_as_tensor(scores)[:1])))
    return torch.topk(scores, most, dim=0).indices


class Net(torch.nn.Module):
    """The network, which owns nothing: its tensors are in a dict of the caller's."""

    def __init__(self, shape, p, size):
        super().__init__()
        self.shape, self.p, self.size = shape, lambda name: p[name], size
        self.kept = {}

    def conv(self, x, name, stride=1, pad=None, norm=None):
        weight = self.p(f"{name}.weight")
        x = F.conv2d(x, weight, None if norm else self.p(f"{name}.bias"), stride, weight.shape[2] // 2 if pad is None else pad)
        if norm is None:
            return x
        weight, bias, mean, var = (self.p(f"{norm}.{part}") for part in ("weight", "bias", "running_mean", "running_var"))
        scale = weight * var.rsqrt()
        return x * scale.reshape(1, -1, 1, 1) + (bias - mean * scale).reshape(1, -1, 1, 1)

    def body(self, x):
        x = F.relu(self.conv(x, "backbone.body.stem.conv1", 2, norm="backbone.body.stem.bn1"))
        x, maps = F.max_pool2d(x, 3, 2, 1), []
        for stage, blocks in enumerate(self.shape.blocks):
            for block in range(blocks):
                at, stride = f"backbone.body.layer{stage + 1}.{block}", 2 if stage and not block else 1
                y = F.relu(self.conv(x, f"{at}.conv1", stride, norm=f"{at}.bn1"))
                y = F.relu(self.conv(y, f"{at}.conv2", norm=f"{at}.bn2"))
                y = self.conv(y, f"{at}.conv3", norm=f"{at}.bn3")
                x = F.relu(y + (x if block else self.conv(x, f"{at}.downsample.0", stride, norm=f"{at}.downsample.1")))
            maps.append(x)
        return maps

    def fpn(self, maps):
        last, out = None, []
        for n in (4, 3, 2, 1):
            inner = self.conv(maps[n - 1], f"backbone.fpn.fpn_inner{n}")
            last = inner if last is None else inner + F.interpolate(last, scale_factor=2, mode="nearest")
            out.insert(0, self.conv(last, f"backbone.fpn.fpn_layer{n}"))
        return [*out, F.max_pool2d(out[-1], 1, 2, 0)]

    def decode(self, deltas, boxes, weights):
        size = boxes[:, 2:] - boxes[:, :2] + 1
        centre = boxes[:, :2] + 0.5 * size
        d = deltas.reshape(boxes.shape[0], -1, 4)
        moved = d[:, :, :2] / torch.tensor(weights[:2]) * size[:, None] + centre[:, None]
        sides = torch.exp(torch.clamp(d[:, :, 2:] / torch.tensor(weights[2:]), max=LIMIT)) * size[:, None]
        out = torch.cat([moved - 0.5 * sides, moved + 0.5 * sides - 1], 2).reshape(-1, 4)
        h, w = self.size
        x, y = out[:, 0::2].clamp(0, w - 1), out[:, 1::2].clamp(0, h - 1)
        return torch.stack([x, y], 2).reshape(-1, 4)

    def proposals(self, maps):
        boxes, scores, logits, deltas = [], [], [], []
        for level, x in enumerate(maps):
            y = F.relu(self.conv(x, "rpn.head.conv"))
            logit, delta = self.conv(y, "rpn.head.cls_logits"), self.conv(y, "rpn.head.bbox_pred")
            logits.append(logit.permute(0, 2, 3, 1).reshape(-1))
            deltas.append(delta.permute(0, 2, 3, 1).reshape(-1, 4))
            stride, (h, w) = 4 << level, x.shape[2:]
            cy, cx = torch.meshgrid(torch.arange(h) * stride, torch.arange(w) * stride, indexing="ij")
            shifts = torch.stack([cx, cy, cx, cy], 2).reshape(-1, 1, 4).float()
            anchors = (shifts + self.p(f"rpn.anchor_generator.cell_anchors.{level}").reshape(1, -1, 4)).reshape(-1, 4)
            of_level = torch.sigmoid(logits[-1])
            top = torch.topk(of_level, min(self.shape.pre, of_level.shape[0])).indices
            of_level, found = of_level[top], self.decode(deltas[-1][top], anchors[top], [1.0, 1.0, 1.0, 1.0])
            kept = Nms.apply(found, of_level, 0.7)
            boxes.append(found[kept])
            scores.append(of_level[kept])
        boxes, scores = torch.cat(boxes), torch.cat(scores)
        kept = best(scores, self.shape.post)
        self.kept |= {"rpn.logits": torch.cat(logits), "rpn.deltas": torch.cat(deltas)}
        self.kept |= {"rpn.proposals": boxes[kept], "rpn.scores": scores[kept]}
        return boxes[kept]

    def pool(self, maps, boxes, side):
        size = boxes[:, 2:] - boxes[:, :2] + 1
        level = torch.floor(4 + torch.log2(torch.sqrt(size[:, 0] * size[:, 1]) / 224 + 1e-6)).clamp(2, 5).to(torch.int64) - 2
        parts = [RoiAlign.apply(x, boxes, 0.25 / 2**n, side) for n, x in enumerate(maps[:4])]
        return sum(part * (level == n).float().reshape(-1, 1, 1, 1) for n, part in enumerate(parts))

    def boxes(self, maps, rois):
        at = "roi_heads.box"
        linear = lambda x, name: F.linear(x, self.p(f"{at}.{name}.weight"), self.p(f"{at}.{name}.bias"))
        x = self.pool(maps, rois, 7).flatten(1)
        x = F.relu(linear(F.relu(linear(x, "feature_extractor.fc6")), "feature_extractor.fc7"))
        logits, deltas = linear(x, "predictor.cls_score"), linear(x, "predictor.bbox_pred")
        self.kept |= {"box.logits": logits, "box.deltas": deltas}
        scores, k = F.softmax(logits, 1), self.shape.classes
        boxes = self.decode(deltas, rois, [10.0, 10.0, 5.0, 5.0]).reshape(-1, 4 * k)
        all_boxes, all_scores, all_labels = [], [], []
        for label in range(1, k):
            of_class = scores[:, label]
            those = (of_class > 0.05).nonzero().squeeze(1)
            of_class, found = of_class[those], boxes[:, 4 * label : 4 * label + 4][those]
            kept = Nms.apply(found, of_class, 0.5)
            all_boxes.append(found[kept])
            all_scores.append(of_class[kept])
            # Whose number the exporter would not freeze.
            all_labels.append((of_class[kept] * 0 + label).to(torch.int64))
        found, scores, labels = torch.cat(all_boxes), torch.cat(all_scores), torch.cat(all_labels)
        kept = best(scores, self.shape.found)
        return found[kept], labels[kept], scores[kept]

    def masks(self, maps, boxes, labels):
        at = "roi_heads.mask"
        x = self.pool(maps, boxes, 14)
        for n in range(4):
            x = F.relu(self.conv(x, f"{at}.feature_extractor.mask_fcn{n + 1}"))
        x = F.relu(F.conv_transpose2d(x, self.p(f"{at}.predictor.conv5_mask.weight"), self.p(f"{at}.predictor.conv5_mask.bias"), 2))
        x = self.conv(x, f"{at}.predictor.mask_fcn_logits")
        self.kept["mask.logits"] = x
        rows = (labels * 0 + 1).nonzero().squeeze(1) * self.shape.classes + labels
        return torch.sigmoid(x).reshape(-1, 28, 28)[rows][:, None]

    def forward(self, image):
        maps = self.body(image[None])
        self.kept |= {f"c{n + 2}": x for n, x in enumerate(maps)}
        maps = self.fpn(maps)
        self.kept |= {f"p{n + 2}": x for n, x in enumerate(maps)}
        boxes, labels, scores = self.boxes(maps, self.proposals(maps))
        if not self.shape.masks:
            return boxes, labels, scores
        return boxes, labels, scores, self.masks(maps, boxes, labels)


SPREADS = {"rpn.head.cls_logits": ("rpn.logits", 1.0), "rpn.head.bbox_pred": ("rpn.deltas", 0.3)}
SPREADS |= {"roi_heads.box.predictor.cls_score": ("box.logits", 2.0), "roi_heads.box.predictor.bbox_pred": ("box.deltas", 1.5)}
SPREADS |= {"roi_heads.mask.predictor.mask_fcn_logits": ("mask.logits", 2.0)}


@torch.no_grad()
def weights(shape, image, size):
    """Tensors by the formula, scaled so that scores and boxes spread; and the scales."""
    shapes = shape.tensors()
    scales = {name: DAMPING for name in shapes if name.endswith("bn3.weight")}
    scales["backbone.body.stem.conv1.weight"] = 2.0**-6
    p = {name: cut(generated.values(name, of, SEED) * scales.get(name, 1.0)) for name, of in shapes.items()}
    p |= {f"rpn.anchor_generator.cell_anchors.{level}": cells(4 << level) for level in range(5)}
    for name, (kept, spread) in SPREADS.items():
        if f"{name}.weight" in p:
            net = Net(shape, p, size)
            net(image)
            factor = 2.0 ** round(math.log2(spread / net.kept[kept].std().item()))
            scales[f"{name}.weight"] = factor
            p[f"{name}.weight"] = p[f"{name}.weight"] * factor
    return p, scales


def prepared(pixels, short):
    """As the zoo's README has it: both sides by one factor, rounded down, blue first, less the mean, padded."""
    h0, w0 = pixels.shape[:2]
    ratio = short / min(h0, w0)
    w, h = int(ratio * w0), int(ratio * h0)
    resized = np.asarray(Image.fromarray(pixels).resize((w, h), Image.BILINEAR), dtype=np.float32)[:, :, ::-1]
    image = np.zeros((3, -(-h // 32) * 32, -(-w // 32) * 32), np.float32)
    image[:, :h, :w] = resized.transpose(2, 0, 1) - np.array(MEAN, np.float32)[:, None, None]
    return torch.from_numpy(image), (h, w)
