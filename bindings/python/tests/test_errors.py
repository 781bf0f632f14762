"""What goes wrong when a detector is opened, and the package as a package."""

import ast
import importlib.metadata
import inspect
import json
import logging
import pathlib
import pickle
import struct
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT, SMALL

import maskrcnn


@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        ({"weights": "no such file.pth"}, maskrcnn.MissingFileError, "no such file.pth"),
        ({"weights": __file__}, maskrcnn.WeightsError, "test_errors.py"),
        ({"weights": 7}, TypeError, None),
        ({"weights": b"bytes"}, (TypeError, maskrcnn.MissingFileError), None),
        ({"device": "no such device"}, maskrcnn.DeviceError, "no such device"),
        ({"device": 99}, maskrcnn.DeviceError, "99"),
        ({"device": -1}, (TypeError, OverflowError), None),
        ({"device": 1.5}, TypeError, None),
        ({"device": ""}, maskrcnn.DeviceError, "empty"),
        ({"precision": "f64"}, ValueError, "precision"),
        ({"precision": None}, TypeError, None),
        ({"score": 2}, maskrcnn.ConfigError, "score_thresh"),
        ({"score": float("nan")}, maskrcnn.ConfigError, "score_thresh"),
        ({"score": "high"}, TypeError, None),
        ({"detections": 0}, maskrcnn.ConfigError, "detections_per_img"),
        ({"detections": 10**9}, maskrcnn.ConfigError, "detections_per_img"),
        ({"config": {"transform": {"minsize": 640}}}, maskrcnn.ConfigError, "transform.minsize"),
        ({"config": {"transform": 3}}, ValueError, "group"),
        ({"config": {"num_classes": 5}}, maskrcnn.Error, None),
        ({"config": "transform"}, TypeError, "dict"),
        ({"config": {"transform": {"min_size": np.float32(3)}}}, TypeError, None),
        ({"boxes": True}, TypeError, "boxes"),
    ],
)
def test_a_detector_that_cannot_be(arguments, kind, words):
    with pytest.raises(kind, match=words):
        maskrcnn.Detector(**arguments)


def test_published_models_that_were_not_pulled(monkeypatch, tmp_path):
    monkeypatch.setenv("MASKRCNN_CACHE", str(tmp_path))
    assert "maskrcnn_resnet50_fpn_v2" in maskrcnn.published()
    with pytest.raises(maskrcnn.WeightsError, match="not here yet"):
        maskrcnn.Detector("maskrcnn_resnet50_fpn_v2")
    with pytest.raises(maskrcnn.ConfigError, match="maskrcnn_resnet50_fpn_v2"):
        maskrcnn.pull("resnet")


def test_a_download_that_fails(monkeypatch, tmp_path):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    code = f"import maskrcnn\ntry: maskrcnn.pull('maskrcnn_resnet50_fpn', folder={str(tmp_path)!r})\nexcept maskrcnn.DownloadError: print('told')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout == "told\n", done.stderr
    assert not list(tmp_path.glob("*.pth"))


def test_exceptions_are_of_one_kind():
    for name in maskrcnn.__all__:
        thing = getattr(maskrcnn, name)
        if isinstance(thing, type) and issubclass(thing, Exception) and thing is not maskrcnn.Notice:
            assert issubclass(thing, maskrcnn.Error) and thing.__module__ == "maskrcnn" and thing.__doc__
            assert pickle.loads(pickle.dumps(thing("why"))).args == ("why",)
    assert issubclass(maskrcnn.MissingFileError, FileNotFoundError)
    assert issubclass(maskrcnn.ImageError, ValueError) and issubclass(maskrcnn.OutOfMemoryError, MemoryError)
    try:
        maskrcnn.Detector("no such file.pth")
    except OSError as e:
        assert (e.errno, e.filename) == (2, "no such file.pth")


def test_a_detector_is_not_pickled(detector):
    with pytest.raises(TypeError, match="open one in each process"):
        pickle.dumps(detector)


def test_what_a_detector_tells(detector):
    assert detector.config["transform"]["min_size"] == 96 and detector.precision in ("f32", "f16")
    assert detector.classes == ["__background__", "nucleus"] and detector.has_masks and detector.assumed == []
    assert detector.device in [device.name for device in maskrcnn.devices()]
    assert detector.device in repr(detector) and "1 classes" in repr(detector)
    first = maskrcnn.devices()[0]
    assert first.index == 0 and first.backend and first.kind and first.driver and first.name in repr(first)
    again = maskrcnn.Detector(device=first.name, config=SMALL, precision="f32", tuned=False, detections=3)
    assert again.config["box"]["detections_per_img"] == 3


def test_settings_that_nobody_told_are_warned_of(tmp_path):
    """A file without its settings: the same tensors, and no metadata."""
    data = (ROOT / "assets/nuclei.safetensors").read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + size])
    del header["__metadata__"]
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    bare = tmp_path / "bare.safetensors"
    bare.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + size :])
    with pytest.warns(maskrcnn.Notice) as told:
        detector = maskrcnn.Detector(bare)
    told = " ".join(str(one.message) for one in told)
    assert "does not carry all of its settings" in told and "BatchNorm's epsilon" in told
    assert "box.nms_thresh" in detector.assumed


def test_the_librarys_log_is_pythons(caplog):
    with caplog.at_level(logging.INFO, logger="maskrcnn"):
        maskrcnn.Detector(config=SMALL)
    assert any("adapter chosen" in record.getMessage() for record in caplog.records)


def test_version_and_licences():
    about = importlib.metadata.metadata("maskrcnn")
    assert maskrcnn.__version__ == about["Version"]
    files = [str(file) for file in importlib.metadata.files("maskrcnn")]
    for name in ("LICENSE-MIT", "LICENSE-APACHE", "py.typed", "_maskrcnn.pyi"):
        assert any(file.endswith(name) for file in files), (name, files)


def public(thing):
    return {name for name in dir(thing) if not name.startswith("_")}


def test_stubs_agree_with_the_module():
    """Every name, every argument and every default, and a docstring for each."""
    stubs = ast.parse((pathlib.Path(maskrcnn.__file__).parent / "_maskrcnn.pyi").read_text())
    module = maskrcnn._maskrcnn
    classes = {n.name: n for n in stubs.body if isinstance(n, ast.ClassDef) and not n.name.startswith("_")}
    functions = {n.name: n for n in stubs.body if isinstance(n, ast.FunctionDef)}
    assert set(classes) | set(functions) == {n for n in dir(module) if not n.startswith("__")}
    for name, stub in functions.items():
        check(stub, getattr(module, name), name)
    for name, stub in classes.items():
        cls = getattr(module, name)
        assert cls.__doc__ and cls.__module__ == "maskrcnn"
        members = {n.name: n for n in stub.body if isinstance(n, ast.FunctionDef)}
        assert {n for n in members if not n.startswith("_")} == public(cls), name
        for member, function in members.items():
            if not member.startswith("_"):
                assert getattr(cls, member).__doc__, f"{name}.{member} has no docstring"
                check(function, getattr(cls, member), f"{name}.{member}", is_method=True)
    check({n.name: n for n in classes["Detector"].body if isinstance(n, ast.FunctionDef)}["__new__"], maskrcnn.Detector, "Detector", True)


def check(stub, thing, name, is_method=False):
    """Holds a stub's arguments against what Python knows of the function."""
    try:
        theirs = inspect.signature(thing)
    except (TypeError, ValueError):
        assert inspect.isdatadescriptor(thing), name
        return
    names = [a.arg for a in [*stub.args.args, *stub.args.kwonlyargs]]
    if is_method and names[:1] in (["self"], ["cls"]):
        names = names[1:]
    assert names == [n for n in theirs.parameters if n != "self"], name


def test_help_is_for_people():
    for text in (maskrcnn.__doc__, maskrcnn.Detector.__doc__, maskrcnn.Detector.detect.__doc__):
        assert "`" in text and len(text) > 200
