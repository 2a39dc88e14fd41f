"""torch's two bilinear resizings, with torch's own weights, as small matrix products.

Pillow's float resize is closer to the exact answer, and that is the trouble: torch rounds
the position of every output to float32, which at sizes that are no power of two moves pixels
by up to 1e-4 in normalised units. These weights are rounded alike.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sam2lab.runtime.engines.protocol import Float32

# OpenBLAS gives a product of more multiplications than this to several threads. For pieces of this
# size that gains nothing, and on a busy machine it takes ten times as long.
PRODUCT_LIMIT = 2**18

# How many outputs one product makes. Larger products waste work on zeros, smaller ones on calls.
ROWS_AT_ONCE = 16
COLUMNS_AT_ONCE = 32


class Taps(NamedTuple):
    """For each of n outputs the first input it reads (n,), and the weights (n, K) from there."""

    first: npt.NDArray[np.intp]
    weights: Float32


class Band(NamedTuple):
    """Some neighbouring outputs, the inputs they read, and the weights between the two."""

    target: slice
    source: slice
    weights: Float32


def interpolated(n_in: int, n_out: int) -> Taps:
    """As `F.interpolate(mode="bilinear", align_corners=False)` does along one axis.

    >>> interpolated(2, 4).weights.tolist()
    [[1.0, 0.0], [0.75, 0.25], [0.25, 0.75], [1.0, 0.0]]
    """
    # torch computes `scale * (i + 0.5) - 0.5` in float32, fused, with a single rounding.
    position = (_scale(n_in, n_out) * (np.arange(n_out) + 0.5) - 0.5).astype(np.float32)
    position = np.maximum(position, 0)
    first = np.minimum(position.astype(np.intp), n_in - 1)
    second = np.where(first < n_in - 1, position - first.astype(np.float32), np.float32(0))
    return Taps(first, np.stack([1 - second, second], axis=1))


def antialiased(n_in: int, n_out: int) -> Taps:
    """As `F.interpolate(mode="bilinear", antialias=True)` does along one axis.

    >>> antialiased(4, 2).weights[1]
    array([0.14285715, 0.42857143, 0.42857143, 0.        ], dtype=float32)
    """
    scale = _scale(n_in, n_out)
    support = np.float32(max(scale, 1))
    inverse = np.float64(1 / support)
    center = (scale * (np.arange(n_out) + 0.5)).astype(np.float32)
    first = np.maximum(((center - support).astype(float) + 0.5).astype(np.intp), 0)
    stop = np.minimum(((center + support).astype(float) + 0.5).astype(np.intp), n_in)
    index = first[:, None] + np.arange(min(2 * int(np.ceil(support)) + 1, n_in))
    # float32 and float64 alternate as they do in torch, to round as it does.
    distance = (index.astype(np.float32) - center[:, None]).astype(float) + 0.5
    weights = np.maximum(1 - np.abs((distance * inverse).astype(np.float32)), 0)
    weights[index >= stop[:, None]] = 0
    return Taps(first, weights / weights.sum(axis=1, keepdims=True))


def row_bands(taps: Taps, n_in: int) -> list[Band]:
    """Pieces of a resizing along y: `rows[target] = weights @ rows[source]`."""
    return _bands(taps, n_in, ROWS_AT_ONCE)


def column_bands(taps: Taps, n_in: int) -> list[Band]:
    """Pieces of a resizing along x: `rows[:, target] = rows[:, source] @ weights`."""
    made = _bands(taps, n_in, COLUMNS_AT_ONCE)
    return [band._replace(weights=np.ascontiguousarray(band.weights.T)) for band in made]


def shrink(rows: Float32, size_hw: tuple[int, int]) -> Float32:
    """Resize one map (H, W) to (h, w) with antialiasing.

    >>> shrink(np.array([[0, 0, 8, 8]], np.float32), (1, 2)).round(2)
    array([[1.14, 6.86]], dtype=float32)
    """
    height, width = rows.shape
    narrow = np.empty((height, size_hw[1]), np.float32)
    for band in column_bands(antialiased(width, size_hw[1]), width):
        multiply(rows[:, band.source], band.weights, out=narrow[:, band.target])
    small = np.empty(size_hw, np.float32)
    for band in row_bands(antialiased(height, size_hw[0]), height):
        multiply(band.weights, narrow[band.source], out=small[band.target])
    return small


def multiply(left: Float32, right: Float32, out: Float32) -> Float32:
    """`np.matmul(left, right, out)` in pieces so small that they stay on this thread."""
    step = max(1, PRODUCT_LIMIT // left.size)
    for start in range(0, right.shape[1], step):
        piece = slice(start, start + step)
        np.matmul(left, right[:, piece], out=out[:, piece])
    return out


def _scale(n_in: int, n_out: int) -> np.float64:
    return np.float64(np.float32(n_in) / np.float32(n_out))


def _bands(taps: Taps, n_in: int, step: int) -> list[Band]:
    """Cut the matrix of the taps, which is almost all zeros, into dense pieces."""
    made = []
    for start in range(0, len(taps.first), step):
        first, weights = (tap[start : start + step] for tap in taps)
        source = slice(first[0], min(first[-1] + weights.shape[1], n_in))
        reads = first[:, None] + np.arange(weights.shape[1]) - source.start
        dense = np.zeros((len(first), reads.max() + 1), np.float32)
        np.put_along_axis(dense, reads, weights, axis=1)
        # Taps that reach beyond the last input are zero, and are cut off.
        width = source.stop - source.start
        made.append(Band(slice(start, start + len(first)), source, dense[:, :width]))
    return made
