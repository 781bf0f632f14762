"""torchvision: `torch-cpu` or `torch-cuda`, with any of the options below after a `+` each."""
import contextlib
import time

import torch

import works

OPTIONS = {"compile", "f16", "channels-last", "benchmark", "tf32", "folded"}


class Peer:
    def __init__(self, name, work, data, threads):
        base, *options = name.split("+")
        self.device = base.removeprefix("torch-")
        if unknown := set(options) - OPTIONS:
            raise ValueError(f"no option {unknown}; there are {sorted(OPTIONS)}")
        if self.device == "cuda" and not torch.cuda.is_available():
            raise RuntimeError("torch sees no CUDA device")
        torch.set_num_threads(threads)
        # torch's own default is TF32 in convolutions and not in products: here both, or neither.
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = "tf32" in options
        torch.backends.cudnn.benchmark = "benchmark" in options
        self.half = "f16" in options
        self.maps = work.maps

        model = works.load(work, data)
        if "folded" in options:
            works.fold(model)
        images = works.pixels(work, data)
        if work.maps:
            self.inputs = [works.network_input(model, images).to(self.device)]
        else:
            self.inputs = images
        network = (works.maps_module(model) if work.maps else model).to(self.device)
        if "channels-last" in options:
            network.to(memory_format=torch.channels_last)
            if work.maps:
                self.inputs = [x.contiguous(memory_format=torch.channels_last) for x in self.inputs]
        if "compile" in options:
            network = compiled(network, work.maps)
        self.network = network
        self.describe = f"torch {torch.__version__}"

    def call(self, x):
        autocast = torch.autocast(self.device, torch.float16) if self.half else contextlib.nullcontext()
        with torch.inference_mode(), autocast:
            return self.network(x) if self.maps else self.network([x.to(self.device)])[0]

    def answer(self):
        found = [self.call(x) for x in self.inputs]
        if self.maps:
            return {name: x.float().cpu().numpy() for name, x in zip(works.MAPS, found[0])}
        return [works.numpy_detections(one) for one in found]

    def milliseconds(self):
        """Of all inputs together. Maps on CUDA: by the GPU's clock, as ours are."""
        if self.device == "cuda" and self.maps:
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            torch.cuda.synchronize()
            begin.record()
            self.call(self.inputs[0])
            end.record()
            torch.cuda.synchronize()
            return begin.elapsed_time(end)
        begin = time.perf_counter()
        for x in self.inputs:
            self.call(x)
        if self.device == "cuda":
            torch.cuda.synchronize()
        return 1e3 * (time.perf_counter() - begin)


def compiled(network, maps):
    """The whole of the maps; of a whole model the dense parts, since selections break the graph."""
    if maps:
        return torch.compile(network)
    heads = network.roi_heads
    for module in (network.backbone, network.rpn.head, heads.box_head, heads.box_predictor, heads.mask_head, heads.mask_predictor):
        module.compile()
    return network
