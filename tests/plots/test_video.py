"""Figures of following show the masks, scores and memories that they are given, where they are."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.collections import PathCollection
from matplotlib.colors import to_rgb

from sam2lab import plots
from sam2lab.plots.video import LOOKS, OBJECTS
from sam2lab.runtime.video import bank
from tests.plots.test_parity import PHOTO, block
from tests.runtime.video.fake import SETTINGS

FOUND = {frame: np.stack([block(10, 10), block(20, 20)]) for frame in range(9)}
FRAMES = [PHOTO] * 9
CHOSEN = {
    frame: bank.choose(frame, [0], set(range(1, frame)), SETTINGS, 12) for frame in range(1, 12)
}


def colours(mesh: object) -> np.ndarray:
    """The colours of a mesh's cells, (rows, columns, 3)."""
    values = mesh.get_array()
    return mesh.to_rgba(values)[..., :3]


class TestAFilmStrip:
    def test_shows_the_first_and_the_last_frame_by_default(self) -> None:
        titles = [axes.get_title() for axes in plots.film_strip(FRAMES, FOUND).axes]
        assert titles == [f"frame {number}" for number in (0, 2, 3, 5, 6, 8)]

    def test_has_a_named_row_for_each_mapping_of_masks(self) -> None:
        figure = plots.film_strip(FRAMES, FOUND, FOUND, shown=[1, 2], names=["before", "after"])
        assert [axes.get_title() for axes in figure.axes] == ["frame 1", "frame 2", "", ""]
        assert [axes.get_ylabel() for axes in figure.axes] == ["before", "", "after", ""]

    def test_gives_each_object_the_same_colour_in_every_frame(self) -> None:
        for axes in plots.film_strip(FRAMES, FOUND, shown=[0, 5]).axes:
            for place, picture in enumerate(axes.images[1:]):
                shown = picture.get_array()
                mask = FOUND[0][place]
                np.testing.assert_allclose(shown[mask][:, :3].max(axis=0), to_rgb(OBJECTS[place]))
                assert (shown[~mask] == 0).all()

    def test_marks_clicks_on_their_frame_alone(self) -> None:
        figure = plots.film_strip(FRAMES, FOUND, shown=[0, 1], clicks={1: [(5, 6, 1)]})
        drawn = [
            tuple(offset)
            for axes in figure.axes
            for each in axes.collections
            if isinstance(each, PathCollection)
            for offset in each.get_offsets()
        ]
        assert drawn == [(5, 6)]

    @pytest.mark.parametrize(("shown", "what"), [([3, 12], "frame 12"), ([], "no frames")])
    def test_refuses_frames_without_masks(self, shown: list[int], what: str) -> None:
        with pytest.raises(ValueError, match=f"shown has {what}; wanted some of those"):
            plots.film_strip(FRAMES, FOUND, shown=shown)


def test_presence_has_a_panel_for_each_object_and_a_line_at_zero() -> None:
    figure = plots.presence({"cup": [3.0, -1.0], "cat": [2.0, 2.5]}, {"cup": [1]})
    assert [axes.get_ylabel() for axes in figure.axes] == ["cup", "cat"]
    assert [len(axes.patches) for axes in figure.axes] == [1, 0], "the hidden frame of the cup"
    for axes in figure.axes:
        low, high = axes.get_ylim()
        assert low < 0 < high


def test_what_a_frame_looks_at_is_what_the_bank_chose() -> None:
    (axes,) = plots.looks_at(CHOSEN).axes
    shown = colours(axes.collections[0])
    for row, (frame, each) in enumerate(CHOSEN.items()):
        wanted = {frame: LOOKS["answered now"]}
        wanted |= dict.fromkeys((one for one, _ in each.pointers), LOOKS["pointer alone"])
        wanted |= dict.fromkeys(
            (one for one, _ in each.memories), LOOKS["memory of a followed frame"]
        )
        wanted[0] = LOOKS["memory of a prompted frame"]
        for column in range(12):
            expected = to_rgb(wanted.get(column, "white"))
            np.testing.assert_allclose(shown[row, column], expected, err_msg=f"{frame} {column}")


def test_memories_that_differ_in_one_direction_differ_in_one_colour() -> None:
    one = np.zeros((3, 4, 5))
    one[1, 2] = 1
    figure = plots.memories([PHOTO, PHOTO], [one, np.zeros((3, 4, 5))])
    assert "100%" in figure.get_suptitle()
    first, second = (axes.images[0].get_array() for axes in figure.axes[2:])
    assert first.shape == (3, 4, 3)
    assert (first[1, 2] != first[0, 0]).any()
    assert (second == first[0, 0]).all(), "equal colours mean the same"


def test_cells_lie_over_the_frame_on_one_scale() -> None:
    figure = plots.cells_over(PHOTO, {"a": np.eye(4), "b": 5 * np.eye(4)})
    limits = [axes.images[-1].get_clim() for axes in figure.axes[1:3]]
    assert limits == [(0, 5), (0, 5)]
    height, width = PHOTO.shape[:2]
    assert figure.axes[1].images[-1].get_extent() == [0, width, height, 0]
