from __future__ import annotations

import numpy as np
import pandas as pd

from sam2lab import plots


def squares(*sides: int) -> list[np.ndarray]:
    """Squares around the middle of 40 x 60 pixels."""
    masks = []
    for side in sides:
        mask = np.zeros((40, 60), bool)
        mask[20 - side // 2 : 20 + side // 2, 30 - side // 2 : 30 + side // 2] = True
        masks.append(mask)
    return masks


PHOTO = np.full((40, 60, 3), 100, np.uint8)


def shown(*masks: list[np.ndarray]) -> list[np.ndarray]:
    return [np.asarray(axes.images[0].get_array()) for axes in plots.painted(PHOTO, *masks).axes]


def test_what_lies_on_a_large_mask_stays_to_be_seen_in_whatever_order_they_come() -> None:
    small_first = shown(squares(10, 30))[1]
    np.testing.assert_array_equal(small_first, shown(squares(30, 10))[1])
    middle, around, beside = small_first[20, 30], small_first[20, 20], small_first[20, 5]
    assert len({tuple(colour) for colour in (middle, around, beside)}) == 3
    assert beside.tolist() == [100, 100, 100]


def test_outlines_are_stronger_than_what_they_enclose_and_the_photo_s_edge_has_none() -> None:
    (square,) = squares(20)
    picture = shown([square])[1].astype(int)
    assert picture[10, 30].tolist() != picture[20, 30].tolist()
    whole = shown([np.ones((40, 60), bool)])[1]
    assert (whole == whole[0, 0]).all()


def test_a_photo_of_more_than_eight_bits_is_painted_as_light_as_it_is() -> None:
    deep = (PHOTO / np.float32(255)).astype(np.float32)
    one_of_each = zip(plots.painted(deep, squares(10)).axes, shown(squares(10)), strict=True)
    _, (axes, expected) = one_of_each
    np.testing.assert_array_equal(np.asarray(axes.images[0].get_array()), expected)


def test_every_set_of_masks_has_a_picture_beside_the_photo() -> None:
    before, one, none = shown(squares(10), [])
    np.testing.assert_array_equal(before, PHOTO)
    np.testing.assert_array_equal(none, PHOTO)
    assert (one != PHOTO).any()
    figure = plots.painted(PHOTO, [], squares(10), titles=["nothing", "a square"])
    assert [axes.get_title() for axes in figure.axes] == ["", "nothing", "a square"]


def test_candidates_that_pass_both_lines_are_told_apart_and_counted() -> None:
    table = pd.DataFrame(
        {
            "predicted_iou": [0.9, 0.9, 0.2, 0.5, 0.6],
            "stability_score": [0.9, 0.3, 0.9, np.nan, 0.8],
            "area": [100, 200, 300, 0, 400],
        }
    )
    (axes,) = plots.filtered(table, 0.5, 0.8).axes
    gone, stay = (scatter.get_offsets().tolist() for scatter in axes.collections)
    assert sorted(stay) == [[0.6, 0.8], [0.9, 0.9]]
    assert sorted(gone) == [[0.2, 0.9], [0.9, 0.3]]
    assert axes.get_title() == "2 of 5 candidates pass both lines"
