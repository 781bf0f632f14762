"""The example for Ray, on a cluster of this machine alone: what it finds is what the package finds, whatever is in the folder."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest
from conftest import DEMO, TINY

import maskrcnn

pytest.importorskip("ray.data", reason="LEFT OUT: Ray is not installed; `make test-ray` has its example run")
EXAMPLE = pathlib.Path(__file__).parents[1] / "examples" / "ray_folder.py"
# As the example begins, but with little memory.
START = "import ray, runpy, sys; ray.init(num_cpus=2, object_store_memory=80 << 20, include_dashboard=False, log_to_driver=False); "
RUN = "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"


@pytest.fixture
def folder(tmp_path):
    pillow = pytest.importorskip("PIL.Image")
    folder = tmp_path / "photos"
    (folder / "below").mkdir(parents=True)
    demo = pillow.open(DEMO)
    for i in range(5):
        demo.crop((10 * i, 0, 10 * i + 200, 200)).save(folder / f"a{i}.png")
    demo.save(folder / "below" / "007.png")
    shutil.copy(__file__, folder / "broken.png")
    (folder / "empty.jpg").touch()
    (folder / "notes.txt").write_text("no image")
    return folder


def run(folder, out, *more):
    command = [sys.executable, "-c", START + RUN, EXAMPLE, folder, out, "--config", json.dumps(TINY), "--part", "3", *more]
    env = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0"}
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=300, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout, done.stderr


def lines(out):
    return {line["image"]: line for part in out.glob("*.jsonl") for line in map(json.loads, part.read_text().splitlines())}


def test_a_folder_over_actors(folder, tmp_path):
    out = tmp_path / "out"
    told, wrong = run(folder, out, "--actors", "2", "--cpus", "0.5", "--batch", "2")
    assert "8 images, 0 of them done already" in told and "2 could not be used" in told
    assert "broken.png: " in wrong and "empty.jpg: " in wrong
    found = lines(out)
    assert len(found) == 8 and not list(out.glob("*.unfinished"))
    detector = maskrcnn.Detector(config=TINY)
    for name, line in found.items():
        if name in ("broken.png", "empty.jpg"):
            assert line["error"] and line["results"] == []
            continue
        ours = detector.detect(folder / name)
        theirs = line["results"]
        assert line["error"] is None and (line["width"], line["height"]) == (ours.width, ours.height)
        assert len(theirs) == len(ours) > 0
        for one, other in zip(theirs, ours.to_coco(pathlib.Path(name).stem)):
            assert one["image_id"] == other["image_id"] and one["category_name"] == "nucleus"
            # Together, they differ in the last digits.
            assert one["score"] == pytest.approx(other["score"], abs=1e-3)
            assert one["bbox"] == pytest.approx(other["bbox"], abs=1e-2)
    assert found["below/007.png"]["results"][0]["image_id"] == 7

    # Of what is there, nothing is done again; what is missing is.
    part = next(part for part in out.glob("*.jsonl") if "broken" not in part.read_text())
    n = len(part.read_text().splitlines())
    part.unlink()
    told, _ = run(folder, out)
    assert f"8 images, {8 - n} of them done already" in told and len(lines(out)) == 8
    told, _ = run(folder, out, "--retry")
    assert "8 images, 6 of them done already" in told
