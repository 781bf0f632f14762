"""Writes the seeds of the fuzz targets: whole networks of every family, as small as a file of them can be, in every container.

    python fuzz/make_seeds.py                  # into fuzz/seeds; needs torch, safetensors, h5py, onnx, Pillow, tifffile

A seed is a few kilobytes, so that a fuzzer runs it thousands of times a second, and has every name that its family needs, so
that a change of a byte ends in what reads names, shapes and settings, and not in what says that no network is there. The widths
are the real ones over 16, the least that is read, with three classes, and a block a stage.
"""
import gzip
import io
import pickle
import re
import shutil
import sys
from collections import OrderedDict
from pathlib import Path

import h5py
import numpy as np
import onnx
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import save_file

HERE = Path(__file__).resolve().parent
LISTS = HERE.parent / "tests/fixtures/state_dicts"
OUT = HERE / "seeds"
CLASSES = {81: 3, 91: 3, 80: 2, 324: 12, 364: 12, 320: 8}
# What has the features of a RoI on either side.
HEAD = re.compile(r"fc\d|box_head\.5|shared_fcs|cls_score|fc_cls|fc_reg|predictor\.bbox_pred|^bbox_pred|mrcnn_class|mrcnn_bbox")
# Blocks past a stage's first, as each family calls them.
FURTHER = re.compile(r"layer\d\.[1-9]\d*\.|res\d\.[1-9]\d*\.|res\d_[1-9]\d*_branch|(res|bn)\d[b-z]_branch")


def small(name):
    """(name, shape) of each tensor of a list, narrow."""
    for line in (LISTS / f"{name}.txt").read_text().splitlines():
        key, shape = line.split(" ")
        if not FURTHER.search(key):
            narrow = lambda d: CLASSES.get(d, 8 if d == 1024 and HEAD.search(key) else d // 16 if d >= 64 else d)
            yield key, tuple(narrow(d) for d in map(int, shape.split("x")))


def write(target, name, data):
    folder = OUT / target
    folder.mkdir(parents=True, exist_ok=True)
    # Without a time, so that the same seeds are the same files.
    (folder / f"{name}.gz").write_bytes(gzip.compress(data, 9, mtime=0))
    print(f"{target}/{name}: {len(data):,} bytes")


def views(name, one):
    """A state dict of tensors that share one element."""
    return OrderedDict((key, one.expand(shape)) for key, shape in small(name))


def saved(value, **how):
    file = io.BytesIO()
    torch.save(value, file, **how)
    return file.getvalue()


CONFIG = """
model = dict(
    type='MaskRCNN',
    data_preprocessor=dict(mean=[103.53, 116.28, 123.675], std=[1.0, 1.0, 1.0], bgr_to_rgb=False, pad_size_divisor=32),
    backbone=dict(type='ResNet', depth=50, style='caffe', norm_cfg=dict(type='GN', num_groups=32)),
    rpn_head=dict(anchor_generator=dict(scales=[8], ratios=[0.5, 1.0, 2.0], strides=[4, 8, 16, 32, 64])),
    roi_head=dict(
        bbox_roi_extractor=dict(roi_layer=dict(type='RoIAlign', output_size=7, sampling_ratio=0, aligned=True)),
        bbox_head=dict(bbox_coder=dict(target_stds=[0.1, 0.1, 0.2, 0.2]), reg_class_agnostic=False),
        mask_roi_extractor=dict(roi_layer=dict(type='RoIAlign', sampling_ratio=2))),
    test_cfg=dict(
        rpn=dict(nms_pre=1000, max_per_img=1000, nms=dict(type='nms', iou_threshold=0.7), min_bbox_size=0),
        rcnn=dict(score_thr=0.05, nms=dict(type='soft_nms', iou_threshold=0.5), max_per_img=100, mask_thr_binary=0.5)))
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(1333, 800), keep_ratio=True)]
"""
OLD_CONFIG = """
img_norm_cfg = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True)
model = dict(rpn_head=dict(anchor_scales=[8], anchor_ratios=[.5, 1., 2.], anchor_strides=[4, 8, 16, 32, 64]),
    bbox_roi_extractor=dict(roi_layer=dict(type='RoIAlign', out_size=7, sample_num=2)), bbox_head=dict(target_stds=[0.1, 0.1, 0.2, 0.2]))
test_cfg = {"rpn": {"nms_pre": 1_000, 'max_num': 1e3, "nms_thr": .7}, "rcnn": dict(score_thr=-1, nms=dict(iou_thr=0.5))}
data = dict(test=dict(pipeline=[dict(type="MultiScaleFlipAug", img_scale=[(1333, 800), (1, 2)], transforms=[r'''long
text''' b"and", None, f(x)[1:2], {1, 2}])]))  # the end
"""


def checkpoints():
    one = torch.ones(1)
    for name in ("maskrcnn_resnet50_fpn", "maskrcnn_resnet50_fpn_v2", "detectron2_R_50_C4", "maskrcnn_benchmark_R_50_FPN"):
        write("checkpoint", f"{name}_zip.pth", saved({"model": views(name, one), "iteration": 1}))
    write("checkpoint", "detectron2_gn_half.pth", saved(views("detectron2_R_50_FPN_gn", one.half())))
    write("checkpoint", "detectron2_dc5_legacy.pth", saved(views("detectron2_R_50_DC5", one), _use_new_zipfile_serialization=False))
    meta = {"cfg": CONFIG, "dataset_meta": {"CLASSES": ("a", "b")}, "time": "now", "epoch": 1}
    state = {"meta": meta, "state_dict": views("mmdet_r50_fpn", one)}
    write("checkpoint", "mmdet_legacy.pth", saved(state, _use_new_zipfile_serialization=False))
    state = {"state_dict": {f"model.{key}": x for key, x in views("maskrcnn_resnet18_fpn", one).items()}, "hyper_parameters": {"lr": 0.1}}
    write("checkpoint", "lightning.ckpt", saved(state))


def arrays():
    of = lambda name, dtype: {key: np.ones(shape, dtype) for key, shape in small(name)}
    half = of("detectron2_R_50_FPN", "<f2")
    for protocol in (0, 2, 4):
        few = {key: x for key, x in half.items() if x.size < 600} if protocol < 4 else half
        write("arrays", f"detectron2_protocol{protocol}.pkl", pickle.dumps({"model": few, "__author__": "x", "matching_heuristics": True}, protocol))
    write("arrays", "detectron_blobs.pkl", pickle.dumps({"blobs": of("detectron_R_50_FPN", "<f2"), "cfg": "A: 1\n"}, 2 + 1))
    odd = {
        "conv1_w": np.asfortranarray(np.ones((2, 3), ">f4")),
        "objects": np.array([{}, None], dtype=object),
        "scalar": np.float64(1),
        "record": np.zeros(2, dtype=[("a", "f4"), ("b", "i2")]),
        "text": np.array(["a", "bc"]),
        "double": np.ones((2, 2)),
        "int": np.arange(3),
        "date": np.array(["2020-01-01"], dtype="M8[D]"),
    }
    for protocol in (0, 1, 2, 3, 4, 5):
        write("arrays", f"odd_protocol{protocol}.pkl", pickle.dumps(odd, protocol))


def safetensors():
    for name, metadata in (("maskrcnn_resnet50_fpn", {"format": "pt"}), ("detectron2_R_50_FPN", None), ("mmdet_r50_c4", {"format": "pt"})):
        path = OUT / "x.safetensors"
        save_file({key: np.ones(shape, np.float16) for key, shape in small(name)}, path, metadata)
        write("safetensors", name, path.read_bytes())
        path.unlink()
    save_file({"a": np.ones((2, 3), np.float32), "b": np.ones(0, np.int64), "c": np.ones((), np.float64)}, OUT / "x", {"config": '{"box": {"nms_thresh": 0.5}}'})
    write("safetensors", "odd", (OUT / "x").read_bytes())
    (OUT / "x").unlink()


def keras(file, names, **how):
    """Groups and attributes as Keras has them."""
    layers = OrderedDict()
    for key, shape in names:
        layers.setdefault(key.split("/")[0], []).append((key.split("/")[-1], shape))
    file.attrs["layer_names"] = [name.encode() for name in layers]
    file.attrs["backend"], file.attrs["keras_version"] = "tensorflow", "2.1.0"
    for layer, weights in layers.items():
        group = file.create_group(layer)
        group.attrs["weight_names"] = [f"{layer}/{weight}".encode() for weight, _ in weights]
        for weight, shape in weights:
            group.create_dataset(f"{layer}/{weight}", data=np.ones(shape, np.float32 if how else np.float16), **how)


def hdf5():
    chunked = dict(chunks=True, compression="gzip", shuffle=True, fletcher32=True)
    few = [("conv1/kernel:0", (7, 7, 3, 1)), ("conv1/bias:0", (1,)), ("bn_conv1/gamma:0", (1,)), ("mrcnn_mask/kernel:0", (1, 1, 4, 3))]
    for libver in ("earliest", "latest"):
        for name, names, how in (("few", few, {}), ("chunked", few, chunked), ("whole", list(small("matterport_resnet50")), dict(compression="gzip"))):
            if name == "whole" and libver == "earliest":
                continue
            path = OUT / "x.h5"
            with h5py.File(path, "w", libver=libver) as file:
                keras(file.create_group("model_weights") if name == "chunked" else file, names, **how)
            write("hdf5", f"{libver}_{name}.h5", path.read_bytes())
            path.unlink()
    path = OUT / "x.h5"
    with h5py.File(path, "w", libver="latest") as file:
        group = file.create_group("layer", track_order=True)
        group.create_dataset("a", data=np.arange(64, dtype=">f8").reshape(8, 8), chunks=(4, 4), maxshape=(None, None), compression="lzf")
        group.create_dataset("b", data=np.ones(3, np.int16), maxshape=(None,), chunks=(2,))
        group.create_dataset("c", shape=(4,), dtype="f4", fillvalue=2.0)
        group.create_dataset("d", data=np.ones((4, 4), "f4"), chunks=(2, 2), scaleoffset=4)
        group.attrs["text"], group.attrs["many"] = "x" * 40, np.arange(20)
        file["soft"], file["far"] = h5py.SoftLink("/layer/a"), h5py.ExternalLink("x.h5", "/a")
        for i in range(12):
            file.create_group(f"dense{i}")
    write("hdf5", "latest_odd.h5", path.read_bytes())
    path.unlink()


def exports():
    """ONNX models of the fixtures' networks, with short names, and weights of 16 bits."""
    sys.path.insert(0, str(HERE.parent / "tests/oracle"))
    import make_onnx_fixtures as fixtures

    fixtures.WIDTH, fixtures.FPN, fixtures.HIDDEN = 4, 4, 8
    norm = torch.nn.BatchNorm2d
    frozen = lambda channels: fixtures.FrozenBatchNorm2d(channels, eps=1e-5)
    options = dict(training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False)
    path = OUT / "x.onnx"
    for name, model, how in (("folded", fixtures.network(norm), {}), ("norms", fixtures.network(norm, [4]), options), ("frozen", fixtures.network(frozen), {})):
        fixtures.export(model, path, **how)
        exported = onnx.load(path)
        short(exported)
        write("onnx", f"{name}.onnx", exported.SerializeToString())
        path.unlink()
    for name in ("qdq", "qoperator"):
        data = gzip.decompress((HERE.parent / f"src/weights/onnx/fixtures/{name}.onnx.gz").read_bytes())
        exported = onnx.load_model_from_string(data)
        narrowed(exported)
        short(exported)
        write("onnx", f"{name}.onnx", exported.SerializeToString())


def narrowed(model):
    """Initialisers without elements keep their shapes: names, nodes and shapes are what tells roles."""
    for tensor in model.graph.initializer:
        if len(tensor.raw_data) > 256:
            tensor.ClearField("raw_data")


def short(model):
    graph, names = model.graph, {}
    called = lambda name: names.setdefault(name, f"{len(names):x}") if name else name
    model.ClearField("metadata_props")
    graph.ClearField("value_info")
    # What follows the last layer tells nothing; what lies before it may lead there.
    last = max(i for i, node in enumerate(graph.node) if node.op_type in ("Conv", "ConvTranspose", "Gemm", "MatMul", "QLinearConv", "QLinearMatMul", "QGemm"))
    del graph.node[last + 8 :]
    used = {name for node in graph.node for name in node.input}
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in used]:
        graph.initializer.remove(tensor)
    for node in graph.node:
        node.ClearField("name"), node.ClearField("doc_string")
        node.input[:], node.output[:] = [called(x) for x in node.input], [called(x) for x in node.output]
        for attribute in node.attribute:
            if attribute.HasField("g"):
                # A branch or a loop's body, which is not looked into.
                attribute.ClearField("g")
    for tensor in graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT and len(tensor.raw_data) > 64:
            tensor.raw_data = np.frombuffer(tensor.raw_data, "<f4").astype("<f2").tobytes()
            tensor.data_type = onnx.TensorProto.FLOAT16
    for value in [*graph.initializer, *graph.input, *graph.output]:
        value.name = called(value.name)


def images():
    x = np.linspace(0, 255, 12 * 10 * 4).reshape(10, 12, 4).astype(np.uint8)
    rgb, grey = Image.fromarray(x[:, :, :3].copy()), Image.fromarray(x[:, :, 0].copy())
    made = {
        "rgb.png": rgb, "rgba.png": Image.fromarray(x), "grey.png": grey, "palette.png": rgb.quantize(7), "bits.png": grey.convert("1"),
        "deep.png": Image.fromarray(x[:, :, 0].astype(np.uint16) * 257), "rgb.bmp": rgb, "palette.bmp": rgb.quantize(5), "bits.bmp": grey.convert("1"),
        "rgb.gif": rgb, "rgb.webp": rgb, "rgba.webp": Image.fromarray(x), "rgb.jpg": rgb, "grey.jpg": grey, "cmyk.jpg": rgb.convert("CMYK"),
    }
    def put(name, image, **how):
        file = io.BytesIO()
        image.save(file, name.split(".")[-1].replace("jpg", "jpeg").replace("tif", "tiff"), **how)
        write("image", name, file.getvalue())
    for name, image in made.items():
        put(name, image)
    put("progressive.jpg", rgb, progressive=True)
    put("lossless.webp", rgb, lossless=True)
    turned = Image.Exif()
    turned[0x112] = 6
    put("turned.jpg", rgb, exif=turned)
    put("turned.png", rgb, exif=turned)
    for name, image, how in (
        ("raw", rgb, "raw"), ("lzw", rgb, "tiff_lzw"), ("deflate", rgb, "tiff_adobe_deflate"), ("packbits", grey, "packbits"),
        ("ccitt", grey.convert("1"), "group4"), ("jpeg", rgb, "jpeg"), ("cmyk", rgb.convert("CMYK"), "tiff_lzw"),
    ):
        put(f"{name}.tif", image, compression=how)
    import tifffile
    for name, data, how in (
        ("big.tif", x[:, :, :3], dict(bigtiff=True)), ("swapped.tif", x[:, :, 0].astype(np.uint16), dict(byteorder=">")),
        ("tiles.tif", np.tile(x[:, :, 0], (3, 3)), dict(tile=(16, 16))), ("planes.tif", x[:, :, :3].transpose(2, 0, 1).copy(), dict(planarconfig="separate", photometric="rgb")),
        ("float.tif", x[:, :, 0].astype(np.float32), {}), ("zlib.tif", x[:, :, :3], dict(compression="zlib", predictor=True)),
    ):
        file = io.BytesIO()
        tifffile.imwrite(file, data, metadata=None, **how)
        write("image", name, file.getvalue())


def texts():
    write("mm_config", "version3", CONFIG.encode())
    write("mm_config", "version2", OLD_CONFIG.encode())
    with safe_open(HERE.parent / "assets/nuclei.safetensors", "np") as file:
        write("config", "nuclei.json", file.metadata()["config"].encode())


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir()
    for make in (texts, checkpoints, arrays, safetensors, hdf5, exports, images):
        make()


if __name__ == "__main__":
    main()
