"""Parts of a frame add up to its time, engines take turns, and the memory of a process is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sam2lab.measure import latency_ratios
from sam2lab.measure.timed_engine import Call, split
from sam2lab.measure.video_latency import (
    COLUMNS,
    MEMORY_COLUMNS,
    PARTS_MS,
    Following,
    clicks,
    memory_over_frames,
    summarise_frames,
    time_frames,
    write_to_and_fro,
)
from sam2lab.runtime.engines.onnx import OnnxEngine
from sam2lab.runtime.video.frames import open_frames
from tests.runtime.video.fake import SETTINGS, FakeVideoEngine, clip

FRAMES = 12


@pytest.fixture(scope="module")
def engines() -> dict[str, FakeVideoEngine]:
    return {"one": FakeVideoEngine(), "two": FakeVideoEngine()}


@pytest.fixture(scope="module")
def table(engines):
    series = {"one": engines["one"], "two": Following(engines["two"], objects=2)}
    return time_frames(series, clip(FRAMES))


def test_every_frame_and_the_prompt_have_a_row_for_each_series(table) -> None:
    assert list(table.columns) == COLUMNS
    for _, found in table.groupby("series")["run"]:
        assert sorted(found) == list(range(1 + FRAMES))


def test_series_take_turns(table) -> None:
    assert table["run"].is_monotonic_increasing


def test_parts_add_up_to_the_time_of_a_frame(table) -> None:
    np.testing.assert_allclose(table[list(PARTS_MS)].sum(axis=1), table["total_ms"])
    assert (table[list(PARTS_MS)] >= 0).all(axis=None)


def test_a_frame_is_steady_when_the_memory_is_full(table) -> None:
    phases = table[table["series"] == "one"].set_index("run")["phase"]
    # Run 0 is the prompt, and run 1 the frame that carries it.
    assert set(phases[:2]) == {"first"}
    filling = phases[phases == "filling"]
    assert len(filling) == SETTINGS.num_maskmem - 1
    assert set(phases[filling.index[-1] + 1 :]) == {"steady"}


def test_parts_are_those_that_the_engine_worked_on(table) -> None:
    first = table[table["run"] == 0]
    assert (first[["encode_ms", "decode_ms"]] > 0).all(axis=None)
    assert (first[["condition_ms", "remember_ms"]] == 0).all(axis=None)
    steady = table[table["phase"] == "steady"]
    worked = ["encode_ms", "condition_ms", "decode_ms", "remember_ms"]
    assert (steady[worked] > 0).all(axis=None)


def test_what_the_objects_share_is_done_once(engines, table) -> None:
    assert [sum(engine.encoded) for engine in engines.values()] == [FRAMES, FRAMES]
    held = table[table["phase"] == "steady"].groupby("series")["state_mb"].max()
    assert held["two"] == pytest.approx(2 * held["one"])


def test_the_table_carries_machine_engines_and_objects(table) -> None:
    about = table.attrs
    assert "cpu" in about["machine"]
    assert about["engines"]["one"]["engine"] == "FakeVideoEngine"
    assert (about["objects"], about["frame_size"]) == ({"one": 1, "two": 2}, "48x64")
    assert not about["interrupted"]


def test_a_summary_has_medians_by_phase_and_a_comparison_ratios_of_frames(table) -> None:
    summary = summarise_frames(table).set_index(["series", "phase"])
    steady = table[(table["series"] == "one") & (table["phase"] == "steady")]
    row = summary.loc[("one", "steady")]
    assert row["total_ms"] == steady["total_ms"].median()
    assert row["frames_per_s"] == 1000 / row["total_ms"]
    (ratio,) = latency_ratios(table[table["phase"] == "steady"], "one").to_dict("records")
    assert (ratio["series"], ratio["rounds"]) == ("two", FRAMES - SETTINGS.num_maskmem)


def test_an_interrupt_returns_the_frames_that_were_finished() -> None:
    engine = FakeVideoEngine()
    engine.fail_in, engine.calls_left = "encode", 4
    table = time_frames({"one": engine}, clip(FRAMES))
    assert table.attrs["interrupted"]
    assert list(table["run"]) == [0, 1, 2, 3, 4]


def test_no_series_or_too_many_frames_are_refused() -> None:
    with pytest.raises(ValueError, match="wanted at least one by its name"):
        time_frames({}, clip(2))
    with pytest.raises(ValueError, match="frames"):
        time_frames({"one": FakeVideoEngine()}, clip(2), frames=3)


def test_a_frame_without_work_is_all_masks() -> None:
    parts = split(0, [], 5_000_000)
    assert (parts["restore_ms"], parts["total_ms"]) == (5, 5)
    assert sum(parts.values()) == 10


def test_the_time_between_calls_is_that_of_choosing_memories() -> None:
    calls = [Call("encode", 1, 2), Call("condition", 5, 6), Call("decode", 6, 8)]
    assert split(0, calls, 10)["bank_ms"] == pytest.approx(3e-6)


def test_fewer_objects_get_the_first_clicks_of_more() -> None:
    assert clicks((40, 60), 2) == clicks((40, 60), 5)[:2]


def test_a_clip_is_played_to_and_fro_for_as_long_as_is_asked(tmp_path) -> None:
    frames = [np.full((16, 16, 3), 40 * i, np.uint8) for i in range(4)]
    assert write_to_and_fro(frames, 9, tmp_path) == (16, 16)
    shown = open_frames(tmp_path)
    assert [round(frame.mean() / 40) for frame in shown] == [0, 1, 2, 3, 2, 1, 0, 1, 2]


def test_one_picture_is_shown_again_and_again(tmp_path) -> None:
    write_to_and_fro([np.zeros((16, 16, 3), np.uint8)], 3, tmp_path)
    assert [Image.open(file).size for file in sorted(tmp_path.iterdir())] == [(16, 16)] * 3


@pytest.fixture(scope="module")
def nano(exported: Callable[..., Any]) -> Path:
    """Nano for pictures of 64 x 96 pixels, with random weights."""
    return exported("nano", (64, 96)).bundle.folder


def test_a_real_memory_grows_until_it_is_full(nano: Path) -> None:
    table = time_frames({"nano": OnnxEngine(nano)}, clip(10))
    by_run = table.set_index("run")
    assert (by_run.loc[2:, "condition_ms"] > 0).all()
    held = by_run["state_mb"]
    assert held[1] < held[2] < held[3]
    # All that is kept in the end are pointers, up to the sixteenth, and small masks with them.
    assert held[10] - held[9] < held[3] - held[2]


def test_a_fresh_process_tells_what_it_holds_after_each_frame(nano: Path) -> None:
    table = memory_over_frames({"nano": nano}, clip(3), frames=4)
    assert list(table.columns) == MEMORY_COLUMNS
    assert list(table["run"]) == [0, 1, 2, 3]
    # In Linux's units: a page or two may come between the two readings.
    assert (table["rss_mb"] <= 1.01 * table["peak_mb"]).all()


def test_an_engine_without_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="nano: the fresh process failed: ValueError"):
        memory_over_frames({"nano": tmp_path}, clip(2), frames=1)
