"""Figures of peers have a place for each, and a mark for each that has a number."""

from __future__ import annotations

import pytest

from sam2lab import plots
from tests.peers.made_up import comparison


@pytest.fixture(scope="module")
def summary():
    return comparison().summary()


def numbers(axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_ratios_have_a_panel_for_each_task(summary) -> None:
    panels = plots.peer_ratios(summary).axes
    assert [numbers(axes) for axes in panels] == [["2", "4"], ["1.5", "2"], ["2.5"], ["3", "2"]]
    for axes in panels:
        assert axes.get_xscale() == "log"
        assert axes.get_xlim()[0] < 1 < axes.get_xlim()[1]


def test_ratios_name_those_who_did_not_run(summary) -> None:
    labels = [label.get_text() for label in plots.peer_ratios(summary).axes[0].get_yticklabels()]
    assert labels == [
        "samexporter",
        "PyTorch",
        "sam2-onnx\n(missing)",
        "OpenVINO f32\n(failed)",
    ]


def test_masses_are_bars_with_numbers(summary) -> None:
    memory, files = plots.peer_masses(summary).axes
    assert [bar.get_width() for bar in memory.patches] == [501.5, 801.5, 1001.5]
    assert numbers(files) == ["100", "100", "100"]
