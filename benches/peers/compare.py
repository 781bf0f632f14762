"""The same work by others and by us, in turn, in one run: medians, and how many times our time theirs is.

    python compare.py DATA [--work maps whole default] [--peers torch-cpu ort-cpu ...] [--rounds 3] [--runs 3]

Each round times every peer, and us beside each of them (--once: us once a round, where that takes long). A ratio is of
one round: the peer's time over ours, so above 1 we are faster. A peer that cannot run is a line that says why.
"""
import argparse
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
from pathlib import Path

import machine
import worker
import works
from ours import Ours

CPU = ["torch-cpu", "torch-cpu+channels-last", "torch-cpu+compile"]
CUDA = [
    "torch-cuda",
    "torch-cuda+benchmark",
    "torch-cuda+benchmark+tf32",
    "torch-cuda+benchmark+f16",
    "torch-cuda+benchmark+f16+channels-last",
    "torch-cuda+benchmark+compile",
    "torch-cuda+benchmark+compile+f16+channels-last",
    "torch-cuda+benchmark+compile+f16+channels-last+folded",
]
CONVERTED = ["ort-cpu", "ort-cuda", "ort-cuda+tf32", "ort-webgpu", "ort-webgpu+plugin"]
CONVERTED += ["ncnn-cpu", "ncnn-vulkan", "ncnn-vulkan+f16"]


class Peer:
    """A worker, and what it measured; `error` once it cannot go on."""

    def __init__(self, name, work, args):
        self.name, self.error, self.times, self.ratios, self.check = name, None, [], [], ""
        self.limit = args.limit
        self.log = args.data / "logs" / f"{work.name}-{name}.log"
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        arguments = (theirs, name, work, args.data, args.threads, self.log)
        self.process = context.Process(target=worker.serve, args=arguments, daemon=True)
        self.process.start()
        theirs.close()
        if answer := self.receive():
            self.describe, self.check = answer

    def receive(self):
        """What the worker answers, or None."""
        try:
            if not self.pipe.poll(self.limit):
                return self.fail(f"no answer within {self.limit} s")
            kind, *answer = self.pipe.recv()
        except (EOFError, OSError):
            self.process.join()
            return self.fail(f"ended with status {self.process.exitcode}")
        return self.fail(answer[0]) if kind == "failed" else answer

    def fail(self, reason):
        text = " ".join(reason.split())
        if len(text) > 200:
            text = f"{text[:60]} ... {text[-120:]}"  # what it is, and why
        self.error = f"{text} (log: {self.log.name})"
        self.process.terminate()

    def time(self, runs):
        try:
            self.pipe.send(runs)
        except OSError:
            pass  # `receive` says what happened
        if answer := self.receive():
            self.times.append(answer[0])
            return answer[0]

    def close(self):
        if not self.error:
            self.pipe.send(0)
            self.process.join(30)
        self.process.terminate()


def defaults(work):
    cuda = CUDA if Path("/dev/nvidiactl").exists() else []
    peers = CPU + cuda + (CONVERTED if work.maps else [])
    return [name for name in peers if cuda or "cuda" not in name]


def say(text):
    print(text, flush=True)


def compare(work, args):
    """Rows of one work, for people on standard output, and as a value."""
    say(f"\n## {work.title}\n")
    ours, our_times, peers = Ours(args.ours, args.device, work, args.data), [], []
    check = ours.check()
    ours.milliseconds(1)  # measures the roofs, fills the driver's cache
    say(f"ours: {check}; {ours.clock}")
    for name in args.peers or defaults(work):
        peer = Peer(name, work, args)
        say(f"{name}: {peer.error or f'{peer.describe}; {peer.check}'}")
        peers.append(peer)
    for turn in range(args.rounds):
        beside = None
        for peer in (p for p in peers if not p.error):
            time = peer.time(args.runs)
            if beside is None or not args.once:
                beside = ours.milliseconds(args.runs)
                our_times.append(beside)
            if time:
                peer.ratios.append(time / beside)
                say(f"round {turn + 1}: {peer.name} {time:.2f} ms, ours {beside:.2f} ms")
    for peer in peers:
        peer.close()
    table(peers, our_times, check)
    rows = [{key: getattr(p, key) for key in ("name", "error", "check", "times", "ratios")} for p in peers]
    return {"work": work.name, "ours": our_times, "check": check, "peers": rows}


def table(peers, our_times, check):
    say("\n| | ms | theirs / ours | check |\n|---|---|---|---|")
    if our_times:
        say(f"| ours | {span(our_times)} | | {check} |")
    for peer in peers:
        if peer.error:
            say(f"| {peer.name} | - | - | {peer.error} |")
        else:
            say(f"| {peer.name} | {span(peer.times)} | {span(peer.ratios)} | {peer.check} |")


def span(values):
    """The median, and the least and the largest."""
    digits = 1 if max(values) >= 100 else 2
    middle, low, high = (f"{x:.{digits}f}" for x in (statistics.median(values), min(values), max(values)))
    return f"{middle} ({low} to {high})"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--work", nargs="+", choices=list(works.WORKS), default=list(works.WORKS))
    parser.add_argument("--peers", nargs="+", help="instead of all that could run here; the scripts *_peer.py list options")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--runs", type=int, default=3, help="runs of each in a round, of which the median counts")
    parser.add_argument("--once", action="store_true", help="us once a round, not beside every peer")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--device", help="our GPU, as in `maskrcnn --device`")
    parser.add_argument("--ours", type=Path, default=works.OURS, metavar="PROGRAM")
    parser.add_argument("--limit", type=int, default=1200, help="seconds a peer may take to get ready or to run")
    parser.add_argument("--json", type=Path, help="all times")
    args = parser.parse_args()
    (args.data / "logs").mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("MASKRCNN_CACHE", str(args.data / "cache"))
    command = [sys.executable, Path(works.__file__), args.data, "--ours", args.ours]
    subprocess.run(command, check=True)  # in a process of its own: this one needs no torch

    about = machine.describe(args.ours)
    for name, text in about.items():
        say(f"{name}: {text}")
    say(f"{args.rounds} rounds of {args.runs} runs, {args.threads} threads; medians (least to largest)")
    results = [compare(works.WORKS[name], args) for name in args.work]
    if args.json:
        args.json.write_text(json.dumps({"about": about, "works": results}, indent=1))


if __name__ == "__main__":
    main()
