"""Misuse at random: whatever is given, there is an exception or an answer, and never a crash. In a process of its own, whose end
tells. `MASKRCNN_MISUSE_SECONDS` has it go on for longer, `MASKRCNN_MISUSE_SEED` begins elsewhere."""

import json
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from conftest import TINY

PROGRAM = r'''
import faulthandler, json, pickle, random, sys, time, warnings
import numpy as np
import maskrcnn

faulthandler.enable()
warnings.simplefilter("ignore")
seed, seconds, demo = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
r = random.Random(seed)
detector = maskrcnn.Detector(config=json.loads(sys.argv[4]))
found = detector.detect(demo)
data = open(demo, "rb").read()
TYPES = ["u1"] * 6 + ["i1", "u2", ">u2", "i4", "f2", "f4", "f8", "c8", "?", "O", "S2", "U1", "M8[s]", [("r", "u1"), ("g", "u1")]]
SIDES = [0, 1, 1, 2, 3, 3, 4, 5, 7, 16, 31, 64, 65, 100]


def array():
    shape = tuple(r.choice(SIDES) for _ in range(r.choice([0, 1, 2, 2, 3, 3, 3, 3, 4])))
    if len(shape) == 3 and r.random() < 0.8:
        shape = (*shape[:2], r.choice([1, 3, 3, 3, 4]))
    a = np.zeros(shape, r.choice(TYPES))
    if a.dtype == np.uint8:
        a[...] = np.random.default_rng(r.randrange(99)).integers(0, 255, shape, np.uint8)
    for _ in range(r.choice([0, 0, 1, 1, 2, 3])):
        way = r.randrange(9)
        if way == 0:
            a = a[tuple(slice(None, None, r.choice([-2, -1, 1, 2, 3])) for _ in a.shape)]
        elif way == 1:
            a = a.transpose(r.sample(range(a.ndim), a.ndim))
        elif way == 2:
            a = np.broadcast_to(a, (r.choice(SIDES), *a.shape))
        elif way == 3:
            a = a[..., None]
        elif way == 4 and a.ndim:
            a = a[r.randrange(a.shape[0] + 1):]
        elif way == 5:
            a = np.asfortranarray(a)
        elif way == 6 and a.ndim == 2:
            a = np.broadcast_to(a[:1, :1], (r.choice([1 << 15, 1 << 17, 1 << 40]), r.choice([1, 1 << 16, 1 << 20])))
        elif way == 7:
            a.flags.writeable = False
        elif way == 8:
            a = a.view(r.choice([np.ndarray, np.ma.MaskedArray, np.recarray]))
    return a


def junk():
    return r.choice([
        None, True, -1, 0, 1, 7, 1 << 70, -(1 << 70), 1.5, float("nan"), float("inf"), "", "x", "rgb", "bgr", "\0", "\ud800", "é" * 99,
        b"", b"\x89PNG", data[:r.randrange(len(data))], bytearray(data), [], [1], (), (1, 2), {}, {"a": {}}, object(), int, len, Ellipsis,
        slice(None), slice(1, -1, -2), slice(0, 10, 0), np.float32(3), np.int64(-2), np.array(5), demo, detector, found, iter([]), lambda: 1,
    ])


def picture():
    return r.choice([array, array, array, junk])()


def maybe(**values):
    return {k: v() if callable(v) else v for k, v in values.items() if r.random() < 0.4}


def damaged():
    """A pickle of detections with bytes changed. What is not of this package in there is Python's own to refuse."""
    restore, (state,) = found.__reduce__()
    def change(part):
        if isinstance(part, tuple):
            part = list(part)
            if part:
                i = r.randrange(len(part))
                part[i] = change(part[i])
            return tuple(part)
        if isinstance(part, bytes) and part and r.random() < 0.9:
            b = bytearray(part)
            for _ in range(r.choice([1, 4])):
                b[r.randrange(len(b))] = r.randrange(256)
            return bytes(b[: r.choice([len(b), len(b) - 4, r.randrange(len(b) + 1)])])
        return r.choice([junk(), 0, 1, 5, 1 << 31, (1 << 32) - 1])
    back = restore(change(state))
    if back.width * back.height * (len(back) + 1) < 1 << 28:
        back.masks
    back.rle, back.polygons, back.areas, back.to_coco(1), repr(back), pickle.dumps(back)


CALLS = [
    lambda: detector.detect(picture(), **maybe(format=junk, soft_masks=junk)),
    lambda: detector.detect(array(), **maybe(format=lambda: r.choice(["rgb", "bgr", "rgba", "bgra", "grey"]))),
    lambda: detector.detect_batch([picture() for _ in range(r.randrange(5))], on_error=r.choice(["return", "raise"]), **maybe(batch=lambda: r.randrange(-1, 9))),
    lambda: list(detector.detect_iter(junk(), **maybe(batch=junk, format=junk, soft_masks=junk, on_error=junk))),
    lambda: next(detector.detect_iter([picture() for _ in range(4)])),
    lambda: found.overlay(picture(), **maybe(format=junk, style=junk, palette=junk, font_size=junk, line_width=junk, enlarged=junk)),
    lambda: found[junk()],
    lambda: found.above(junk()),
    lambda: found.to_coco(junk()),
    lambda: found == junk(),
    lambda: maskrcnn.read(picture(), **maybe(page=junk, channels=junk, normalize=junk)),
    lambda: maskrcnn.pages(picture()),
    lambda: detector.warm_up(junk(), junk()),
    lambda: maskrcnn._maskrcnn._restore(junk()),
    damaged,
    lambda: maskrcnn.Detector(**maybe(weights=junk, device=junk, precision=junk, score=junk, detections=junk, config=junk, boxes_only=junk)),
    lambda: maskrcnn.Detector.detect(junk(), junk()),
    lambda: maskrcnn.Detections(junk()),
    lambda: maskrcnn.pull(junk(), progress=junk()),
]
calls = answers = 0
begun = time.monotonic()
while time.monotonic() - begun < seconds:
    call = CALLS[r.randrange(len(CALLS))]
    calls += 1
    try:
        call()
        answers += 1
    except maskrcnn.InternalError as e:
        if "nobody waits" not in str(e):
            raise
    except Exception as e:
        if not str(e) and not isinstance(e, (StopIteration, MemoryError, TypeError, KeyError)):
            raise AssertionError(f"{e!r} says nothing") from e
# Still as it was.
assert detector.detect(demo) == found
print(calls, answers)
'''


def test_misuse_at_random(tmp_path):
    script = tmp_path / "misuse.py"
    script.write_text(textwrap.dedent(PROGRAM))
    demo = tmp_path / "demo.png"
    pillow = pytest.importorskip("PIL.Image")
    pixels = np.full((60, 80, 3), 20, np.uint8)
    pixels[10:40, 20:50] = 200
    pillow.fromarray(pixels).save(demo)
    seed, seconds = os.environ.get("MASKRCNN_MISUSE_SEED", "1"), os.environ.get("MASKRCNN_MISUSE_SECONDS", "8")
    done = subprocess.run([sys.executable, script, seed, seconds, demo, json.dumps(TINY)], capture_output=True, text=True)
    assert done.returncode == 0, f"ended with {done.returncode}\n{done.stdout[-500:]}\n{done.stderr[-3000:]}"
    calls, answers = map(int, done.stdout.split())
    assert calls > 50 and 0 < answers < calls, done.stdout
