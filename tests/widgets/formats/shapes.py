"""Masks that are hard to write down, and an annotated photo of them."""

from __future__ import annotations

import cv2
import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, ImageDraw

from sam2lab.widgets.formats import AnnotatedPhoto, LabelledObject

HEIGHT, WIDTH = 37, 53
PHOTO = np.random.default_rng(0).integers(1, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def blob(seed: int) -> np.ndarray:
    """A mask with a ragged outline, several parts and holes."""
    noise = np.random.default_rng(seed).random((HEIGHT, WIDTH)).astype(np.float32)
    return cv2.GaussianBlur(noise, (0, 0), 2.5) > 0.5


def ring() -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[5:20, 8:30] = True
    mask[9:15, 12:24] = False
    mask[11:13, 15:18] = True
    return mask


def pixel() -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[36, 52] = True
    return mask


SHAPES = {
    "everything": np.ones((HEIGHT, WIDTH), bool),
    "ring": ring(),
    "pixel": pixel(),
    "diagonal": np.eye(HEIGHT, WIDTH, dtype=bool),
    "blob": blob(1),
    "negative": ~blob(2),
}


def annotated(has_file: bool = False, photo: np.ndarray = PHOTO) -> AnnotatedPhoto:
    names = ["cat", "dog", "cat", "big dog", "cat", "Bär"]
    objects = tuple(
        LabelledObject(name, mask, 0.5 + index / 10)
        for index, (name, mask) in enumerate(zip(names, SHAPES.values(), strict=True))
    )
    return AnnotatedPhoto("my photo.jpg", photo, objects, has_file)


masks_of_any_shape = st.tuples(st.integers(1, 12), st.integers(1, 12)).flatmap(
    lambda shape: hnp.arrays(np.bool_, shape)
)


def labelme_reads(shape: dict, size: tuple[int, int]) -> np.ndarray:
    """Paint a shape as `labelme.utils.shape_to_mask` does."""
    assert shape["shape_type"] == "polygon"
    assert len(shape["points"]) > 2
    image = Image.new("L", size[::-1])
    xy = [tuple(point) for point in shape["points"]]
    ImageDraw.Draw(image).polygon(xy=xy, outline=1, fill=1)
    return np.array(image, bool)
