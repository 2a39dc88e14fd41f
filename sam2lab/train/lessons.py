"""What the model is asked: objects of a scene, prompts drawn for them, and what is right.

All numpy, so that loader processes prepare lessons while the model learns from others.
Targets have a quarter of the picture's side, as SAM 2's low-resolution masks have: each cell
holds the share of its 4 x 4 pixels that belong to the object.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from torch.utils.data import Dataset

from sam2lab.scenes.scene import Scene

CELL = 4
"""Pixels of the picture to one cell of a target, along each side."""

BOX_CORNERS = (2, 3)
NOT_A_POINT = -1

Kind = Literal["click", "box", "pair", "several"]

Floats = npt.NDArray[np.float32]

_SLOTS = {"click": 1, "box": 2, "pair": 2, "several": 4}


class Scenes(Protocol):
    """Where scenes come from: the same index gives the same scene.

    `contents` says what they are made of, so that a run is not taken up with others.
    """

    @property
    def contents(self) -> str: ...

    def scene(self, index: int, size: tuple[int, int]) -> Scene: ...


@dataclass(frozen=True, eq=False)
class Lesson:
    """One picture and K prompts on it.

    image: uint8 (3, side, side). targets: float32 (K, side / 4, side / 4) in [0, 1].
    points: float32 (K, P, 2), (x, y) in pixels. labels: int32 (K, P): 1 inside, 0 outside,
    2 and 3 the corners of a box, -1 nothing.
    """

    image: npt.NDArray[np.uint8]
    targets: Floats
    points: Floats
    labels: npt.NDArray[np.int32]


class Lessons(Dataset[list[npt.NDArray[np.generic]]]):
    """The lessons of one phase, in the order of their numbers; each depends on its number only.

    Every lesson of a step prompts in the same way, because a batch of prompts is one array.
    """

    def __init__(
        self, scenes: Scenes, side: int, prompts: int, batch: int, first_step: int, steps: int
    ) -> None:
        self.scenes = scenes
        self.side = side
        self.prompts = prompts
        self.batch = batch
        self.first_step = first_step
        self.steps = steps

    def __len__(self) -> int:
        return self.steps * self.batch

    def __getitem__(self, number: int) -> list[npt.NDArray[np.generic]]:
        index = self.first_step * self.batch + number
        rng = np.random.default_rng([index, self.side])
        scene = self._scene_with_objects(index, rng)
        lesson = draw(rng, scene, self.prompts, kind_of(index // self.batch))
        return [lesson.image, lesson.targets, lesson.points, lesson.labels]

    def _scene_with_objects(self, index: int, rng: np.random.Generator) -> Scene:
        scene = self.scenes.scene(index, (self.side, self.side))
        while not len(scene.masks):
            scene = self.scenes.scene(int(rng.integers(2**40, 2**41)), (self.side, self.side))
        return scene


def kind_of(step: int) -> Kind:
    """How the prompts of a step are made."""
    rng = np.random.default_rng([step, 1])
    kinds: tuple[Kind, ...] = ("click", "pair", "several")
    return kinds[rng.choice(3, p=[0.35, 0.4, 0.25])]


def draw(rng: np.random.Generator, scene: Scene, prompts: int, kind: Kind) -> Lesson:
    """Choose objects of a scene, small ones as readily as large ones, and prompt for each.

    A scene with fewer objects than prompts has each of them several times, prompted anew.
    """
    order = rng.permutation(len(scene.masks))
    chosen = np.resize(order, prompts)
    shares = {int(i): _shares(scene.masks[i]) for i in order[:prompts]}
    targets = np.stack([shares[int(i)] for i in chosen])
    points = np.zeros((prompts, _SLOTS[kind], 2), np.float32)
    labels = np.full((prompts, _SLOTS[kind]), NOT_A_POINT, np.int32)
    for row, i in enumerate(chosen):
        given, kinds = _prompt(rng, scene.masks[i], targets[row], kind)
        points[row, : len(given)] = given
        labels[row, : len(kinds)] = kinds
    image = np.ascontiguousarray(scene.image.transpose(2, 0, 1))
    return Lesson(image, targets, points, labels)


def _prompt(
    rng: np.random.Generator, mask: npt.NDArray[np.bool_], shares: Floats, kind: Kind
) -> tuple[Floats, list[int]]:
    """A click, or a box in 6 of 10 cases where there is room; then perhaps further clicks."""
    slots = _SLOTS[kind]
    if kind == "box" or (slots > 1 and rng.random() < 0.6):
        given, labels = [jittered_box(rng, mask)], list(BOX_CORNERS)
    else:
        given, labels = [_click(rng, _inside(rng, shares))], [1]
    # Half of them leave the further slots empty: a lone click or box in a wider array.
    if rng.random() < 0.5:
        while len(labels) < slots:
            inside = rng.random() < 0.5
            given.append(_click(rng, _inside(rng, shares) if inside else _around(shares)))
            labels.append(int(inside))
    return np.concatenate(given), labels


def jittered_box(rng: np.random.Generator, mask: npt.NDArray[np.bool_]) -> Floats:
    """The box of a mask as a hand would draw it: each side off by a tenth of the box's length.

    Two corners, (x, y), with the far edge of the last pixel inside; as SAM was trained, a side
    is never more than 20 pixels off.
    """
    rows = np.flatnonzero(mask.any(1))
    columns = np.flatnonzero(mask.any(0))
    box = np.array([[columns[0], rows[0]], [columns[-1] + 1, rows[-1] + 1]], np.float32)
    noise = rng.normal(0, 0.1, (2, 2)) * (box[1] - box[0])
    size = np.array(mask.shape[::-1], np.float32)
    moved = np.clip(box + np.clip(noise, -20, 20), 0, size)
    result: Floats = np.sort(moved, axis=0).astype(np.float32)
    return result


def _inside(rng: np.random.Generator, shares: Floats) -> Floats:
    """Where a click on the object may fall: anywhere in it, or, as people click, deep inside."""
    if rng.random() < 0.5:
        return shares
    depth = ndimage.distance_transform_edt(np.pad(shares > 0.5, 1))[1:-1, 1:-1]
    weights = depth.astype(np.float32) ** 3
    return weights if weights.any() else shares


def _around(shares: Floats) -> Floats:
    """Where a click on what is not the object may fall: near it, where mistakes are made."""
    rows = np.flatnonzero(shares.any(1))
    columns = np.flatnonzero(shares.any(0))
    margin = 2 + max(rows[-1] - rows[0], columns[-1] - columns[0]) // 3
    window = np.zeros_like(shares)
    window[
        max(rows[0] - margin, 0) : rows[-1] + margin + 1,
        max(columns[0] - margin, 0) : columns[-1] + margin + 1,
    ] = 1
    weights = window * (shares == 0)
    return weights if weights.any() else 1 - shares


def _click(rng: np.random.Generator, weights: Floats) -> Floats:
    """One point, (1, 2), in a cell drawn by weight, anywhere in that cell."""
    total = np.cumsum(weights.ravel(), dtype=np.float64)
    if not total[-1] > 0:
        total = np.arange(1, weights.size + 1, dtype=np.float64)
    cell = int(np.searchsorted(total, rng.random() * total[-1], side="right"))
    row, column = divmod(min(cell, weights.size - 1), weights.shape[1])
    point = (np.array([[column, row]]) + rng.random((1, 2))) * CELL
    return point.astype(np.float32)


def _shares(mask: npt.NDArray[np.bool_]) -> Floats:
    height, width = mask.shape
    cells = mask.reshape(height // CELL, CELL, width // CELL, CELL)
    result: Floats = cells.mean((1, 3), dtype=np.float32)
    return result
