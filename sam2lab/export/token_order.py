"""Keep a map's tokens row by row or window by window, and move them as rarely as possible.

Norms, linear layers and sums do not depend on the order of tokens. So blocks that attend within the
same windows keep the tokens in the order of these windows, and nothing moves between them.

Tokens are moved by a list of places. A transposition could move them too, but it would need up to
ten dimensions: TensorRT and DirectML know eight and Core ML five, and onnxruntime transposes on one
core.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Size = tuple[int, int]
Places = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Order:
    """The order of the tokens of a map (height, width): row by row if `window` is 0.

    Otherwise windows of that side, which fill the map, come one after the other. Within a window,
    tokens are ordered so that each of the next `poolings` two by two poolings compares the four
    quarters of what is left of the window: first, second, third and last.
    """

    grid: Size
    window: int = 0
    poolings: int = 0

    @property
    def tokens(self) -> int:
        """The number of tokens."""
        return self.grid[0] * self.grid[1]

    def pooled(self) -> Order:
        """The order after two by two pooling."""
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
        """The token, counted row by row on the map, that each row holds."""
        places = np.arange(self.tokens).reshape(1, *self._sides(), 1)
        return places.transpose(self._axes()).ravel()

    def map_steps(self, channels: int) -> dict[str, list[int]]:
        """Steps from rows to the map (B, h, w, C).

        They are a reshape to `shape`, a transposition by `axes` and a reshape to `map`.
        """
        axes = self._axes()
        sides = [-1, *self._sides(), channels]
        back = sorted(range(len(axes)), key=axes.__getitem__)
        return {
            "shape": [sides[axis] for axis in axes],
            "axes": back,
            "map": [-1, *self.grid, channels],
        }

    def _sides(self) -> list[int]:
        """The dimensions that height and width are split into, coarsest first."""
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
    """Choose the order in which each block of a trunk takes its tokens.

    `windows` has the side of each block's windows, 0 for the whole map, and `pools` says whether
    the block pools. Tokens are ordered row by row if windows do not fill the map.
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
    """Choose the rows at some places from every `count` rows of `width`: (B, places, width)."""
    x = x.reshape(-1, count, width)
    if np.array_equal(places, np.arange(count)):
        return x
    return x.index_select(1, torch.from_numpy(places.astype(np.int32)))


def in_windows(grid: Size, windows: Size, side: int, heads: int) -> Places:
    """The heads of a map's tokens, sorted by window, head and token; -1 is beyond the map.

    A head's number is its token's, counted row by row, times `heads`, plus its own.

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
    # Attention over the whole map works in any order.
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
