"""What figures are worth nothing without: the machine, its drivers, the versions, the command."""
import importlib.metadata
import os
import platform
import shlex
import subprocess
import sys
from pathlib import Path

import works

PACKAGES = ("torch", "torchvision", "onnxruntime", "onnxruntime-gpu", "onnxruntime-webgpu", "onnxruntime-ep-webgpu", "ncnn", "pnnx")


def output(*command):
    try:
        return subprocess.run(command, check=False, capture_output=True, text=True, cwd=works.ROOT).stdout.strip()
    except OSError:
        return ""


def processor():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def versions():
    """Also those of the wheels that lie in folders of their own."""
    path = [*sys.path, *(str(Path(sys.prefix) / name) for name in ("cuda", "webgpu"))]
    found = {d.metadata["Name"].lower(): d.version for d in importlib.metadata.distributions(path=path)}
    return [f"{name} {found[name]}" for name in PACKAGES if name in found]


def describe(program):
    commit = output("git", "describe", "--always", "--dirty") or read(works.ROOT / "COMMIT")
    load, cores = os.getloadavg()[0], len(os.sched_getaffinity(0))
    lines = {
        "machine": f"{processor()}, {cores} cores, load {load:.1f}, {platform.platform()}",
        "nvidia": output("nvidia-smi", "--query-gpu=name,driver_version,clocks.max.sm,power.limit", "--format=csv,noheader"),
        "vulkan": "\n".join(line for line in output(program, "devices").splitlines() if line.strip()),
        "ours": f"{output(program, '--version')} {commit}",
        "peers": ", ".join(versions()),
        "command": shlex.join([Path(sys.executable).name, *sys.argv]),
    }
    return {name: text for name, text in lines.items() if text}


def read(path):
    return path.read_text().strip() if path.exists() else ""
