"""Draws training samples: objects of a scene, prompts for them, and the masks that are right.

All in numpy, so that loader processes draw samples while the model trains on others. Targets
have a quarter of the picture's side, as SAM 2's low-resolution masks have: each cell holds the
share of its 4 x 4 pixels that belong to the object.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from torch.utils.data import Dataset

from sam2lab.runtime.masks import Mask, bounding_box
from sam2lab.scenes.clicks import jittered_box
from sam2lab.scenes.photo_sets import FirstPrompt
from sam2lab.scenes.scene import Scene

CELL = 4
"""Pixels of the picture to one cell of a target, along each side."""

BOX_CORNERS = (2, 3)
NOT_A_POINT = -1

Floats = npt.NDArray[np.float32]


class Scenes(Protocol):
    """A source of scenes: the same index and first prompt give the same scene.

    `contents` describes the source, so that a run is not resumed with another.
    """

    @property
    def contents(self) -> str: ...

    def scene(self, index: int, size: tuple[int, int], first: FirstPrompt = ...) -> Scene: ...


@dataclass(frozen=True, eq=False)
class Sample:
    """One picture and K prompts on it.

    image: uint8 (3, side, side). targets: float32 (K, side / 4, side / 4) in [0, 1].
    points: float32 (K, P, 2), (x, y) in pixels. labels: int32 (K, P): 1 inside, 0 outside,
    2 and 3 the corners of a box, -1 nothing.
    """

    image: npt.NDArray[np.uint8]
    targets: Floats
    points: Floats
    labels: npt.NDArray[np.int32]


@dataclass(eq=False)
class SampleDataset(Dataset[list[npt.NDArray[np.generic]]]):
    """The samples of one phase by number; each depends on its number only.

    All prompts of a step have the same number of slots, because they are one array. All prompts
    of a picture begin alike, with a click or with a box, and the picture is drawn for that.
    """

    scenes: Scenes
    side: int
    prompts: int
    batch: int
    first_step: int
    steps: int

    def __len__(self) -> int:
        return self.steps * self.batch

    def __getitem__(self, number: int) -> list[npt.NDArray[np.generic]]:
        index = self.first_step * self.batch + number
        rng = np.random.default_rng([index, self.side])
        slots = slots_at(index // self.batch)
        first: FirstPrompt = "box" if slots > 1 and rng.random() < 0.6 else "click"
        scene = self._scene_with_objects(index, rng, first)
        sample = draw_sample(rng, scene, self.prompts, first, slots)
        return [sample.image, sample.targets, sample.points, sample.labels]

    def _scene_with_objects(
        self, index: int, rng: np.random.Generator, first: FirstPrompt
    ) -> Scene:
        size = self.side, self.side
        scene = self.scenes.scene(index, size, first)
        while not len(scene.masks):
            scene = self.scenes.scene(int(rng.integers(2**40, 2**41)), size, first)
        return scene


def slots_at(step: int) -> int:
    """How many points there is room for in each prompt of a step: 1, 2 or 4."""
    rng = np.random.default_rng([step, 1])
    return int(rng.choice([1, 2, 4], p=[0.35, 0.4, 0.25]))


def draw_sample(
    rng: np.random.Generator, scene: Scene, prompts: int, first: FirstPrompt, slots: int
) -> Sample:
    """Choose objects of a scene, small ones as often as large ones, and draw a prompt for each.

    In a scene with fewer objects than prompts, each is chosen several times, with other prompts.
    A prompt begins with one click, or with a box, which takes two of its `slots`; further clicks
    fill the others, or nothing does.
    """
    order = rng.permutation(len(scene.masks))
    chosen = np.resize(order, prompts)
    shares = {int(i): _shares(scene.masks[i]) for i in order[:prompts]}
    targets = np.stack([shares[int(i)] for i in chosen])
    points = np.zeros((prompts, slots, 2), np.float32)
    labels = np.full((prompts, slots), NOT_A_POINT, np.int32)
    for row, i in enumerate(chosen):
        given, kinds = _prompt(rng, scene.masks[i], targets[row], first, slots)
        points[row, : len(given)] = given
        labels[row, : len(kinds)] = kinds
    image = np.ascontiguousarray(scene.image.transpose(2, 0, 1))
    return Sample(image, targets, points, labels)


def _prompt(
    rng: np.random.Generator, mask: Mask, shares: Floats, first: FirstPrompt, slots: int
) -> tuple[Floats, list[int]]:
    """Draw a click or a box; then perhaps further clicks."""
    if first == "box":
        given, labels = [jittered_box(rng, mask).reshape(2, 2)], list(BOX_CORNERS)
    else:
        given, labels = [_click(rng, _inside(rng, shares))], [1]
    # Half of them leave the further slots empty: a lone click or box in a wider array.
    if rng.random() < 0.5:
        while len(labels) < slots:
            inside = rng.random() < 0.5
            given.append(_click(rng, _inside(rng, shares) if inside else _around(shares)))
            labels.append(int(inside))
    return np.concatenate(given), labels


def _inside(rng: np.random.Generator, shares: Floats) -> Floats:
    """Weights of a click on the object: the same everywhere, or, as people click, deep inside."""
    if rng.random() < 0.5:
        return shares
    depth = ndimage.distance_transform_edt(np.pad(shares > 0.5, 1))[1:-1, 1:-1]
    weights = depth.astype(np.float32) ** 3
    return weights if weights.any() else shares


def _around(shares: Floats) -> Floats:
    """Weights of a click beside the object: near it, where mistakes are made."""
    left, top, right, bottom = bounding_box(shares > 0)
    margin = 2 + max(right - left - 1, bottom - top - 1) // 3
    near = np.zeros_like(shares)
    near[max(top - margin, 0) : bottom + margin, max(left - margin, 0) : right + margin] = 1
    weights = near * (shares == 0)
    return weights if weights.any() else 1 - shares


def _click(rng: np.random.Generator, weights: Floats) -> Floats:
    """Draw one point, (1, 2): a cell by weight, and any place in that cell."""
    total = np.cumsum(weights.ravel(), dtype=np.float64)
    if not total[-1] > 0:
        total = np.arange(1, weights.size + 1, dtype=np.float64)
    cell = int(np.searchsorted(total, rng.random() * total[-1], side="right"))
    row, column = divmod(min(cell, weights.size - 1), weights.shape[1])
    point = (np.array([[column, row]]) + rng.random((1, 2))) * CELL
    return point.astype(np.float32)


def _shares(mask: Mask) -> Floats:
    """The share of each cell that belongs to a mask."""
    height, width = mask.shape
    cells = mask.reshape(height // CELL, CELL, width // CELL, CELL)
    result: Floats = cells.mean((1, 3), dtype=np.float32)
    return result
