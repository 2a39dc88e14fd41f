"""A numbered stream of scenes: the same anywhere, and never from the other side of the split."""

from __future__ import annotations

import hashlib
import pickle
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as rle

from sam2lab.scenes import library
from sam2lab.scenes.coco import CocoFolder
from sam2lab.scenes.mixture import Mixture
from sam2lab.scenes.scene import LEAST_PIXELS
from sam2lab.scenes.split import held_out

WriteCoco = Callable[..., Path]
SIZE = (40, 56)
NUMBERS = range(60)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Every file that Pillow is asked to open, however that comes about."""
    paths: list[Path] = []
    original = Image.open

    def watched(file: object, *rest: object, **more: object) -> Image.Image:
        if isinstance(file, (str, Path)):
            paths.append(Path(file))
        return original(file, *rest, **more)

    monkeypatch.setattr(Image, "open", watched)
    return paths


def digest(mixture: Mixture) -> str:
    sha = hashlib.sha256()
    for number in range(12):
        scene = mixture.scene(number, SIZE)
        sha.update(np.ascontiguousarray(scene.image).tobytes())
        sha.update(np.ascontiguousarray(scene.masks).tobytes())
    return sha.hexdigest()


@pytest.mark.parametrize("held", [False, True])
def test_no_scene_reads_a_photo_or_picture_of_the_other_side(
    write_coco: WriteCoco, cutout_folder: Path, opened: list[Path], held: bool
) -> None:
    folder = write_coco(count=40)
    mixture = Mixture([CocoFolder(folder)], [cutout_folder], held_out=held)
    for number in range(300):
        mixture.scene(number, (24, 24))
    photos = {int(path.stem) for path in opened if path.parent == folder / "images"}
    pictures = {path.name for path in opened if path.parent == cutout_folder}
    assert photos == {number for number in range(1, 41) if held_out(number) == held}
    assert {name[:2] for name in pictures} == {
        f"{number:02}" for number in range(20) if held_out(f"{number:02}") == held
    }
    # The photos that packages bring know no objects and are not needed beside these.
    assert len(photos) + len(pictures) == len(set(opened))


@pytest.mark.parametrize("held", [False, True])
def test_without_folders_the_photos_at_hand_are_split_too(opened: list[Path], held: bool) -> None:
    mixture = Mixture(held_out=held)
    for number in NUMBERS:
        mixture.scene(number, (24, 24))
    expected = {p for p in library.package_photos() if held_out(p.name) == held}
    assert set(opened) == expected


def test_numbers_of_the_two_sides_give_no_scene_in_common(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "package_photos", list)
    taught = {Mixture().scene(n, (16, 16)).image.tobytes() for n in NUMBERS}
    asked = {Mixture(held_out=True).scene(n, (16, 16)).image.tobytes() for n in NUMBERS}
    assert len(taught) == len(asked) == len(NUMBERS)
    assert not taught & asked


def test_the_same_number_gives_the_same_scene_in_another_process(
    write_coco: WriteCoco, cutout_folder: Path
) -> None:
    folder = write_coco(count=10)
    here = digest(Mixture([CocoFolder(folder)], [cutout_folder], seed=3))
    code = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_mixture import CocoFolder, Mixture, digest
print(digest(Mixture([CocoFolder({str(folder)!r})], [{str(cutout_folder)!r}], seed=3)))
"""
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert there.stdout.strip() == here


def test_a_scene_does_not_depend_on_those_before_it(
    write_coco: WriteCoco, cutout_folder: Path
) -> None:
    folder = write_coco(count=10)
    one = Mixture([CocoFolder(folder)], [cutout_folder])
    forwards = [one.scene(number, SIZE).image for number in range(20)]
    other = pickle.loads(pickle.dumps(one))
    for number in reversed(range(20)):
        assert np.array_equal(other.scene(number, SIZE).image, forwards[number])


def test_another_seed_gives_other_scenes() -> None:
    first, second = (Mixture(seed=seed).scene(0, SIZE).image for seed in (0, 1))
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("with_folders", [False, True])
def test_every_scene_has_the_size_and_kind_that_was_asked_for(
    write_coco: WriteCoco, cutout_folder: Path, with_folders: bool
) -> None:
    mixture = (
        Mixture([CocoFolder(write_coco(count=10))], [cutout_folder]) if with_folders else Mixture()
    )
    with_objects = 0
    for number in NUMBERS:
        scene = mixture.scene(number, SIZE)
        assert (scene.image.shape, scene.image.dtype) == ((*SIZE, 3), np.uint8)
        assert (scene.masks.shape[1:], scene.masks.dtype) == (SIZE, bool)
        assert (scene.masks.sum((1, 2)) >= LEAST_PIXELS).all()
        with_objects += len(scene.masks) > 0
    assert with_objects > 0.8 * len(NUMBERS)


def test_a_folder_of_which_nothing_is_on_this_side_leaves_the_rest(write_coco: WriteCoco) -> None:
    assert not held_out(1)
    mixture = Mixture([CocoFolder(write_coco(count=1))], held_out=True)
    for number in NUMBERS:
        mixture.scene(number, (24, 24))


def test_broken_photos_and_pictures_are_noted_and_others_drawn(
    write_coco: WriteCoco, cutout_folder: Path
) -> None:
    folder = write_coco(count=10)
    broken = [folder / "images" / "002.png", cutout_folder / "00-0.png"]
    for path in broken:
        path.write_text("no picture")
    mixture = Mixture([CocoFolder(folder)], [cutout_folder])
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for number in range(200):
            mixture.scene(number, (24, 24))
    ours = [str(each.message) for each in told if "drawn instead" in str(each.message)]
    assert len(ours) == len(mixture.problems) == 2
    for path in broken:
        assert sum(path.name in problem for problem in mixture.problems) == 1


def test_an_object_of_single_pixels_is_not_cut_out_but_stops_nothing(
    write_coco: WriteCoco,
) -> None:
    """Once edges are soft, none of them is solid."""
    dots = np.zeros((24, 32), np.uint8, order="F")
    dots[[0, 12, 12, 23], [16, 4, 30, 16]] = 1
    segmentation = {"size": [24, 32], "counts": rle.encode(dots)["counts"].decode()}
    thin = [{"id": 1, "image_id": 1, "segmentation": segmentation}]
    mixture = Mixture([CocoFolder(write_coco(annotations=thin))])
    for number in NUMBERS:
        mixture.scene(number, SIZE)


@pytest.mark.filterwarnings("ignore:another picture is drawn")
def test_a_folder_of_broken_photos_ends_with_an_error(write_coco: WriteCoco) -> None:
    folder = write_coco(count=3)
    for path in (folder / "images").iterdir():
        path.write_text("no picture")
    mixture = Mixture([CocoFolder(folder)])
    with pytest.raises(ValueError, match="in a row are broken"):
        [mixture.scene(number, (24, 24)) for number in NUMBERS]


def test_photos_are_shown_whole_where_that_is_asked_for(write_coco: WriteCoco) -> None:
    folder = CocoFolder(write_coco(count=12))
    photos = {
        np.asarray(
            Image.fromarray(folder.read(image)).resize(SIZE[::-1], Image.Resampling.BILINEAR)
        ).tobytes()
        for image in folder.images
    }
    parts, whole = (
        {Mixture([folder], whole=each).scene(number, SIZE).image.tobytes() for number in NUMBERS}
        for each in (False, True)
    )
    assert not photos & parts
    assert len(photos & whole) > 3
