"""Boxes (x0, y0, x1, y1): around masks, against each other, and at the edge of a crop."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sam2lab.runtime.engines.protocol import Float32

Box = tuple[int, int, int, int]

# How near to the edge of a crop a box counts as cut off by it, in pixels.
EDGE_PX = 20


def around(mask: npt.NDArray[np.bool_]) -> Box | None:
    """The first and last column and row, both inside, of a mask (H, W); None if it is empty.

    >>> around(np.array([[0, 0, 0], [0, 1, 1]], bool))
    (1, 1, 2, 1)
    """
    rows = np.flatnonzero(mask.any(axis=1))
    if not len(rows):
        return None
    columns = np.flatnonzero(mask[rows[0] : rows[-1] + 1].any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1])


def nms(boxes: Float32, scores: Float32, iou_threshold: float) -> npt.NDArray[np.intp]:
    """Which of the boxes (N, 4) to keep, best score first, as torchvision's `nms` decides.

    A box goes if its IoU with a better one that is kept exceeds the threshold; of equal scores
    (N,) the earlier counts as better. Two boxes without area never drive each other out.

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
        with np.errstate(invalid="ignore"):  # 0 / 0, which is more than nothing
            iou = shared / (areas[best] + areas[left] - shared)
        # The ratio in float32, the threshold in float64: so torchvision compares.
        left = left[~(iou.astype(np.float64) > iou_threshold)]
    return np.array(kept, np.intp)


def is_cut_off(box: Box, crop: Box, size: tuple[int, int]) -> bool:
    """Whether a box comes near an edge of its crop that is no edge of the photo.

    All in pixels of the photo, whose `size` is (height, width).

    >>> is_cut_off((5, 0, 95, 40), crop=(0, 0, 100, 100), size=(100, 200))
    True
    >>> is_cut_off((5, 0, 60, 40), crop=(0, 0, 100, 100), size=(100, 200))
    False
    """
    photo = (0, 0, size[1], size[0])
    return any(
        abs(at - cut) <= EDGE_PX < abs(at - end)
        for at, cut, end in zip(box, crop, photo, strict=True)
    )
