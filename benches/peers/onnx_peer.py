"""ONNX Runtime: `ort-cpu`, `ort-cuda`, `ort-webgpu`; the options `+tf32` for CUDA, `+plugin` for WebGPU.

CUDA's wheel and WebGPU's have a module of the same name as the CPU's, so each lies in a folder of its own beside the
virtual environment's packages. The plugin is WebGPU for the newest ONNX Runtime.
"""
import sys
import time
from pathlib import Path

import numpy as np

import works


class Peer:
    def __init__(self, name, work, data, threads):
        if not work.maps:
            raise ValueError("the whole model is not exported to ONNX")
        base, *options = name.split("+")
        kind = base.removeprefix("ort-")
        path = data / "maps.onnx"
        if not path.exists():
            export(work, data, path)
        if kind != "cpu" and "plugin" not in options:
            folder = Path(sys.prefix) / kind
            if not folder.exists():
                raise RuntimeError(f"{folder} is not there: its wheel was not installed")
            sys.path.insert(0, str(folder))
        if kind == "cuda":
            load_cuda()
        import onnxruntime

        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = threads
        settings.add_session_config_entry("session.force_spinning_stop", "1")  # others run between our runs
        if "plugin" in options:
            self.session = plugin_session(onnxruntime, settings, path)
        else:
            self.session = onnxruntime.InferenceSession(path, settings, providers=providers(kind, options), enable_fallback=0)
        used = self.session.get_providers()
        if kind != "cpu" and used[0] == "CPUExecutionProvider":
            raise RuntimeError(f"the provider for {kind} was refused: only {used} are left")
        self.x = np.load(work.reference(data))["input"]
        self.binding = self.bind(onnxruntime) if kind == "cuda" else None
        self.describe = f"onnxruntime {onnxruntime.__version__} {used[0]}"

    def bind(self, onnxruntime):
        """Input and outputs stay on the device."""
        binding = self.session.io_binding()
        binding.bind_ortvalue_input("input", onnxruntime.OrtValue.ortvalue_from_numpy(self.x, "cuda", 0))
        for name in works.RPN:
            binding.bind_output(name, "cuda")
        return binding

    def answer(self):
        return dict(zip(works.MAPS, self.session.run(works.MAPS, {"input": self.x})))

    def milliseconds(self):
        begin = time.perf_counter()
        if self.binding:
            self.session.run_with_iobinding(self.binding)
        else:
            self.session.run(works.RPN, {"input": self.x})
        return 1e3 * (time.perf_counter() - begin)


def providers(kind, options):
    return {
        "cpu": ["CPUExecutionProvider"],
        "cuda": [("CUDAExecutionProvider", {"use_tf32": int("tf32" in options), "cudnn_conv_algo_search": "EXHAUSTIVE"})],
        "webgpu": ["WebGpuExecutionProvider"],
    }[kind]


def load_cuda():
    """CUDA's libraries from the wheels that torch came with, by loading them before ONNX Runtime asks for them."""
    import ctypes

    import torch

    for name in ("libcurand.so.*", "libcufft.so.*"):
        for folder in (Path(torch.__file__).parents[1], Path(sys.prefix) / "cuda"):
            for path in folder.glob(f"nvidia/**/{name}"):
                ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)


def plugin_session(onnxruntime, settings, path):
    import onnxruntime_ep_webgpu as plugin

    onnxruntime.register_execution_provider_library("webgpu", plugin.get_library_path())
    devices = [d for d in onnxruntime.get_ep_devices() if d.ep_name == plugin.get_ep_name()]
    if not devices:
        raise RuntimeError("the plugin finds no device")
    settings.add_provider_for_devices(devices[:1], {})
    return onnxruntime.InferenceSession(path, settings)


def export(work, data, path):
    import torch

    x = torch.from_numpy(np.load(work.reference(data))["input"])
    network = works.fold(works.maps_module(works.load(work, data)))
    partial = path.with_suffix(".partial")
    names = {"input_names": ["input"], "output_names": works.MAPS}
    with torch.no_grad():
        torch.onnx.export(network, (x,), partial, dynamo=True, external_data=False, **names)
    partial.rename(path)
