"""Photos come one at a time, and what cannot be measured is skipped and counted."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sam2lab.measure import ground_truth
from sam2lab.measure.ground_truth import samples
from sam2lab.scenes.mixture import Mixture
from sam2lab.scenes.split import held_out
from tests.measure.known import scene

SQUARE = [[2, 2, 10, 2, 10, 10, 2, 10]]


def annotation(number: int, image: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "id": number,
        "image_id": image,
        "category_id": 1,
        "segmentation": SQUARE,
        "iscrowd": 0,
        **changes,
    }


def folder(path: Path, annotations: list[dict[str, Any]], images: int = 1) -> Path:
    """A COCO-format folder with photos of 20 x 16 pixels, numbered from 1."""
    records = []
    for number in range(1, images + 1):
        Image.new("RGB", (20, 16), (number, 0, 0)).save(path / f"{number}.png")
        records.append({"id": number, "file_name": f"{number}.png", "height": 16, "width": 20})
    content = {"images": records, "annotations": annotations, "categories": []}
    (path / "instances.json").write_text(json.dumps(content))
    return path


def test_objects_come_by_their_own_number(tmp_path: Path) -> None:
    larger = [[0, 0, 20, 0, 20, 16, 0, 16]]
    annotations = [annotation(70), annotation(71, segmentation=larger), annotation(72, image=2)]
    first, second = ground_truth.coco(folder(tmp_path, annotations, images=2))
    labelled = first.load()
    assert (first.image, second.image) == (1, 2)
    assert labelled.photo.shape == (16, 20, 3)
    assert {k: int(mask.sum()) for k, mask in labelled.masks.items()} == {70: 64, 71: 320}
    assert list(second.load().masks) == [72]


def test_crowds_and_broken_annotations_are_skipped_and_told_each_time(tmp_path: Path) -> None:
    annotations = [
        annotation(1),
        annotation(2, iscrowd=1, segmentation={"size": [16, 20], "counts": [0, 320]}),
        annotation(3, segmentation=[[1, 1, 1, 1, 1, 1]]),
        annotation(4, segmentation={"size": [9, 9], "counts": [0, 81]}),
        annotation(5, segmentation="?"),
    ]
    (sample,) = ground_truth.coco(folder(tmp_path, annotations))
    for _ in range(2):
        labelled = sample.load()
        assert list(labelled.masks) == [1]
        assert (1, 2, "crowd") in labelled.skipped
        told = [each.reason for each in labelled.skipped if each.object is None]
        assert len(told) == 3
        assert all(f"annotation {n} " in " ".join(told) for n in (3, 4, 5))


def test_a_set_that_was_mended_is_read_again(tmp_path: Path) -> None:
    larger = [[0, 0, 20, 0, 20, 16, 0, 16]]
    for segmentation, area in ((SQUARE, 64), (larger, 320)):
        place = folder(tmp_path, [annotation(1, segmentation=segmentation)])
        (sample,) = ground_truth.coco(place)
        assert np.count_nonzero(sample.load().masks[1]) == area


def test_problems_of_one_photo_are_not_told_of_another(tmp_path: Path) -> None:
    annotations = [annotation(1, image=1, segmentation="?"), annotation(2, image=11)]
    samples = ground_truth.coco(folder(tmp_path, annotations, images=11))
    assert [len(sample.load().skipped) for sample in samples] == [1] + [0] * 10


def test_records_that_belong_nowhere_are_told_beforehand(tmp_path: Path) -> None:
    found = ground_truth.coco(folder(tmp_path, [annotation(1), annotation(2, image=9)]))
    (skipped,) = found.skipped
    assert skipped.image is None
    assert "no image 9" in skipped.reason


def test_held_out_keeps_the_photos_that_training_does_not_read(tmp_path: Path) -> None:
    everything = folder(tmp_path, [], images=40)
    kept = [sample.image for sample in ground_truth.coco(everything, held_out=True)]
    assert kept == [number for number in range(1, 41) if held_out(number)]
    assert 0 < len(kept) < 40


def test_a_sample_travels_without_its_photo(tmp_path: Path) -> None:
    (sample,) = ground_truth.coco(folder(tmp_path, [annotation(1)]))
    sent = pickle.dumps(sample)
    assert len(sent) < 1000
    assert list(pickle.loads(sent).load().masks) == [1]


def test_a_mixture_is_drawn_when_it_is_asked_for() -> None:
    mixture = Mixture(held_out=True)
    drawn = ground_truth.drawn(mixture, 1000, (48, 64), first=5)
    assert len(drawn) == 1000
    sample = drawn[2]
    expected = mixture.scene(7, (48, 64))
    labelled = pickle.loads(pickle.dumps(sample)).load()
    assert sample.image == 7
    assert (labelled.photo == expected.image).all()
    assert (np.stack(list(labelled.masks.values())) == expected.masks).all()


def test_scenes_are_numbered_and_their_hidden_objects_told() -> None:
    hidden = scene(1)
    hidden.masks[0] = False
    first, second = samples([scene(0), hidden])
    assert (first.image, second.image) == (0, 1)
    assert list(first.load().masks) == [0, 1]
    assert list(second.load().masks) == [1]
    assert second.load().skipped == [(1, 0, "degenerate: no pixel")]


def test_equal_pictures_have_equal_keys_and_others_have_not(tmp_path: Path) -> None:
    a = ground_truth.drawn(Mixture(held_out=True), 3, (32, 32))
    b = ground_truth.drawn(Mixture(held_out=True), 9, (32, 32))
    c = ground_truth.drawn(Mixture(held_out=True), 3, (32, 48))
    assert a.key == b.key != c.key
    place = folder(tmp_path, [annotation(1)])
    before = ground_truth.coco(place).key
    assert before == ground_truth.coco(place, held_out=True)[:1].key
    folder(tmp_path, [annotation(1), annotation(2)])
    assert ground_truth.coco(place).key != before


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"there is no file .*instances\.json"):
        ground_truth.coco(tmp_path)
