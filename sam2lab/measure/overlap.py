"""How well a mask fits the truth at its outline, and how large an object counts as."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.spatial import KDTree

Mask = npt.NDArray[np.bool_]

# DAVIS (Perazzi et al. 2016): how far outlines may be apart, as a share of the photo's diagonal.
BOUNDARY_SHARE = 0.008

# COCO: an object is small below 32 x 32 pixels, and large from 96 x 96 on.
SMALL_PX, LARGE_PX = 32**2, 96**2
SIZE_CLASSES = ("small", "medium", "large")


def boundary_f(truth: Mask, answer: Mask) -> float:
    """The F measure of two outlines (H, W), as the DAVIS benchmark defines it; 1 is best.

    Precision is the share of the answer's outline that lies within 0.8 % of the photo's
    diagonal from the true one, recall the reverse; F is their harmonic mean. A mask without an
    outline, which is empty or the whole photo, fits only another such.

    >>> square = np.zeros((50, 50), bool)
    >>> square[10:40, 10:40] = True
    >>> boundary_f(square, np.roll(square, 1)), boundary_f(square, np.zeros_like(square))
    (1.0, 0.0)
    """
    bound = np.ceil(BOUNDARY_SHARE * np.hypot(*truth.shape))
    true_line, line = np.argwhere(_outline(truth)), np.argwhere(_outline(answer))
    if not len(true_line) or not len(line):
        return float(len(true_line) == len(line))
    precision = _share_near(line, true_line, bound)
    recall = _share_near(true_line, line, bound)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def size_class(area_px: int) -> str:
    """COCO's class of an object with so many pixels.

    >>> size_class(1023), size_class(1024), size_class(9216)
    ('small', 'medium', 'large')
    """
    return SIZE_CLASSES[(area_px >= SMALL_PX) + (area_px >= LARGE_PX)]


def _outline(mask: Mask) -> Mask:
    """Pixels that differ from their right, lower or lower right neighbour, if they have one."""
    right, below = np.zeros_like(mask), np.zeros_like(mask)
    right[:, :-1] = mask[:, :-1] ^ mask[:, 1:]
    below[:-1] = mask[:-1] ^ mask[1:]
    both = right | below
    both[:-1, :-1] |= mask[:-1, :-1] ^ mask[1:, 1:]
    return both


def _share_near(
    points: npt.NDArray[np.intp], others: npt.NDArray[np.intp], distance: float
) -> float:
    nearest, _ = KDTree(others).query(points)
    return float(np.mean(nearest <= distance))
