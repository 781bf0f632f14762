"""What was found, in every form: held against the program, and against each other."""

import json
import os
import pickle
import subprocess

import numpy as np
import pytest
from conftest import DEMO, ROOT, SMALL

import maskrcnn


def test_the_demo_is_what_the_program_writes(whole, tmp_path):
    """Boxes, scores, masks, names and ids to the digit, where the program was built."""
    program = next((p for p in [ROOT / "target/debug/maskrcnn", ROOT / "target/release/maskrcnn"] if p.exists()), None)
    if program is None:
        pytest.skip("LEFT OUT: the program is not built; `cargo build` has it compared")
    # On a CPU driver, the program asks for the widest vectors: here, both take the driver's own choice.
    env = {**os.environ, "LP_NATIVE_VECTOR_WIDTH": os.environ.get("LP_NATIVE_VECTOR_WIDTH", "256")}
    command = [program, "detect", DEMO, "--out", tmp_path, "--save", "coco", "--score", "0.05"]
    subprocess.run(command, env=env, check=True, capture_output=True)
    written = json.loads((tmp_path / "demo.json").read_text())
    # A key of the first entry marks the file as the program's.
    ours = whole.detect(DEMO).to_coco("demo")
    keys = ["image_id", "category_id", "category_name", "bbox", "score", "segmentation"]
    assert len(ours) > 40
    assert [{k: entry[k] for k in keys} for entry in written] == ours


def test_the_demo_is_as_torchvision_has_it(whole, demo):
    """Against the repository's golden."""
    golden = tensors(ROOT / "tests/golden/demo_full.safetensors")
    assert (golden["pixels"] == demo).all()
    found, scores = whole.detect(DEMO), golden["post.scores"]
    sure = scores > 0.1
    n = sure.sum()
    assert n > 40 and len(found) >= n
    assert np.abs(found.boxes[:n] - golden["post.boxes"][:n]).max() < 0.01
    assert np.abs(found.scores[:n] - scores[:n]).max() < 1e-4
    masks = np.unpackbits(golden["post.masks"][:n], axis=2, bitorder="little").astype(bool)
    assert (found.masks[:n] != masks).mean() < 1e-5


def tensors(path):
    """The tensors of a safetensors file."""
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    kinds = {"F32": "<f4", "I64": "<i8", "I32": "<i4", "U8": "u1", "F16": "<f2"}
    out = {}
    for name, about in json.loads(data[8 : 8 + size]).items():
        if name != "__metadata__" and about["dtype"] in kinds:
            begin, end = about["data_offsets"]
            values = np.frombuffer(data[8 + size + begin : 8 + size + end], kinds[about["dtype"]])
            out[name] = values.reshape(about["shape"])
    return out


def test_shapes_and_types(found, demo):
    n = len(found)
    assert n > 10 and (found.height, found.width) == demo.shape[:2] == (320, 384)
    for array, shape, kind in [
        (found.boxes, (n, 4), np.float32),
        (found.scores, (n,), np.float32),
        (found.labels, (n,), np.int64),
        (found.masks, (n, 320, 384), np.bool_),
        (found.areas, (n,), np.int64),
        (found.left_out, (0,), np.float32),
    ]:
        assert array.shape[1:] == shape[1:] and len(array) in (n, len(found.left_out)) and array.dtype == kind
        array.fill(0)  # nobody else's
    assert found.scores.all()
    assert (np.diff(found.scores) <= 0).all() and set(found.labels) == {1}
    assert found.class_names == ["nucleus"] * n and found.classes[1] == "nucleus"
    assert found.notes == [] and found.crowded in (True, False) and found.soft_masks is None and found.has_masks


def fill(parts, height, width):
    """Pixels within rings of whole corners: those to whose left an odd number of sides is crossed, row by row."""
    inside = np.zeros((height, width), int)
    for ring in (ring for part in parts for ring in part):
        for (x1, y1), (x2, y2) in zip(ring, np.roll(ring, -1, axis=0)):
            if x1 == x2:
                inside[min(y1, y2) : max(y1, y2), x1:] += 1
    return inside % 2 == 1


def test_masks_run_lengths_and_polygons_agree(found):
    coco = pytest.importorskip("pycocotools.mask")
    masks = found.masks
    assert (np.stack([coco.decode(rle) for rle in found.rle]).astype(bool) == masks).all()
    assert (found.areas == masks.sum(axis=(1, 2))).all() and masks.any(axis=(1, 2)).all()
    for one, mask, parts in zip(found, masks, found.polygons):
        assert (one.mask == mask).all() and (fill(parts, *mask.shape) == mask).all()
        assert one.rle == found.rle[0] or (coco.decode(one.rle) == mask).all()
        for ring in (ring for part in parts for ring in part):
            assert ring.dtype == np.int32 and ring.shape[1] == 2
            x, y = ring[:, 0].astype(int), ring[:, 1].astype(int)
            # Clockwise on the screen is a positive area where y goes down.
            area = (x * np.roll(y, -1) - np.roll(x, -1) * y).sum()
            assert (area > 0) == (ring is parts_shell(parts, ring))
    # Masks lie in their boxes, but for rounding.
    for (x1, y1, x2, y2), mask in zip(found.boxes, masks):
        rows, columns = np.nonzero(mask)
        assert columns.min() >= x1 - 2 and columns.max() <= x2 + 2 and rows.min() >= y1 - 2 and rows.max() <= y2 + 2


def test_polygons_of_holes_and_parts(found):
    """A ring with a dot in it and another beside it: restored as if it had been pickled."""
    rows = ["11111.", "1...1.", "1.1.1.", "1...1.", "11111.", ".....1"]
    words = b"".join(int(row[::-1].replace(".", "0"), 2).to_bytes(4, "little") for row in rows)
    item = np.array([0, 0, 6, 6, 0.5], "<f4").tobytes() + (1).to_bytes(4, "little")
    place = np.array([1, 2, 6, 6], "<u4").tobytes()
    restore, (state,) = found.__reduce__()
    ring = restore((1, (10, 9, 0), state[2], (item, place, words, b"", b""), (False, True), []))
    parts = ring.polygons[0]
    assert [len(part) for part in parts] == [2, 1, 1] and len(parts[0][0]) == len(parts[0][1]) == 4
    expected = np.zeros((9, 10), bool)
    expected[2:8, 1:7] = [[c == "1" for c in row] for row in rows]
    assert (ring.masks[0] == expected).all() and (fill(parts, 9, 10) == expected).all()


def parts_shell(parts, ring):
    """The outer ring of the part that a ring is of."""
    return next(part[0] for part in parts if any(ring is other for other in part))


def test_single_detections(found):
    for i, one in enumerate(found):
        assert one.box == tuple(found.boxes[i].tolist()) and one.label == 1 and one.class_name == "nucleus"
        assert np.float32(one.score) == found.scores[i] and one.area == found.areas[i] and one.soft_mask is None
    assert "nucleus" in repr(found[0]) and f"{len(found)} nucleus in 384x320" in repr(found)


def test_indices_and_slices(found):
    n = len(found)
    assert found[-1].box == found[n - 1].box and found[np.int64(2)].box == found[2].box
    assert (found[3:1:-1].scores == found.scores[3:1:-1]).all() and len(found[5:5]) == 0
    assert found[:] == found and found[1:] != found
    assert len(list(found)) == len([one for one in found]) == n
    for index in (n, -n - 1, 1 << 70):
        with pytest.raises(IndexError):
            found[index]
    for index in (1.0, "a", None, [1]):
        with pytest.raises(TypeError):
            found[index]


def test_above(found):
    middle = found.scores[4]
    assert (found.above(middle).scores == found.scores[:5]).all() and found.above(1.1).masks.shape == (0, 320, 384)
    with pytest.raises(ValueError):
        found.above(float("nan"))


def test_coco_results(found, tmp_path):
    entries = found.to_coco(42)
    assert json.loads(json.dumps(entries)) == entries
    assert {e["image_id"] for e in entries} == {42} and found.to_coco("0042")[0]["image_id"] == 42
    assert found.to_coco("a7")[0]["image_id"] == "a7"
    x1, y1, x2, y2 = found.boxes[0]
    assert np.allclose(entries[0]["bbox"], [x1, y1, x2 - x1, y2 - y1])
    assert [e["segmentation"] for e in entries] == found.rle
    for bad in (-1, 1.5, None, [1]):
        with pytest.raises(TypeError):
            found.to_coco(bad)
    coco = pytest.importorskip("pycocotools.coco")
    truth = coco.COCO()
    truth.dataset = {"images": [{"id": 42}], "annotations": [], "categories": [{"id": 1}]}
    truth.createIndex()
    assert len(truth.loadRes(entries).getAnnIds()) == len(found)


def test_pickled(detector, demo, found):
    for some in (found, found[:0], detector.detect(demo, soft_masks=True)):
        for protocol in (2, 5):
            back = pickle.loads(pickle.dumps(some, protocol))
            assert back == some and back is not some and (back.masks == some.masks).all() and back.rle == some.rle
    restore, (state,) = found.__reduce__()
    bits = state[3]
    for wrong in (
        (2, *state[1:]),
        (state[0], (1, 1, 0), *state[2:]),
        (*state[:3], (bits[0][1:], *bits[1:]), *state[4:]),
        (*state[:3], (*bits[:2], bits[2][:-4], *bits[3:]), *state[4:]),
        (*state[:3], (*bits[:2], bits[2] + b"1234", *bits[3:]), *state[4:]),
        (*state[:3], (bits[0], b"\xff" * len(bits[1]), *bits[2:]), *state[4:]),
    ):
        with pytest.raises(maskrcnn.Error, match="pickled Detections"):
            restore(wrong)
    with pytest.raises((TypeError, ValueError)):
        restore((1, 2))


def test_soft_masks(detector, demo):
    soft = detector.detect(demo, soft_masks=True)
    assert soft.soft_masks.shape == (len(soft), 28, 28) and soft.soft_masks.dtype == np.float32
    assert 0 <= soft.soft_masks.min() and soft.soft_masks.max() <= 1
    assert (soft[0].soft_mask == soft.soft_masks[0]).all()


def test_boxes_only(demo):
    detector = maskrcnn.Detector(boxes_only=True, score=0.5, config=SMALL)
    found = detector.detect(demo)
    assert not detector.has_masks and len(found) > 5 and found.scores.min() >= 0.5
    for absent in (found.masks, found.rle, found.polygons, found.areas, found[0].mask, found[0].rle, found[0].area):
        assert absent is None
    assert "segmentation" not in found.to_coco(1)[0] and "boxes only" in repr(found)


def test_overlay(found, demo):
    drawn = found.overlay(demo)
    assert drawn.shape == demo.shape and drawn.dtype == np.uint8
    tinted = found.overlay(demo, style="fill", palette="#ff0000")
    changed = (tinted != demo).any(axis=2)
    inside = found.masks.any(axis=0)
    assert not changed[~inside].any() and changed[inside].mean() > 0.9
    assert (found.overlay(demo[:, :, ::-1], format="bgr", style="fill", palette="#ff0000") == tinted).all()
    large = found.overlay(DEMO, enlarged=True)
    assert large.shape[0] % 320 == 0 and large.shape[0] > 320
    for wrong in ({"style": "shadow"}, {"palette": "red"}, {"font_size": 1}, {"line_width": 99}):
        with pytest.raises(ValueError):
            found.overlay(demo, **wrong)
    with pytest.raises(maskrcnn.ImageError, match="draw onto the image"):
        found.overlay(demo[:100])


def test_supervision(found, monkeypatch):
    """As supervision's own checks have it, where that is installed; else the error says how it would be."""
    supervision = pytest.importorskip("supervision", reason="LEFT OUT: supervision is not installed")
    theirs = found.to_supervision()
    assert isinstance(theirs, supervision.Detections) and len(theirs) == len(found)
    assert (theirs.xyxy == found.boxes).all() and (theirs.confidence == found.scores).all()
    assert (theirs.class_id == found.labels).all() and (np.asarray(theirs.mask) == found.masks).all()
    assert list(theirs["class_name"]) == found.class_names
    assert len(theirs[theirs.confidence > 0.9]) == (found.scores > 0.9).sum()


def test_supervision_is_asked_for_by_name(found, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "supervision", None)
    with pytest.raises(ImportError, match="pip install supervision"):
        found.to_supervision()
