"""A study gives the figures that the masks were made to have, here or by an executor."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from pycocotools.cocoeval import Params

from sam2lab.measure import accuracy, ground_truth
from sam2lab.measure.accuracy import Accuracy, evaluate, size_class
from sam2lab.measure.ground_truth import Sample, Samples
from tests.measure.known import (
    AFTER_CLICKS,
    BOX,
    CANDIDATES,
    OBJECTS,
    SCORES,
    Hooked,
    KnownEngine,
    open_known,
    open_slow,
    scene,
    scenes,
)


def same(a: Accuracy, b: Accuracy) -> None:
    pd.testing.assert_frame_equal(a.table, b.table)
    pd.testing.assert_frame_equal(a.skipped, b.skipped)


@pytest.fixture(scope="module")
def result() -> Accuracy:
    return evaluate({"known": KnownEngine()}, scenes(4), clicks=5)


def test_there_is_a_row_for_each_object_and_prompt(result: Accuracy) -> None:
    table = result.table
    assert list(table.columns) == accuracy.COLUMNS
    prompts = 5 + 3
    assert len(table) == 4 * len(OBJECTS) * prompts
    assert not table.duplicated(["image", "object", "kind", "clicks"]).any()
    assert result.skipped.empty


@pytest.mark.parametrize(
    ("kind", "clicks", "iou", "best_of_three"),
    [
        ("clicks", 1, CANDIDATES[1], CANDIDATES[2]),
        *(("clicks", clicks, share, np.nan) for clicks, share in AFTER_CLICKS.items()),
        ("random click", 1, CANDIDATES[1], CANDIDATES[2]),
        ("box", 0, BOX, np.nan),
        ("jittered box", 0, BOX, np.nan),
    ],
)
def test_figures_are_those_that_the_masks_were_made_to_have(
    result: Accuracy, kind: str, clicks: int, iou: float, best_of_three: float
) -> None:
    rows = result.table[(result.table["kind"] == kind) & (result.table["clicks"] == clicks)]
    np.testing.assert_array_equal(rows["iou"], iou)
    np.testing.assert_array_equal(rows["best_of_three"], best_of_three)
    # The engine answers in float32.
    expected = SCORES[1] if kind.endswith("click") or clicks == 1 else 0.7
    np.testing.assert_array_equal(rows["score"], np.float32(expected))


def test_areas_are_those_of_the_true_masks(result: Accuracy) -> None:
    areas = result.table.groupby(["image", "object"])["area_px"].first()
    assert areas.to_dict() == {
        (number, i): int(mask.sum())
        for number in range(4)
        for i, mask in enumerate(scene(number).masks)
    }
    assert set(result.table["size"]) == {"small"}


def test_sizes_are_those_of_coco() -> None:
    ranges = dict(zip(Params("segm").areaRngLbl, Params("segm").areaRng, strict=True))
    for name in ("small", "medium", "large"):
        low, high = ranges[name]
        assert size_class(low) == size_class(high - 1) == name


def test_every_photo_is_encoded_once_by_each_engine() -> None:
    engines = {"a": KnownEngine(), "b": KnownEngine(worse=0.1)}
    table = evaluate(engines, scenes(3), clicks=2).table
    assert [engine.encoded for engine in engines.values()] == [3, 3]
    assert table.groupby("engine", sort=False).size().to_dict() == {"a": 30, "b": 30}


def test_engines_with_random_weights_are_refused() -> None:
    engine = KnownEngine(weights="random:0")
    with pytest.raises(ValueError, match=r"engines\['a'\] has random weights"):
        evaluate({"b": KnownEngine(), "a": engine}, scenes(1))
    assert not engine.encoded


@pytest.mark.parametrize(
    ("engines", "message"),
    [
        ({}, "engines is {}; wanted names with engines"),
        ([KnownEngine()], "engines is"),
        ({"a": 3}, r"engines\['a'\] is 3; wanted a bundle's folder"),
        ({"a": {"engine": "torch"}}, r"engines\['a'\] is"),
        ({"a": "no-such-folder"}, "neither a size .* nor a folder"),
    ],
)
def test_other_things_than_engines_are_refused(engines: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        evaluate(engines, scenes(1))


def test_a_table_carries_engines_clicks_and_seed(result: Accuracy) -> None:
    about = result.table.attrs
    assert about["engines"]["known"]["weights"] == "trained-here:known"
    assert (about["clicks"], about["seed"], about["interrupted"]) == (5, 0, False)


# What cannot be measured


def coco(folder: Path, photos: int = 3) -> Samples:
    """Known photos as a COCO-format set of run lengths."""
    records, annotations = [], []
    for number in range(photos):
        known = scene(number)
        Image.fromarray(known.image).save(folder / f"{number}.png")
        records.append({"id": number, "file_name": f"{number}.png", "height": 64, "width": 64})
        for i, mask in enumerate(known.masks):
            runs = np.flatnonzero(np.diff(np.concatenate([[0], mask.T.ravel(), [2]])))
            counts = np.diff(np.concatenate([[0], runs])).tolist()
            annotations.append(
                {
                    "id": 10 * number + i,
                    "image_id": number,
                    "iscrowd": int(number == 2 and i == 0),
                    "segmentation": {"size": [64, 64], "counts": counts},
                }
            )
    content = {"images": records, "annotations": annotations, "categories": []}
    (folder / "instances.json").write_text(json.dumps(content))
    return ground_truth.coco(folder)


def test_photos_of_a_coco_folder_give_the_same_figures_as_scenes(tmp_path: Path) -> None:
    found = evaluate({"known": KnownEngine()}, coco(tmp_path, 2), ("box",))
    expected = evaluate({"known": KnownEngine()}, scenes(2), ("box",))
    columns = ["iou", "boundary_f", "area_px"]
    pd.testing.assert_frame_equal(found.table[columns], expected.table[columns])
    assert found.table["object"].tolist() == [0, 1, 10, 11]


def test_broken_and_missing_photos_and_crowds_are_skipped_and_counted(tmp_path: Path) -> None:
    samples = coco(tmp_path, 4)
    whole = (tmp_path / "0.png").read_bytes()
    (tmp_path / "0.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "1.png").unlink()
    result = evaluate({"known": KnownEngine()}, samples, ("box",))
    assert result.table["object"].tolist() == [21, 30, 31]
    reasons = result.skipped["reason"].str.partition(":")[0]
    assert list(zip(result.skipped["image"], reasons, strict=True)) == [
        (0, "broken photo"),
        (1, "broken photo"),
        (2, "crowd"),
    ]


def test_a_photo_without_objects_is_counted_and_never_encoded() -> None:
    empty = scene(1)
    empty.masks[:] = False
    engine = KnownEngine()
    result = evaluate({"known": engine}, [scene(0), empty], ("box",))
    assert set(result.table["image"]) == {0}
    assert engine.encoded == 1
    assert result.skipped["reason"].tolist()[-1] == "no object"


def test_two_photos_of_one_number_are_refused_and_not_taken_for_one(tmp_path: Path) -> None:
    first, second = coco(tmp_path, 2)
    for twice, number in (([first, first], 0), ([second, scene(5), scene(6)], 1)):
        with pytest.raises(ValueError, match=f"two photos numbered {number}.* one by one"):
            evaluate({"known": KnownEngine()}, twice, ("box",))


def test_nothing_to_measure_on_gives_an_empty_table() -> None:
    result = evaluate({"known": KnownEngine()}, [])
    assert list(result.table.columns) == accuracy.COLUMNS
    assert result.table.empty


# Interrupted, and taken up again


def interrupt() -> None:
    raise KeyboardInterrupt


def test_an_interrupt_returns_what_is_finished() -> None:
    result = evaluate({"known": KnownEngine()}, Hooked(6, 3, interrupt), ("box",))
    assert result.table.attrs["interrupted"]
    assert sorted(set(result.table["image"])) == [0, 1, 2]


def test_a_study_is_taken_up_where_it_was_interrupted(tmp_path: Path) -> None:
    file = tmp_path / "study.jsonl"
    first, second = KnownEngine(), KnownEngine()
    evaluate({"known": first}, Hooked(6, 4, interrupt), clicks=2, keep_in=file)
    resumed = evaluate({"known": second}, scenes(6), clicks=2, keep_in=file)
    assert (first.encoded, second.encoded) == (4, 2)
    assert not resumed.table.attrs["interrupted"]
    same(resumed, evaluate({"known": KnownEngine()}, scenes(6), clicks=2))


def test_numpys_numbers_can_be_written_down_as_well(tmp_path: Path) -> None:
    options = {"seed": np.int64(1), "clicks": np.int64(2), "in_flight": np.int64(3)}
    found = evaluate({"known": KnownEngine()}, scenes(1), keep_in=tmp_path / "j", **options)
    same(found, evaluate({"known": KnownEngine()}, scenes(1), clicks=2, seed=1))


def test_the_journal_keeps_what_was_skipped(tmp_path: Path) -> None:
    samples = coco(tmp_path)
    (tmp_path / "0.png").unlink()
    options = {"kinds": ("box",), "keep_in": tmp_path / "study.jsonl"}
    before = evaluate({"known": KnownEngine()}, samples, **options)
    engine = KnownEngine()
    same(evaluate({"known": engine}, samples, **options), before)
    assert not engine.encoded
    assert before.skipped["reason"].str.contains("broken photo").any()


def test_another_engine_or_ground_truth_does_not_take_up_the_same_file(tmp_path: Path) -> None:
    samples, file = coco(tmp_path), tmp_path / "study.jsonl"
    evaluate({"known": KnownEngine()}, samples, ("box",), keep_in=file)
    with pytest.raises(ValueError, match="other engines"):
        evaluate({"known": KnownEngine(worse=0.1)}, samples, ("box",), keep_in=file)
    with pytest.raises(ValueError, match="other ground_truth"):
        evaluate({"known": KnownEngine()}, scenes(3), ("box",), keep_in=file)


# Elsewhere


class Counting(Executor):
    """Remembers how many tasks were waiting at most."""

    def __init__(self) -> None:
        self.pool, self.waiting, self.most = ThreadPoolExecutor(2), 0, 0

    def submit(self, *task: Any, **options: Any) -> Future[Any]:
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        future = self.pool.submit(*task, **options)
        future.add_done_callback(lambda _: setattr(self, "waiting", self.waiting - 1))
        return future


def test_an_executor_gives_the_same_table_with_few_tasks_in_flight() -> None:
    executor = Counting()
    found = evaluate({"known": open_slow}, scenes(20), clicks=2, executor=executor, in_flight=3)
    same(found, evaluate({"known": KnownEngine()}, scenes(20), clicks=2))
    assert executor.most == 3


def test_thousands_of_photos_are_not_gone_through_before_the_first_is_done() -> None:
    asked = []

    def endless() -> Iterator[Sample]:
        for number in range(10**6):
            asked.append(number)
            yield Sample(number, lambda: 1 / 0)

    with pytest.raises(ZeroDivisionError), ThreadPoolExecutor(1) as executor:
        evaluate({"known": open_known}, endless(), executor=executor, in_flight=5)
    assert len(asked) == 5


def test_any_function_opens_an_engine_here_but_some_cannot_be_sent() -> None:
    engines = {"known": lambda: KnownEngine()}
    found = evaluate(engines, scenes(1), ("box",))
    same(found, evaluate({"known": KnownEngine()}, scenes(1), ("box",)))
    with (
        ThreadPoolExecutor(1) as pool,
        pytest.raises(ValueError, match=r"engines\['known'\] cannot be sent to an executor's"),
    ):
        evaluate(engines, scenes(1), ("box",), executor=pool)


def test_an_open_engine_is_not_sent_to_workers() -> None:
    with ThreadPoolExecutor(1) as pool, pytest.raises(ValueError, match="give the source instead"):
        evaluate({"known": KnownEngine()}, scenes(1), executor=pool)


def test_an_interrupt_cancels_what_was_not_begun() -> None:
    with ThreadPoolExecutor(1) as pool:
        found = evaluate(
            {"known": open_slow}, Hooked(9, 6, interrupt), ("box",), executor=pool, in_flight=4
        )
    assert found.table.attrs["interrupted"]
    assert 1 <= found.table["image"].nunique() <= 6
