"""Folders in DAVIS's format give frames, labels and the objects' first frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sam2lab.measure.davis import DavisFolder
from sam2lab.measure.videos import VOID, Clip, appearances
from sam2lab.runtime.images import ImageError


def frames(count: int, size: tuple[int, int] = (20, 30)) -> list[np.ndarray]:
    """Labels in which object 1 moves, and object 2 comes in frame 1; one pixel is void."""
    found = np.zeros((count, *size), np.uint8)
    for frame, labels in enumerate(found):
        labels[2:8, 2 + frame : 8 + frame] = 1
        if frame:
            labels[10:15, 20:25] = 2
        labels[0, 0] = VOID
    return list(found)


def write(
    folder: Path, name: str, labels: list[np.ndarray], resolution: str = "480p", every: int = 1
) -> None:
    """Write a video; of its labels only those of `every` so many frames."""
    images, masks = (folder / kind / resolution / name for kind in ("JPEGImages", "Annotations"))
    images.mkdir(parents=True)
    masks.mkdir(parents=True)
    for frame, each in enumerate(labels):
        Image.new("RGB", each.shape[::-1], (10 * frame, 0, 0)).save(images / f"{frame:05d}.jpg")
        if frame % every == 0:
            picture = Image.fromarray(each, "P")
            picture.putpalette([*range(256)] * 3)
            picture.save(masks / f"{frame:05d}.png")


def lists(folder: Path, **splits: str) -> None:
    (folder / "ImageSets" / "2017").mkdir(parents=True)
    for name, videos in splits.items():
        (folder / "ImageSets" / "2017" / f"{name}.txt").write_text(videos)


def test_labels_are_the_numbers_of_palette_pngs(tmp_path: Path) -> None:
    write(tmp_path, "cat", frames(4))
    (video,) = DavisFolder(tmp_path)
    assert (video.name, list(video.annotated)) == ("cat", [0, 1, 2, 3])
    np.testing.assert_array_equal(video.labels(2), frames(4)[2])
    assert Path(video.frames) == tmp_path / "JPEGImages" / "480p" / "cat"


def test_an_object_begins_in_the_first_frame_that_shows_it(tmp_path: Path) -> None:
    write(tmp_path, "cat", frames(4))
    found = appearances(DavisFolder(tmp_path)[0])
    assert {number: first.frame for number, first in found.items()} == {1: 0, 2: 1}
    np.testing.assert_array_equal(found[2].mask, frames(4)[1] == 2)


def test_labels_may_be_missing_for_some_frames(tmp_path: Path) -> None:
    write(tmp_path, "cat", frames(5), every=2)
    video = DavisFolder(tmp_path)[0]
    assert list(video.annotated) == [0, 2, 4]
    np.testing.assert_array_equal(video.labels(4), frames(5)[4])


@pytest.mark.parametrize(
    ("split", "expected"), [(None, ["b"]), ("val", ["b"]), ("train", ["c", "a"])]
)
def test_a_split_lists_its_videos(tmp_path: Path, split: str | None, expected: list[str]) -> None:
    for name in "abc":
        write(tmp_path, name, frames(2))
    lists(tmp_path, train="c\na\n", val="b\n")
    assert [video.name for video in DavisFolder(tmp_path, split)] == expected


def test_without_lists_all_videos_are_taken(tmp_path: Path) -> None:
    for name in "ba":
        write(tmp_path, name, frames(2), resolution="")
    assert [video.name for video in DavisFolder(tmp_path)] == ["a", "b"]


def test_the_resolution_is_480p_unless_another_is_asked_for(tmp_path: Path) -> None:
    for resolution, size in (("480p", (20, 30)), ("Full-Resolution", (40, 60)), ("x", (10, 30))):
        write(tmp_path, "cat", frames(2, size), resolution)
    for resolution, height in ((None, 20), ("Full-Resolution", 40), ("x", 10)):
        (video,) = DavisFolder(tmp_path, resolution=resolution)
        assert video.labels(0).shape[0] == height


def test_white_is_an_object_where_there_is_nothing_else_as_in_davis_2016(tmp_path: Path) -> None:
    single = [np.where(labels == 1, VOID, 0).astype(np.uint8) for labels in frames(2)]
    write(tmp_path, "cat", single)
    (video,) = DavisFolder(tmp_path)
    np.testing.assert_array_equal(video.labels(1), single[1] == VOID)


def test_other_labels_change_the_key(tmp_path: Path) -> None:
    write(tmp_path, "cat", frames(3))
    before = DavisFolder(tmp_path)[0].key
    assert DavisFolder(tmp_path)[0].key == before
    Image.new("P", (30, 20)).save(tmp_path / "Annotations" / "480p" / "cat" / "00001.png")
    assert DavisFolder(tmp_path)[0].key != before


class TestRefused:
    def test_a_folder_of_another_kind(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="wanted one in the format of DAVIS"):
            DavisFolder(tmp_path)

    @pytest.mark.parametrize("argument", ["split", "resolution"])
    def test_a_split_or_resolution_that_is_not_there(self, tmp_path: Path, argument: str) -> None:
        write(tmp_path, "cat", frames(2))
        lists(tmp_path, val="cat")
        with pytest.raises(ValueError, match=f"{argument} is 'other'"):
            DavisFolder(tmp_path, **{argument: "other"})

    def test_a_listed_video_that_is_not_there(self, tmp_path: Path) -> None:
        write(tmp_path, "cat", frames(2))
        lists(tmp_path, val="cat dog")
        with pytest.raises(ValueError, match=r"no .*dog.* is one of its videos"):
            DavisFolder(tmp_path)

    def test_labels_of_the_first_frame_only(self, tmp_path: Path) -> None:
        write(tmp_path, "cat", frames(2), every=2)
        with pytest.raises(ValueError, match=r"labels of 1 frames.* not public"):
            DavisFolder(tmp_path)

    def test_labels_of_a_frame_that_is_missing(self, tmp_path: Path) -> None:
        write(tmp_path, "cat", frames(3))
        (tmp_path / "JPEGImages" / "480p" / "cat" / "00001.jpg").unlink()
        with pytest.raises(ValueError, match="labels of frame 00001"):
            DavisFolder(tmp_path)

    def test_labels_in_colours_and_broken_ones(self, tmp_path: Path) -> None:
        write(tmp_path, "cat", frames(2))
        video = DavisFolder(tmp_path)[0]
        Image.new("RGB", (30, 20)).save(video.files[0])
        video.files[1].write_bytes(b"no picture")
        for frame, message in ((0, "mode 'RGB'"), (1, "cannot be read")):
            with pytest.raises(ImageError, match=message):
                DavisFolder(tmp_path)[0].labels(frame)


def test_a_clip_in_memory_numbers_its_objects_from_one() -> None:
    masks = np.zeros((3, 2, 8, 8), bool)
    masks[:, 0, :4], masks[1:, 1, 3:] = True, True
    clip = Clip("drawn", np.zeros((3, 8, 8, 3), np.uint8), masks)
    assert {number: first.frame for number, first in appearances(clip).items()} == {1: 0, 2: 1}
    # The later mask lies above.
    assert clip.labels(1)[3, 0] == 2


def test_a_clip_refuses_masks_of_other_frames() -> None:
    with pytest.raises(ValueError, match="masks has shape"):
        Clip("drawn", np.zeros((3, 8, 8, 3), np.uint8), np.zeros((2, 1, 8, 8), bool))
