"""Writes ONNX models of the very small Mask R-CNN of `make_tiny.py`, as torch's exporter and ONNX Runtime's quantiser write them.

    python make_onnx_fixtures.py --tiny ../fixtures/tiny_zip.pth --out ../../src/weights/onnx/fixtures

The network is torchvision's but for its widths, and has the weights of `tiny_zip.pth`, so that the tests can hold what is
read from the one against the other.
"""
import argparse
import tempfile
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from torch import nn
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.detection.faster_rcnn import FastRCNNConvFCHead, FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.resnet import BasicBlock
from torchvision.ops.misc import FrozenBatchNorm2d

WIDTH, FPN, CLASSES, HIDDEN = 4, 4, 3, 8


class Body(nn.Module):
    """A ResNet of one basic block a stage."""

    def __init__(self, norm):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, WIDTH, 7, 2, 3, bias=False), norm(WIDTH)
        self.relu, self.maxpool = nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)
        previous = WIDTH
        for stage in range(4):
            width, shortcut = WIDTH << stage, None
            if stage:
                shortcut = nn.Sequential(nn.Conv2d(previous, width, 1, 2, bias=False), norm(width))
            block = BasicBlock(previous, width, 2 if stage else 1, shortcut, norm_layer=norm)
            setattr(self, f"layer{stage + 1}", nn.Sequential(block))
            previous = width


def network(norm, box_convs=()):
    layers = {f"layer{i + 1}": str(i) for i in range(4)}
    fpn_norm = nn.BatchNorm2d if box_convs else None
    backbone = BackboneWithFPN(Body(norm), layers, [WIDTH << i for i in range(4)], FPN, norm_layer=fpn_norm)
    if box_convs:
        box_head = FastRCNNConvFCHead((FPN, 7, 7), list(box_convs), [HIDDEN], norm_layer=nn.BatchNorm2d)
    else:
        box_head = TwoMLPHead(FPN * 49, HIDDEN)
    return MaskRCNN(
        backbone,
        min_size=64,
        max_size=96,
        box_head=box_head,
        box_predictor=FastRCNNPredictor(HIDDEN, CLASSES),
        mask_head=MaskRCNNHeads(FPN, [HIDDEN], 1),
        mask_predictor=MaskRCNNPredictor(HIDDEN, HIDDEN, CLASSES),
    ).eval()


def export(model, out, **options):
    torch.manual_seed(0)
    image = torch.rand(3, 64, 80)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, ([image],), str(out), dynamo=False, opset_version=17, **options)
    model = onnx.load(out)
    # Where each node was made in Python; half of the file, and of nobody's use.
    for node in model.graph.node:
        node.doc_string = ""
    onnx.save(model, out)
    print(out, out.stat().st_size, sorted({node.op_type for node in model.graph.node if node.op_type.startswith(("Q", "Batch"))}))


class Images(CalibrationDataReader):
    def __init__(self, name):
        generator = np.random.default_rng(1)
        self.images = iter([{name: generator.random((3, 64, 80), dtype=np.float32)} for _ in range(2)])

    def get_next(self):
        return next(self.images, None)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tiny", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    state = torch.load(options.tiny, weights_only=False)["model"]
    plain = network(nn.BatchNorm2d)
    plain.load_state_dict(state, strict=False)
    export(plain, options.out / "folded.onnx")
    export(plain, options.out / "norms.onnx", training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False)
    frozen = network(lambda channels: FrozenBatchNorm2d(channels, eps=1e-5))
    frozen.load_state_dict(state, strict=False)
    export(frozen, options.out / "frozen.onnx")
    torch.manual_seed(3)
    second = network(nn.BatchNorm2d, box_convs=[8, 8])
    export(second, options.out / "second.onnx")
    torch.save(second.state_dict(), options.out / "second.pth")
    with tempfile.TemporaryDirectory() as folder:
        for name, form in (("qdq", QuantFormat.QDQ), ("qoperator", QuantFormat.QOperator)):
            path = Path(folder) / "folded.onnx"
            onnx.save(onnx.load(options.out / "folded.onnx"), path)
            images = Images(onnx.load(path).graph.input[0].name)
            out = options.out / f"{name}.onnx"
            types = ["Conv", "Gemm", "MatMul", "Add", "Relu"]
            quantize_static(path, out, images, quant_format=form, per_channel=True, op_types_to_quantize=types,
                            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8)
            model = onnx.load(out)
            print(out, out.stat().st_size, sorted({node.op_type for node in model.graph.node if "Q" in node.op_type or "Quant" in node.op_type}))


if __name__ == "__main__":
    main()
