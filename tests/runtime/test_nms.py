"""`nms` keeps the same boxes as brute force and as torchvision, where that has operators."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import sam2lab.reference  # noqa: F401  (makes sam2 and torchvision importable)
from sam2lab.runtime.masks import nms

import torchvision  # isort: skip

CORNERS = st.integers(0, 12)


@st.composite
def scored_boxes(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Boxes of few sizes and scores of few values, so that ties and exact ratios are common."""
    corners = draw(st.lists(st.tuples(CORNERS, CORNERS, CORNERS, CORNERS), max_size=12))
    boxes = np.array([(min(a, c), min(b, d), max(a, c), max(b, d)) for a, b, c, d in corners])
    scores = draw(st.lists(st.integers(1, 4), min_size=len(corners), max_size=len(corners)))
    return boxes.reshape(-1, 4).astype(np.float32), np.array(scores, np.float32) / 4


def brute_force(boxes: np.ndarray, scores: np.ndarray, iou_threshold: float) -> list[int]:
    """Box by box, as torchvision's loop in C++ does: floats of 32 bits, a threshold of 64."""
    areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in boxes]
    kept: list[int] = []
    for i in sorted(range(len(boxes)), key=lambda i: -scores[i]):
        for j in kept:
            a, b = boxes[i], boxes[j]
            width = max(np.float32(0), min(a[2], b[2]) - max(a[0], b[0]))
            height = max(np.float32(0), min(a[3], b[3]) - max(a[1], b[1]))
            shared = width * height
            union = areas[j] + areas[i] - shared
            if union > 0 and float(shared / union) > iou_threshold:
                break
        else:
            kept.append(i)
    return kept


@given(scored_boxes(), st.sampled_from([0.0, 0.25, 0.5, 0.7, 1.0]))
def test_nms_keeps_what_brute_force_keeps(
    case: tuple[np.ndarray, np.ndarray], iou_threshold: float
) -> None:
    assert nms(*case, iou_threshold).tolist() == brute_force(*case, iou_threshold)


@pytest.mark.skipif(
    not torchvision.extension._has_ops(), reason="this torchvision brings no operators"
)
@given(scored_boxes(), st.sampled_from([0.0, 0.25, 0.5, 0.7, 1.0]))
def test_nms_keeps_what_torchvision_keeps(
    case: tuple[np.ndarray, np.ndarray], iou_threshold: float
) -> None:
    theirs = torchvision.ops.nms(*map(torch.from_numpy, case), iou_threshold)
    assert nms(*case, iou_threshold).tolist() == theirs.tolist()


def test_a_box_as_much_overlapped_as_allowed_stays() -> None:
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 5]], np.float32)
    scores = np.array([0.9, 0.8], np.float32)
    assert nms(boxes, scores, 0.5).tolist() == [0, 1]
    assert nms(boxes, scores, 0.49).tolist() == [0]


def test_a_box_that_went_drives_no_other_out() -> None:
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 14], [0, 0, 10, 19]], np.float32)
    scores = np.array([0.9, 0.8, 0.7], np.float32)
    assert nms(boxes, scores, 0.7).tolist() == [0, 2]
