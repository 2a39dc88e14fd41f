"""Every run is a row, engines take turns, no run is lost, and known sleeps are measured."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sam2lab import OnnxEngine, Segmenter
from sam2lab.measure import default_runs, load_runs, studies
from sam2lab.measure.latency import COLUMNS, Series, time_engines, time_in_turn
from sam2lab.measure.latency_summaries import latency_ratios, steady_runs, summarise_latency
from sam2lab.measure.workload import Timing, Workload
from sam2lab.remote import RemoteEngine, serve
from tests.measure.sleepy import PHOTO, SleepyEngine


def interrupted_at(n: int) -> SleepyEngine:
    def before(count: int) -> None:
        if count == n:
            raise KeyboardInterrupt

    return SleepyEngine(before=before)


@pytest.fixture(scope="module")
def turns() -> np.ndarray:
    """Who was asked in each of 60 rounds, (60, 3)."""
    table = time_engines({name: SleepyEngine() for name in "abc"}, PHOTO, runs=60, seed=3)
    return table["series"].to_numpy().reshape(60, 3)


@pytest.fixture(scope="module")
def slept():
    """Two engines of known sleeps."""
    return time_engines({"slow": SleepyEngine(40, 5), "fast": SleepyEngine(20, 5)}, PHOTO, runs=20)


class TestTheTable:
    def test_has_a_row_for_each_run_of_each_series(self) -> None:
        table = time_engines({"a": SleepyEngine(), "b": SleepyEngine()}, PHOTO, runs=3)
        assert table.columns.tolist() == COLUMNS
        assert table.groupby("series")["run"].apply(list).to_dict() == {
            "a": [1, 2, 3],
            "b": [1, 2, 3],
        }
        assert table.groupby("run")["phase"].unique().str[0].tolist() == [
            "first",
            "steady",
            "steady",
        ]

    def test_begins_with_the_opening_where_that_was_left_to_it(self) -> None:
        table = time_engines(
            {"later": lambda: SleepyEngine(), "now": SleepyEngine()}, PHOTO, runs=1
        )
        opening = table.iloc[0]
        assert (opening["series"], opening["run"], opening["phase"]) == ("later", 0, "open")
        assert np.isnan(opening["encode_ms"])
        assert (table["phase"] == "open").sum() == 1

    def test_the_stages_lie_within_the_total(self) -> None:
        table = time_engines({"a": SleepyEngine(3, 2)}, PHOTO, runs=5)
        stages = table[["pre_ms", "encode_ms", "decode_ms", "post_ms"]]
        assert (stages > 0).all(axis=None)
        np.testing.assert_allclose(stages.sum(axis=1), table["total_ms"])

    def test_sleeping_costs_no_processor_time(self) -> None:
        table = time_engines({"a": SleepyEngine(encode_ms=30)}, PHOTO, runs=5)
        assert table["cpu_ms"].median() < table["total_ms"].median()

    def test_carries_the_machine_and_what_the_engines_run(self) -> None:
        about = time_engines({"a": SleepyEngine()}, PHOTO, runs=1).attrs
        assert about["machine"]["cpu"]
        assert about["engines"]["a"]["engine_key"] == "sleepy"

    def test_has_as_many_runs_as_the_budget_allows(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SAM2LAB_BUDGET", "full")
        assert default_runs() == 1000
        monkeypatch.setenv("SAM2LAB_BUDGET", "ci")
        assert len(time_engines({"a": SleepyEngine()}, PHOTO)) == default_runs() == 20


class TestTakingTurns:
    def test_each_round_asks_each_series_once(self, turns) -> None:
        assert {tuple(sorted(turn)) for turn in turns} == {("a", "b", "c")}

    def test_the_first_round_is_in_the_order_given(self, turns) -> None:
        assert turns[0].tolist() == ["a", "b", "c"]

    def test_every_order_comes_up(self, turns) -> None:
        assert len({tuple(turn) for turn in turns}) == 6

    def test_the_seed_decides_the_order(self) -> None:
        engines = {name: SleepyEngine() for name in "abc"}
        orders = [
            time_engines(engines, PHOTO, runs=9, seed=s)["series"].tolist() for s in (1, 1, 2)
        ]
        assert orders[0] == orders[1] != orders[2]


class TestKnownSleeps:
    """Sleeping never ends early and ends late by what the machine pleases: 10 ms allow for it."""

    @pytest.mark.parametrize(
        ("column", "slow", "fast"), [("encode_ms", 40, 20), ("decode_ms", 5, 5)]
    )
    def test_come_out_as_the_median(self, slept, column: str, slow: int, fast: int) -> None:
        rows = summarise_latency(slept, column).set_index("series")
        for name, known in (("slow", slow), ("fast", fast)):
            assert known <= rows.loc[name, "median_high_ms"]
            assert rows.loc[name, "median_low_ms"] <= known + 10

    def test_come_out_as_the_ratio(self, slept) -> None:
        row = latency_ratios(slept, "fast", "encode_ms").iloc[0]
        assert (row["series"], row["baseline"]) == ("slow", "fast")
        # 40 / 20, each up to 10 ms late.
        assert 40 / 30 <= row["ratio_low"] <= row["ratio"] <= row["ratio_high"] <= 50 / 20

    def test_a_slow_beginning_is_seen_as_warm_up(self) -> None:
        # Told, not slept: of four milliseconds a busy machine makes any number.
        times = iter([103.0, 101, 102, *(4 + n % 3 / 10 for n in range(27))])
        series = Series(
            SleepyEngine(),
            Workload.about(PHOTO),
            ask=lambda engine, workload: Timing(0, 0, 0, 0, next(times), 0),
        )
        table = time_in_turn({"a": series}, runs=30)
        row = summarise_latency(table).iloc[0]
        assert (row["warm_up_runs"], row["first_ms"], row["median_ms"]) == (3, 103, 4.1)
        assert steady_runs(table)["run"].tolist() == list(range(4, 31))


class TestAnInterrupt:
    def test_returns_what_was_measured(self) -> None:
        table = time_engines({"a": interrupted_at(4), "b": SleepyEngine()}, PHOTO, runs=50)
        assert (table["series"] == "a").sum() == 3
        assert table.attrs["interrupted"]

    def test_leaves_a_file_that_can_be_read(self, tmp_path: Path) -> None:
        file = tmp_path / "new" / "runs.jsonl"
        table = time_engines({"a": interrupted_at(4)}, PHOTO, runs=50, save_to=file)
        loaded = load_runs(file)
        assert loaded.equals(table)
        assert loaded.attrs == table.attrs

    def test_before_the_first_run_leaves_an_empty_table(self) -> None:
        table = time_engines({"a": interrupted_at(1)}, PHOTO, runs=5)
        assert table.empty
        with pytest.raises(ValueError, match="table holds no run"):
            summarise_latency(table)

    def test_an_error_of_the_engine_is_not_swallowed_but_the_runs_are_saved(
        self, tmp_path: Path
    ) -> None:
        def broken(count: int) -> None:
            if count == 3:
                raise RuntimeError("out of memory")

        with pytest.raises(RuntimeError, match="out of memory"):
            time_engines(
                {"a": SleepyEngine(before=broken)}, PHOTO, runs=9, save_to=tmp_path / "runs.jsonl"
            )
        assert len(load_runs(tmp_path / "runs.jsonl")) == 2

    @pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
    def test_a_process_killed_half_way_leaves_a_file_that_can_be_read(
        self, tmp_path: Path, repository: Path
    ) -> None:
        script = (
            "import sys\n"
            "from sam2lab.measure import time_engines\n"
            "from tests.measure.sleepy import PHOTO, SleepyEngine\n"
            "time_engines({'a': SleepyEngine()}, PHOTO, runs=10**6, save_to=sys.argv[1])\n"
        )
        file = tmp_path / "runs.jsonl"
        process = subprocess.Popen(
            [sys.executable, "-c", script, str(file)], cwd=repository, stderr=subprocess.DEVNULL
        )
        try:
            give_up = time.monotonic() + 60
            while not file.exists() and process.poll() is None and time.monotonic() < give_up:
                time.sleep(0.05)
            time.sleep(0.2)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        loaded = load_runs(file)
        assert loaded["run"].tolist() == list(range(1, len(loaded) + 1))
        assert loaded.attrs["machine"]["cpu"]


class TestStudies:
    def test_points_grow_within_one_object(self) -> None:
        engine = SleepyEngine()
        table = studies.points(engine, PHOTO, runs=1)
        assert table["series"].tolist() == list(studies.POINTS)
        assert [prompts.point_coords.shape for prompts in engine.asked] == [
            (1, n, 2) for n in studies.POINTS
        ]

    def test_a_larger_workload_begins_with_the_smaller_one(self) -> None:
        engine = SleepyEngine()
        studies.points(engine, PHOTO, counts=(2, 5), runs=1)
        few, many = (prompts.point_coords for prompts in engine.asked)
        np.testing.assert_array_equal(many[:, :2], few)

    def test_prompts_per_call_is_one_call_for_all_objects(self) -> None:
        engine = SleepyEngine()
        studies.prompts_per_call(engine, PHOTO, runs=1)
        assert [prompts.objects for prompts in engine.asked] == list(studies.PROMPTS_PER_CALL)

    def test_images_are_named(self) -> None:
        photos = {"small": PHOTO, "large": np.zeros((40, 50, 3), np.uint8)}
        table = studies.images(SleepyEngine(), photos, runs=2)
        assert set(table["series"]) == {"small", "large"}

    def test_threads_are_those_that_the_engine_was_given(self, nano_bundle: Path) -> None:
        table = studies.threads(nano_bundle, PHOTO, counts=(1, 2), runs=1)
        assert [facts["threads"] for facts in table.attrs["engines"].values()] == [1, 2]
        assert (table["phase"] == "open").sum() == 2

    def test_input_sizes_are_named_by_themselves(self, nano_bundle: Path) -> None:
        engines = [OnnxEngine(nano_bundle), SleepyEngine()]
        table = studies.input_sizes(engines, PHOTO, runs=1)
        assert table["series"].tolist() == ["512 x 512", "64 x 64"]

    def test_two_engines_of_one_input_size_are_refused(self) -> None:
        with pytest.raises(ValueError, match="two of 64 x 64"):
            studies.input_sizes([SleepyEngine(), SleepyEngine()], PHOTO)

    def test_remote_engines_get_the_file_and_the_prompt(self, tmp_path: Path) -> None:
        file = tmp_path / "photo.png"
        Image.fromarray(PHOTO).save(file)
        engine = SleepyEngine()
        with serve(engine) as server, RemoteEngine(server.url, server.token) as remote:
            table = studies.local_and_remote(SleepyEngine(), {"near": remote}, file, runs=2)
            assert remote.last_trip.route == "/segment"
        assert table["series"].tolist()[:2] == ["local", "near"]
        assert engine.encoded == 2
        near = table[table["series"] == "near"]
        assert near["encode_ms"].isna().all(), "only the server knows"
        assert (near["total_ms"] > 0).all()

    def test_a_remote_engine_can_take_part_in_a_comparison(self) -> None:
        with (
            serve(SleepyEngine()) as server,
            RemoteEngine(server.url, server.token) as remote,
        ):
            table = time_engines({"here": SleepyEngine(), "there": remote}, PHOTO, runs=2)
        assert table["encode_ms"].notna().all()
        assert table.attrs["engines"]["there"]["engine"] == "RemoteEngine"

    @pytest.mark.parametrize("counts", [(), (0, 1), (2, 2), (1.5,)])
    def test_counts_that_make_no_study_are_refused(self, counts) -> None:
        with pytest.raises(ValueError, match="counts is"):
            studies.points(SleepyEngine(), PHOTO, counts=counts)


class TestSummaries:
    def test_the_baseline_is_the_first_series_unless_named(self, slept) -> None:
        assert latency_ratios(slept)["series"].tolist() == ["fast"]
        assert latency_ratios(slept, "fast")["series"].tolist() == ["slow"]

    def test_an_unknown_baseline_is_refused(self, slept) -> None:
        with pytest.raises(ValueError, match="baseline is 'c'; wanted one of 'slow', 'fast'"):
            latency_ratios(slept, "c")

    def test_an_unknown_column_is_refused(self, slept) -> None:
        with pytest.raises(ValueError, match="column is 'rss_mb'; wanted one of encode_ms"):
            summarise_latency(slept, "rss_mb")

    def test_percentiles_rise(self, slept) -> None:
        row = summarise_latency(slept).iloc[0]
        quoted = [row[f"p{p}_ms"] for p in (5, 50, 90, 95, 99)]
        assert quoted == sorted(quoted)
        assert row["p50_ms"] == row["median_ms"]


class TestAFileOfRuns:
    @pytest.mark.parametrize("names", [(1, 2), ("1", "2"), ("none", "NA")])
    def test_keeps_numbers_as_numbers_and_names_as_names(
        self, names: tuple[Any, ...], tmp_path: Path
    ) -> None:
        engines = {name: SleepyEngine() for name in names}
        table = time_engines(engines, PHOTO, runs=2, save_to=tmp_path / "runs.jsonl")
        loaded = load_runs(tmp_path / "runs.jsonl")
        assert loaded.equals(table)
        assert loaded.attrs == table.attrs

    def test_keeps_unknown_times_unknown(self, tmp_path: Path) -> None:
        unknown = float("nan")
        timing = Timing(unknown, unknown, unknown, unknown, 10.0, 5.0)
        series = Series(lambda: SleepyEngine(), Workload.about(PHOTO), lambda *asked: timing)
        table = time_in_turn({"a": series}, runs=2, save_to=tmp_path / "runs.jsonl")
        assert load_runs(tmp_path / "runs.jsonl").equals(table)

    def test_holds_the_latest_measurement_only(self, tmp_path: Path) -> None:
        for runs in (3, 2):
            time_engines({"a": SleepyEngine()}, PHOTO, runs=runs, save_to=tmp_path / "runs.jsonl")
        assert len(load_runs(tmp_path / "runs.jsonl")) == 2

    @pytest.mark.parametrize("text", ["", "{}\n", '{"columns": ["run"]}\n{"run": 1}\n', "a,b\n"])
    def test_of_something_else_is_refused(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "runs.jsonl").write_text(text)
        with pytest.raises(ValueError, match=r"holds no runs|no measurement's file"):
            load_runs(tmp_path / "runs.jsonl")

    def test_that_is_not_there_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match=r"runs\.jsonl', which does not exist"):
            load_runs(tmp_path / "runs.jsonl")

    def test_with_another_ending_is_refused_before_anything_is_measured(
        self, tmp_path: Path
    ) -> None:
        engine = SleepyEngine()
        with pytest.raises(ValueError, match=r"ends in \.jsonl"):
            time_engines({"a": engine}, PHOTO, save_to=tmp_path / "runs.csv")
        assert engine.encoded == 0


@pytest.mark.parametrize("runs", [0, -1, 2.5, True, "10"])
def test_a_number_of_runs_that_is_none_is_refused(runs) -> None:
    with pytest.raises(ValueError, match="runs is"):
        time_engines({"a": SleepyEngine()}, PHOTO, runs=runs)


def test_a_seed_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="seed is -1"):
        time_engines({"a": SleepyEngine()}, PHOTO, runs=1, seed=-1)


def test_numpys_numbers_do_as_well(tmp_path: Path) -> None:
    file = tmp_path / "runs.jsonl"
    runs, seed = np.int64(2), np.int64(3)
    table = time_engines({"a": SleepyEngine()}, PHOTO, runs=runs, seed=seed, save_to=file)
    assert len(table) == 2
    assert load_runs(file).attrs["seed"] == 3


def test_no_series_are_refused() -> None:
    with pytest.raises(ValueError, match="series is"):
        time_in_turn({})


@pytest.mark.parametrize("engines", [{}, [SleepyEngine()], None])
def test_engines_without_names_are_refused(engines) -> None:
    with pytest.raises(ValueError, match=r"engines is .*wanted at least one by its name"):
        time_engines(engines, PHOTO)


@pytest.mark.parametrize("engine", ["models/nano", {"model": "nano"}, Segmenter(SleepyEngine())])
def test_other_things_than_engines_are_refused_before_anything_is_measured(engine) -> None:
    first = SleepyEngine()
    with pytest.raises(ValueError, match=r"engines\['b'\] is .*wanted an Engine"):
        time_engines({"a": first, "b": engine}, PHOTO, runs=1)
    assert not first.encoded


def test_a_series_may_be_asked_in_a_way_of_its_own() -> None:
    timing = Timing(1, 2, 3, 4, 10, 5)
    series = Series(SleepyEngine(), Workload.about(PHOTO), ask=lambda engine, workload: timing)
    assert time_in_turn({"a": series}, runs=2)["total_ms"].tolist() == [10, 10]


def test_a_prompt_by_another_name_is_refused_before_any_engine_is_asked() -> None:
    with pytest.raises(ValueError, match="prompt has 'box'; did you mean 'boxes'"):
        time_engines({"one": SleepyEngine()}, PHOTO, prompt={"box": [1, 2, 3, 4]}, runs=1)
