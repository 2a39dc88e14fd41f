"""Outlines compared as DAVIS does, sizes classed as COCO does."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from pycocotools.cocoeval import Params
from scipy import ndimage

from sam2lab.measure.size_classes import size_class
from sam2lab.runtime.masks import Mask, boundary_f


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


def test_sizes_are_those_of_coco() -> None:
    ranges = dict(zip(Params("segm").areaRngLbl, Params("segm").areaRng, strict=True))
    for name in ("small", "medium", "large"):
        low, high = ranges[name]
        assert size_class(low) == size_class(high - 1) == name
