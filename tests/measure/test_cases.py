from __future__ import annotations

import numpy as np
import pytest

from sam2lab.measure.cases import KINDS, draw_cases

PHOTOS = [np.zeros((80, 120, 3), np.uint8), np.zeros((50, 30, 3), np.uint8)]


def test_every_image_is_asked_every_kind_as_often_as_wanted() -> None:
    asked = draw_cases(PHOTOS, prompts_per_kind=3)
    assert len(asked) == 2 * len(KINDS) * 3
    assert {(case.image, case.kind) for case in asked} == {(i, k) for i in (0, 1) for k in KINDS}


@pytest.mark.parametrize(
    ("kind", "labels", "has_box"),
    [
        ("1 point", [1], False),
        ("point + negative", [1, 0], False),
        ("3 points", [1, 1, 1], False),
        ("box", None, True),
        ("box + point", [1], True),
        ("refine", [1, 0], False),
    ],
)
def test_a_kind_has_the_prompts_of_its_name(
    kind: str, labels: list[int] | None, has_box: bool
) -> None:
    (case,) = draw_cases(PHOTOS[:1], [kind])
    assert (None if case.point_labels is None else case.point_labels.tolist()) == labels
    assert (case.box is not None) == has_box


def test_the_same_seed_asks_the_same_and_another_seed_something_else() -> None:
    first, again, other = (draw_cases(PHOTOS, seed=seed)[0] for seed in (7, 7, 8))
    np.testing.assert_array_equal(first.point_coordinates, again.point_coordinates)
    assert not np.array_equal(first.point_coordinates, other.point_coordinates)


def test_asking_for_fewer_kinds_asks_the_same_questions() -> None:
    (alone,) = draw_cases(PHOTOS[:1], ["box"])
    (among_all,) = (case for case in draw_cases(PHOTOS[:1]) if case.kind == "box")
    np.testing.assert_array_equal(alone.box, among_all.box)


@pytest.mark.parametrize("size", [(80, 120), (50, 30), (1, 50), (50, 1), (1, 1)])
def test_prompts_lie_in_the_photo(size: tuple[int, int]) -> None:
    for case in draw_cases([np.zeros((*size, 3), np.uint8)], prompts_per_kind=20):
        if case.point_coordinates is not None:
            assert (case.point_coordinates >= 0).all()
            assert (case.point_coordinates <= [size[1] - 1, size[0] - 1]).all()
        if case.box is not None:
            x0, y0, x1, y1 = case.box
            assert 0 <= x0 <= x1 <= size[1]
            assert 0 <= y0 <= y1 <= size[0]


def test_positive_points_lie_in_the_box() -> None:
    for case in draw_cases(PHOTOS, ["box + point"], prompts_per_kind=20):
        (point,) = case.point_coordinates
        assert (case.box[:2] <= point).all()
        assert (point <= case.box[2:]).all()


def test_an_unknown_kind_is_refused_with_the_kinds_there_are() -> None:
    with pytest.raises(ValueError, match=r"kinds is \['scribble'\]; wanted some of: 1 point"):
        draw_cases(PHOTOS, ["scribble"])


def test_no_prompts_at_all_are_refused() -> None:
    with pytest.raises(ValueError, match="prompts_per_kind is 0"):
        draw_cases(PHOTOS, prompts_per_kind=0)
