#!/usr/bin/env python3
"""Progressive JPEGs as libjpeg writes them, of pictures made here: tests/fixtures/progressive_*.jpg. Needs numpy and Pillow.

    python tests/oracle/make_progressive_fixtures.py
"""
from pathlib import Path

import numpy as np
from PIL import Image

OUT = Path(__file__).resolve().parents[1] / "fixtures"


def picture(width, height, seed):
    """Flat parts, so that blocks end together, and rough ones, so that passes refine what earlier ones found."""
    r = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    waves = 120 + 90 * np.sin(x / 5) * np.cos(y / 7)
    rough = np.where((x // 16 + y // 16) % 3 == 0, r.normal(0, 40, (height, width)), 0)
    flat = (x > width * 0.6) & (y > height * 0.4)
    planes = [np.where(flat, 60 * i, waves + rough * (i + 1) / 2) for i in range(3)]
    return Image.fromarray(np.clip(np.stack(planes, -1), 0, 255).astype(np.uint8))


for name, size, more in [
    ("grey", (61, 45), {"quality": 92}),
    ("420", (70, 50), {"quality": 75, "subsampling": "4:2:0"}),
    ("444", (40, 33), {"quality": 96, "subsampling": "4:4:4"}),
    ("422_restarts", (64, 48), {"quality": 60, "subsampling": "4:2:2", "restart_marker_blocks": 3}),
]:
    made = picture(*size, seed=len(name))
    if name == "grey":
        made = made.convert("L")
    made.save(OUT / f"progressive_{name}.jpg", progressive=True, **more)
