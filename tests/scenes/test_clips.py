"""Filmed masks are exact, and the clip that ships is what the script makes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sam2lab.runtime.masks import bounding_box
from sam2lab.runtime.video.frames import open_frames
from sam2lab.scenes import example_clip
from sam2lab.scenes.clips import Actor, Pose, View, film, through

GROUND = np.zeros((40, 60, 3), np.uint8)
STILL = through((0, View(30, 20)), (1, View(30, 20)))


def square(side: int, colour: tuple[int, int, int]) -> np.ndarray:
    return np.broadcast_to(np.uint8([*colour, 255]), (side, side, 4)).copy()


def test_a_path_goes_through_its_stops_and_never_beyond() -> None:
    path = through((0, Pose(0, 9)), (0.5, Pose(10, 9)), (1, Pose(10, 0)))
    assert np.allclose([path(0), path(0.5), path(1)], [(0, 9, 0, 1), (10, 9, 0, 1), (10, 0, 0, 1)])
    between = np.array([path(time) for time in np.linspace(0, 1, 101)])
    assert between[:, :2].min() >= 0
    assert between[:, 0].max() <= 10


def test_masks_are_the_visible_pixels_of_each_object() -> None:
    red = Actor(square(12, (255, 0, 0)), through((0, Pose(10, 20)), (1, Pose(50, 20))))
    green = Actor(square(16, (0, 255, 0)), through((0, Pose(30, 20)), (1, Pose(30, 20))))
    hidden = 0
    for scene in film(GROUND, [red, green], STILL, (40, 60), 21):
        for mask, channel in zip(scene.masks, (0, 1), strict=True):
            assert np.array_equal(mask, scene.image[..., channel] == 255)
        hidden += not scene.masks[0].any()
    assert hidden >= 2


def test_a_prop_hides_others_and_has_no_mask() -> None:
    red = Actor(square(12, (255, 0, 0)), through((0, Pose(10, 20)), (1, Pose(50, 20))))
    wall = Actor(square(16, (0, 0, 255)), through((0, Pose(30, 20)), (1, Pose(30, 20))), None, True)
    filmed = list(film(GROUND, [red, wall], STILL, (40, 60), 21))
    assert {len(scene.masks) for scene in filmed} == {1}
    assert not filmed[10].masks.any()
    assert filmed[0].masks.any()


def test_pictures_turn_counterclockwise_and_grow() -> None:
    bar = np.zeros((4, 24, 4), np.uint8)
    bar[..., 3] = 255
    bar[:, 12:, 0] = 255
    actor = Actor(bar, through((0, Pose(30, 20)), (1, Pose(30, 20, 90, 1.5))))
    lying, standing = film(GROUND, [actor], STILL, (40, 60), 2)
    assert bounding_box(lying.masks[0]) == (18, 18, 42, 22)
    assert bounding_box(standing.masks[0]) == (27, 2, 33, 38)
    # The right half is red, and comes to lie above.
    assert standing.image[5, 30, 0] > 200 > 50 > standing.image[35, 30, 0]


def test_a_camera_moves_and_zooms() -> None:
    actor = Actor(square(8, (255, 0, 0)), through((0, Pose(30, 20)), (1, Pose(30, 20))))
    camera = through((0, View(30, 20, 1)), (1, View(26, 20, 0.5)))
    far, near = film(GROUND, [actor], camera, (40, 60), 2)
    assert bounding_box(far.masks[0]) == (26, 16, 34, 24)
    # Twice as large, and 8 pixels to the right.
    assert bounding_box(near.masks[0]) == (30, 12, 46, 28)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> example_clip.ExampleClip:
    return example_clip.make(tmp_path_factory.mktemp("clips"))


def test_the_script_makes_the_clip_that_ships(made: example_clip.ExampleClip) -> None:
    shipped = example_clip.shipped_clip()
    ours = sorted(path.relative_to(made.folder) for path in made.folder.rglob("*.*"))
    theirs = sorted(path.relative_to(shipped.folder) for path in shipped.folder.rglob("*.*"))
    assert ours == [path for path in theirs if path.name != "README.md"]
    for new, old in zip(open_frames(made.frames), open_frames(shipped.frames), strict=True):
        # Other builds of the JPEG library round otherwise, by a grey level here and there.
        assert np.abs(new.astype(int) - old).mean() < 1
    for number in range(example_clip.FRAMES):
        name = f"{number:05}.png"
        new, old = (np.asarray(Image.open(place.masks / name)) for place in (made, shipped))
        # Pillow's rotations round otherwise in other builds, by a pixel on an edge.
        assert np.count_nonzero(new != old) < 20


def test_the_clip_is_small_and_does_what_its_page_says() -> None:
    shipped = example_clip.shipped_clip()
    files = [path for path in shipped.folder.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 2**20
    labels = np.stack([np.asarray(Image.open(path)) for path in sorted(shipped.masks.iterdir())])
    assert labels.shape == (40, 240, 320)
    there = {number: (labels == number).any(axis=(1, 2)) for number in (1, 2, 3)}
    assert np.flatnonzero(~there[1]).tolist() == list(range(13, 24))
    assert there[2].all()
    assert np.flatnonzero(~there[3]).tolist() == list(range(35, 40))
    page = Path(shipped.folder / "README.md").read_text(encoding="utf-8")
    assert "frames 13 to 23" in page
    assert "from frame 35 on" in page
