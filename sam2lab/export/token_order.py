"""In which order a map's tokens stand: row by row, or window by window.

Norms, linear layers and sums do not care about the order of tokens. So blocks that attend within
the same windows keep the tokens in the order of these windows, and nothing is moved between them.

Where tokens are moved, a list says which goes where. A transposition could do it too, but of up to
ten dimensions: TensorRT and DirectML know eight and Core ML five, and onnxruntime transposes on one
core.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Size = tuple[int, int]
Places = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Order:
    """The order of the tokens of a map (height, width), row by row where `window` is 0.

    Otherwise windows of that side stand one after the other, and fill the map. Within a window
    tokens stand so that each of the next `poolings` two by two poolings takes the largest of the
    first, second, third and last quarter of what is left of the window.
    """

    grid: Size
    window: int = 0
    poolings: int = 0

    @property
    def tokens(self) -> int:
        """How many there are."""
        return self.grid[0] * self.grid[1]

    def pooled(self) -> Order:
        """The order that two by two pooling leaves."""
        return replace(
            self,
            grid=(self.grid[0] // 2, self.grid[1] // 2),
            window=self.window // 2,
            poolings=max(self.poolings - 1, 0),
        )

    def arrange(self, x: Tensor) -> Tensor:
        """A map (B, h, w, C) → rows (B * tokens, C).

        >>> import torch
        >>> x = torch.arange(16).reshape(1, 4, 4, 1)
        >>> Order((4, 4), window=4, poolings=1).arrange(x).flatten().tolist()
        [0, 2, 8, 10, 1, 3, 9, 11, 4, 6, 12, 14, 5, 7, 13, 15]
        """
        channels = x.shape[-1]
        return choose(x, self.places(), self.tokens, channels).reshape(-1, channels)

    def restore(self, rows: Tensor) -> Tensor:
        """Rows (B * tokens, C) → the map (B, h, w, C)."""
        channels = rows.shape[-1]
        rows = choose(rows, self.places().argsort(), self.tokens, channels)
        return rows.reshape(-1, *self.grid, channels)

    def places(self) -> Places:
        """Which token of the map, counted row by row, stands in each row."""
        places = np.arange(self.tokens).reshape(1, *self._sides(), 1)
        return places.transpose(self._axes()).ravel()

    def way_back(self, channels: int) -> dict[str, Any]:
        """Rows become the map by `shape`, then `axes`, then `map` (B, h, w, C)."""
        axes = self._axes()
        sides = [-1, *self._sides(), channels]
        back = sorted(range(len(axes)), key=axes.__getitem__)
        return {
            "shape": [sides[axis] for axis in axes],
            "axes": back,
            "map": [-1, *self.grid, channels],
        }

    def _sides(self) -> list[int]:
        """The dimensions that height and width fall into, coarsest first."""
        if not self.window:
            return list(self.grid)
        rest = [self.window >> self.poolings, *[2] * self.poolings]
        return [self.grid[0] // self.window, *rest, self.grid[1] // self.window, *rest]

    def _axes(self) -> list[int]:
        """Batch, height's dimensions, width's, channels → windows, finest, ..., coarsest."""
        if not self.window:
            return [0, 1, 2, 3]
        half = 2 + self.poolings
        finest_first = [0, *range(half - 1, 0, -1)]
        return [0, *(1 + part + side for part in finest_first for side in (0, half)), 1 + 2 * half]


def orders(windows: Sequence[int], pools: Sequence[bool], grid: Size) -> list[Order]:
    """The order in which each block of a trunk takes its tokens.

    Blocks are given by the side of their windows, 0 for the whole map, and by whether they pool.
    Where windows do not fill the map, tokens stand row by row.
    """
    found: list[Order] = []
    order: Order | None = None
    for index, (window, pool) in enumerate(zip(windows, pools, strict=True)):
        if order is None or not _serves(order, window, pool):
            order = _best(windows[index:], pools[index:], grid)
        found.append(order)
        if pool:
            order = order.pooled()
            grid = order.grid
    return found


def choose(x: Tensor, places: Places, count: int, width: int) -> Tensor:
    """Of each `count` rows of `width` numbers those at some places: (B, places, width)."""
    x = x.reshape(-1, count, width)
    if np.array_equal(places, np.arange(count)):
        return x
    return x.index_select(1, torch.from_numpy(places.astype(np.int32)))


def in_windows(grid: Size, windows: Size, side: int, heads: int) -> Places:
    """Which head of which token of a map stands where: by windows, heads and tokens; -1 is none.

    Heads are counted on from token to token, and tokens row by row.

    >>> in_windows((2, 3), windows=(1, 2), side=2, heads=2).reshape(2, 2, 4).tolist()
    [[[0, 2, 6, 8], [1, 3, 7, 9]], [[4, -1, 10, -1], [5, -1, 11, -1]]]
    """
    rows, columns = windows
    below, right = rows * side - grid[0], columns * side - grid[1]
    places = np.arange(grid[0] * grid[1] * heads).reshape(*grid, heads)
    places = np.pad(places, ((0, below), (0, right), (0, 0)), constant_values=-1)
    places = places.reshape(rows, side, columns, side, heads)
    return places.transpose(0, 2, 4, 1, 3).ravel()


def _serves(order: Order, window: int, pool: bool) -> bool:
    if order.window and pool and not order.poolings:
        return False
    # Whoever looks at the whole map takes any order.
    return not window or order.window == window or not (order.window or _fill(window, order.grid))


def _best(windows: Sequence[int], pools: Sequence[bool], grid: Size) -> Order:
    side = windows[0]
    if not side or not _fill(side, grid):
        return Order(grid)
    poolings = 0
    for window, pool in zip(windows, pools, strict=True):
        if window not in (0, side >> poolings) or (pool and (side >> poolings) % 2):
            break
        poolings += pool
    return Order(grid, side, poolings)


def _fill(window: int, grid: Size) -> bool:
    return not (grid[0] % window or grid[1] % window)
