"""Figures of times show every run, mark the warm-up, and name their axes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sam2lab import plots
from sam2lab.measure.latency_summaries import latency_ratios, steady_runs, summarise_latency


def runs(levels: dict, n: int = 30, warm_up: int = 3) -> pd.DataFrame:
    """Noise around a level for each series, the first runs ten times as slow."""
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "series": name,
            "run": run,
            "phase": "first" if run == 1 else "steady",
            "total_ms": level * (10 if run <= warm_up else 1) * rng.normal(1, 0.02),
        }
        for run in range(1, n + 1)
        for name, level in levels.items()
    )


TABLE = runs({"a": 100.0, "b": 50.0})
OPENED = pd.concat(
    [pd.DataFrame([{"series": "a", "run": 0, "phase": "open", "total_ms": 9e9}]), TABLE]
)
STUDY = runs({1: 100.0, 4: 110.0, 16: 150.0})
COLD = pd.DataFrame(
    {
        "series": ["onnx", "torch"] * 2,
        "start": [0, 0, 1, 1],
        "interpreter_ms": 40.0,
        "import_ms": [200.0, 2000.0] * 2,
        "open_ms": 150.0,
        "first_encode_ms": 300.0,
        "first_decode_ms": 40.0,
        "other_ms": 30.0,
        "first_mask_ms": [760.0, 2560.0] * 2,
    }
)
ON_DISK = pd.DataFrame(
    {
        "series": ["C++", "sam2lab", "torch"] * 2,
        "start": [0, 0, 0, 1, 1, 1],
        "mask_ms": [100.0, 200.0, 2000.0] * 2,
        "peak_mb": [70.0, 130.0, 400.0] * 2,
    }
)
MEMORY = pd.DataFrame(
    [
        {"series": s, "run": run, "phase": phase, "peak_mb": peak}
        for s in ("onnx", "torch")
        for run in range(2)
        for phase, peak in {"import": 50.0, "open": 90.0, "encode": 200.0, "decode": 100.0}.items()
    ]
)


class TestRunOrder:
    def test_has_a_panel_for_each_series_with_all_its_runs_but_not_the_opening(self) -> None:
        figure = plots.run_order(OPENED, summarise_latency(OPENED))
        assert [len(axes.collections[0].get_offsets()) for axes in figure.axes] == [30, 30]
        assert [axes.get_title("left").split(":")[0] for axes in figure.axes] == ["a", "b"]

    def test_marks_the_warm_up_by_hollow_dots(self) -> None:
        axes = plots.run_order(TABLE, summarise_latency(TABLE)).axes[0]
        hollow = (axes.collections[0].get_facecolors() == 1).all(axis=1)
        assert np.flatnonzero(hollow).tolist() == [0, 1, 2]
        assert "warm-up of 3 runs" in axes.get_title("left")

    def test_keeps_a_slow_first_run_and_the_rest_apart(self) -> None:
        scales = [
            axes.get_yscale() for axes in plots.run_order(TABLE, summarise_latency(TABLE)).axes
        ]
        assert scales == ["log", "log"]
        level = steady_runs(TABLE)
        scales = [
            axes.get_yscale() for axes in plots.run_order(level, summarise_latency(level)).axes
        ]
        assert scales == ["linear", "linear"]


class TestRatios:
    def test_draw_each_ratio_with_its_interval(self) -> None:
        table = latency_ratios(TABLE)
        (axes,) = plots.time_ratios(table).axes
        assert axes.texts[0].get_text().startswith("0.5")
        assert axes.get_yticklabels()[0].get_text() == "b (27 rounds)"
        assert "faster than a" in axes.get_title()

    def test_of_too_few_rounds_are_drawn_without_an_interval(self) -> None:
        few = latency_ratios(TABLE[TABLE["run"] <= 2])
        assert few["ratio_low"].isna().all()
        plots.time_ratios(few)._repr_png_()


class TestStudy:
    def test_numbers_stand_where_they_belong(self) -> None:
        (axes,) = plots.time_study(summarise_latency(STUDY), "number of points").axes
        assert axes.get_xscale() == "log"
        assert axes.get_xticks().tolist() == [1, 4, 16]

    def test_names_stand_side_by_side(self) -> None:
        (axes,) = plots.time_study(summarise_latency(TABLE), "photo").axes
        assert [label.get_text() for label in axes.get_xticklabels()] == ["a", "b"]


def test_the_steps_of_a_cold_start_end_at_the_first_mask() -> None:
    (axes,) = plots.cold_start(COLD).axes
    ends = [bar.get_x() + bar.get_width() for bar in axes.containers[-1]]
    assert ends == [760, 2560]


def test_peaks_are_drawn_for_each_series_and_phase() -> None:
    (axes,) = plots.peak_memory(MEMORY).axes
    assert [text.get_text() for text in axes.texts] == ["50"] * 2 + ["90"] * 2 + ["200"] * 2 + [
        "100"
    ] * 2


def test_values_that_are_all_the_same_have_no_violin_but_are_drawn() -> None:
    plots.time_violins(TABLE.assign(total_ms=7.0))._repr_png_()


def test_a_violin_is_thin_where_there_are_no_runs() -> None:
    (axes,) = plots.time_violins(TABLE).axes
    assert axes.get_xscale() == "log"
    for place, level in enumerate((100, 50)):
        # Of each series 27 runs lie at its level and 3 at ten times that.
        times, across = axes.collections[3 * place].get_paths()[0].vertices.T
        width = np.abs(across - place)
        assert width[(times > 2 * level) & (times < 5 * level)].max() < 0.01
        assert width.max() == pytest.approx(0.4)
