"""ncnn: `ncnn-cpu` and `ncnn-vulkan`; the option `+f16` for its half precision."""
import os
import time
from pathlib import Path

import numpy as np

import works


class Peer:
    def __init__(self, name, work, data, threads):
        if not work.maps:
            raise ValueError("the whole model is not converted for ncnn")
        base, *options = name.split("+")
        param = data / "maps.ncnn.param"
        if not param.exists():
            convert(work, data)
        import ncnn

        self.ncnn = ncnn
        self.net = ncnn.Net()
        settings = self.net.opt
        settings.num_threads = threads
        settings.use_vulkan_compute = base == "ncnn-vulkan"
        half = "f16" in options
        settings.use_fp16_packed = settings.use_fp16_storage = settings.use_fp16_arithmetic = half
        settings.use_bf16_packed = settings.use_bf16_storage = False
        device = "CPU"
        if base == "ncnn-vulkan":
            if ncnn.get_gpu_count() == 0:
                raise RuntimeError("ncnn sees no Vulkan device")
            index = int(os.environ.get("NCNN_GPU", ncnn.get_default_gpu_index()))
            self.net.set_vulkan_device(index)
            device = ncnn.get_gpu_info(index).device_name()
        for status in (self.net.load_param(str(param)), self.net.load_model(str(param.with_suffix(".bin")))):
            if status != 0:
                raise RuntimeError(f"ncnn does not load {param}")
        self.x = np.load(work.reference(data))["input"][0]
        self.describe = f"ncnn {ncnn.__version__} on {device}"

    def extract(self, names):
        extractor = self.net.create_extractor()
        extractor.input("in0", self.ncnn.Mat(self.x))
        out = {}
        for name in names:
            status, mat = extractor.extract(f"out{works.MAPS.index(name)}")
            if status != 0:
                raise RuntimeError(f"ncnn does not compute {name}: {status}")
            out[name] = mat
        return out

    def answer(self):
        return {name: np.array(mat)[None] for name, mat in self.extract(works.MAPS).items()}

    def milliseconds(self):
        begin = time.perf_counter()
        self.extract(works.RPN)
        return 1e3 * (time.perf_counter() - begin)


def convert(work, data):
    """By pnnx, from a trace. It writes a dozen files beside what is wanted."""
    import pnnx
    import torch

    folder = data / "pnnx"
    folder.mkdir(exist_ok=True)
    x = torch.from_numpy(np.load(work.reference(data))["input"])
    network = works.fold(works.maps_module(works.load(work, data)))
    with torch.no_grad():
        pnnx.export(network, str(folder / "maps.pt"), (x,), fp16=False, check_trace=False)
    for ending in ("bin", "param"):
        Path(folder / f"maps.ncnn.{ending}").rename(data / f"maps.ncnn.{ending}")
