"""Each figure draws itself, touches nothing global, and names its axes."""

from __future__ import annotations

import importlib
import sys
from functools import cache

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from sam2lab import plots
from sam2lab.measure.latency_summaries import latency_ratios, summarise_latency
from tests.peers.made_up import comparison
from tests.plots import test_accuracy as accuracy
from tests.plots import test_devices as devices
from tests.plots import test_latency as latency
from tests.plots import test_parity as parity
from tests.plots import test_quantize as quantize
from tests.plots import test_targets as targets
from tests.plots import test_tracking as tracking
from tests.plots import test_training as training
from tests.plots import test_video as video

PHOTO, SQUARE = parity.PHOTO, parity.block(10, 10)
CANDIDATES = pd.DataFrame({"predicted_iou": [0.9], "stability_score": [0.8], "area": [100]})
FIGURES = {
    "among_chipsets": lambda: plots.among_chipsets(devices.PUBLISHED, devices.HERE),
    "by_target": lambda: plots.by_target(targets.TABLE),
    "beside_truth": lambda: plots.beside_truth([accuracy.case("one"), accuracy.case("two", 90)]),
    "block_damage": lambda: plots.block_damage(quantize.SWEPT),
    "candidates": lambda: plots.candidates(PHOTO, SQUARE[None], np.ones(1), [(15, 15)], [1]),
    "cells_over": lambda: plots.cells_over(PHOTO, {"moved": np.arange(12.0).reshape(3, 4)}),
    "cold_start": lambda: plots.cold_start(latency.COLD),
    "error_growth": lambda: plots.error_growth(parity.STAGES),
    "film_strip": lambda: plots.film_strip(video.FRAMES, video.FOUND),
    "filtered": lambda: plots.filtered(CANDIDATES, 0.5, 0.5),
    "flip_map": lambda: plots.flip_map(PHOTO, SQUARE, parity.block(10, 12)),
    "frame_parts": lambda: plots.frame_parts(tracking.PARTS),
    "iou_by_clicks": lambda: plots.iou_by_clicks(accuracy.SUMMARY),
    "iou_by_prompt": lambda: plots.iou_by_prompt(parity.MASKS),
    "iou_by_size": lambda: plots.iou_by_size(accuracy.BY_SIZE),
    "j_over_frames": lambda: plots.j_over_frames(tracking.TABLE),
    "jaccard_boxes": lambda: plots.jaccard_boxes(accuracy.TABLE),
    "learning": lambda: plots.learning(training.LOG),
    "looks_at": lambda: plots.looks_at(video.CHOSEN),
    "mask_on_disk": lambda: plots.mask_on_disk(latency.ON_DISK),
    "memories": lambda: plots.memories([PHOTO], [np.random.default_rng(0).normal(size=(4, 5, 6))]),
    "memory_over_frames": lambda: plots.memory_over_frames(tracking.MEMORY),
    "outlined": lambda: plots.outlined([PHOTO], [SQUARE[None]]),
    "painted": lambda: plots.painted(PHOTO, [SQUARE]),
    "pareto": lambda: plots.pareto(quantize.TABLE),
    "parts": lambda: plots.parts({"encoder": 2_000_000, "decoder": 500_000}),
    "peak_memory": lambda: plots.peak_memory(latency.MEMORY),
    "peer_masses": lambda: plots.peer_masses(comparison().summary()),
    "peer_ratios": lambda: plots.peer_ratios(comparison().summary()),
    "presence": lambda: plots.presence({"cup": [3.0, -1.0]}, {"cup": [1]}),
    "run_order": lambda: plots.run_order(latency.TABLE, summarise_latency(latency.TABLE)[:1]),
    "speed_against_memory": lambda: plots.speed_against_memory(devices.PUBLISHED, devices.HERE),
    "tensor_errors": lambda: plots.tensor_errors(parity.TENSORS),
    "time_ecdf": lambda: plots.time_ecdf(latency.TABLE),
    "time_ratios": lambda: plots.time_ratios(latency_ratios(latency.TABLE)),
    "time_study": lambda: plots.time_study(summarise_latency(latency.STUDY), "number of points"),
    "time_violins": lambda: plots.time_violins(latency.TABLE),
}
# The others have panels, or names at an axis that say what it is.
ONE_PANEL = (
    "block_damage",
    "cold_start",
    "error_growth",
    "filtered",
    "flip_map",
    "frame_parts",
    "iou_by_prompt",
    "memory_over_frames",
    "peak_memory",
    "run_order",
    "tensor_errors",
    "time_ecdf",
    "time_ratios",
    "time_study",
    "time_violins",
)


@cache
def drawn(name: str) -> Figure:
    return FIGURES[name]()


def test_no_figure_is_left_out() -> None:
    assert sorted(FIGURES) == plots.__all__


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_draws_itself_as_png_and_leaves_pyplot_alone(name: str) -> None:
    figure = drawn(name)
    assert isinstance(figure, Figure)
    assert figure._repr_png_().startswith(b"\x89PNG")
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or not pyplot.get_fignums()


@pytest.mark.parametrize("name", FIGURES)
def test_no_legend_lies_on_what_is_drawn(name: str) -> None:
    assert [axes.get_legend() for axes in drawn(name).axes if axes.get_legend()] == []


@pytest.mark.parametrize("missing", ["matplotlib", "pandas"])
def test_without_the_extra_it_is_said_what_to_install(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [n for n in sys.modules if n.split(".")[0] == missing]:
        monkeypatch.setitem(sys.modules, name, None)
    for name in [n for n in sys.modules if n.startswith("sam2lab.plots")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(ModuleNotFoundError, match=rf"{missing}.*pip install 'sam2lab\[lab\]'"):
        _ = importlib.import_module("sam2lab.plots").tensor_errors


@pytest.mark.parametrize("name", ONE_PANEL)
def test_a_panel_has_a_title_and_says_what_its_axes_are(name: str) -> None:
    (axes,) = drawn(name).axes
    assert axes.get_title() or axes.get_title("left")
    assert axes.get_xlabel()
    assert axes.get_ylabel()
