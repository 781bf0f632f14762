"""Writes the goldens of matterport's networks, lists of their tensors, and small `.h5` files of them.

    python make_matterport_goldens.py --out ../golden [NAME ...]
    python make_matterport_goldens.py --names ../fixtures/state_dicts
    python make_matterport_goldens.py --h5 ../fixtures

matterport's code is of 2019 and runs on TensorFlow 1 alone; this is its inference once more, of `mrcnn/model.py` and
`mrcnn/utils.py`, in NumPy and torch, with scikit-image for what it leaves to that. `--h5` builds the same layers in Keras,
lets Keras write them, and holds this script's forward pass against Keras's own.

Weights are made by the formula of `src/weights/synth.rs` on Keras's names and in its layout, and stored nowhere: the metadata
of a golden have the seed, the names and shapes, the powers of two by which tensors are multiplied, and the last layers' biases. Two things are not
TensorFlow's: fewer proposals than there is room for are not filled up with boxes of no area at the corner, and a sample that f32
puts past the border of what it lies on counts as on it, as it would without rounding (`SLACK`).
"""
import argparse
import json
import math
from pathlib import Path

import numpy as np
import skimage.transform
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

import generated

SEED, SAMPLES, DAMPING, EPS, SLACK = 7, 2048, 0.25, 1e-3, 1e-3
BLOCKS = {"resnet50": (3, 4, 6, 3), "resnet101": (3, 4, 23, 3)}
# As the samples have them, but for the sizes of small pictures.
COCO = {
    "mode": "square", "min": 800, "max": 1024, "min_scale": 0, "mean": (123.7, 116.8, 103.9), "anchors": (32, 64, 128, 256, 512),
    "pre": 6000, "post": 1000, "min_score": 0.7, "most": 100, "backbone": "resnet101", "classes": 81,
}
NUCLEUS = COCO | {
    "mode": "pad64", "min": 512, "min_scale": 2, "mean": (43.53, 39.56, 48.22), "anchors": (8, 16, 32, 64, 128), "post": 2000,
    "min_score": 0, "most": 400, "backbone": "resnet50", "classes": 2,
}
WIDE = {"base": 64, "fpn": 256, "rpn": 512, "fc": 1024, "mask": 256}
NARROW = {"base": 16, "fpn": 32, "rpn": 64, "fc": 64, "mask": 32}
# By name: settings, widths, the picture's rows and columns, and the settings that a test has to state.
VARIANTS = {
    "coco": (
        COCO | {"min": 128, "max": 192, "pre": 700, "post": 100, "most": 20, "min_score": 0.3, "classes": 7}, NARROW, (130, 170),
        {"transform": {"min_size": 128, "max_size": 192}, "rpn": {"pre_nms_top_n": 700, "post_nms_top_n": 100},
         "box": {"detections_per_img": 20, "score_thresh": 0.3}},
    ),
    "nucleus": (
        NUCLEUS | {"min": 128, "pre": 700, "post": 100, "most": 20}, NARROW, (100, 76),
        {"transform": {"min_size": 128}, "rpn": {"pre_nms_top_n": 700, "post_nms_top_n": 100}, "box": {"detections_per_img": 20}},
    ),
    "full": (COCO, WIDE, None, {}),
}
LOUDER = {3: 2.0, 4: 4.0, 5: 4.0}
SPREADS = {"rpn_class_raw": 1.0, "rpn_bbox_pred": 1.0, "mrcnn_class_logits": 2.0, "mrcnn_bbox_fc": 1.5, "mrcnn_mask": 2.0}


def layers(settings, widths):
    """(layer, {weight: shape}) in Keras's layout, in the order of `build`."""
    base, fpn, classes = widths["base"], widths["fpn"], settings["classes"]
    conv = lambda name, *shape: (name, {"kernel": shape, "bias": shape[-1:]})
    norm = lambda name, n: (name, {w: (n,) for w in ("gamma", "beta", "moving_mean", "moving_variance")})
    yield conv("conv1", 7, 7, 3, base)
    yield norm("bn_conv1", base)
    inputs = base
    for stage, blocks in enumerate(BLOCKS[settings["backbone"]]):
        width = base << stage
        for block in range(blocks):
            name = f"{stage + 2}{chr(97 + block)}_branch"
            shapes = {"2a": (1, 1, inputs, width), "2b": (3, 3, width, width), "2c": (1, 1, width, 4 * width)}
            if block == 0:
                shapes["1"] = (1, 1, inputs, 4 * width)
            for branch, shape in shapes.items():
                yield conv(f"res{name}{branch}", *shape)
                yield norm(f"bn{name}{branch}", shape[-1])
            inputs = 4 * width
    for level in (5, 4, 3, 2):
        yield conv(f"fpn_c{level}p{level}", 1, 1, base << level, fpn)
    for level in (2, 3, 4, 5):
        yield conv(f"fpn_p{level}", 3, 3, fpn, fpn)
    yield conv("rpn_conv_shared", 3, 3, fpn, widths["rpn"])
    yield conv("rpn_class_raw", 1, 1, widths["rpn"], 6)
    yield conv("rpn_bbox_pred", 1, 1, widths["rpn"], 12)
    yield conv("mrcnn_class_conv1", 7, 7, fpn, widths["fc"])
    yield norm("mrcnn_class_bn1", widths["fc"])
    yield conv("mrcnn_class_conv2", 1, 1, widths["fc"], widths["fc"])
    yield norm("mrcnn_class_bn2", widths["fc"])
    yield conv("mrcnn_class_logits", widths["fc"], classes)
    yield conv("mrcnn_bbox_fc", widths["fc"], 4 * classes)
    for i in range(1, 5):
        yield conv(f"mrcnn_mask_conv{i}", 3, 3, fpn if i == 1 else widths["mask"], widths["mask"])
        yield norm(f"mrcnn_mask_bn{i}", widths["mask"])
    # A transposed convolution's outputs stand before its inputs.
    yield "mrcnn_mask_deconv", {"kernel": (2, 2, widths["mask"], widths["mask"]), "bias": (widths["mask"],)}
    yield conv("mrcnn_mask", 1, 1, widths["mask"], classes)


def tensors_of(settings, widths):
    return [(f"{layer}/{weight}:0", shape) for layer, weights in layers(settings, widths) for weight, shape in weights.items()]


# What the formula takes a tensor for, by the end of the name that is hashed.
ENDS = {"kernel": "weight", "gamma": "weight", "moving_variance": "running_var", "moving_mean": "running_mean"}


def formula(name, shape):
    end = ENDS.get(name.rsplit("/", 1)[1].removesuffix(":0"), "bias")
    return generated.values(f"{name}.{end}", shape, SEED)


def scales_of(settings, widths):
    """Powers of two that make kernels He's, branches quieter than what passes by them, and bytes small."""
    scales = {}
    for name, shape in tensors_of(settings, widths):
        if len(shape) > 1:
            fan_in = shape[2] if "deconv" in name else math.prod(shape[:-1])
            scales[name] = 2.0 ** round(math.log2(math.sqrt(math.prod(shape[1:]) / fan_in)))
        elif name.endswith("branch2c/gamma:0"):
            scales[name] = DAMPING
    scales["conv1/kernel:0"] *= 2.0**-6
    # Coarse levels louder than fine ones, or nearly all of the best proposals would be P2's, which has the most.
    for level, by in LOUDER.items():
        scales[f"fpn_p{level}/kernel:0"] *= by
    return scales


class Network:
    """matterport's graph in inference mode: maps are [1, C, H, W]."""

    def __init__(self, weights, settings):
        self.w, self.settings = weights, settings

    def conv(self, x, name, **how):
        kernel = self.w[f"{name}/kernel:0"].permute(3, 2, 0, 1)
        return F.conv2d(x, kernel, self.w[f"{name}/bias:0"], **how)

    def norm(self, x, name):
        gamma, beta, mean, var = (self.w[f"{name}/{v}:0"].view(-1, 1, 1) for v in ("gamma", "beta", "moving_mean", "moving_variance"))
        return (x - mean) / torch.sqrt(var + EPS) * gamma + beta

    def block(self, x, name, stride, shortcut):
        y = F.relu(self.norm(self.conv(x, f"res{name}2a", stride=stride), f"bn{name}2a"))
        y = F.relu(self.norm(self.conv(y, f"res{name}2b", padding=1), f"bn{name}2b"))
        y = self.norm(self.conv(y, f"res{name}2c"), f"bn{name}2c")
        x = self.norm(self.conv(x, f"res{name}1", stride=stride), f"bn{name}1") if shortcut else x
        return F.relu(x + y)

    def maps(self, x):
        """C2 to C5, P2 to P6."""
        x = F.relu(self.norm(self.conv(x, "conv1", stride=2, padding=3), "bn_conv1"))
        # 'same' of a window of 3, step 2, on an even side: a row and a column after, none before.
        x = F.max_pool2d(F.pad(x, (0, 1, 0, 1), value=-math.inf), 3, 2)
        c = []
        for stage, blocks in enumerate(BLOCKS[self.settings["backbone"]]):
            for block in range(blocks):
                stride = 2 if stage > 0 and block == 0 else 1
                x = self.block(x, f"{stage + 2}{chr(97 + block)}_branch", stride, block == 0)
            c.append(x)
        p = [self.conv(c[3], "fpn_c5p5")]
        for level in (4, 3, 2):
            up = p[0].repeat_interleave(2, 2).repeat_interleave(2, 3)
            p.insert(0, up + self.conv(c[level - 2], f"fpn_c{level}p{level}"))
        p = [self.conv(x, f"fpn_p{level + 2}", padding=1) for level, x in enumerate(p)]
        return c, [*p, p[3][:, :, ::2, ::2]]

    def rpn(self, p):
        """Logits [anchors, 2] and deltas [anchors, 4] (dy, dx, dh, dw) of all levels."""
        logits, deltas = [], []
        for x in p:
            x = F.relu(self.conv(x, "rpn_conv_shared", padding=1))
            logits.append(self.conv(x, "rpn_class_raw")[0].permute(1, 2, 0).reshape(-1, 2))
            deltas.append(self.conv(x, "rpn_bbox_pred")[0].permute(1, 2, 0).reshape(-1, 4))
        return torch.cat(logits), torch.cat(deltas)

    def box_features(self, pooled):
        x = F.relu(self.norm(self.conv(pooled, "mrcnn_class_conv1"), "mrcnn_class_bn1"))
        return F.relu(self.norm(self.conv(x, "mrcnn_class_conv2"), "mrcnn_class_bn2"))[:, :, 0, 0]

    def dense(self, x, name):
        return x @ self.w[f"{name}/kernel:0"] + self.w[f"{name}/bias:0"]

    def mask_features(self, x):
        for i in range(1, 5):
            x = F.relu(self.norm(self.conv(x, f"mrcnn_mask_conv{i}", padding=1), f"mrcnn_mask_bn{i}"))
        kernel = self.w["mrcnn_mask_deconv/kernel:0"].permute(3, 2, 0, 1)
        return F.relu(F.conv_transpose2d(x, kernel, self.w["mrcnn_mask_deconv/bias:0"], stride=2))


def enlarged(image, shape, keep):
    return skimage.transform.resize(
        image, shape, order=1, mode="constant", cval=0, clip=True, preserve_range=keep, anti_aliasing=False
    )


def molded(image, settings):
    """`utils.resize_image`: the padded image, and the window (y1, x1, y2, x2) of it that is the image."""
    h, w = image.shape[:2]
    scale, square = 1, settings["mode"] == "square"
    if settings["mode"] != "none":
        scale = max(1, settings["min"] / min(h, w))
        scale = max(scale, settings["min_scale"])
        if square and round(max(h, w) * scale) > settings["max"]:
            scale = settings["max"] / max(h, w)
    if scale != 1:
        image = enlarged(image, (round(h * scale), round(w * scale)), True)
    h, w = image.shape[:2]
    sides = [settings["max"]] * 2 if square else [-(-side // 64) * 64 for side in (h, w)]
    top, left = (sides[0] - h) // 2, (sides[1] - w) // 2
    image = np.pad(image, [(top, sides[0] - h - top), (left, sides[1] - w - left), (0, 0)])
    return image.astype(np.uint8), (top, left, top + h, left + w)


def normalized(boxes, sides):
    """`utils.norm_boxes`."""
    h, w = sides
    return ((boxes - np.array([0, 0, 1, 1])) / np.array([h - 1, w - 1, h - 1, w - 1])).astype(np.float32)


def anchors_of(settings, sides):
    """`utils.generate_pyramid_anchors`, normalised."""
    out, ratios = [], np.array([0.5, 1, 2])
    for level, size in enumerate(settings["anchors"]):
        stride = 4 << level
        # Ratios are width over height.
        half = np.stack([size / np.sqrt(ratios), size * np.sqrt(ratios)], 1) / 2
        rows, columns = (np.arange(-(-side // stride)) * stride for side in sides)
        centres = np.stack(np.meshgrid(rows, columns, indexing="ij"), -1).reshape(-1, 1, 2)
        out.append(np.concatenate([centres - half, centres + half], 2).reshape(-1, 4))
    return normalized(np.concatenate(out), sides)


def refined(boxes, deltas):
    """`apply_box_deltas_graph`."""
    size = boxes[:, 2:] - boxes[:, :2]
    centre = boxes[:, :2] + 0.5 * size + deltas[:, :2] * size
    size = size * torch.exp(deltas[:, 2:])
    first = centre - 0.5 * size
    return torch.cat([first, first + size], 1)


def clipped(boxes, window):
    y1, x1, y2, x2 = window
    return torch.stack([boxes[:, 0].clip(y1, y2), boxes[:, 1].clip(x1, x2), boxes[:, 2].clip(y1, y2), boxes[:, 3].clip(x1, x2)], 1)


def suppressed(boxes, most, threshold):
    """`tf.image.non_max_suppression` of boxes by falling score: indices."""
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    kept = []
    for i in range(len(boxes)):
        if len(kept) == most:
            break
        low = torch.maximum(boxes[i, :2], boxes[kept, :2])
        both = (torch.minimum(boxes[i, 2:], boxes[kept, 2:]) - low).clip(0).prod(1)
        iou = torch.where((area[i] > 0) & (area[kept] > 0), both / (area[i] + area[kept] - both), torch.zeros(()))
        if not (iou > threshold).any():
            kept.append(i)
    return torch.tensor(kept, dtype=torch.long)


def cropped(maps, boxes, sides, pooled):
    """`PyramidROIAlign`, with `tf.image.crop_and_resize`: [n, C, P, P]."""
    size = boxes[:, 2:] - boxes[:, :2]
    level = torch.log(torch.sqrt(size.prod(1)) / (224.0 / math.sqrt(sides[0] * sides[1]))) / math.log(2.0)
    level = (4 + level.round()).clip(2, 5).int()
    out = torch.empty(len(boxes), maps[0].shape[1], pooled, pooled)
    for i, box in enumerate(boxes.double()):
        x = maps[int(level[i]) - 2][0]
        taps = []
        for axis in (0, 1):
            last = x.shape[1 + axis] - 1
            at = box[axis] * last + torch.arange(pooled) * ((box[2 + axis] - box[axis]) * last / (pooled - 1))
            inside = (at >= -SLACK) & (at <= last + SLACK)
            at = at.clip(0, last)
            taps.append((at.floor().long(), at.ceil().long(), at - at.floor(), inside))
        (y0, y1, ly, iy), (x0, x1, lx, ix) = taps
        wide = lambda row: x[:, row][:, :, x0].double() * (1 - lx) + x[:, row][:, :, x1].double() * lx
        value = wide(y0) * (1 - ly)[:, None] + wide(y1) * ly[:, None]
        out[i] = (value * (iy[:, None] & ix)).float()
    return out


STD = torch.tensor([0.1, 0.1, 0.2, 0.2])


def proposals(logits, deltas, anchors, settings):
    """`ProposalLayer`: boxes and scores."""
    scores = torch.softmax(logits, 1)[:, 1]
    # The scores of likely anchors are equal in f32, and of these TensorFlow takes the first.
    order = torch.sort(scores, descending=True, stable=True)[1][: settings["pre"]]
    boxes = clipped(refined(anchors[order], deltas[order] * STD), (0, 0, 1, 1))
    kept = suppressed(boxes, settings["post"], 0.7)
    return boxes[kept], scores[order[kept]]


def detections(rois, logits, deltas, window, settings):
    """`refine_detections_graph`: boxes, classes, scores."""
    probs = torch.softmax(logits, 1)
    scores, classes = probs.max(1)
    rows = torch.arange(len(rois))
    boxes = clipped(refined(rois, deltas.view(len(rois), -1, 4)[rows, classes] * STD), window)
    keep = (classes > 0) & (scores >= settings["min_score"])
    kept = []
    for label in classes[keep].unique():
        of_class = (keep & (classes == label)).nonzero()[:, 0]
        of_class = of_class[torch.sort(scores[of_class], descending=True, stable=True)[1]]
        kept.append(of_class[suppressed(boxes[of_class], settings["most"], 0.3)])
    kept = torch.cat(kept).sort()[0]
    kept = kept[torch.sort(scores[kept], descending=True, stable=True)[1]][: settings["most"]]
    return boxes[kept], classes[kept], scores[kept]


def unmolded(boxes, masks, sides, original, window):
    """`unmold_detections`: boxes (y1, x1, y2, x2) of the image, and whole masks, of those that have an area."""
    wy1, wx1, wy2, wx2 = normalized(np.array(window), sides)
    shift, scale = np.array([wy1, wx1, wy1, wx1]), np.array([wy2 - wy1, wx2 - wx1, wy2 - wy1, wx2 - wx1])
    h, w = original
    boxes = np.divide(boxes - shift, scale) * np.array([h - 1, w - 1, h - 1, w - 1]) + np.array([0, 0, 1, 1])
    boxes = np.around(boxes).astype(np.int32)
    full = np.zeros((len(boxes), h, w), bool)
    for i, (y1, x1, y2, x2) in enumerate(boxes):
        if (y2 - y1) * (x2 - x1) > 0:
            full[i, y1:y2, x1:x2] = enlarged(masks[i], (y2 - y1, x2 - x1), False) >= 0.5
    return boxes, full


def sample(x):
    return x[:: -(-x.numel() // SAMPLES) | 1]


def channels_last(x):
    return x[0].permute(1, 2, 0).flatten()


def pixels_of(boxes, sides):
    """Normalised (y1, x1, y2, x2) as (x1, y1, x2, y2) in pixels of the input."""
    return boxes[:, [1, 0, 3, 2]] * torch.tensor([sides[1] - 1, sides[0] - 1] * 2)


@torch.no_grad()
def stages(weights, settings, image, scales=None, biases=None):
    """Every stage; with `scales`, the last layers get weights that make their outputs spread on the way, and `biases`."""

    def calibrate(name, outputs):
        if scales is None:
            return
        # Each output round 0 in the mean, in whole 256ths.
        outputs = outputs.reshape(-1, outputs.shape[-1])
        by = 2.0 ** round(math.log2(SPREADS[name] / outputs.std(0).mean().item()))
        weights[f"{name}/kernel:0"] *= by
        scales[f"{name}/kernel:0"] *= by
        bias = weights[f"{name}/bias:0"]
        shift = ((outputs - bias).mean(0) * by * 256).round() / 256
        weights[f"{name}/bias:0"] = -shift
        biases[name] = (-shift).tolist()

    network, out = Network(weights, settings), {"pixels": torch.from_numpy(image)}
    padded, window = molded(image, settings)
    sides = padded.shape[:2]
    out["transform.size"] = torch.tensor([window[2] - window[0], window[3] - window[1]], dtype=torch.int32)
    x = torch.from_numpy(padded.astype(np.float32) - np.array(settings["mean"])).float()
    out["transform"] = F.pad(x, (0, 1)).flatten()
    c, p = network.maps(x.permute(2, 0, 1)[None])
    out |= {f"c{i + 2}": sample(channels_last(x)) for i, x in enumerate(c)}
    out |= {f"p{i + 2}": sample(channels_last(x)) for i, x in enumerate(p)}
    for i, name in enumerate(("rpn_class_raw", "rpn_bbox_pred")):
        # Pairs, and fours, of three anchors.
        calibrate(name, network.rpn(p)[i].reshape(-1, (6, 12)[i]))
    logits, deltas = network.rpn(p)
    out["rpn.logits"] = logits[:, 1] - logits[:, 0]
    out["rpn.deltas"] = sample((deltas * STD)[:, [1, 0, 3, 2]].flatten())
    anchors = torch.from_numpy(anchors_of(settings, sides))
    rois, scores = proposals(logits, deltas, anchors, settings)
    out["rpn.proposals"], out["rpn.scores"] = pixels_of(rois, sides), scores
    features = network.box_features(cropped(p[:4], rois, sides, 7))
    for name in ("mrcnn_class_logits", "mrcnn_bbox_fc"):
        calibrate(name, network.dense(features, name))
    logits, deltas = (network.dense(features, name) for name in ("mrcnn_class_logits", "mrcnn_bbox_fc"))
    out["box.logits"] = logits
    out["box.deltas"] = deltas.view(len(rois), -1, 4)[:, :, [1, 0, 3, 2]].flatten(1)
    boxes, classes, scores = detections(rois, logits, deltas, torch.from_numpy(normalized(np.array(window), sides)), settings)
    out["det.boxes"], out["det.scores"], out["det.labels"] = pixels_of(boxes, sides), scores, classes.int()
    features = network.mask_features(cropped(p[:4], boxes, sides, 14))
    calibrate("mrcnn_mask", network.conv(features, "mrcnn_mask").permute(0, 2, 3, 1))
    masks = network.conv(features, "mrcnn_mask").sigmoid()[torch.arange(len(boxes)), classes.long()]
    out["mask.probs"] = masks
    placed, full = unmolded(boxes.numpy(), masks.numpy(), sides, image.shape[:2], window)
    out["post.boxes"] = torch.from_numpy(placed[:, [1, 0, 3, 2]].astype(np.float32))
    out["post.masks"] = torch.from_numpy(full)
    return out


def weights_of(settings, widths, scales):
    return {name: formula(name, shape) * scales.get(name, 1.0) for name, shape in tensors_of(settings, widths)}


def golden(name, photo):
    settings, widths, size, stated = VARIANTS[name]
    scales = scales_of(settings, widths)
    weights = weights_of(settings, widths, scales)
    image = photo if photo is not None else generated.picture("matterport", *size)
    biases = {}
    tensors = stages(weights, settings, image, scales, biases)
    tensors["transform"] = sample(tensors["transform"])
    tensors["mask.probs"] = tensors["mask.probs"][:4]
    tensors["post.masks"] = torch.from_numpy(np.packbits(tensors["post.masks"].numpy(), axis=2, bitorder="little"))
    shapes = [[name, list(shape)] for name, shape in tensors_of(settings, widths)]
    metadata = {"matterport": json.dumps(shapes), "seed": str(SEED), "settings": json.dumps(stated)}
    metadata |= {"scales": json.dumps(scales), "biases": json.dumps(biases)}
    return {key: x.contiguous().clone() for key, x in tensors.items()}, metadata


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("variants", nargs="*", metavar="NAME", help=f"of {', '.join(VARIANTS)}; all but full if none is given")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where goldens go")
    parser.add_argument("--names", type=Path, metavar="DIR", help="where lists of tensors go")
    parser.add_argument("--h5", type=Path, metavar="DIR", help="where small files of Keras's go")
    parser.add_argument("--image", type=Path, help="the picture of `full`")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.names:
        for backbone, classes in (("resnet50", 2), ("resnet101", 81)):
            all_of = tensors_of(COCO | {"backbone": backbone, "classes": classes}, WIDE)
            lines = [f"{name} {'x'.join(map(str, shape))}\n" for name, shape in all_of]
            (args.names / f"matterport_{backbone}.txt").write_text("".join(lines))
            print(f"{backbone}: {len(lines)} tensors")
    if args.h5:
        import keras_files

        keras_files.write(args.h5)
    for name in (args.variants or ["coco", "nucleus"]) if args.out else []:
        photo = None
        if name == "full":
            from PIL import Image

            photo = np.asarray(Image.open(args.image).convert("RGB"))
        tensors, metadata = golden(name, photo)
        path = args.out / f"matterport_{name}.safetensors"
        save_file(tensors, path, metadata)
        found, empty = len(tensors["det.boxes"]), sum(int(b[0] >= b[2] or b[1] >= b[3]) for b in tensors["post.boxes"])
        print(f"{path.name}: {path.stat().st_size:,} bytes, {len(tensors['rpn.proposals'])} proposals, {found} detections, {empty} of no area", flush=True)


if __name__ == "__main__":
    main()
