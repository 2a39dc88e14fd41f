"""pycocotools reads COCO files back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from pycocotools.coco import COCO

from sam2lab.widgets.formats import AnnotatedPhoto, Files, LabelledObject
from sam2lab.widgets.formats.coco import coco_polygons, coco_rle
from tests.widgets.formats.shapes import HEIGHT, WIDTH, annotated, masks_of_any_shape


def coco_reads(mask: np.ndarray, folder: Path) -> np.ndarray:
    (content,) = coco_polygons(one(mask)).values()
    (folder / "coco.json").write_bytes(content)
    coco = COCO(str(folder / "coco.json"))
    return coco.annToMask(coco.anns[1]).astype(bool)


def one(mask: np.ndarray) -> AnnotatedPhoto:
    return AnnotatedPhoto(
        "a.png", np.zeros((*mask.shape, 3), np.uint8), (LabelledObject("a", mask, 1.0),)
    )


@given(mask=masks_of_any_shape.filter(np.any))
def test_coco_polygons_are_exact_for_pycocotools(
    tmp_path_factory: pytest.TempPathFactory, mask: np.ndarray
) -> None:
    folder = tmp_path_factory.getbasetemp()
    assert np.array_equal(coco_reads(mask, folder), mask)


@pytest.mark.parametrize("form", [coco_rle, coco_polygons])
def test_coco_files_are_read_by_pycocotools(
    form: Callable[[AnnotatedPhoto], Files], tmp_path: Path
) -> None:
    ((name, content),) = form(annotated(has_file=True)).items()
    assert name == "my_photo_coco.json"
    (tmp_path / name).write_bytes(content)
    coco = COCO(str(tmp_path / name))
    assert coco.loadImgs(1)[0] == {
        "id": 1,
        "file_name": "my photo.jpg",
        "height": HEIGHT,
        "width": WIDTH,
    }
    names = {category["id"]: category["name"] for category in coco.loadCats(coco.getCatIds())}
    for annotation, each in zip(coco.loadAnns(coco.getAnnIds()), annotated().objects, strict=True):
        assert np.array_equal(coco.annToMask(annotation).astype(bool), each.mask)
        assert names[annotation["category_id"]] == each.name
        assert annotation["area"] == each.mask.sum()
        assert annotation["score"] == each.score
        x, y, width, height = cv2.boundingRect(each.mask.astype(np.uint8))
        assert annotation["bbox"] == [x, y, width, height]
