"""Boxes (x0, y0, x1, y1), compared with each other and with the edges of a crop."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sam2lab.runtime.engines.protocol import Float32
from sam2lab.runtime.masks import Box

# How near to the edge of a crop a box counts as cut off by it, in pixels.
EDGE_PX = 20


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


def is_cut_off(box: Box, crop: Box, size: tuple[int, int]) -> bool:
    """Whether a box comes near an edge of its crop that is not an edge of the photo.

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
