"""Where a person would click, given the truth: inside an object, around it, on the worst mistake.

Clicks are (x, y) in whole pixels of the photo, as interactive segmentation papers have them:
(0, 0) is the top left pixel. Boxes reach from the first pixel's near edge to the last one's far
edge, as COCO's do. Masks are boolean (H, W), and objects have at least one pixel.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from sam2lab.runtime.engines.protocol import Float32

Mask = npt.NDArray[np.bool_]

# As upstream trains with boxes: each side moves by at most a tenth of the box, 20 pixels at most.
JITTER, JITTER_PX = 0.1, 20.0


class Click(NamedTuple):
    """A click at (x, y) in pixels, on what belongs to the object (positive) or on what does not."""

    x: int
    y: int
    positive: bool


def centre(mask: Mask) -> Click:
    """The pixel furthest inside, where the edge of the photo counts as an edge of the mask.

    Unlike the centre of gravity it lies on the object whatever its form.

    >>> mask = np.zeros((9, 9), bool)
    >>> mask[2:7, 3:8] = True
    >>> centre(mask)
    Click(x=5, y=4, positive=True)
    """
    return Click(*_deepest(_filled(mask), None)[1], True)


def inside(rng: np.random.Generator, mask: Mask) -> Click:
    """Any pixel of the mask, each as likely as another."""
    rows, columns = np.nonzero(_filled(mask))
    chosen = int(rng.integers(len(rows)))
    return Click(int(columns[chosen]), int(rows[chosen]), True)


def correction(truth: Mask, answer: Mask, earlier: Mask | None = None) -> Click | None:
    """Where to click next: the middle of the larger mistake, or None where there is none.

    What the answer lacks asks for a positive click, what it has too much for a negative one. Of
    both, the pixel furthest inside its region is taken (RITM, Sofiiuk et al. 2021; upstream's
    `sample_one_point_from_error_center`), a negative one where they are equal. Pixels of
    `earlier` (H, W) are not clicked again.

    >>> truth = np.zeros((9, 9), bool)
    >>> truth[2:7, 2:7] = True
    >>> correction(truth, np.zeros((9, 9), bool))
    Click(x=4, y=4, positive=True)
    >>> correction(truth, np.ones((9, 9), bool)).positive, correction(truth, truth)
    (False, None)
    """
    missing, where_missing = _deepest(truth & ~answer, earlier)
    too_much, where_too_much = _deepest(answer & ~truth, earlier)
    if missing == too_much == 0:
        return None
    positive = missing > too_much
    return Click(*(where_missing if positive else where_too_much), positive)


def box(mask: Mask) -> Float32:
    """The tight box (4,) as x0, y0, x1, y1.

    >>> mask = np.zeros((9, 9), bool)
    >>> mask[2:7, 3:8] = True
    >>> box(mask).tolist()
    [3.0, 2.0, 8.0, 7.0]
    """
    (rows, columns), _ = _window(_filled(mask))
    return np.array([columns.start, rows.start, columns.stop, rows.stop], np.float32)


def jittered_box(rng: np.random.Generator, mask: Mask) -> Float32:
    """The box as a hurried person draws it: each side off by up to a tenth, 20 pixels at most.

    It stays within the photo. As upstream's `sample_box_points` does it for training.
    """
    tight = box(mask)
    extent = np.tile(tight[2:] - tight[:2], 2)
    noise = rng.uniform(-1, 1, 4) * np.minimum(JITTER * extent, JITTER_PX)
    return np.clip(tight + noise, 0, np.tile(mask.shape[::-1], 2)).astype(np.float32)


def _deepest(region: Mask, earlier: Mask | None) -> tuple[float, tuple[int, int]]:
    """How far the innermost pixel of a region lies from its edge, and that pixel's (x, y)."""
    window, cut = _window(region)
    if not cut.size:
        return 0.0, (0, 0)
    # One pixel of nothing around: the photo ends there, and outside of the window none is set.
    depth = ndimage.distance_transform_edt(np.pad(cut, 1))[1:-1, 1:-1]
    if earlier is not None:
        depth[earlier[window]] = 0
    y, x = np.unravel_index(int(np.argmax(depth)), depth.shape)
    rows, columns = window
    return float(depth[y, x]), (columns.start + int(x), rows.start + int(y))


def _window(region: Mask) -> tuple[tuple[slice, slice], Mask]:
    """The smallest window that holds the region, which is empty where that is, and its cut."""
    rows, columns = np.flatnonzero(region.any(axis=1)), np.flatnonzero(region.any(axis=0))
    window = (
        (slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1))
        if len(rows)
        else (slice(0, 0), slice(0, 0))
    )
    return window, region[window]


def _filled(mask: Mask) -> Mask:
    if mask.dtype != bool or mask.ndim != 2 or not mask.any():
        raise ValueError(
            f"mask is {mask.dtype} of shape {mask.shape} with {np.count_nonzero(mask)} pixels set; "
            "wanted a boolean (H, W) with at least one: leave degenerate objects out"
        )
    return mask
