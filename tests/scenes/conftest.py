"""Small folders in COCO's format and of cut-outs, written for each test."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

HEIGHT, WIDTH = 24, 32


def square(x: int, y: int, side: int) -> list[list[int]]:
    return [[x, y, x + side, y, x + side, y + side, x, y + side]]


@pytest.fixture
def write_coco(tmp_path: Path) -> Callable[..., Path]:
    """Write a folder of `count` noise photos, 32 x 24, with these annotations; return it."""

    def write(
        count: int = 1,
        annotations: list[Any] | None = None,
        first_id: int = 1,
        **more: Any,
    ) -> Path:
        folder = tmp_path / "coco"
        (folder / "images").mkdir(parents=True)
        rng = np.random.default_rng(0)
        images = []
        for number in range(first_id, first_id + count):
            pixels = rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "images" / f"{number:03}.png")
            images.append(
                {"id": number, "file_name": f"{number:03}.png", "height": HEIGHT, "width": WIDTH}
            )
        if annotations is None:
            annotations = [
                {"id": i["id"], "image_id": i["id"], "segmentation": square(4, 4, 16)}
                for i in images
            ]
        content = {"images": images, "annotations": annotations} | more
        (folder / "instances.json").write_text(json.dumps(content))
        return folder

    return write


@pytest.fixture
def cutout_folder(tmp_path: Path) -> Path:
    """Forty RGBA pictures in twenty families of two, each an opaque square in a clear margin."""
    folder = tmp_path / "cutouts"
    folder.mkdir()
    rng = np.random.default_rng(1)
    for number in range(40):
        picture = np.zeros((20, 20, 4), np.uint8)
        picture[3:15, 5:17] = [*rng.integers(0, 256, 3), 255]
        Image.fromarray(picture).save(folder / f"{number // 2:02}-{number % 2}.png")
    return folder
