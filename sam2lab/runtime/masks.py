"""Defines masks and boxes, and compares masks by IoU and by their outlines, and boxes by NMS."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sam2lab.runtime.engines.protocol import Float32

# (height, width) of the photo.
Mask = npt.NDArray[np.bool_]

# (..., height, width).
Masks = npt.NDArray[np.bool_]

# Left, top, right and bottom in pixels; right and bottom are the first column and row outside.
Box = tuple[int, int, int, int]

# DAVIS (Perazzi et al. 2016): how far outlines may be apart, as a share of the photo's diagonal.
BOUNDARY_SHARE = 0.008


def window(mask: Mask) -> tuple[slice, slice]:
    """The rows and the columns of the smallest window that holds a mask, both empty if it is.

    >>> mask = np.zeros((4, 6), bool)
    >>> mask[1:3, 2:5] = True
    >>> window(mask), mask[window(mask)].all()
    ((slice(1, 3, None), slice(2, 5, None)), np.True_)
    """
    rows = np.flatnonzero(mask.any(axis=1))
    if not len(rows):
        return slice(0, 0), slice(0, 0)
    down = slice(int(rows[0]), int(rows[-1]) + 1)
    columns = np.flatnonzero(mask[down].any(axis=0))
    return down, slice(int(columns[0]), int(columns[-1]) + 1)


def bounding_box(mask: Mask) -> Box:
    """The smallest box (x0, y0, x1, y1) around a mask, all zero for an empty one.

    >>> bounding_box(np.array([[0, 0, 0], [0, 1, 1]], bool))
    (1, 1, 3, 2)
    """
    rows, columns = window(mask)
    return columns.start, rows.start, columns.stop, rows.stop


def nms(boxes: Float32, scores: Float32, iou_threshold: float) -> npt.NDArray[np.intp]:
    """Which of the boxes (N, 4) to keep, best score first, as torchvision's `nms` decides.

    A box is dropped if its IoU with a better one that is kept exceeds the threshold; of equal
    scores (N,) the earlier is better. Two boxes without area never drop each other.

    >>> boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 9], [20, 0, 30, 10]], np.float32)
    >>> nms(boxes, np.array([0.5, 0.9, 0.7], np.float32), 0.7).tolist()
    [1, 2]
    """
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    left = np.argsort(-scores, kind="stable")
    kept = []
    while len(left):
        best, left = left[0], left[1:]
        kept.append(best)
        low = np.maximum(boxes[best, :2], boxes[left, :2])
        high = np.minimum(boxes[best, 2:], boxes[left, 2:])
        shared = np.maximum(high - low, 0).prod(axis=1)
        with np.errstate(invalid="ignore"):  # 0 / 0
            iou = shared / (areas[best] + areas[left] - shared)
        # As in torchvision: the ratio in float32, the threshold in float64.
        left = left[~(iou.astype(np.float64) > iou_threshold)]
    return np.array(kept, np.intp)


def iou(a: Mask, b: Mask) -> float:
    """Intersection over union of two boolean masks (H, W); 1 where both are empty.

    >>> iou(np.array([[True, True, False]]), np.array([[False, True, True]]))
    0.3333333333333333
    """
    union = int(np.count_nonzero(a | b))
    return int(np.count_nonzero(a & b)) / union if union else 1.0


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


def boundary_iou(a: Mask, b: Mask, distance_px: int = 2) -> float:
    """Boundary IoU (Cheng et al., CVPR 2021): 1 where outlines agree, 0 where none does.

    Each mask is reduced to its pixels within `distance_px` of its outline, and these two bands
    are compared by IoU. Outside the picture there is no mask.

    >>> square = np.zeros((20, 20), bool)
    >>> square[5:15, 5:15] = True
    >>> boundary_iou(square, np.roll(square, 1, axis=1))
    0.6
    """
    from scipy import ndimage  # slow to import, and few need it

    side = 2 * distance_px + 1
    bands = [mask & ~ndimage.minimum_filter(mask, side, mode="constant") for mask in (a, b)]
    return iou(*bands)


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
    from scipy.spatial import KDTree  # slow to import, and few need it

    nearest, _ = KDTree(others).query(points)
    return float(np.mean(nearest <= distance))
