"""YOLO labels are read back as ultralytics and supervision do it."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from sam2lab.widgets.formats.yolo import yolo
from tests.widgets.formats.shapes import HEIGHT, WIDTH, annotated


def yolo_reads(line: str, size: tuple[int, int], to_pixels: Callable) -> tuple[int, np.ndarray]:
    """Paint a line in float32 as ultralytics (truncating) or supervision (rounding) does."""
    number, *shares = line.split()
    polygon = np.array(shares, np.float32).reshape(-1, 2)
    assert len(polygon) >= 3
    assert polygon.min() >= 0
    assert polygon.max() <= 1
    corners = to_pixels(polygon * np.array(size[::-1], np.float32)).astype(np.int32)
    image = np.zeros(size, np.uint8)
    cv2.fillPoly(image, [corners], 1)
    return int(number), image.astype(bool)


@pytest.mark.parametrize("to_pixels", [np.trunc, np.round])
def test_yolo_lines_are_read_back(to_pixels: Callable) -> None:
    labels, names = yolo(annotated(has_file=True)).values()
    classes = names.decode().splitlines()
    assert classes == ["cat", "dog", "big dog", "Bär"]
    for line, each in zip(labels.decode().splitlines(), annotated().objects, strict=True):
        number, mask = yolo_reads(line, (HEIGHT, WIDTH), to_pixels)
        assert classes[number] == each.name
        parts, _ = cv2.connectedComponents(each.mask.astype(np.uint8), connectivity=8)
        if parts == 2:
            assert np.array_equal(mask, each.mask)
        else:
            # Each line that joins two parts is at most as long as they are apart.
            assert mask[each.mask].all()
            assert (mask & each.mask).sum() / (mask | each.mask).sum() > 0.9


def test_a_yolo_label_lies_where_its_reader_looks() -> None:
    assert "my photo.txt" in yolo(annotated(has_file=True))
