"""The weights that ship reach what their card says, on what anyone can measure here."""

from __future__ import annotations

import re

import pytest

from sam2lab import open_segmenter, settings
from sam2lab.measure import evaluate, ground_truth, headline_accuracy
from sam2lab.measure.accuracy import SMALL_PX
from sam2lab.measure.moving_clips import j_at, moving_clips
from sam2lab.measure.tracking import tracking_study
from sam2lab.runtime.engines.protocol import Engine
from sam2lab.scenes import CocoFolder, Mixture, MovingScenes

SECTION = "## What a test holds it to"

# Other processors round otherwise, which moves means by some thousandths; worse weights lose more.
SHARE = 0.95

CLIPS, FRAMES, ASKED = 3, 6, (1, 3, 5)


def card() -> dict[str, dict[str, float]]:
    """The tables of the card's section: rows by their first cell, each with its figures by name."""
    text = (settings.nano_folder() / "README.md").read_text(encoding="utf-8")
    section = text.partition(SECTION)[2].partition("\n## ")[0]
    found: dict[str, dict[str, float]] = {}
    head: list[str] = []
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip("| ").split("|")]
        if not line.startswith("|"):
            head = []
        elif not head:
            head = cells
        elif not set(line) <= set("|-: "):
            means = {
                name: re.match(r"\d\.\d+", cell) for name, cell in zip(head, cells, strict=True)
            }
            found.setdefault(cells[0], {name: float(m[0]) for name, m in means.items() if m})
    return found


@pytest.fixture(scope="module")
def engine() -> Engine:
    return open_segmenter("nano", threads=1).engine


def test_masks_of_the_tiny_set_are_as_good_as_the_card_says(engine: Engine) -> None:
    truth = ground_truth.coco(settings.data_folder() / "tiny_coco")
    table = evaluate({"nano": engine}, truth, ("clicks", "box"), clicks=1).table
    found = headline_accuracy(table, SMALL_PX).set_index("question")["value"]
    wanted = card()["tiny_coco, objects > 32² px"]
    for name in ("1 click, best-scored", "1 click, best of 3", "box", "boundary F, box"):
        assert found[name] >= SHARE * wanted[name], name


def test_objects_of_drawn_clips_are_followed_as_well_as_the_card_says(engine: Engine) -> None:
    photos = CocoFolder(settings.data_folder() / "tiny_coco")
    clips = moving_clips(MovingScenes(Mixture([photos], held_out=True)), CLIPS, FRAMES)
    table = tracking_study({"nano": engine}, clips, ("mask", "click"), baselines=False)
    for row in j_at(table, ASKED).itertuples():
        assert row.j >= SHARE * card()[row.prompt][f"frame {row.frame}"], row


def test_all_that_ships_of_it_is_small_enough_for_a_repository() -> None:
    assert sum(file.stat().st_size for file in settings.nano_folder().iterdir()) <= 30e6
