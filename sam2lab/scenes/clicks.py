"""Where a person who knows the truth would click: inside an object, or on the worst mistake.

Clicks are (x, y) in whole pixels of the photo, as in papers on interactive segmentation: (0, 0)
is the top left pixel. Boxes reach from the first pixel's near edge to the last one's far edge,
as COCO's do. Masks are boolean (H, W), and objects have at least one pixel.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from sam2lab.runtime.engines.protocol import Float32
from sam2lab.runtime.masks import Mask, bounding_box, window

# As in upstream's training: each side moves by at most a tenth of the box, at most 20 pixels.
JITTER, JITTER_PX = 0.1, 20.0


class Click(NamedTuple):
    """A click at (x, y) in pixels; positive on the object, negative beside it."""

    x: int
    y: int
    positive: bool


def centre_click(mask: Mask) -> Click:
    """Click the pixel furthest inside; the edge of the photo counts as an edge of the mask.

    Unlike the centre of gravity it lies on the object, whatever its shape.

    >>> mask = np.zeros((9, 9), bool)
    >>> mask[2:7, 3:8] = True
    >>> centre_click(mask)
    Click(x=5, y=4, positive=True)
    """
    return Click(*_deepest(_filled(mask), None)[1], True)


def random_click(rng: np.random.Generator, mask: Mask) -> Click:
    """Click any pixel of the mask, each as likely as another."""
    rows, columns = np.nonzero(_filled(mask))
    chosen = int(rng.integers(len(rows)))
    return Click(int(columns[chosen]), int(rows[chosen]), True)


def correction_click(truth: Mask, answer: Mask, earlier: Mask | None = None) -> Click | None:
    """Click the middle of the larger mistake; None where there is none.

    A missing region gets a positive click, a region too many a negative one. The pixel is the one
    furthest inside either region (RITM, Sofiiuk et al. 2021; upstream's
    `sample_one_point_from_error_center`); of equal ones the negative click wins. Pixels of
    `earlier` (H, W) are not clicked again.

    >>> truth = np.zeros((9, 9), bool)
    >>> truth[2:7, 2:7] = True
    >>> correction_click(truth, np.zeros((9, 9), bool))
    Click(x=4, y=4, positive=True)
    >>> correction_click(truth, np.ones((9, 9), bool)).positive, correction_click(truth, truth)
    (False, None)
    """
    missing, where_missing = _deepest(truth & ~answer, earlier)
    too_much, where_too_much = _deepest(answer & ~truth, earlier)
    if missing == too_much == 0:
        return None
    positive = missing > too_much
    return Click(*(where_missing if positive else where_too_much), positive)


def jittered_box(rng: np.random.Generator, mask: Mask) -> Float32:
    """The box (4,) as a hurried person draws it: each side off by up to a tenth of its length.

    Each side moves by at most 20 pixels, any distance as likely as another, and stays within
    the photo, as in `sample_box_points`, with which upstream trains.
    """
    tight = np.array(bounding_box(_filled(mask)), np.float32)
    extent = np.tile(tight[2:] - tight[:2], 2)
    noise = rng.uniform(-1, 1, 4) * np.minimum(JITTER * extent, JITTER_PX)
    return np.clip(tight + noise, 0, np.tile(mask.shape[::-1], 2)).astype(np.float32)


def _deepest(region: Mask, earlier: Mask | None) -> tuple[float, tuple[int, int]]:
    """How far the innermost pixel of a region lies from its edge, and that pixel's (x, y)."""
    rows, columns = window(region)
    if rows.start == rows.stop:
        return 0.0, (0, 0)
    # One pixel of nothing around: the photo ends there, and outside of the window none is set.
    depth = ndimage.distance_transform_edt(np.pad(region[rows, columns], 1))[1:-1, 1:-1]
    if earlier is not None:
        depth[earlier[rows, columns]] = 0
    y, x = np.unravel_index(int(np.argmax(depth)), depth.shape)
    return float(depth[y, x]), (columns.start + int(x), rows.start + int(y))


def _filled(mask: Mask) -> Mask:
    if mask.dtype != bool or mask.ndim != 2 or not mask.any():
        raise ValueError(
            f"mask is {mask.dtype} of shape {mask.shape} with {np.count_nonzero(mask)} pixels set; "
            "wanted a boolean (H, W) with at least one: leave degenerate objects out"
        )
    return mask
