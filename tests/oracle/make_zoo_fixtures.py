"""Writes ONNX models of a narrow Mask R-CNN as the ONNX model zoo's are (MaskRCNN-10, -12, -12-int8, -12-qdq), and the golden of one.

    python make_zoo_fixtures.py --fixtures ../../src/weights/onnx/fixtures --golden ../golden

The zoo's files are exports of maskrcnn-benchmark's e2e_mask_rcnn_R_50_FPN_1x_caffe2, by the branch `onnx_stage_mrcnn` of
github.com/BowenBao/maskrcnn-benchmark. What is known of that branch is done here: the input is `image` (3, H, W), blue first, less the
mean, and not normalised; the module that is exported owns no parameters, so that weights are nameless; frozen BatchNorms are
products and sums; NMS and RoIAlign are ONNX's operators, so that overlaps are counted without the last pixel, and boxes with
it; boxes are cut off at the size of the picture that was traced. The arithmetic is written anew from that. Values are made by the
formula of `src/weights/synth.rs`, cut to eight bits of mantissa, and stored in the models alone.
"""
import argparse
import json
import tempfile
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import save_file

import generated
from zoo_network import SEED, Net, Shape, prepared, weights

SAMPLES = 1024


def paste(probabilities, boxes, size):
    """As maskrcnn-benchmark's Masker does it: a border of zeros, a box of whole pixels, above a half."""
    out = torch.zeros(len(boxes), *size, dtype=torch.uint8)
    for mask, box, image in zip(probabilities, boxes, out):
        centre, half = (box[2:] + box[:2]) * 0.5, (box[2:] - box[:2]) * 0.5 * (30 / 28)
        x1, y1, x2, y2 = (int(v) for v in torch.cat([centre - half, centre + half]).to(torch.int32))
        w, h = max(x2 - x1 + 1, 1), max(y2 - y1 + 1, 1)
        soft = F.interpolate(F.pad(mask, (1, 1, 1, 1))[None], size=(h, w), mode="bilinear", align_corners=False)[0, 0]
        left, top, right, bottom = max(x1, 0), max(y1, 0), min(x2 + 1, size[1]), min(y2 + 1, size[0])
        image[top:bottom, left:right] = soft[top - y1 : bottom - y1, left - x1 : right - x1] > 0.5
    return out


def export(net, image, opset, out, kept=False, fold=True):
    """Writes the model, its values called by numbers as torch 1.2 called them; with `kept`, further outputs."""
    names = ["6568", "6570", "6572", "6887"] if net.shape.masks else ["6371", "6373", "6375"]
    whole = net
    if kept:

        class Whole(torch.nn.Module):
            def forward(self, image):
                found = net(image)
                names[len(found) :] = list(net.kept)
                return (*found, *net.kept.values())

        whole = Whole()
        whole(image)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(whole, (image,), str(out), dynamo=False, opset_version=opset, do_constant_folding=fold,
                          input_names=["image"])
    model = onnx.load(out)
    known = {"image": "image", "": ""} | dict(zip([output.name for output in model.graph.output], names))
    number = lambda name: known.setdefault(name, str(len(known)))
    for tensor in model.graph.initializer:
        tensor.name = number(tensor.name)
    for i, node in enumerate(model.graph.node):
        node.doc_string, node.name = "", str(i)
        node.input[:], node.output[:] = map(number, node.input), map(number, node.output)
    for output in model.graph.output:
        output.name = known[output.name]
    del model.graph.value_info[:]
    onnx.save(model, out)
    return model


def stored(model):
    """Constants among the initialisers, where a converter leaves them. torch's exporter writes a weight down at each of its uses; here
    it is once, as by their sizes it is in the zoo's first versions."""
    known, names = {}, {}
    for node in [node for node in model.graph.node if node.op_type == "Constant"]:
        tensor = node.attribute[0].t
        tensor.name = ""
        name = known.setdefault(tensor.SerializeToString(), node.output[0])
        names[node.output[0]] = name
        if name == node.output[0]:
            tensor.name = name
            model.graph.initializer.append(tensor)
        model.graph.node.remove(node)
    for node in model.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
    return model


def quantised(model, images, folder, options):
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Images(CalibrationDataReader):
        def __init__(self):
            self.left = iter([{"image": image.numpy()} for image in images])

        def get_next(self):
            return next(self.left, None)

    path = Path(folder) / "float.onnx"
    onnx.save(model, path)
    for name, form in (("int8", QuantFormat.QOperator), ("qdq", QuantFormat.QDQ)):
        out = options.fixtures / f"zoo_12_{name}.onnx"
        quantize_static(path, out, Images(), quant_format=form, per_channel=True, activation_type=QuantType.QUInt8,
                        weight_type=QuantType.QInt8, op_types_to_quantize=["Conv", "MatMul", "Gemm", "Add", "Mul"])


def sample(x):
    return x.flatten()[:: -(-x.numel() // SAMPLES) | 1]


def golden(net, image, pixels, size, found):
    """What ONNX Runtime makes of the model, stage by stage."""
    out = {"pixels": torch.from_numpy(pixels), "transform.size": torch.tensor(size, dtype=torch.int32)}
    rgb = torch.cat([image.flip(0), torch.zeros_like(image[:1])]).permute(1, 2, 0)
    out["transform"] = sample(rgb)
    for name in ["c2", "c3", "c4", "c5", "p2", "p3", "p4", "p5", "p6"]:
        out[name] = sample(found[name][0].permute(1, 2, 0))
    out["rpn.deltas"] = sample(found["rpn.deltas"])
    out |= {name: found[name] for name in ["rpn.logits", "rpn.proposals", "rpn.scores", "box.logits", "box.deltas"]}
    boxes, probabilities = found["6568"], found["6887"]
    out |= {"det.boxes": boxes, "det.scores": found["6572"], "det.labels": found["6570"].int()}
    (h, w), (h0, w0) = size, pixels.shape[:2]
    out["mask.probs"] = probabilities[:4, 0]
    out["post.boxes"] = boxes * torch.tensor([w0 / w, h0 / h, w0 / w, h0 / h])
    masks = paste(probabilities, out["post.boxes"], (h0, w0))
    out["post.masks"] = torch.from_numpy(np.packbits(masks.numpy(), axis=2, bitorder="little"))
    return {name: x.contiguous().clone() for name, x in out.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fixtures", type=Path, metavar="DIR", help="where models go")
    parser.add_argument("--golden", type=Path, metavar="DIR", help="where the golden goes")
    parser.add_argument("--photo", type=Path, metavar="PNG", help="one model of the real size, and its golden, on this picture")
    options = parser.parse_args()
    onnxruntime.set_default_logger_severity(3)
    shape = Shape(64, 256, 1024, 81, (3, 4, 6, 3), 480, (1000, 1000, 100)) if options.photo else Shape()
    pixels = np.asarray(Image.open(options.photo).convert("RGB")) if options.photo else generated.picture("zoo", 90, 121)
    image, size = prepared(pixels, shape.short)
    assert size == tuple(int(shape.short * side / min(pixels.shape[:2])) for side in pixels.shape[:2])
    p, scales = weights(shape, image, size)
    net = Net(shape, p, size)
    path = options.fixtures / ("zoo.onnx" if options.photo else "zoo_10.onnx")
    export(net, image, 10, path, fold=False)
    run = lambda path, names: onnxruntime.InferenceSession(str(path)).run(names, {"image": image.numpy()})
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "whole.onnx"
        names = [output.name for output in export(net, image, 10, whole, kept=True).graph.output]
        found = dict(zip(names, map(torch.from_numpy, run(whole, names))))
        for name, plain in zip(names, run(path, None)):
            assert np.array_equal(found[name].numpy(), plain), name
        if not options.photo:
            second = stored(export(net, image, 12, Path(folder) / "second.onnx"))
            quantised(second, [image, image.flip(2)], folder, options)
            onnx.save(second, options.fixtures / "zoo_12.onnx")
            boxes_alone = Shape(masks=False)
            export(Net(boxes_alone, p, size), image, 12, options.fixtures / "zoo_faster.onnx")
    settings = {
        "transform": {"min_size": shape.short},
        "rpn": {"pre_nms_top_n": shape.pre, "post_nms_top_n": shape.post},
        "box": {"detections_per_img": shape.found},
    }
    metadata = {"family": "ONNX zoo", "model": path.name, "seed": str(SEED), "scales": json.dumps(scales)}
    metadata |= {"settings": json.dumps(settings), "shapes": json.dumps([[name, list(x.shape)] for name, x in p.items() if "anchors" not in name])}
    tensors = golden(net, image, pixels, size, found)
    out = options.golden / ("onnx_zoo_full.safetensors" if options.photo else "onnx_zoo.safetensors")
    save_file(tensors, out, metadata)
    for file in [out, *sorted(options.fixtures.glob("zoo*.onnx"))]:
        print(file.name, f"{file.stat().st_size:,} bytes")
    ops = [node.op_type for node in onnx.load(path).graph.node]
    print({op: ops.count(op) for op in ("NonMaxSuppression", "RoiAlign", "Conv")}, len(tensors["det.boxes"]), "detections")


if __name__ == "__main__":
    main()
