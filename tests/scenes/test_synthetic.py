"""Drawn scenes: shapes cover the area that geometry gives, and masks are where shapes are."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sam2lab.scenes import augment, shapes, synthetic, textures
from sam2lab.scenes.scene import LEAST_PIXELS, LEAST_SHARE, Scene

SIZES = [(64, 64), (48, 96), (130, 70)]


def circle(radius: float, corners: int = 200) -> np.ndarray:
    angles = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    return radius * np.stack([np.cos(angles), np.sin(angles)], 1)


@pytest.mark.parametrize("hole", [0.0, 0.5])
@pytest.mark.parametrize("side", [20, 61, 200])
def test_an_outline_covers_its_area(side: int, hole: float) -> None:
    holes = [circle(hole)] if hole else []
    covered = shapes.cover([circle(1)], holes, side).sum() / 255
    radius = side / 2
    area = np.pi * radius**2 * (1 - hole**2)
    # Pillow fills pixels that the outline touches: half of a third of a pixel all around.
    assert covered == pytest.approx(area, abs=0.34 * 2 * np.pi * radius * (1 + hole))


def test_a_pixel_is_covered_by_the_share_that_lies_inside() -> None:
    # The diagonal cuts the square: pixels on it are half covered, others wholly or not at all.
    triangle = np.array([[0, 0], [8, 8], [0, 8]], float)
    cover = shapes.cover([triangle], [], 8)
    assert (cover[np.tril_indices(8, -1)] == 255).all()
    assert (cover[np.triu_indices(8, 1)] == 0).all()
    # Six of nine subpixels lie on or below the diagonal.
    assert (abs(cover[np.diag_indices(8)].astype(int) - 255 * 6 / 9) <= 1).all()


# So little of this shape lies in the last row that none of its pixels is covered.
@example(seed=87879554, side=18)
@given(seed=st.integers(0, 2**32), side=st.integers(6, 80))
def test_a_shape_is_as_large_as_asked_and_reaches_its_borders(seed: int, side: int) -> None:
    cover = shapes.draw(np.random.default_rng(seed), side)
    assert max(cover.shape) == side
    for border in (cover[:2], cover[-2:], cover[:, :2], cover[:, -2:]):
        assert border.any()


@pytest.mark.parametrize("field", textures.FIELDS, ids=lambda field: field.__name__)
@pytest.mark.parametrize("size", [(1, 1), (2, 40), (33, 7)])
def test_every_texture_fills_any_size(
    field: Callable[..., np.ndarray], size: tuple[int, int]
) -> None:
    values = field(np.random.default_rng(0), size)
    assert values.shape == size
    assert np.isfinite(values).all()


@given(seed=st.integers(0, 2**32), size=st.sampled_from(SIZES))
def test_visible_parts_are_disjoint_and_no_specks(seed: int, size: tuple[int, int]) -> None:
    scene = synthetic.draw(np.random.default_rng(seed), size)
    assert (scene.image.shape, scene.image.dtype) == ((*size, 3), np.uint8)
    assert (scene.masks.shape[1:], scene.masks.dtype) == (size, bool)
    assert scene.masks.sum(0).max(initial=0) <= 1
    least = max(LEAST_PIXELS, LEAST_SHARE * size[0] * size[1])
    assert (scene.masks.sum((1, 2)) >= least).all()


@pytest.mark.parametrize("seed", range(20))
def test_masks_are_where_the_shapes_are(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """White shapes on black, without light and shadow: the picture must tell the masks."""
    black = lambda rng, size: np.zeros((*size, 3), np.uint8)  # noqa: E731
    monkeypatch.setattr(textures, "draw", black)
    monkeypatch.setattr(synthetic, "cast", lambda rng, size: None)
    monkeypatch.setattr(synthetic, "_shaded", lambda rng, surface: surface)
    monkeypatch.setattr(augment, "develop", lambda rng, image: image)
    size = (90, 120)
    scene = synthetic.draw(
        np.random.default_rng(seed), size, lambda rng, size: np.full((*size, 3), 255, np.uint8)
    )
    anywhere = scene.masks.any(0)
    assert (scene.image[anywhere] >= 128).all()
    # White pixels without a mask were objects too small to keep.
    left_out = np.count_nonzero(~anywhere & (scene.image[..., 0] == 255))
    assert left_out < synthetic.MOST_OBJECTS * LEAST_SHARE * size[0] * size[1] + LEAST_PIXELS


def test_drawing_depends_on_the_generator_only() -> None:
    first, again, other = (synthetic.draw(np.random.default_rng(n), (50, 60)) for n in (5, 5, 6))
    assert np.array_equal(first.image, again.image)
    assert np.array_equal(first.masks, again.masks)
    assert not np.array_equal(first.image, other.image)


def test_scenes_vary_in_number_and_size_of_objects() -> None:
    shares, counts = [], []
    for seed in range(100):
        masks = synthetic.draw(np.random.default_rng(seed), (64, 64)).masks
        counts.append(len(masks))
        shares += (masks.sum((1, 2)) / 64**2).tolist()
    assert set(range(1, 7)) <= set(counts)
    assert np.mean(np.array(shares) < 0.02) > 0.1
    assert np.mean(np.array(shares) > 0.1) > 0.1


def test_specks_are_left_out_of_a_scene() -> None:
    masks = np.zeros((3, 200, 200), bool)
    # 0.1 % of the picture is 40 pixels.
    masks[0, 0, :40] = masks[1, 1, :39] = masks[2, 5:50, 5:50] = True
    kept = Scene(np.zeros((200, 200, 3), np.uint8), masks).without_specks().masks
    assert np.array_equal(kept, masks[[0, 2]])
