"""The photos of a set are drawn as often as its weights say."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sam2lab.scenes import photo_sets
from sam2lab.scenes.coco import CocoFolder
from sam2lab.scenes.library import CocoShelf
from sam2lab.scenes.photo_sets import FirstPrompt, weight_of


@pytest.mark.parametrize("first", ["click", "box"])
def test_photos_are_drawn_as_often_as_their_set_weighs(
    write_coco: Callable[..., Path], first: FirstPrompt
) -> None:
    path = write_coco(count=20)
    content = json.loads((path / "instances.json").read_text())
    for image in content["images"][::2]:
        image["set"] = "feralcat"
    (path / "instances.json").write_text(json.dumps(content))
    folder = CocoFolder(path)
    shelf = CocoShelf([folder], held=False)
    weights = {
        folder.read(int(i)).tobytes(): weight_of(folder.set_of(int(i)), first)
        for ((_, i),) in shelf.families
    }
    rng = np.random.default_rng(0)
    drawn = [weights[shelf.draw(rng, first).image.tobytes()] for _ in range(2000)]
    assert len(set(weights.values())) == 2
    expected = sum(w for w in weights.values() if w < 1) / sum(weights.values())
    # Five standard deviations of a share of 2,000 draws.
    assert np.mean(np.array(drawn) < 1) == pytest.approx(expected, abs=5 * 0.5 / 2000**0.5)


def test_every_weight_is_a_share_and_has_a_reason() -> None:
    text = Path(photo_sets.__file__).with_name("photo_sets.tsv").read_text(encoding="utf-8")
    for row in csv.DictReader(text.splitlines(), delimiter="\t"):
        assert 0 <= float(row["click"]) <= 1
        assert 0 <= float(row["box"]) <= 1
        assert row["why"], row["set"]
