"""Mask R-CNN on any GPU, without CUDA and without torch.

>>> import maskrcnn
>>> detector = maskrcnn.Detector()              # or Detector("model.pth"): torchvision's and detectron2's files
>>> found = detector.detect("slide.png")        # or an array, or an image of Pillow's
>>> found.boxes, found.scores, found.labels     # numpy: (n, 4) float32, (n,) float32, (n,) int64
>>> found.above(0.5).masks                      # (n, height, width) bool

Classes: `Detector`, `Detections` (a sequence of `Detection`), `DetectionStream`, `Device`. Functions: `devices`, `published`, `pull`,
`read`, `pages`. What goes wrong is an `Error`, what was assumed or left out a `Notice` (a warning).
"""

import atexit as _atexit

from . import _maskrcnn
from ._errors import (
    ConfigError,
    DeviceError,
    DeviceLostError,
    DownloadError,
    Error,
    FileError,
    ImageError,
    InternalError,
    LimitError,
    MissingFileError,
    Notice,
    OutOfMemoryError,
    WeightsError,
)
from ._maskrcnn import (
    Detection,
    Detections,
    DetectionStream,
    Detector,
    Device,
    __version__,
    devices,
    pages,
    published,
    pull,
    read,
)

# Threads of streams that were left are waited for before the driver under them goes away.
_atexit.register(_maskrcnn._finish)

__all__ = [
    "ConfigError",
    "Detection",
    "DetectionStream",
    "Detections",
    "Detector",
    "Device",
    "DeviceError",
    "DeviceLostError",
    "DownloadError",
    "Error",
    "FileError",
    "ImageError",
    "InternalError",
    "LimitError",
    "MissingFileError",
    "Notice",
    "OutOfMemoryError",
    "WeightsError",
    "__version__",
    "devices",
    "pages",
    "published",
    "pull",
    "read",
]
