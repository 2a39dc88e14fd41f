"""Divides a photo into crops, and lays grids of points over them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from math import ceil
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sam2lab.runtime.arguments import whole
from sam2lab.runtime.masks import Box

# How near to the edge of a crop a box counts as cut off by it, in pixels.
EDGE_PX = 20


class Crop(NamedTuple):
    """A part of the photo and the layer that it belongs to."""

    box: Box
    layer: int

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        x0, y0, x1, y1 = self.box
        return y1 - y0, x1 - x0

    def cuts(self, box: Box, photo_size: tuple[int, int]) -> bool:
        """Whether a box comes near an edge of this crop that is not an edge of the photo.

        All in pixels of the photo, whose size is (height, width).

        >>> left = Crop((0, 0, 100, 100), layer=1)
        >>> left.cuts((5, 0, 95, 40), (100, 200)), left.cuts((5, 0, 60, 40), (100, 200))
        (True, False)
        """
        photo = (0, 0, photo_size[1], photo_size[0])
        return any(
            abs(at - cut) <= EDGE_PX < abs(at - end)
            for at, cut, end in zip(box, self.box, photo, strict=True)
        )


def point_grid(side: int) -> npt.NDArray[np.float64]:
    """The centres (side * side, 2) of equal tiles, (x, y) as shares of width and height.

    >>> point_grid(2).tolist()
    [[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75]]
    """
    along = np.linspace(1 / (2 * side), 1 - 1 / (2 * side), side)
    return np.stack(np.meshgrid(along, along), axis=-1).reshape(-1, 2)


def grids(
    points_per_side: int | None,
    layers: int,
    downscale: int,
    given: Sequence[npt.ArrayLike] | None,
) -> list[npt.NDArray[np.float64]]:
    """The points (N, 2) of each layer of crops, as shares of a crop's width and height."""
    if (points_per_side is None) == (given is None):
        raise ValueError(
            f"points_per_side is {points_per_side!r} and point_grids "
            f"{'is None' if given is None else 'is given'}; wanted exactly one of them"
        )
    if given is not None:
        try:
            grids = [np.asarray(grid, np.float64) for grid in given]
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"point_grids makes no arrays ({error}); wanted a list of them"
            ) from error
        for grid in grids:
            if grid.ndim != 2 or grid.shape[1] != 2 or not ((grid >= 0) & (grid <= 1)).all():
                raise ValueError(
                    f"point_grids holds an array of shape {grid.shape}; wanted (N, 2), points "
                    "(x, y) as shares of width and height, from 0 to 1"
                )
        if len(grids) < layers:
            raise ValueError(
                f"point_grids holds {len(grids)} grids; wanted {layers}, one for the photo and "
                "one for each of crop_n_layers"
            )
        return grids
    side = whole("points_per_side", points_per_side or 0, 1)
    sides = [int(side / downscale**layer) for layer in range(layers)]
    if 0 in sides:
        raise ValueError(
            f"points_per_side is {side}, and crop_n_points_downscale_factor leaves no point "
            f"in layer {sides.index(0)} of crop_n_layers; wanted more points or fewer layers"
        )
    return [point_grid(side) for side in sides]


def crops(size: tuple[int, int], n_layers: int, overlap_ratio: float) -> Iterator[Crop]:
    """The whole photo of `size` (height, width), then 2 x 2 crops of it, then 4 x 4 and so on.

    In the first layer neighbours share `overlap_ratio` of the photo's shorter side, in the next
    half of that. Empty crops, of a photo with fewer pixels than crops, are left out.

    >>> [crop.box for crop in crops((100, 100), 1, 0.2)]  # doctest: +NORMALIZE_WHITESPACE
    [(0, 0, 100, 100),
     (0, 0, 60, 60), (0, 40, 60, 100), (40, 0, 100, 60), (40, 40, 100, 100)]
    """
    height, width = size
    yield Crop((0, 0, width, height), 0)
    for layer in range(1, n_layers + 1):
        along = 2**layer
        overlap = int(overlap_ratio * min(size) * (2 / along))
        for x, y in product(_spans(width, along, overlap), _spans(height, along, overlap)):
            if x[0] < x[1] and y[0] < y[1]:
                yield Crop((x[0], y[0], x[1], y[1]), layer)


def _spans(length: int, count: int, overlap: int) -> list[tuple[int, int]]:
    span = ceil((overlap * (count - 1) + length) / count)
    return [(i * (span - overlap), min(i * (span - overlap) + span, length)) for i in range(count)]
