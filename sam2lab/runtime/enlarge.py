"""Enlarges a decoder's logits to the size of the photo, as the original's `F.interpolate` does.

Bilinear, half-pixel centres, no antialiasing even when the photo is smaller than the logits. A few
rows are made at a time, and where only a mask is wanted, only those that it can lie in.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from sam2lab.runtime.engines.protocol import Float32
from sam2lab.runtime.masks import Mask, Masks
from sam2lab.runtime.resample import (
    ROWS_AT_ONCE,
    Band,
    column_bands,
    interpolated,
    multiply,
    row_bands,
)


def restore(logits: Float32, size_hw: tuple[int, int]) -> Float32:
    """Resize finite logits (..., h, w) to (..., H, W).

    >>> restore(np.array([[0, 4]], np.float32), (1, 4))
    array([[0., 1., 3., 4.]], dtype=float32)
    """
    restored = np.empty((*logits.shape[:-2], *size_hw), np.float32)
    results = restored.reshape(-1, *size_hw)
    for each, result in zip(_maps(logits), results, strict=True):
        for rows, left, right in _Window(each, size_hw).products():
            multiply(left, right, out=result[rows])
    return restored


def restore_masks(logits: Float32, size_hw: tuple[int, int], mask_threshold: float) -> Masks:
    """The same as `restore(logits, size_hw) > mask_threshold`, without the large float array.

    >>> restore_masks(np.array([[-1, 3]], np.float32), (1, 4), 0.0)
    array([[False, False,  True,  True]])
    """
    threshold = float(mask_threshold)
    masks = np.zeros((*logits.shape[:-2], *size_hw), bool)
    results = masks.reshape(-1, *size_hw)
    block = np.empty((ROWS_AT_ONCE, size_hw[1]), np.float32)
    for each, result in zip(_maps(logits), results, strict=True):
        window = _Window(each, size_hw, above=threshold)
        for rows, left, right in window.products():
            values = multiply(left, right, out=block[: len(left), : right.shape[1]])
            np.greater(values, threshold, out=result[rows, window.columns])
    return masks


class Enlarged(NamedTuple):
    """The part of a mask that holds all of it, and how much a stricter threshold changes.

    `mask` is (h, w), its top left pixel lies at `corner` (x, y). `inner` and `outer` count the
    pixels above a higher and a lower threshold.
    """

    mask: Mask
    corner: tuple[int, int]
    inner: int
    outer: int

    @property
    def stability(self) -> np.float32:
        """IoU of the masks at the two moved thresholds, NaN where both are empty."""
        with np.errstate(invalid="ignore"):
            return np.float32(self.inner) / np.float32(self.outer)


def enlarged(
    logits: Float32, size_hw: tuple[int, int], threshold: float, offset: float
) -> Enlarged:
    """The mask of `logits` (h, w) above the threshold, and its area at the threshold ± `offset`.

    >>> logits = np.array([[9, -9], [-9, -9]], np.float32)
    >>> enlarged(logits, (4, 4), threshold=0.0, offset=1.0).inner
    4
    """
    window = _Window(logits, size_hw, above=threshold - offset)
    mask = np.zeros([max(side, 1) for side in window.shape], bool)
    block = np.empty((ROWS_AT_ONCE, mask.shape[1]), np.float32)
    inner = outer = 0
    for rows, left, right in window.products():
        values = multiply(left, right, out=block[: len(left)])
        np.greater(values, threshold, out=mask[_moved(rows, window.rows.start)])
        inner += int(np.count_nonzero(values > threshold + offset))
        outer += int(np.count_nonzero(values > threshold - offset))
    return Enlarged(mask, (window.columns.start, window.rows.start), inner, outer)


class _Window:
    """The part of one enlarged map (h, w) where a value above a line can be, or all of it.

    `rows` and `columns` are those of the photo.
    """

    def __init__(
        self, logits: Float32, size_hw: tuple[int, int], above: float | None = None
    ) -> None:
        self._logits = logits
        self._down, self._across = _bands(logits.shape, size_hw)
        if above is not None:
            # A weighted mean of values at or below a line stays there, but for its rounding: away
            # from the logits above this one no pixel can be above the line.
            live = np.asarray(logits > above - 1e-5 * abs(above))
            self._down = _reading(self._down, np.logical_or.reduce(live, axis=1))
            self._across = _reading(self._across, np.logical_or.reduce(live, axis=0), gaps=False)
        self.rows = _span([band.target for band in self._down])
        self.columns = _span([band.target for band in self._across])

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        return self.rows.stop - self.rows.start, self.columns.stop - self.columns.start

    def products(self) -> Iterator[tuple[slice, Float32, Float32]]:
        """Some rows of the photo, and two factors whose product is their values in `columns`."""
        if not (self._down and self._across):
            return
        wide = np.empty((len(self._logits), self.shape[1]), np.float32)
        read = _span([band.source for band in self._down])
        for target, source, weights in self._across:
            part = self._logits[read, source]
            multiply(part, weights, out=wide[read, _moved(target, self.columns.start)])
        for target, source, weights in self._down:
            yield target, weights, wide[source]


def _maps(logits: Float32) -> Float32:
    """Maps (..., h, w) as (N, h, w)."""
    return logits.reshape(-1, *logits.shape[-2:])


# Clicks come one after the other on one photo, and this is a third of what restoring takes.
@lru_cache(maxsize=4)
def _bands(shape: tuple[int, int], size_hw: tuple[int, int]) -> tuple[list[Band], list[Band]]:
    """How rows, and how columns, of the photo are made of those of logits of this shape."""
    (height, width), (tall, wide) = shape, size_hw
    return (
        row_bands(interpolated(height, tall), height),
        column_bands(interpolated(width, wide), width),
    )


def _reading(bands: list[Band], live: Mask, gaps: bool = True) -> list[Band]:
    """The bands that read something live; without `gaps` also those between two of them."""
    count = [0, *np.cumsum(live).tolist()]
    at = [i for i, (_, read, _) in enumerate(bands) if count[read.stop] > count[read.start]]
    if gaps:
        return [bands[i] for i in at]
    return bands[at[0] : at[-1] + 1] if at else []


def _span(parts: list[slice]) -> slice:
    return slice(parts[0].start, parts[-1].stop) if parts else slice(0, 0)


def _moved(part: slice, start: int) -> slice:
    return slice(part.start - start, part.stop - start)
