"""What the clients must agree with, on which photo, and how masks are compared."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from sam2lab.reference import zoo
from sam2lab.reference.zoo import ZooModel

Image = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]


@pytest.fixture(scope="session")
def original() -> ZooModel:
    """nano with random weights, the same as in `nano_bundle`: its masks must come out."""
    return zoo.load("nano", weights="random")


@pytest.fixture(scope="session")
def take_photo() -> Callable[[int, int], Image]:
    """Makes a photo (height, width, 3), RGB: soft shapes and some noise, always the same."""

    def take(height: int, width: int) -> Image:
        rng = np.random.default_rng(2)
        y, x = np.mgrid[:height, :width] / max(height, width)
        planes = [np.sin(7 * x + 3 * y), np.cos(5 * y - 4 * x), np.hypot(x - 0.4, y - 0.4) < 0.2]
        picture = np.stack(planes, axis=-1) * 80 + 128 + rng.normal(0, 8, (height, width, 3))
        return picture.clip(0, 255).astype(np.uint8)

    return take


@pytest.fixture(scope="session")
def overlap() -> Callable[[Mask, Mask], float]:
    """The least IoU of the pairs in two stacks of masks (..., H, W), none of which is trivial."""

    def least(theirs: Mask, ours: Mask) -> float:
        assert theirs.shape == ours.shape
        share = ours.mean(axis=(-2, -1))
        assert ((share > 0.01) & (share < 0.99)).all(), f"masks that prove nothing: {share}"
        both = (theirs & ours).sum(axis=(-2, -1))
        either = (theirs | ours).sum(axis=(-2, -1))
        return float((both / either).min())

    return least
