"""Our side: the program, as users have it."""
import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np

import works


class Ours:
    def __init__(self, program, device, work, data):
        self.program, self.work, self.data = program, work, data
        self.flags = work.flags(data) + (["--device", device] if device else [])

    def call(self, *command):
        done = subprocess.run([self.program, *command, *self.flags], check=False, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"ours failed: {done.stderr.strip()}")
        return done.stdout

    def milliseconds(self, runs):
        """Of all images together, each the median of its runs: of the stages of the maps, or of the whole."""
        profiles = [json.loads(self.call("profile", self.data / name, "--json", "--runs", str(runs))) for name in self.work.images]
        self.clock = profiles[0]["clock"]
        if not self.work.maps:
            return sum(p["whole_ms"] for p in profiles)
        stages = {s["stage"]: s["ms"] for s in profiles[0]["stages"]}
        if missing := set(works.STAGES) - set(stages):
            raise RuntimeError(f"the profile has no stages {sorted(missing)}, only {list(stages)}")
        return sum(stages[name] for name in works.STAGES)

    def check(self):
        """How many of torchvision's detections are ours too."""
        reference = works.WORKS["whole"] if self.work.maps else self.work
        with tempfile.TemporaryDirectory() as folder:
            paths = [self.data / name for name in self.work.images]
            self.call("detect", *paths, "--out", folder, "--score", str(works.SCORE))
            found = [from_entries(json.loads((Path(folder) / f"{p.stem}.json").read_text())) for p in paths]
        return works.matched(np.load(reference.reference(self.data)), found)


def from_entries(entries):
    """COCO results as (boxes, scores, labels)."""
    boxes = np.array([e["bbox"] for e in entries]).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return boxes, np.array([e["score"] for e in entries]), np.array([e["category_id"] for e in entries])
