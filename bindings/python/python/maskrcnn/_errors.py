"""What goes wrong, as exceptions: each says what is at fault, and what to do."""


class Error(Exception):
    """Whatever can go wrong in this package, but for arguments of a wrong type or value (TypeError, ValueError)."""


class ImageError(Error, ValueError):
    """An image that cannot be decoded or used."""


class WeightsError(Error):
    """A weights file, or a tensor of one, that is not what it should be."""


class ConfigError(Error, ValueError):
    """A setting that cannot be, or does not fit the weights."""


class DownloadError(Error):
    """A download that failed."""


class DeviceError(Error, RuntimeError):
    """No GPU, not the one asked for, or one that does not offer what was asked of it, or that failed."""


class DeviceLostError(DeviceError):
    """The GPU is gone: unplugged, or reset by the system. Detectors on it are of no more use; open new ones."""


class OutOfMemoryError(DeviceError, MemoryError):
    """The GPU has no memory left for something. Less at once may fit: a smaller batch, image, or input size."""


class LimitError(DeviceError):
    """The GPU cannot address what the network needs."""


class InternalError(Error, RuntimeError):
    """What cannot be, is: a mistake of this package's. Please report it."""


class FileError(Error, OSError):
    """A file that cannot be read or written."""


class MissingFileError(FileError, FileNotFoundError):
    """A file that is not there."""


class Notice(UserWarning):
    """What was assumed, left out or changed, and what to do where that is wrong."""


for _class in list(globals().values()):
    if isinstance(_class, type):
        _class.__module__ = "maskrcnn"
del _class
