"""What tests share: the detectors, the demo image, and where the repository is."""

import pathlib

import numpy as np
import pytest

import maskrcnn

ROOT = pathlib.Path(__file__).resolve().parents[3]
DEMO = ROOT / "assets" / "demo.png"

# Small inputs and few proposals, so that an image takes a CPU driver a fraction of a second.
SMALL = {
    "transform": {"min_size": 96, "max_size": 128},
    "rpn": {"pre_nms_top_n": 200, "post_nms_top_n": 100},
    "box": {"detections_per_img": 40},
}
TINY = {
    "transform": {"min_size": 64, "max_size": 96},
    "rpn": {"pre_nms_top_n": 50, "post_nms_top_n": 20},
    "box": {"detections_per_img": 10},
}


@pytest.fixture(scope="session")
def detector():
    """The embedded model on small inputs."""
    return maskrcnn.Detector(config=SMALL)


@pytest.fixture(scope="session")
def whole():
    """The embedded model as it is."""
    return maskrcnn.Detector()


@pytest.fixture(scope="session")
def demo():
    """The demo image: uint8, (320, 384, 3), RGB."""
    return maskrcnn.read(DEMO)


@pytest.fixture(scope="session")
def found(detector, demo):
    """What is found in it on a small input."""
    return detector.detect(demo)


@pytest.fixture(scope="session")
def pictures(demo):
    """Four different pictures of two sizes."""
    return [np.ascontiguousarray(cut) for cut in (demo[:96, :96], demo[64:160, 64:160], demo[:96, 100:220], demo[90:186, 200:296])]


def same(a, b, tolerance=0.0):
    """Whether two Detections are the same: to the bit, or with corners and scores within a tolerance."""
    if tolerance == 0.0:
        return a == b
    return (
        len(a) == len(b)
        and (a.labels == b.labels).all()
        and np.allclose(a.boxes, b.boxes, atol=tolerance)
        and np.allclose(a.scores, b.scores, atol=tolerance)
    )
