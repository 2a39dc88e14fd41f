"""Scenes that are quick to draw and easy to learn."""

from __future__ import annotations

import numpy as np

from sam2lab.scenes.scene import Scene


class Squares:
    """Scenes of one bright square each, at a random place; another `start` gives others."""

    contents = "squares"

    def __init__(self, start: int = 0) -> None:
        self.start = start

    def scene(self, index: int, size: tuple[int, int], first: str = "click") -> Scene:
        rng = np.random.default_rng(self.start + index)
        mask = np.zeros(size, np.bool_)
        row, column = rng.integers(0, size[0] // 2, 2)
        mask[row : row + size[0] // 3, column : column + size[1] // 3] = True
        image = rng.integers(0, 60, (*size, 3), dtype=np.uint8)
        image[mask] += 150
        return Scene(image, mask[None])
