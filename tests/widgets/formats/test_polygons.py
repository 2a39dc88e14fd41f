"""Polygons give the same mask back to the functions that readers paint them with."""

from __future__ import annotations

import cv2
import numpy as np
from hypothesis import given

from sam2lab.widgets.formats.polygons import one_polygon, polygons
from tests.widgets.formats.shapes import labelme_reads, masks_of_any_shape


@given(mask=masks_of_any_shape)
def test_polygons_along_edges_go_straight_and_have_the_area_of_the_mask(mask: np.ndarray) -> None:
    area = 0.0
    for polygon in polygons(mask, through_pixels=False):
        x, y = polygon.T.astype(float)
        steps = polygon - np.roll(polygon, 1, axis=0)
        assert ((steps == 0).sum(axis=1) == 1).all()
        area += np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)) / 2
    assert area == mask.sum()


@given(mask=masks_of_any_shape)
def test_there_is_a_polygon_for_each_part(mask: np.ndarray) -> None:
    parts, _ = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    for through_pixels in (False, True):
        assert len(polygons(mask, through_pixels=through_pixels)) == parts - 1


@given(mask=masks_of_any_shape)
def test_polygons_through_pixels_are_painted_back_exactly(mask: np.ndarray) -> None:
    by_cv2, by_pillow = np.zeros_like(mask), np.zeros_like(mask)
    for polygon in polygons(mask, through_pixels=True):
        part = np.zeros(mask.shape, np.uint8)
        cv2.fillPoly(part, [polygon.astype(np.int32)], 1)
        by_cv2 |= part.astype(bool)
        shape = {"shape_type": "polygon", "points": polygon.tolist()}
        by_pillow |= labelme_reads(shape, mask.shape)
    assert np.array_equal(by_cv2, mask)
    assert np.array_equal(by_pillow, mask)


@given(mask=masks_of_any_shape.filter(np.any))
def test_joining_parts_adds_lines_and_loses_nothing(mask: np.ndarray) -> None:
    image = np.zeros(mask.shape, np.uint8)
    joined = one_polygon(polygons(mask, through_pixels=True))
    cv2.fillPoly(image, [joined.astype(np.int32)], 1)
    assert image[mask].all()
