"""A peer in a process of its own: what it leaves behind, or how it dies, touches no other."""
import importlib
import os
import statistics
import sys
import time
import traceback

import works

MODULES = {"torch": "torch_peer", "ort": "onnx_peer", "ncnn": "ncnn_peer"}
WARM_UP = 3  # seconds at least; the answer that is checked is a part of it


def serve(connection, name, work, data, threads, log):
    """Sends ("ready", description, check), then the median milliseconds of as many runs as each message asks for."""
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(file, 1)
    os.dup2(file, 2)
    try:
        kind = name.split("-")[0]
        if kind not in MODULES:
            raise ValueError(f"there are peers of {sorted(MODULES)}")
        peer = importlib.import_module(MODULES[kind]).Peer(name, work, data, threads)
        begin = time.perf_counter()
        result = check(work, data, peer.answer())
        while time.perf_counter() - begin < WARM_UP:
            peer.milliseconds()
        connection.send(("ready", peer.describe, result))
        while runs := connection.recv():
            connection.send(("times", statistics.median(peer.milliseconds() for _ in range(runs))))
    except EOFError:
        pass
    except Exception as e:
        traceback.print_exc()
        connection.send(("failed", f"{type(e).__name__}: {e}"))
    sys.stdout.flush()
    os._exit(0)  # drivers that fail while they are unloaded have nothing left to say


def check(work, data, answer):
    import numpy as np

    reference = np.load(work.reference(data))
    return works.worst(reference, answer) if work.maps else works.matched(reference, answer)
