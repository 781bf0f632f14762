"""Small `.h5` files of matterport's layers, as Keras writes them (`make_matterport_goldens.py --h5 DIR`).

`model.save("x.h5")` of Keras 3, with torch behind it, is still HDF5 as Keras 2 wrote it: a group a layer, the order and the names
as attributes. From what it writes the others are copied with the names that Keras 2 gives, as that and later tools leave them:
weights alone, in the oldest form of HDF5, and in the newest, in compressed chunks. All are compressed for the repository.

Before anything is written, Keras's own forward pass is held against `make_matterport_goldens.Network`.
"""
import gzip
import os
import zlib

os.environ["KERAS_BACKEND"] = "torch"

import h5py
import keras
import numpy as np
import torch
from keras import layers as L

import make_matterport_goldens as oracle

oracle.BLOCKS["tiny"] = (1, 1, 2, 1)
SETTINGS = oracle.NUCLEUS | {"classes": 3, "backbone": "tiny"}
WIDTHS = {"base": 4, "fpn": 4, "rpn": 8, "fc": 8, "mask": 4}


def build():
    """matterport's layers, by its names and with its wrappers; what has no weights is left out between them."""
    image, rois = keras.Input((64, 64, 3)), keras.Input((2, 7, 7, WIDTHS["fpn"]))
    mask_rois = keras.Input((2, 14, 14, WIDTHS["fpn"]))
    relu = lambda x: L.Activation("relu")(x)
    shape = {name: weights for name, weights in oracle.layers(SETTINGS, WIDTHS)}
    out = lambda name: shape[name]["kernel"][3]

    def conv_norm(x, name, norm, side=1, stride=1, padding="valid"):
        x = L.Conv2D(out(name), side, strides=stride, padding=padding, name=name)(x)
        return L.BatchNormalization(name=norm)(x, training=False)

    x = relu(conv_norm(L.ZeroPadding2D(3)(image), "conv1", "bn_conv1", 7, 2))
    x = L.MaxPooling2D(3, strides=2, padding="same")(x)
    c = []
    for stage, blocks in enumerate(oracle.BLOCKS[SETTINGS["backbone"]]):
        for block in range(blocks):
            name = f"{stage + 2}{chr(97 + block)}_branch"
            stride = 2 if stage > 0 and block == 0 else 1
            y = relu(conv_norm(x, f"res{name}2a", f"bn{name}2a", stride=stride))
            y = relu(conv_norm(y, f"res{name}2b", f"bn{name}2b", 3, padding="same"))
            y = conv_norm(y, f"res{name}2c", f"bn{name}2c")
            if block == 0:
                x = conv_norm(x, f"res{name}1", f"bn{name}1", stride=stride)
            x = relu(L.Add()([y, x]))
        c.append(x)
    conv = lambda x, name, side=1: L.Conv2D(out(name), side, padding="same", name=name)(x)
    p = [conv(c[3], "fpn_c5p5")]
    for level in (4, 3, 2):
        p.insert(0, L.Add()([L.UpSampling2D(2)(p[0]), conv(c[level - 2], f"fpn_c{level}p{level}")]))
    p = [conv(x, f"fpn_p{level + 2}", 3) for level, x in enumerate(p)]
    p.append(L.MaxPooling2D(1, strides=2)(p[3]))

    of_rpn = keras.Input((None, None, WIDTHS["fpn"]))
    shared = L.Conv2D(WIDTHS["rpn"], 3, padding="same", activation="relu", name="rpn_conv_shared")(of_rpn)
    outputs = [L.Conv2D(n, 1, name=name)(shared) for n, name in ((6, "rpn_class_raw"), (12, "rpn_bbox_pred"))]
    rpn = keras.Model(of_rpn, outputs, name="rpn_model")

    each = lambda layer, name, x: L.TimeDistributed(layer, name=name)(x)
    x = each(L.Conv2D(WIDTHS["fc"], 7), "mrcnn_class_conv1", rois)
    x = relu(each(L.BatchNormalization(), "mrcnn_class_bn1", x))
    x = each(L.Conv2D(WIDTHS["fc"], 1), "mrcnn_class_conv2", x)
    x = relu(each(L.BatchNormalization(), "mrcnn_class_bn2", x))
    x = L.Reshape((2, WIDTHS["fc"]))(x)
    heads = [each(L.Dense(SETTINGS["classes"] * n), name, x) for n, name in ((1, "mrcnn_class_logits"), (4, "mrcnn_bbox_fc"))]
    x = mask_rois
    for i in range(1, 5):
        x = each(L.Conv2D(WIDTHS["mask"], 3, padding="same"), f"mrcnn_mask_conv{i}", x)
        x = relu(each(L.BatchNormalization(), f"mrcnn_mask_bn{i}", x))
    x = each(L.Conv2DTranspose(WIDTHS["mask"], 2, strides=2, activation="relu"), "mrcnn_mask_deconv", x)
    heads.append(each(L.Conv2D(SETTINGS["classes"], 1, activation="sigmoid"), "mrcnn_mask", x))
    return keras.Model([image, rois, mask_rois], [*c, *p, *[y for x in p for y in rpn(x)], *heads], name="mask_rcnn")


def fill(model, weights):
    """Puts the formula's weights where Keras keeps them, by layer and name."""
    nested = lambda layer: [layer] if not isinstance(layer, keras.Model) else layer.layers
    filled = 0
    for layer in (inner for layer in model.layers for inner in nested(layer)):
        for variable in layer.weights:
            variable.assign(weights[f"{layer.name}/{variable.name}:0"].numpy())
            filled += 1
    assert filled == len(weights), f"{filled} of {len(weights)}"


@torch.no_grad()
def check(model, weights):
    draw = np.random.default_rng(3)
    inputs = [draw.uniform(-100, 100, shape).astype(np.float32) for shape in ((1, 64, 64, 3), (1, 2, 7, 7, 4), (1, 2, 14, 14, 4))]
    theirs = [keras.ops.convert_to_numpy(x) for x in model(inputs, training=False)]
    network = oracle.Network(weights, SETTINGS)
    image, rois, mask_rois = (torch.from_numpy(x) for x in inputs)
    last = lambda x: x.permute(0, 2, 3, 1)
    c, p = network.maps(image.permute(0, 3, 1, 2))
    ours = [last(x) for x in [*c, *p]]
    for x in p:
        x = torch.relu(network.conv(x, "rpn_conv_shared", padding=1))
        ours += [last(network.conv(x, name)) for name in ("rpn_class_raw", "rpn_bbox_pred")]
    features = network.box_features(rois[0].permute(0, 3, 1, 2))
    ours += [network.dense(features, name)[None] for name in ("mrcnn_class_logits", "mrcnn_bbox_fc")]
    ours.append(last(network.conv(network.mask_features(mask_rois[0].permute(0, 3, 1, 2)), "mrcnn_mask").sigmoid())[None])
    worst = max(np.linalg.norm(a - b.numpy()) / np.linalg.norm(a) for a, b in zip(theirs, ours, strict=True))
    print(f"{len(ours)} outputs, at worst {worst:.1e} from Keras's")
    assert worst < 1e-5


def copied(source, path, chunked=False):
    """Weights alone, as `save_weights` of Keras 2 leaves them: what is under `/model_weights`, at the root."""
    text = lambda names: np.array([str(name).encode() for name in names])
    with h5py.File(path, "w", libver="latest" if chunked else "earliest") as file:
        file.attrs["layer_names"], file.attrs["backend"] = text(source.attrs["layer_names"]), b"tensorflow"
        file.attrs["keras_version"] = b"2.1.6"
        for layer, group in source.items():
            found = []
            group.visititems(lambda at, item: found.append((at, item)) if isinstance(item, h5py.Dataset) else None)
            # The layer itself, or one within a model.
            named = lambda at: f"{at.split('/')[0] if layer == 'rpn_model' else layer}/{at.split('/')[-1]}:0"
            copy = file.create_group(layer)
            copy.attrs["weight_names"] = text(named(at) for at, _ in found)
            for at, item in found:
                more = {"chunks": tuple(max(1, axis // 2) for axis in item.shape), "compression": "gzip", "shuffle": True}
                copy.create_dataset(named(at), data=item[()], **(more if chunked else {}))


def hostile(folder):
    """Files that ask for more than they have; each is the beginning of a network of matterport's by two names."""
    def signed(name, **more):
        file = h5py.File(folder / f"hostile_{name}.h5", "w", **more)
        for layer in ("rpn_class_raw", "mrcnn_class_logits"):
            file[f"{layer}/{layer}/bias:0"] = np.zeros(4, "f4")
        return file

    with signed("absent") as file:
        # A gigabyte of which no chunk was ever written.
        file.create_dataset("rpn_class_raw/rpn_class_raw/kernel:0", (1 << 14, 1 << 14), "f4", chunks=(1 << 12, 1 << 12))
    with signed("zeros") as file:
        more = {"chunks": (1 << 12, 1 << 12), "compression": "gzip"}
        file.create_dataset("rpn_class_raw/rpn_class_raw/kernel:0", data=np.zeros((1 << 12, 1 << 12), "f4"), **more)
    with signed("round", libver="latest") as file:
        # A group within itself, twice.
        loop = file.create_group("conv1")
        loop["a"], loop["b"] = loop, loop
    with signed("deep", libver="latest") as file:
        file.create_group("/".join(["conv1"] * 200))
    with signed("many", libver="latest") as file:
        # Three hundred times the same three hundred.
        inner, one = file.create_group("conv1"), file["rpn_class_raw/rpn_class_raw/bias:0"]
        outer = file.create_group("res2a")
        for i in range(300):
            inner[f"{i}"], outer[f"{i}"] = one, inner
    with signed("bomb") as file:
        # A chunk of four kilobytes, whose compressed bytes make a quarter of a gigabyte.
        dataset = file.create_dataset("rpn_class_raw/rpn_class_raw/kernel:0", (1 << 10,), "f4", chunks=(1 << 10,), compression="gzip")
        dataset.id.write_direct_chunk((0,), zlib.compress(bytes(1 << 28), 9))
    with signed("chunk") as file:
        # Sixteen numbers, in a chunk of half a gigabyte.
        more = {"chunks": (1 << 14, 1 << 13), "maxshape": (None, None), "compression": "gzip"}
        file.create_dataset("rpn_class_raw/rpn_class_raw/kernel:0", data=np.ones((4, 4), "f4"), **more)
    with signed("elsewhere") as file:
        file["conv1/conv1"] = h5py.ExternalLink("/etc/hostname", "/")
        with open(folder / "outside", "wb") as outside:
            outside.write(bytes(4096))
        file.create_dataset("rpn_class_raw/rpn_class_raw/kernel:0", (1024,), "f4", external=[(str(folder / "outside"), 0, 4096)])
        (folder / "outside").unlink()


def write(folder):
    model = build()
    # Sixteenths: few values, which compress.
    weights = {name: (x * 16).round() / 16 for name, x in oracle.weights_of(SETTINGS, WIDTHS, {}).items()}
    fill(model, weights)
    check(model, weights)
    folder.mkdir(parents=True, exist_ok=True)
    whole = folder / "keras_model.h5"
    model.save(whole)
    with h5py.File(whole, "r+") as file:
        # Its description of itself is not read, and long.
        for name in ("model_config", "training_config"):
            file.attrs.pop(name, None)
    with h5py.File(whole) as file:
        copied(file["model_weights"], folder / "keras_weights.h5")
        copied(file["model_weights"], folder / "keras_chunked.h5", chunked=True)
    hostile(folder)
    for path in sorted([*folder.glob("keras_*.h5"), *folder.glob("hostile_*.h5")]):
        data = path.read_bytes()
        packed = path.with_suffix(".h5.gz")
        packed.write_bytes(gzip.compress(data, mtime=0))
        path.unlink()
        print(f"{packed.name}: {packed.stat().st_size:,} bytes of {len(data):,}")
