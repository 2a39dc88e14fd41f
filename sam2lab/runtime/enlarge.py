"""Masks at the photo's size, one at a time, worked out only where a mask can be."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sam2lab.runtime.engines.protocol import Float32
from sam2lab.runtime.resample import (
    ROWS_AT_ONCE,
    Band,
    column_bands,
    interpolated,
    multiply,
    row_bands,
)


class Enlarged(NamedTuple):
    """The part of a mask that holds all of it, and how much a stricter threshold changes.

    `mask` is (h, w), its top left pixel lies at `corner` (x, y). `inner` and `outer` count the
    pixels above the threshold moved up, and down.
    """

    mask: npt.NDArray[np.bool_]
    corner: tuple[int, int]
    inner: int
    outer: int

    @property
    def stability(self) -> np.float32:
        """IoU of the masks at the two moved thresholds, NaN where both are empty."""
        with np.errstate(invalid="ignore"):
            return np.float32(self.inner) / np.float32(self.outer)


class Enlarger:
    """Enlarges logits of one size to photos of one size, as `masks.restore` does.

    Both sizes are (height, width). What depends on them alone is worked out once.

    >>> enlarge = Enlarger((2, 2), (4, 4))
    >>> enlarge(np.array([[9, -9], [-9, -9]], np.float32), threshold=0.0, offset=1.0).inner
    4
    """

    def __init__(self, from_size: tuple[int, int], to_size: tuple[int, int]) -> None:
        self._down = row_bands(interpolated(from_size[0], to_size[0]), from_size[0])
        self._across = column_bands(interpolated(from_size[1], to_size[1]), from_size[1])

    def __call__(self, logits: Float32, threshold: float, offset: float) -> Enlarged:
        """The mask of `logits` (h, w) above the threshold, counted at ± `offset` of it too."""
        lowest = threshold - offset
        # A weighted mean of values at or below a threshold stays there, but for its rounding:
        # away from the logits above this line no pixel can count.
        live = np.asarray(logits > lowest - 1e-5 * abs(lowest))
        rows: npt.NDArray[np.bool_] = np.logical_or.reduce(live, axis=1)
        down = _near(self._down, rows)
        across = _near(self._across, np.logical_or.reduce(live, axis=0))
        if not (down and across):
            return Enlarged(np.zeros((1, 1), bool), (0, 0), 0, 0)
        left, right = across[0].target.start, across[-1].target.stop
        top, bottom = down[0].target.start, down[-1].target.stop
        first = down[0].source.start
        wide = np.empty((down[-1].source.stop - first, right - left), np.float32)
        for target, source, weights in across:
            part = logits[first : first + len(wide), source]
            multiply(part, weights, out=wide[:, _moved(target, left)])
        mask = np.zeros((bottom - top, right - left), bool)
        block = np.empty((ROWS_AT_ONCE, right - left), np.float32)
        inner = outer = 0
        for target, source, weights in down:
            if rows[source].any():
                values = multiply(weights, wide[_moved(source, first)], out=block[: len(weights)])
                np.greater(values, threshold, out=mask[_moved(target, top)])
                inner += int(np.count_nonzero(values > threshold + offset))
                outer += int(np.count_nonzero(values > lowest))
        return Enlarged(mask, (left, top), inner, outer)


def _near(bands: list[Band], live: npt.NDArray[np.bool_]) -> list[Band]:
    """From the first to the last band that reads something live."""
    at = [i for i, band in enumerate(bands) if live[band.source].any()]
    return bands[at[0] : at[-1] + 1] if at else []


def _moved(target: slice, start: int) -> slice:
    return slice(target.start - start, target.stop - start)
