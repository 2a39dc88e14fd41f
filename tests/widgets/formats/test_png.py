"""PNG files give masks, cut-outs and label maps back exactly."""

from __future__ import annotations

import io
import json

import cv2
import numpy as np
import pytest
from PIL import Image

from sam2lab.widgets.formats import AnnotatedPhoto
from sam2lab.widgets.formats.png import cutouts, label_map, masks
from tests.widgets.formats.shapes import HEIGHT, PHOTO, SHAPES, WIDTH, annotated


def test_masks_are_read_back() -> None:
    files = masks(annotated())
    assert list(files)[-2:] == ["my_photo_5_cat.png", "my_photo_6_Bär.png"]
    for content, mask in zip(files.values(), SHAPES.values(), strict=True):
        read = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
        assert np.array_equal(read, 255 * mask.astype(np.uint8))


def test_cutouts_show_the_object_and_nothing_else() -> None:
    for content, mask in zip(cutouts(annotated()).values(), SHAPES.values(), strict=True):
        image = Image.open(io.BytesIO(content))
        assert image.mode == "RGBA"
        x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
        box = np.s_[y : y + height, x : x + width]
        assert np.array_equal(np.array(image)[..., 3], 255 * mask[box].astype(np.uint8))
        assert np.array_equal(np.array(image)[..., :3], PHOTO[box] * mask[box][..., None])


def test_a_photo_of_floats_is_cut_out_in_8_bits() -> None:
    (content, *_) = cutouts(annotated(photo=PHOTO / np.float32(255))).values()
    assert np.array_equal(np.array(Image.open(io.BytesIO(content)))[..., :3], PHOTO)


@pytest.mark.parametrize(("copies", "dtype"), [(1, np.uint8), (43, np.uint16)])
def test_a_label_map_numbers_the_objects_the_later_on_top(copies: int, dtype: type) -> None:
    several = AnnotatedPhoto("a.png", PHOTO, annotated().objects * copies)
    picture, names = label_map(several).values()
    read = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_UNCHANGED)
    assert read.dtype == dtype
    expected = np.zeros((HEIGHT, WIDTH), int)
    for number, each in enumerate(several.objects, 1):
        expected[each.mask] = number
    assert np.array_equal(read, expected)
    assert json.loads(names)["2"] == "dog"
