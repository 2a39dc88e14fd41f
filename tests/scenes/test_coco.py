"""COCO-format folders read as pycocotools reads them, and broken parts are skipped and told."""

from __future__ import annotations

import json
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as rle
from pycocotools.coco import COCO

from sam2lab.runtime.images import ImageError
from sam2lab.scenes.coco import CocoFolder
from sam2lab.scenes.segmentation import decode

WriteCoco = Callable[..., Path]
SIZE = (24, 32)


def annotation(segmentation: Any, **more: Any) -> dict[str, Any]:
    return {"id": 7, "image_id": 1, "segmentation": segmentation} | more


def blob() -> np.ndarray:
    return np.random.default_rng(3).random(SIZE) < 0.4


def packed(mask: np.ndarray) -> dict[str, Any]:
    runs = rle.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": list(mask.shape), "counts": runs["counts"].decode()}


def counted(mask: np.ndarray) -> dict[str, Any]:
    """Run lengths, written the slow way: down the columns, zeros first."""
    counts, value = [0], False
    for pixel in mask.ravel(order="F"):
        if pixel != value:
            counts.append(0)
            value = bool(pixel)
        counts[-1] += 1
    return {"size": list(mask.shape), "counts": counts}


SEGMENTATIONS = {
    "polygon": [[3.2, 4.1, 20.7, 5.5, 25.0, 19.9, 6.6, 21.3]],
    "two polygons": [[1, 1, 9, 1, 9, 9], [15, 12, 28, 12, 28, 22, 15, 22]],
    "crossing polygon": [[2, 2, 30, 20, 30, 2, 2, 20]],
    "polygon beyond the edges": [[-9, -9, 50, 6, 12, 60]],
    "packed run lengths": packed(blob()),
    "run lengths": counted(blob()),
    "run lengths that begin with the object": counted(~blob() | (np.arange(32) == 0)),
    "everything": counted(np.ones(SIZE, bool)),
}


@pytest.mark.parametrize("segmentation", SEGMENTATIONS.values(), ids=SEGMENTATIONS.keys())
@pytest.mark.parametrize("crowd", [0, 1])
def test_masks_equal_those_of_pycocotools(
    write_coco: WriteCoco, segmentation: Any, crowd: int
) -> None:
    folder = write_coco(annotations=[annotation(segmentation, iscrowd=crowd)])
    theirs = COCO(folder / "instances.json")
    (ours,) = CocoFolder(folder).objects(1)
    assert np.array_equal(ours.mask, theirs.annToMask(theirs.anns[7]).astype(bool))
    assert ours.iscrowd == bool(crowd)


def test_run_lengths_go_down_the_columns() -> None:
    assert np.array_equal(decode(counted(blob()), SIZE), blob())


BROKEN = {
    "no polygon": [],
    "an empty polygon": [[]],
    "a polygon of one point": [[3, 4]],
    "a polygon of two points": [[1, 2, 3, 4]],
    "a polygon without area": [[5, 5, 5, 5, 5, 5]],
    "a polygon of words": [["a"] * 6],
    "nothing": None,
    "run lengths of another photo": {"size": [10, 10], "counts": [50, 50]},
    "run lengths of the photo turned": {"size": list(SIZE[::-1]), "counts": [300, 468]},
    "run lengths that end early": {"size": list(SIZE), "counts": [10, 20]},
    "run lengths that go on": {"size": list(SIZE), "counts": [10, 2000]},
    "negative run lengths": {"size": list(SIZE), "counts": [-5, 773]},
    "packed run lengths cut short": {"size": list(SIZE), "counts": packed(blob())["counts"][:40]},
    "packed run lengths that are noise": {"size": list(SIZE), "counts": "zzzzzz"},
    "empty packed run lengths": {"size": list(SIZE), "counts": ""},
    "run lengths without size": {"counts": [10, 758]},
    "a mask without pixels": {"size": list(SIZE), "counts": [768]},
}


@pytest.mark.parametrize("segmentation", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_object_is_skipped_and_noted_once(
    write_coco: WriteCoco, segmentation: Any
) -> None:
    good = {"id": 8, "image_id": 1, "segmentation": SEGMENTATIONS["polygon"]}
    folder = CocoFolder(write_coco(annotations=[annotation(segmentation), good]))
    for _ in range(2):
        assert [each.id for each in folder.objects(1)] == [8]
    (problem,) = folder.problems
    assert "annotation 7 of image 1" in problem


def test_an_object_without_segmentation_is_skipped_and_noted(write_coco: WriteCoco) -> None:
    folder = CocoFolder(write_coco(annotations=[{"id": 7, "image_id": 1, "bbox": [1, 1, 5, 5]}]))
    assert folder.objects(1) == []
    assert folder.problems == ["annotation 7 of image 1 is skipped: it has no segmentation"]


def test_each_object_without_a_number_is_noted(write_coco: WriteCoco) -> None:
    nameless = {"image_id": 1, "segmentation": SEGMENTATIONS["polygon"]}
    folder = CocoFolder(write_coco(annotations=[nameless, nameless]))
    for _ in range(2):
        assert folder.objects(1) == []
    assert folder.problems == ["annotation None of image 1 is skipped: it has no id"] * 2


def test_area_and_box_are_those_of_the_file(write_coco: WriteCoco) -> None:
    given = annotation(SEGMENTATIONS["polygon"], area=12.5, bbox=[1, 2, 3, 4.5], category_id=3)
    folder = write_coco(annotations=[given], categories=[{"id": 3, "name": "zebra"}])
    (found,) = CocoFolder(folder).objects(1)
    assert (found.id, found.area, found.bbox) == (7, 12.5, (1, 2, 3, 4.5))
    assert (found.category, found.iscrowd) == ("zebra", False)


@pytest.mark.parametrize("silent", [{}, {"area": None, "bbox": None}], ids=["absent", "null"])
def test_area_and_box_that_the_file_lacks_are_measured(write_coco: WriteCoco, silent: Any) -> None:
    shape = [[4, 5, 10, 5, 10, 8, 4, 8]]
    folder = write_coco(annotations=[annotation(shape, category_id=9, **silent)])
    (found,) = CocoFolder(folder).objects(1)
    assert (found.area, found.bbox, found.category) == (18, (4, 5, 6, 3), "9")


def test_a_scene_has_the_objects_that_are_no_crowds(write_coco: WriteCoco) -> None:
    crowd = {"id": 8, "image_id": 1, "segmentation": counted(blob()), "iscrowd": 1}
    folder = CocoFolder(write_coco(annotations=[annotation([[4, 5, 10, 5, 10, 8]]), crowd]))
    scene = folder.scene(1)
    assert scene.image.shape == (*SIZE, 3)
    assert np.array_equal(scene.masks, [folder.objects(1)[0].mask])


def test_a_photo_without_objects_is_a_scene_without_masks(write_coco: WriteCoco) -> None:
    scene = CocoFolder(write_coco(annotations=[])).scene(1)
    assert scene.masks.shape == (0, *SIZE)


def test_images_are_listed_in_the_order_of_the_file(write_coco: WriteCoco) -> None:
    folder = write_coco(count=3)
    file = folder / "instances.json"
    content = json.loads(file.read_text())
    content["images"].reverse()
    file.write_text(json.dumps(content))
    opened = CocoFolder(file, folder / "images")
    assert opened.images == [3, 2, 1]
    assert opened.file_name(3) == "003.png"
    assert opened.size(3) == SIZE


def test_photos_may_lie_beside_the_file(write_coco: WriteCoco) -> None:
    folder = write_coco()
    expected = CocoFolder(folder).read(1)
    (folder / "images" / "001.png").rename(folder / "001.png")
    (folder / "images").rmdir()
    assert np.array_equal(CocoFolder(folder).read(1), expected)


def test_a_16_bit_photo_is_read_as_8_bit(write_coco: WriteCoco) -> None:
    folder = write_coco()
    values = np.linspace(0, 65535, SIZE[0] * SIZE[1]).astype(np.uint16).reshape(SIZE)
    Image.fromarray(values).save(folder / "images" / "001.png")
    photo = CocoFolder(folder).read(1)
    assert photo.dtype == np.uint8
    assert np.array_equal(photo[..., 1], np.rint(values / 257))


@pytest.mark.parametrize("damage", ["missing", "cut short", "no picture", "of another size"])
def test_a_broken_photo_raises_and_is_noted_once(write_coco: WriteCoco, damage: str) -> None:
    folder = write_coco()
    photo = folder / "images" / "001.png"
    if damage == "missing":
        photo.unlink()
    elif damage == "cut short":
        photo.write_bytes(photo.read_bytes()[:500])
    elif damage == "no picture":
        photo.write_text("no picture")
    else:
        Image.new("RGB", (32, 25)).save(photo)
    opened = CocoFolder(folder)
    for _ in range(2):
        with pytest.raises(ImageError, match=r"001\.png"):
            opened.scene(1)
    assert len(opened.problems) == 1


def test_unusable_records_are_noted(write_coco: WriteCoco) -> None:
    shape = [[1, 1, 9, 1, 9, 9]]
    lost = [annotation(shape, image_id=99), annotation(shape, image_id=[1]), "noise"]
    folder = write_coco(annotations=lost)
    file = folder / "instances.json"
    content = json.loads(file.read_text())
    content["images"] += [{"id": 2, "file_name": "002.png"}, None, {"file_name": "x.png"}]
    file.write_text(json.dumps(content))
    opened = CocoFolder(folder)
    assert opened.images == [1]
    assert len(opened.problems) == 6


def test_the_second_of_two_photos_with_one_number_is_skipped_and_noted(
    write_coco: WriteCoco,
) -> None:
    """Two sets that were joined without new numbers have such ids."""
    folder = write_coco()
    file = folder / "instances.json"
    content = json.loads(file.read_text())
    content["images"].append(content["images"][0] | {"file_name": "another.png"})
    file.write_text(json.dumps(content))
    opened = CocoFolder(folder)
    assert opened.file_name(1) == "001.png"
    (problem,) = opened.problems
    assert "another.png" in problem
    assert "its id is also that of 001.png" in problem


@pytest.mark.parametrize("text", ["{", "[]", '{"images": []}', '{"images": [], "annotations": 3}'])
def test_a_file_of_something_else_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "instances.json"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"annotations: .*instances\.json"):
        CocoFolder(file)


def test_a_folder_without_annotations_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no file"):
        CocoFolder(tmp_path)


def test_an_unknown_image_is_refused_by_name(write_coco: WriteCoco) -> None:
    with pytest.raises(ValueError, match="image_id 5 is not in"):
        CocoFolder(write_coco()).scene(5)


def test_no_photo_stays_in_memory(write_coco: WriteCoco) -> None:
    folder = CocoFolder(write_coco(count=3))
    seen = []
    for image_id in folder.images:
        scene = folder.scene(image_id)
        seen += [weakref.ref(scene.image), weakref.ref(scene.masks)]
        del scene
    assert all(reference() is None for reference in seen)


@pytest.mark.parametrize("seed", range(20))
def test_compressed_run_lengths_of_any_mask_are_read(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = rng.random((rng.integers(1, 200), rng.integers(1, 200))) < rng.choice([0.001, 0.1, 0.5])
    mask[: rng.integers(len(mask) + 1)] ^= True
    assert np.array_equal(decode(packed(mask), mask.shape), mask)
