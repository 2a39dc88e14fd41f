"""Kept scenes are small, bounded in number, and equal to those that were read."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sam2lab.scenes import library
from sam2lab.scenes.coco import CocoFolder
from sam2lab.scenes.library import CocoShelf, KeptScene, Shelf
from sam2lab.scenes.scene import Scene

WriteCoco = Callable[..., Path]


def test_a_kept_scene_is_the_scene_less_its_empty_masks() -> None:
    rng = np.random.default_rng(0)
    masks = np.zeros((4, 30, 40), bool)
    masks[0, 3:9, 5:20] = rng.random((6, 15)) < 0.5
    masks[1, 29, 39] = True
    masks[3] = True
    image = rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)
    kept = KeptScene.of(Scene(image, masks))
    # A view would keep the whole masks in memory.
    assert all(mask.base is None for _, _, mask in kept.boxed)
    again = kept.scene()
    assert np.array_equal(again.image, image)
    assert np.array_equal(again.masks, masks[[0, 1, 3]])


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "KEPT_BYTES", 1000)
    reads: list[library.Name] = []

    def read(name: library.Name) -> np.ndarray:
        reads.append(name)
        return np.full(300, name[1], np.uint8)

    shelf: Shelf[np.ndarray] = Shelf([[(0, number)] for number in range(8)], read)
    rng = np.random.default_rng(0)
    drawn = {int(shelf.draw(rng)[0]) for _ in range(200)}
    assert drawn == set(range(8))
    info = shelf._kept.info()
    assert (info.entries, info.bytes) == (3, 900)
    # Three of eight are at hand, whichever they are.
    assert 80 < len(reads) < 170


def test_kept_scenes_are_not_read_again(write_coco: WriteCoco) -> None:
    folder = write_coco(count=4)
    shelf = CocoShelf([CocoFolder(folder)], held=False)
    rng = np.random.default_rng(0)
    while shelf._kept.info().entries < len(shelf):
        shelf.draw(rng)
    for path in (folder / "images").iterdir():
        path.unlink()
    for _ in range(40):
        shelf.draw(rng)
    assert shelf.problems == {}


def test_a_family_is_drawn_as_often_as_any_other() -> None:
    families = [[(0, 0)], [(0, number) for number in range(1, 10)]]
    shelf: Shelf[np.ndarray] = Shelf(families, lambda name: np.array([name[1]]))
    rng = np.random.default_rng(0)
    alone = np.mean([int(shelf.draw(rng)[0]) == 0 for _ in range(1000)])
    # Three standard deviations of a fair coin's mean are 0.047.
    assert alone == pytest.approx(0.5, abs=0.05)


def test_a_copy_for_another_process_takes_no_photos_along(write_coco: WriteCoco) -> None:
    shelf = CocoShelf([CocoFolder(write_coco(count=30))], held=False)
    before = len(pickle.dumps(shelf))
    rng = np.random.default_rng(0)
    for _ in range(50):
        shelf.draw(rng)
    assert shelf._kept.info().entries > 10
    assert len(pickle.dumps(shelf)) == before


def test_large_photos_are_kept_smaller_with_their_masks() -> None:
    image = np.zeros((1280, 320, 3), np.uint8)
    masks = np.zeros((1, 1280, 320), bool)
    image[:640], masks[0, :640] = 255, True
    small = library._small(Scene(image, masks))
    assert small.image.shape == (640, 160, 3)
    assert np.array_equal(small.masks[0], small.image[..., 0] >= 128)


def test_photos_at_hand_include_those_of_the_project(repository: Path) -> None:
    photos = library.package_photos()
    assert repository / "data" / "photos" / "cat.jpg" in photos
    assert all(path.is_file() for path in photos)
