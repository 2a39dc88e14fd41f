"""Masks and their outlines are compared as DAVIS and the papers define it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from scipy import ndimage

from sam2lab.runtime.masks import Mask, boundary_f, boundary_iou, iou


def davis(truth: Mask, answer: Mask) -> float:
    """The published definition word for word: outlines, widened by a disc, and counted."""
    radius = int(np.ceil(0.008 * np.linalg.norm(truth.shape)))
    grid = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    disc = (np.hypot(*grid) <= radius).astype(np.uint8)

    def outline(mask: Mask) -> np.ndarray:
        east, south, both = mask.copy(), mask.copy(), mask.copy()
        east[:, :-1], south[:-1], both[:-1, :-1] = mask[:, 1:], mask[1:], mask[1:, 1:]
        found = mask ^ east | mask ^ south | mask ^ both
        found[-1] = mask[-1] ^ east[-1]
        found[:, -1] = mask[:, -1] ^ south[:, -1]
        found[-1, -1] = False
        return found.astype(np.uint8)

    a, b = outline(truth), outline(answer)
    precision = (b & cv2.dilate(a, disc)).sum() / b.sum()
    recall = (a & cv2.dilate(b, disc)).sum() / a.sum()
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def blobs(seed: int) -> Mask:
    noise = np.random.default_rng(seed).normal(size=(120, 170))
    return ndimage.gaussian_filter(noise, 9) > 0


@pytest.mark.parametrize("seed", range(6))
def test_the_boundary_measure_is_that_of_davis(seed: int) -> None:
    truth, noise = blobs(seed), blobs(seed + 50)
    for answer in (noise, truth & noise, ndimage.binary_erosion(truth, iterations=2)):
        assert boundary_f(truth, answer) == pytest.approx(davis(truth, answer), abs=1e-12)


def test_an_outline_may_be_off_by_so_much_and_no_more() -> None:
    square = np.zeros((300, 400), bool)
    square[50:250, 50:350] = True
    # 0.8 % of a diagonal of 500 pixels are 4.
    assert boundary_f(square, np.roll(square, 4, axis=1)) == 1.0
    assert boundary_f(square, np.roll(square, 5, axis=1)) < 1.0


@pytest.mark.parametrize(
    ("truth", "answer", "expected"), [(0, 0, 1.0), (0, 1, 0.0), (1, 0, 0.0), (1, 1, 1.0)]
)
def test_a_mask_without_outline_fits_only_another(truth: int, answer: int, expected: float) -> None:
    square = np.zeros((20, 20), bool)
    square[5:15, 5:15] = True
    masks = (np.zeros_like(square), square)
    assert boundary_f(masks[truth], masks[answer]) == expected


def square(size: int, at: int = 5, side: int = 30) -> np.ndarray:
    mask = np.zeros((side, side), bool)
    mask[5 : 5 + size, at : at + size] = True
    return mask


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (square(0), square(0), 1.0),
        (square(10), square(0), 0.0),
        (square(10), square(10), 1.0),
        (square(10), square(10, at=10), 50 / 150),
    ],
)
def test_iou_is_the_shared_part_of_two_masks(a: np.ndarray, b: np.ndarray, expected: float) -> None:
    assert iou(a, b) == expected


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (square(0), square(0), 1.0),
        (square(10), square(0), 0.0),
        (square(10), square(10), 1.0),
        # Bands of 64 pixels each: rings two wide. Shifted by one column they share
        # 4 rows of 9 and 6 rows of 2: 48 of 80.
        (square(10), square(10, at=6), 48 / 80),
        # A square in the picture's corner has a band along the picture's edge as well.
        (np.ones((10, 10), bool), np.ones((10, 10), bool), 1.0),
        (np.ones((10, 10), bool), np.pad(np.ones((6, 6), bool), 2), 0.0),
    ],
)
def test_boundary_iou_compares_the_pixels_near_the_outlines(
    a: np.ndarray, b: np.ndarray, expected: float
) -> None:
    assert boundary_iou(a, b) == pytest.approx(expected)


def test_boundary_iou_sees_an_outline_that_iou_hardly_notices() -> None:
    a, b = square(200, side=300), square(200, at=7, side=300)
    assert iou(a, b) > 0.98
    assert boundary_iou(a, b) < 0.5
