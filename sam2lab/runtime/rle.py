"""Encodes masks as COCO's run lengths: down the columns, from the left, background first."""

from __future__ import annotations

from typing import NamedTuple, TypedDict

import numpy as np
import numpy.typing as npt

from sam2lab.runtime.masks import Mask


class RleDict(TypedDict):
    """COCO's form of a mask: [height, width], and lengths as numbers or packed into text."""

    size: list[int]
    counts: list[int] | str


class RunLengths(NamedTuple):
    """A mask of `size` (height, width) as the lengths of its runs, `counts` (N,).

    Runs of background and mask alternate; the first is background, of length 0 where the
    mask begins with its first pixel.

    >>> runs = encode(np.array([[False, True], [False, True]]))
    >>> runs.counts.tolist(), runs.area
    ([2, 2], 2)
    """

    size: tuple[int, int]
    counts: npt.NDArray[np.int64]

    @property
    def area(self) -> int:
        """Pixels in the mask."""
        return int(self.counts[1::2].sum())

    def uncompressed(self) -> RleDict:
        """COCO's uncompressed form, ready for JSON."""
        return {"size": list(self.size), "counts": self.counts.tolist()}

    def compressed(self) -> RleDict:
        """COCO's compressed form, ready for JSON; pycocotools makes it."""
        from pycocotools import mask as coco

        runs = coco.frPyObjects(self.uncompressed(), *self.size)
        return {"size": list(self.size), "counts": runs["counts"].decode("ascii")}


def encode(
    mask: Mask,
    corner: tuple[int, int] = (0, 0),
    size: tuple[int, int] | None = None,
) -> RunLengths:
    """Encode a mask (h, w), or the part (h, w) of a mask of `size` (H, W) that holds all of it.

    `corner` is where the part's top left pixel lies, (x, y).

    >>> encode(np.array([[True]]), corner=(1, 0), size=(2, 2)).counts.tolist()
    [2, 1, 1]
    """
    height, width = size or mask.shape
    # Where a run begins or ends in each column: at its first pixel, or below its last.
    edges = np.empty((len(mask) + 1, mask.shape[1]), bool)
    edges[0], edges[-1] = mask[0], mask[-1]
    np.not_equal(mask[1:], mask[:-1], out=edges[1:-1])
    rows, columns = np.divmod(np.flatnonzero(edges), mask.shape[1])
    at = np.sort((corner[0] + columns) * height + corner[1] + rows)
    # A run that ends with its column and goes on in the next one has two edges at one place.
    ends_here = np.append(at[1:] == at[:-1], False)
    goes_on = np.insert(at[1:] == at[:-1], 0, False)
    at = at[~(ends_here | goes_on) & (at < height * width)]
    return RunLengths((height, width), np.diff(at, prepend=0, append=height * width))


def decode(runs: RunLengths) -> Mask:
    """The mask, (H, W).

    >>> decode(RunLengths((2, 2), np.array([2, 1, 1]))).tolist()
    [[False, True], [False, False]]
    """
    height, width = runs.size
    inside = np.arange(len(runs.counts)) % 2 == 1
    return np.repeat(inside, runs.counts).reshape(width, height).T
