"""Figures of devices show every row once, and set this machine apart."""

from __future__ import annotations

import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.text import Text

from sam2lab import plots
from sam2lab.measure import devices
from sam2lab.plots.devices import PRECISIONS

PUBLISHED = devices.published()
HERE = pd.DataFrame(
    [
        ("SAM2Encoder", "ONNX", "float", "A CPU", 1900.0, 880, 900, "CPU"),
        ("SAM2Encoder", "ONNX", "fp16", "A CPU", 2100.0, 700, 720, "CPU"),
        ("SAM2Decoder", "ONNX", "float", "A CPU", 60.0, 80, 90, "CPU"),
    ],
    columns=PUBLISHED.columns,
)


def dots(axes) -> int:
    return sum(len(collection.get_offsets()) for collection in axes.collections)


def names(axes) -> list[str]:
    return [label.get_text() for label in axes.get_yticklabels()]


class TestSpeedAgainstMemory:
    def test_has_a_panel_for_each_part_with_all_its_rows(self) -> None:
        encoder, decoder = plots.speed_against_memory(PUBLISHED).axes
        assert (dots(encoder), dots(decoder)) == (53, 53)
        for axes in (encoder, decoder):
            assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
            assert axes.get_title()
            assert "ms" in axes.get_xlabel()

    def test_rings_and_names_this_machine(self) -> None:
        encoder, decoder = plots.speed_against_memory(PUBLISHED, HERE).axes
        assert dots(encoder) == 53 + 2 * 2, "each own row is a mark and a ring"
        assert [text.get_text() for text in encoder.texts] == ["ONNX float", "ONNX fp16"]
        assert [text.get_text() for text in decoder.texts] == ["ONNX float"]

    def test_names_this_machines_marks_where_no_mark_can_be(self) -> None:
        figure = plots.speed_against_memory(PUBLISHED, HERE)
        figure._repr_png_()
        for axes in figure.axes:
            inside = axes.get_window_extent()
            for name in axes.texts:
                # Without its arrow, which goes to the mark.
                assert Text.get_window_extent(name).x0 > inside.x1

    def test_says_what_the_marks_mean(self) -> None:
        (legend,) = plots.speed_against_memory(PUBLISHED, HERE).legends
        keys = [text.get_text() for text in legend.get_texts()]
        assert keys == [
            "float",
            "fp16",
            "w8a8",
            "filled: ran on the NPU",
            "hollow: on CPU or GPU",
            "this machine",
        ]

    def test_says_what_was_measured_here(self) -> None:
        own = HERE.assign(measured="nano at 64x64, random weights: for time only")
        for figure in (plots.speed_against_memory, plots.among_chipsets):
            (legend,) = figure(PUBLISHED, own).legends
            keys = [text.get_text() for text in legend.get_texts()]
            assert "this machine: nano at 64x64, random weights: for time only" in keys

    def test_tells_precisions_apart_by_colour_and_by_shape(self) -> None:
        colours, shapes = zip(*PRECISIONS.values(), strict=True)
        assert len(set(colours)) == len(set(shapes)) == len(PRECISIONS)

    def test_leaves_hollow_what_did_not_run_on_the_npu(self) -> None:
        on_cpu = PUBLISHED[PUBLISHED["primary_compute_unit"] == "CPU"]
        encoder, _ = plots.speed_against_memory(on_cpu).axes
        assert {to_hex(c.get_facecolor()[0]) for c in encoder.collections} == {"#ffffff"}


class TestAmongChipsets:
    def test_puts_the_chipset_with_the_fastest_run_on_top(self) -> None:
        (axes,) = plots.among_chipsets(PUBLISHED).axes
        encoders = PUBLISHED[PUBLISHED["model"] == "SAM2Encoder"]
        fastest = encoders.groupby("chipset")["inference_ms"].min().sort_values()
        assert names(axes) == fastest.index.tolist()
        bottom, top = axes.get_ylim()
        assert bottom > top, "the first row is the highest"

    def test_ranks_this_machine_among_them(self) -> None:
        (axes,) = plots.among_chipsets(PUBLISHED, HERE).axes
        assert names(axes)[-2:] == ["this machine: A CPU", "Qualcomm QCS6490"]
        assert len(axes.patches) == 1, "its row is set apart"

    def test_draws_another_part(self) -> None:
        (axes,) = plots.among_chipsets(PUBLISHED, HERE, "SAM2Decoder").axes
        assert axes.texts[0].get_text() == "0.9"

    def test_draws_a_reference_and_names_it(self) -> None:
        figure = plots.among_chipsets(PUBLISHED, reference=("a paper", 240.0))
        (legend,) = figure.legends
        assert "a paper: 240 ms" in [text.get_text() for text in legend.get_texts()]

    def test_stays_as_tall_as_its_rows_need(self) -> None:
        many = PUBLISHED.assign(
            chipset=PUBLISHED["chipset"] + " " + (PUBLISHED.index % 3).astype(str)
        )
        figure = plots.among_chipsets(many)
        (axes,) = figure.axes
        assert figure.get_figheight() / len(names(axes)) >= 0.3, "inches for a row"

    def test_refuses_a_part_that_there_is_not(self) -> None:
        with pytest.raises(ValueError, match="model is 'encoder'; wanted one of 'SAM2Encoder'"):
            plots.among_chipsets(PUBLISHED, model="encoder")
