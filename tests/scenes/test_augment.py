"""Pictures and masks are changed together, and light changes no mask."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from sam2lab.scenes import augment
from sam2lab.scenes.scene import Scene

SIZES = st.tuples(st.integers(8, 90), st.integers(8, 90))


def discs(rng: np.random.Generator, height: int, width: int) -> Scene:
    """Two discs, one red, the other green, so that the picture shows where the masks must be."""
    y, x = np.mgrid[:height, :width]
    masks = np.zeros((2, height, width), bool)
    for number, mask in enumerate(masks):
        radius = rng.uniform(0.1, 0.25) * min(height, width)
        row, column = rng.uniform(0, height), rng.uniform(0, width)
        mask |= (y - row) ** 2 + (x - column) ** 2 < radius**2
        masks[:number] &= ~mask
    image = np.zeros((height, width, 3), np.uint8)
    image[..., :2] = 255 * masks.transpose(1, 2, 0)
    return Scene(image, masks)


def at_edge(mask: np.ndarray) -> np.ndarray:
    around = np.ones((3, 3))
    return ndimage.binary_dilation(mask, around) & ~ndimage.binary_erosion(
        mask, around, border_value=1
    )


def assert_masks_lie_on_their_colours(scene: Scene) -> None:
    """But for pixels at an edge, where a colour is a mixture."""
    for mask in scene.masks:
        inside = mask & ~at_edge(mask)
        if inside.any():
            channel = int(scene.image[inside][:, 1].mean() > 128)
            coloured = scene.image[..., channel] >= 128
            assert not ((mask != coloured) & ~at_edge(mask) & ~at_edge(coloured)).any()


@given(seed=st.integers(0, 2**32), size=SIZES)
def test_masks_move_with_the_picture(seed: int, size: tuple[int, int]) -> None:
    rng = np.random.default_rng(seed)
    part = augment.part(rng, discs(rng, 70, 90), size)
    assert part.image.shape == (*size, 3)
    assert part.masks.shape[1:] == size
    assert_masks_lie_on_their_colours(part)


@given(seed=st.integers(0, 2**32))
def test_other_light_changes_no_mask(seed: int) -> None:
    scene = discs(np.random.default_rng(seed), 60, 60)
    part = augment.part(np.random.default_rng(seed), scene, (40, 40))
    crop = augment.crop(np.random.default_rng(seed), scene, (40, 40))
    assert np.array_equal(part.masks, crop.masks)


@given(
    seed=st.integers(0, 2**32),
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    share=st.tuples(*[st.floats(0, 1)] * 2),
)
def test_a_mask_pixel_is_the_one_under_its_centre(
    seed: int, size: tuple[int, int], share: tuple[float, float]
) -> None:
    rng = np.random.default_rng(seed)
    old = Scene(np.zeros((11, 14, 3), np.uint8), rng.random((2, 11, 14)) < 0.5)
    # A box of at least two pixels, anywhere.
    x0, y0 = share[0] * 12, share[1] * 9
    x1, y1 = rng.uniform(x0 + 2, 14), rng.uniform(y0 + 2, 11)
    new = augment.cut(old, (x0, y0, x1, y1), size).masks
    for row in range(size[0]):
        for column in range(size[1]):
            y = int(y0 + (row + 0.5) * ((y1 - y0) / size[0]))
            x = int(x0 + (column + 0.5) * ((x1 - x0) / size[1]))
            assert np.array_equal(new[:, row, column], old.masks[:, min(y, 10), min(x, 13)])


def test_parts_are_from_a_quarter_to_the_whole_of_the_photo(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shares = []
    cut = augment.cut

    def watched(scene: Scene, box: tuple[float, ...], size: tuple[int, int]) -> Scene:
        x0, y0, x1, y1 = box
        assert min(x0, y0) >= 0
        assert x1 <= 160 + 1e-9
        assert y1 <= 120 + 1e-9
        shares.extend([(x1 - x0) / 160, (y1 - y0) / 120])
        return cut(scene, (x0, y0, x1, y1), size)

    monkeypatch.setattr(augment, "cut", watched)
    scene = discs(np.random.default_rng(0), 120, 160)
    for seed in range(300):
        augment.part(np.random.default_rng(seed), scene, (32, 32))
    assert min(shares) == pytest.approx(0.25)
    assert max(shares) == pytest.approx(1)
    # Neither end is rare.
    assert np.mean(np.array(shares) < 0.5) > 0.25
    assert np.mean(np.array(shares) > 0.9) > 0.1


def test_developing_keeps_shape_and_kind_and_leaves_the_original() -> None:
    image = np.random.default_rng(0).integers(0, 256, (37, 150, 3), dtype=np.uint8)
    before = image.copy()
    changed = 0
    for seed in range(40):
        developed = augment.develop(np.random.default_rng(seed), image)
        assert (developed.shape, developed.dtype) == (image.shape, np.uint8)
        changed += not np.array_equal(developed, image)
    assert np.array_equal(image, before)
    assert changed > 30
