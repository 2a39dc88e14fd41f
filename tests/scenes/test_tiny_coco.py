"""The set that ships is what the script makes, and any reader of COCO's format opens it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from pycocotools.coco import COCO

from sam2lab.runtime import images
from sam2lab.scenes import tiny_coco
from sam2lab.scenes.coco import CocoFolder


@pytest.fixture(scope="module")
def shipped(repository: Path) -> Path:
    return repository / "data" / "tiny_coco"


def test_the_script_makes_the_set_that_ships(shipped: Path, tmp_path: Path) -> None:
    made = tiny_coco.make(tmp_path)
    assert made.read_text() == (shipped / "instances.json").read_text()
    names = sorted(path.name for path in (shipped / "images").iterdir())
    assert sorted(path.name for path in (tmp_path / "images").iterdir()) == names
    for name in names:
        ours = images.read(tmp_path / "images" / name).astype(int)
        theirs = images.read(shipped / "images" / name).astype(int)
        # Other builds of the JPEG library round otherwise, by a grey level here and there.
        assert np.abs(ours - theirs).mean() < 1


def test_the_set_is_small_and_whole(shipped: Path) -> None:
    files = [path for path in shipped.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 2 * 2**20
    folder = CocoFolder(shipped)
    assert len(folder.images) == 24
    for image_id in folder.images:
        folder.scene(image_id)
    assert folder.problems == []


def test_pycocotools_reads_the_same_masks(shipped: Path) -> None:
    theirs = COCO(shipped / "instances.json")
    ours = CocoFolder(shipped)
    assert theirs.getImgIds() == ours.images
    for image_id in ours.images:
        objects = ours.objects(image_id)
        assert [each.id for each in objects] == theirs.getAnnIds(image_id)
        for each in objects:
            record = theirs.anns[each.id]
            assert np.array_equal(each.mask, theirs.annToMask(record).astype(bool))
            assert record["area"] == each.mask.sum()
            x, y, width, height = record["bbox"]
            inside = each.mask[y : y + height, x : x + width]
            assert inside.sum() == each.mask.sum()
            assert inside[[0, -1]].any(1).all()
            assert inside[:, [0, -1]].any(0).all()


def test_every_way_of_writing_a_mask_and_every_size_occurs(shipped: Path) -> None:
    annotations = json.loads((shipped / "instances.json").read_text())["annotations"]
    ways = {
        "polygons" if isinstance(s, list) else type(s["counts"]).__name__
        for s in (each["segmentation"] for each in annotations)
    }
    assert ways == {"polygons", "list", "str"}
    crowds = [each for each in annotations if each["iscrowd"]]
    assert crowds
    assert all(isinstance(each["segmentation"]["counts"], list) for each in crowds)
    areas = np.array([each["area"] for each in annotations if not each["iscrowd"]])
    for low, high in ((0, 32**2), (32**2, 96**2), (96**2, np.inf)):
        assert np.count_nonzero((low <= areas) & (areas < high)) >= 10
