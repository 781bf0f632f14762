"""What a detector may be given: every way to hold the same pixels finds the same, and the rest is refused in words."""

import io
import pathlib
import warnings

import numpy as np
import pytest
from conftest import DEMO, SMALL

import maskrcnn


@pytest.fixture(scope="module")
def cut(demo):
    """A part of the demo image, in colours: rows lie a stride apart."""
    return (demo * [1.0, 0.6, 0.3]).astype(np.uint8)[:192, 40:232]


@pytest.fixture(scope="module")
def expected(detector, cut):
    return detector.detect(np.ascontiguousarray(cut))


def ways(cut):
    """Arrays of the same pixels, by what is unusual about each."""
    solid = np.ascontiguousarray(cut)
    h, w, _ = cut.shape
    alpha = np.dstack([solid, np.full((h, w), 7, np.uint8)])
    padded = np.zeros((h, 3 * w + 13), np.uint8)
    padded[:, : 3 * w] = solid.reshape(h, -1)
    yield "rows apart", cut, None
    yield "rows at odd distances", padded[:, : 3 * w].reshape(h, w, 3), None
    yield "read-only", np.frombuffer(solid.tobytes(), np.uint8).reshape(h, w, 3), None
    yield "alpha", alpha, None
    yield "three of four channels", alpha[:, :, :3], None
    yield "bgr", np.ascontiguousarray(solid[:, :, ::-1]), "bgr"
    yield "channels backwards", np.ascontiguousarray(solid[:, :, ::-1])[:, :, ::-1], None
    yield "rows upside down", np.ascontiguousarray(solid[::-1])[::-1], "rgb"
    yield "bgra", np.ascontiguousarray(alpha[:, :, [2, 1, 0, 3]]), "bgra"
    yield "by columns", np.asfortranarray(solid), None
    yield "every other pixel", np.repeat(np.repeat(solid, 2, axis=0), 3, axis=1)[::2, ::3], None
    yield "every other pixel of a row", np.repeat(solid, 2, axis=1)[:, ::2], None


def test_every_way_to_hold_the_same_pixels(detector, cut, expected):
    assert len(expected) > 3
    for what, array, order in ways(cut):
        assert detector.detect(array, format=order) == expected, what
    assert detector.detect(np.ascontiguousarray(cut), format="bgr") != expected, "colours do not matter here: choose other ones"


def test_grey(detector, cut):
    grey = np.ascontiguousarray(cut[:, :, 0])
    expected = detector.detect(np.dstack([grey] * 3))
    for array in (grey, grey[:, :, None], cut[:, :, 0], np.broadcast_to(grey[:, :, None], (192, 192, 3))):
        assert detector.detect(array) == expected
    assert detector.detect(grey, format="grey") == detector.detect(grey, format="gray") == expected


def test_files_and_pillow(detector, demo):
    pillow = pytest.importorskip("PIL.Image")
    expected = detector.detect(demo)
    image = pillow.open(DEMO)
    data = DEMO.read_bytes()
    for picture in (str(DEMO), DEMO, data, bytearray(data), memoryview(data), image, image.convert("RGBA")):
        assert detector.detect(picture) == expected
    assert detector.detect(image.convert("L")) == detector.detect(np.asarray(image.convert("L")))
    for mode in ("I;16", "F", "I"):
        with pytest.raises(maskrcnn.ImageError, match="8 bits"):
            detector.detect(pillow.new(mode, (64, 64)))


def test_what_has_an_array_is_taken_for_it(detector, cut, expected):
    class Tensor:
        def __array__(self, dtype=None, copy=None):
            return cut

    assert detector.detect(Tensor()) == expected
    with pytest.raises(TypeError, match="an image is"):
        detector.detect(Tensor)


def test_notes_of_files(detector, tmp_path):
    """What was assumed of a file is said once, and kept with each result."""
    pillow = pytest.importorskip("PIL.Image")
    deep = tmp_path / "deep.png"
    pillow.fromarray((np.arange(64 * 64, dtype=np.uint16).reshape(64, 64) % 4096)).save(deep)
    fresh = maskrcnn.Detector(config=SMALL)
    with pytest.warns(maskrcnn.Notice, match="said once"):
        assert fresh.detect(deep).notes
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert fresh.detect(deep).notes
    with pytest.warns(maskrcnn.Notice, match="deep.png"):
        maskrcnn.read(deep)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dark, bright = maskrcnn.read(deep, normalize=(0, 65535)), maskrcnn.read(deep, normalize="minmax")
    assert dark.max() < 17 and bright.max() == 255


def test_pages_and_channels(tmp_path, demo):
    pillow = pytest.importorskip("PIL.Image")
    stack = tmp_path / "stack.tif"
    first, second = (pillow.fromarray(np.full((8, 9, 3), v, np.uint8)) for v in ([1, 2, 3], [4, 5, 6]))
    first.save(stack, save_all=True, append_images=[second])
    assert maskrcnn.pages(stack) == [1, 2] and maskrcnn.pages(DEMO) == [1]
    assert (maskrcnn.read(stack, page=2) == [4, 5, 6]).all()
    assert (maskrcnn.read(stack.read_bytes(), page=2, channels=(2, 1, 0)) == [6, 5, 4]).all()
    assert (maskrcnn.read(stack, page=1, channels=1) == 2).all()
    assert (maskrcnn.read(DEMO) == demo).all()
    with pytest.raises(maskrcnn.ImageError):
        maskrcnn.read(stack, page=3)
    for wrong in ({"channels": "r"}, {"channels": (1, 2)}, {"page": -1}, {"page": "x"}):
        with pytest.raises((TypeError, OverflowError)):
            maskrcnn.read(stack, **wrong)
    for wrong in ("all", (1, 0), ("1", "99"), ("1%", "101%"), (float("nan"), 1), 3):
        with pytest.raises(ValueError):
            maskrcnn.read(stack, normalize=wrong)
    with pytest.raises(TypeError, match="a file is"):
        maskrcnn.read(demo)


@pytest.mark.parametrize(
    ("picture", "kind", "words"),
    [
        (np.zeros((8, 8, 3), np.float32), TypeError, "255"),
        (np.zeros((8, 8, 3), np.uint16), TypeError, "uint16"),
        (np.zeros((8, 8, 3), ">u2"), TypeError, "scale"),
        (np.zeros((8, 8, 3), np.int64), TypeError, "int64"),
        (np.zeros((8, 8), bool), TypeError, "astype"),
        (np.zeros((8, 8, 3), object), TypeError, "object"),
        (np.zeros((8, 8), "S3"), TypeError, "bytes"),
        (np.zeros((8,), np.uint8), ValueError, "2 dimensions"),
        (np.zeros((), np.uint8), ValueError, "2 dimensions"),
        (np.zeros((2, 8, 8, 3), np.uint8), ValueError, "one image after the other"),
        (np.zeros((3, 8, 8), np.uint8), ValueError, "transpose"),
        (np.zeros((8, 8, 2), np.uint8), ValueError, "1, 3 or 4"),
        (np.zeros((0, 8, 3), np.uint8), maskrcnn.ImageError, "it has none"),
        (np.zeros((8, 0), np.uint8), maskrcnn.ImageError, "it has none"),
        (np.broadcast_to(np.uint8(0), (1 << 20, 1 << 20)), maskrcnn.ImageError, "scale it down"),
        (np.broadcast_to(np.uint8(0), (60000, 60000, 3)), maskrcnn.ImageError, "scale it down"),
        ([[0, 1], [2, 3]], TypeError, "not list"),
        (None, TypeError, "NoneType"),
        (7, TypeError, "not int"),
        (b"", maskrcnn.ImageError, "bytes"),
        (b"no image", maskrcnn.ImageError, "bytes"),
        ("no such file.png", maskrcnn.MissingFileError, "no such file.png"),
        ("no such file.png", FileNotFoundError, "No such file"),
        (pathlib.Path(__file__).parent, maskrcnn.FileError, "directory"),
        (__file__, maskrcnn.ImageError, "test_pictures"),
        (io.BytesIO(b""), TypeError, "BytesIO"),
        ("a\0b", (ValueError, OSError), None),
    ],
)
def test_what_is_no_picture(detector, picture, kind, words):
    with pytest.raises(kind, match=words):
        detector.detect(picture)


def test_formats_are_checked(detector, cut):
    for order, words in (("rgba", "4 channels, and the array has 3"), ("grey", "1 channels"), ("cmyk", "none of")):
        with pytest.raises(ValueError, match=words):
            detector.detect(cut, format=order)
    for picture in (DEMO, DEMO.read_bytes()):
        with pytest.raises(ValueError, match="format is about an array"):
            detector.detect(picture, format="rgb")
