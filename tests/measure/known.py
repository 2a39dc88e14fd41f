"""An engine whose answers are known: each is a share of the true rectangle.

A photo is 64 x 64 pixels of one grey, which is its number times ten; the model's input is
256 x 256, so that its low-resolution masks have the photo's size and no resizing blurs them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from sam2lab.runtime.engines.protocol import Decoded, Features, Float32, ModelInfo, PromptBatch
from sam2lab.scenes.scene import Scene

SIDE = 64

# Rows and columns of the objects on every photo: 40 and 20 columns wide, so that shares of
# twentieths are whole columns. The photo's number moves them, so that photos differ.
OBJECTS = ((4, 24, 2, 42), (34, 60, 30, 50))

# IoU of the three candidates after one click, the scores that the engine gives them, and the
# IoU of the single mask: after a box, and after so many clicks.
CANDIDATES, SCORES = (0.25, 0.5, 0.75), (0.1, 0.9, 0.3)
BOX = 0.9
AFTER_CLICKS = {2: 0.6, 3: 0.8, 4: 0.85, 5: 0.95}


def scene(number: int) -> Scene:
    """Photo `number` (0 to 25) with its two objects."""
    masks = np.zeros((len(OBJECTS), SIDE, SIDE), bool)
    for mask, (top, bottom, left, right) in zip(masks, OBJECTS, strict=True):
        mask[top : bottom - number % 4, left + number % 5 : right + number % 5] = True
    return Scene(np.full((SIDE, SIDE, 3), 10 * number, np.uint8), masks)


def scenes(count: int) -> list[Scene]:
    return [scene(number) for number in range(count)]


def share_of(mask: npt.NDArray[np.bool_], share: float) -> npt.NDArray[np.bool_]:
    """The left part of a rectangle, so wide that its IoU with the whole is `share`."""
    columns = np.flatnonzero(mask.any(axis=0))
    part = mask.copy()
    part[:, columns[0] + round(share * len(columns)) :] = False
    return part


class KnownEngine:
    """Knows the truth, and gives shares of it; `worse` is taken from every share."""

    def __init__(self, worse: float = 0.0, weights: str = "trained-here:known") -> None:
        self.info = ModelInfo("known", "nano", (4 * SIDE, 4 * SIDE), weights)
        self.key = f"known:{worse}:{weights}"
        self.worse = worse
        self.encoded = 0
        self.asked: list[PromptBatch] = []
        self._lock = threading.Lock()

    def encode(self, pixels: Float32) -> Features:
        with self._lock:
            self.encoded += len(pixels)
        level = pixels[:, 0].mean(axis=(1, 2)) * self.info.std[0] + self.info.mean[0]
        embed = np.broadcast_to((25.5 * level)[:, None, None, None], (len(pixels), 8, 16, 16))
        return Features(
            embed.astype(np.float32),
            np.zeros((len(pixels), 1, SIDE, SIDE), np.float32),
            np.zeros((len(pixels), 2, SIDE // 2, SIDE // 2), np.float32),
        )

    def decode(self, features: Features, prompts: PromptBatch) -> Decoded:
        with self._lock:
            self.asked.append(prompts)
        truths = scene(round(float(features.image_embed[0, 0, 0, 0]))).masks
        logits = np.empty((prompts.objects, 4, SIDE, SIDE), np.float32)
        for each, points, labels in zip(
            logits, prompts.point_coords, prompts.point_labels, strict=True
        ):
            truth = _meant(truths, points / 4, labels)
            single = BOX if labels[0] == 2 else AFTER_CLICKS.get(len(labels), 0.0)
            for token, share in enumerate((single, *CANDIDATES)):
                kept = share_of(truth, share - self.worse)
                each[token] = np.where(kept, 10, -10)
        return Decoded(logits, np.tile(np.array([0.7, *SCORES], np.float32), (len(logits), 1)))


def _meant(
    truths: npt.NDArray[np.bool_], points: Float32, labels: Float32
) -> npt.NDArray[np.bool_]:
    """The object under the first click, or in the middle of the box."""
    x, y = points[:2].mean(axis=0) if labels[0] == 2 else points[0]
    return truths[truths[:, int(y), int(x)]][0]


def open_known() -> KnownEngine:
    """A place, for a process of its own."""
    return KnownEngine()


def open_slow() -> KnownEngine:
    """The same, with time to be interrupted."""
    engine = KnownEngine()
    decode = engine.decode

    def slowly(features: Features, prompts: PromptBatch) -> Decoded:
        time.sleep(0.02)
        return decode(features, prompts)

    engine.decode = slowly
    return engine


class Hooked(Sequence[Scene]):
    """Scenes that do something when a certain one is asked for."""

    def __init__(self, count: int, number: int, then: Callable[[], object]) -> None:
        self.count, self.number, self.then = count, number, then

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Scene:
        if index >= self.count:
            raise IndexError(index)
        if index == self.number:
            self.then()
        return scene(index)
