from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sam2lab.runtime.masks import bounding_box
from sam2lab.scenes.scene import Scene
from sam2lab.train.batches import BOX_CORNERS, CELL, SampleDataset, draw_sample

SIDE = 64
seeds = st.integers(0, 2**32)


def scene(seed: int, objects: int = 3) -> Scene:
    """Rectangles that do not overlap, side by side in strips."""
    rng = np.random.default_rng(seed)
    masks = np.zeros((objects, SIDE, SIDE), np.bool_)
    width = SIDE // objects
    for i in range(objects):
        top, bottom = sorted(rng.choice(SIDE // 8, 2, replace=False) * 8)
        masks[i, top:bottom, i * width + 1 : (i + 1) * width - 1] = True
    return Scene(rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8), masks)


class Fixed:
    """Scenes by number, as a mixture gives them."""

    def scene(self, index: int, size: tuple[int, int], first: str = "click") -> Scene:
        return scene(index, objects=index % 3 + 1)


@given(seeds)
def test_a_click_is_in_a_cell_that_its_object_touches(seed: int) -> None:
    sample = draw_sample(np.random.default_rng(seed), scene(seed), 6, "click", slots=1)
    assert sample.labels.tolist() == [[1]] * 6
    for target, (point,) in zip(sample.targets, sample.points, strict=True):
        column, row = (point // CELL).astype(int)
        assert target[row, column] > 0


@given(seeds, st.sampled_from(["click", "box"]))
def test_further_clicks_are_on_the_side_that_they_say(seed: int, first: str) -> None:
    sample = draw_sample(np.random.default_rng(seed), scene(seed), 8, first, slots=4)
    for target, points, labels in zip(sample.targets, sample.points, sample.labels, strict=True):
        for point, label in zip(points, labels, strict=True):
            if label in (0, 1):
                column, row = (point // CELL).astype(int)
                assert (target[row, column] > 0) == bool(label)


def test_a_target_is_the_share_of_each_cell() -> None:
    made = scene(3, objects=1)
    sample = draw_sample(np.random.default_rng(0), made, 1, "click", slots=1)
    for row, column in np.ndindex(SIDE // CELL, SIDE // CELL):
        cell = made.masks[0, row * CELL : (row + 1) * CELL, column * CELL : (column + 1) * CELL]
        assert sample.targets[0, row, column] == cell.mean()


@given(seeds)
def test_a_box_is_that_of_its_object_but_for_its_jitter(seed: int) -> None:
    made = scene(seed, objects=1)
    sample = draw_sample(np.random.default_rng(seed), made, 4, "box", slots=2)
    left, top, right, bottom = bounding_box(made.masks[0])
    assert (sample.labels == BOX_CORNERS).all()
    # A tenth of the box; a float32 of up to 64 is exact to 4e-6.
    off = np.abs(sample.points - [[left, top], [right, bottom]])
    assert (off <= 0.1 * np.array([right - left, bottom - top]) + 1e-5).all()


def test_every_object_is_asked_for_before_any_is_asked_for_twice() -> None:
    sample = draw_sample(np.random.default_rng(0), scene(1, objects=4), 4, "click", slots=1)
    assert len(np.unique(sample.targets.reshape(4, -1), axis=0)) == 4


@pytest.mark.parametrize("slots", [1, 2, 4])
def test_prompts_of_a_step_have_one_width(slots: int) -> None:
    sample = draw_sample(np.random.default_rng(0), scene(0), 5, "click", slots)
    assert sample.points.shape == (5, slots, 2)


def test_a_picture_is_drawn_for_what_its_objects_are_asked_by() -> None:
    asked = []

    class Noted(Fixed):
        def scene(self, index: int, size: tuple[int, int], first: str = "click") -> Scene:
            asked.append(first)
            return super().scene(index, size)

    samples = SampleDataset(Noted(), SIDE, prompts=2, batch=2, first_step=0, steps=20)
    labels = [samples[number][3] for number in range(len(samples))]
    begun = ["box" if each[0, 0] == BOX_CORNERS[0] else "click" for each in labels]
    assert asked == begun
    assert set(begun) == {"click", "box"}


def test_resuming_in_the_middle_gives_the_same_samples() -> None:
    whole = SampleDataset(Fixed(), SIDE, prompts=2, batch=3, first_step=10, steps=4)
    rest = SampleDataset(Fixed(), SIDE, prompts=2, batch=3, first_step=12, steps=2)
    for number in range(6):
        for left, right in zip(whole[6 + number], rest[number], strict=True):
            np.testing.assert_array_equal(left, right)


def test_a_scene_without_objects_is_skipped() -> None:
    class Sparse(Fixed):
        def scene(self, index: int, size: tuple[int, int], first: str = "click") -> Scene:
            made = super().scene(index, size)
            return Scene(made.image, made.masks[:0]) if index < 2**40 else made

    samples = SampleDataset(Sparse(), SIDE, prompts=2, batch=1, first_step=0, steps=3)
    assert all(samples[number][1].any((1, 2)).all() for number in range(3))
