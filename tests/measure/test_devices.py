"""Published figures are those of the files, broken rows are refused, this machine has the form."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pandas as pd
import pytest

from sam2lab import settings
from sam2lab.measure import devices
from sam2lab.runtime.engines.onnx import OnnxEngine, ProviderReport
from tests.measure.sleepy import SleepyEngine

FILE = settings.data_folder() / "qualcomm_ai_hub_sam2.csv"
LINES = FILE.read_text().splitlines()


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return devices.published()


class TestPublished:
    def test_holds_every_row_with_the_files_own_numbers(self, table: pd.DataFrame) -> None:
        # Parsed by hand, not by what is tested.
        wanted = []
        for line in LINES[1:]:
            *names, ms, low, high, unit = line.split(",")
            wanted.append((*names, float(ms), int(low), int(high), unit))
        assert len(wanted) == 106
        assert list(table.itertuples(index=False, name=None)) == wanted
        assert ",".join(table.columns) == LINES[0]

    def test_gives_numbers_as_numbers(self, table: pd.DataFrame) -> None:
        assert table["inference_ms"].dtype == float
        assert table["peak_mb_min"].dtype == table["peak_mb_max"].dtype == int

    @pytest.mark.parametrize(
        ("chipset", "precision", "runtime", "ms"),
        [
            ("Snapdragon X2 Elite", "float", "ONNX", 99.568),
            ("Snapdragon 8 Elite Gen 5 Mobile", "w8a8", "TFLITE", 39.36),
            ("Qualcomm QCS6490", "w8a8", "ONNX", 2191.807),
        ],
    )
    def test_says_what_the_model_card_says(
        self, table: pd.DataFrame, chipset: str, precision: str, runtime: str, ms: float
    ) -> None:
        row = table[
            (table["model"] == "SAM2Encoder")
            & (table["chipset"] == chipset)
            & (table["precision"] == precision)
            & (table["runtime"] == runtime)
        ]
        assert row["inference_ms"].tolist() == [ms]

    @pytest.mark.parametrize(
        ("old", "new", "reason"),
        [
            ("3.276", "3,276", "line 2: there are more than 8 values"),
            (",NPU", "", "line 2: primary_compute_unit is not one of NPU, GPU, CPU"),
            ("3.276", "fast", "line 2: inference_ms is no number of ms up to 30000"),
            ("3.276", "-3.276", "line 2: inference_ms is no"),
            ("3.276", "nan", "line 2: inference_ms is no"),
            ("3.276", "0", "line 2: inference_ms is no"),
            ("3.276", "3276000", "line 2: inference_ms is no"),
            ("3.276,15,15", "3.276,15,15.5", "line 2: peak_mb_max is no number of mb"),
            ("3.276,15,15", "3.276,16,15", "line 2: peak_mb_min is above peak_mb_max"),
            ("15,15,NPU", "15,15,TPU", "line 2: primary_compute_unit is not one of NPU, GPU, CPU"),
            ("SAM2Decoder,ONNX", "SAM3Decoder,ONNX", "line 2: model is not one of"),
            ("ONNX,float", "OXNN,float", "line 2: runtime is not one of"),
            ("float,Snap", "fp8,Snap", "line 2: precision is not one of float, w8a8"),
            ("Snapdragon X2 Elite", "", "line 2: chipset is empty"),
        ],
    )
    def test_refuses_a_broken_row_with_its_line_and_reason(
        self, tmp_path: Path, old: str, new: str, reason: str
    ) -> None:
        broken = tmp_path / "broken.csv"
        assert old in LINES[1]
        broken.write_text("\n".join([LINES[0], LINES[1].replace(old, new, 1), *LINES[2:]]))
        with pytest.raises(ValueError, match=r"data/README\.md") as error:
            devices.published(broken)
        assert f"broken.csv, {reason}" in str(error.value)

    def test_refuses_a_row_that_stands_twice(self, tmp_path: Path) -> None:
        twice = tmp_path / "twice.csv"
        twice.write_text("\n".join([*LINES, LINES[40].replace(",NPU", ",CPU")]))
        with pytest.raises(ValueError, match="line 108: there is a row of the same model"):
            devices.published(twice)

    @pytest.mark.parametrize(
        ("lines", "reason"),
        [
            ([], "line 1: the columns"),
            ([LINES[0].replace("inference_ms", "inference_s"), *LINES[1:]], "line 1: the columns"),
        ],
    )
    def test_refuses_a_file_that_is_no_such_table(
        self, tmp_path: Path, lines: list[str], reason: str
    ) -> None:
        file = tmp_path / "other.csv"
        file.write_text("\n".join(lines))
        with pytest.raises(ValueError, match=reason):
            devices.published(file)

    def test_names_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match=r"none\.csv cannot be read: .*No such file"):
            devices.published(tmp_path / "none.csv")


class TestPaper:
    def test_holds_the_papers_figures(self) -> None:
        spans = devices.paper().set_index(["place", "part"])[["ms_min", "ms_max"]]
        assert spans.apply(tuple, axis=1).to_dict() == {
            ("local", "run"): (1000, 1000),
            ("local", "encoder"): (240, 240),
            ("local", "decoder"): (10, 10),
            ("cloud", "run"): (470, 750),
        }


class TestSelect:
    def test_keeps_all_rows_where_nothing_is_asked(self, table: pd.DataFrame) -> None:
        chosen = devices.select(table)
        assert len(chosen) == len(table)
        assert chosen["inference_ms"].is_monotonic_increasing

    def test_filters_by_every_column_and_sorts_either_way(self, table: pd.DataFrame) -> None:
        chosen = devices.select(
            table, "SAM2Encoder", "QNN_DLC", "float", sort_by="peak_mb_max", descending=True
        )
        assert set(chosen["model"]) == {"SAM2Encoder"}
        assert set(chosen["runtime"]) == {"QNN_DLC"}
        assert set(chosen["precision"]) == {"float"}
        assert chosen["peak_mb_max"].is_monotonic_decreasing
        assert len(chosen) == 8

    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            ({"model": "encoder"}, "model is 'encoder'; wanted one of all, SAM2Decoder"),
            ({"precision": "int8"}, "precision is 'int8'; wanted one of all, float, w8a8"),
            ({"sort_by": "speed"}, "sort_by is 'speed'; wanted one of model, runtime"),
        ],
    )
    def test_names_what_it_does_not_know(
        self, table: pd.DataFrame, wrong: dict[str, str], message: str
    ) -> None:
        with pytest.raises(ValueError, match=message):
            devices.select(table, **wrong)


CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"


def peaks(*names: str) -> pd.DataFrame:
    """As `fresh.peak_memory` tells it; the second repeat takes 10 MB more once a model is open."""
    above = {"import": 50.0, "open": 60.0, "encode": 250.4, "decode": 90.0}
    return pd.DataFrame(
        [
            (name, run, phase, mb + 10 * (run and phase != "import"))
            for name in names
            for run in (0, 1)
            for phase, mb in above.items()
        ],
        columns=["series", "run", "phase", "peak_mb"],
    )


@pytest.fixture(scope="module")
def here() -> pd.DataFrame:
    engines = {"quick": SleepyEngine(20, 10), "slow": SleepyEngine(60, 30)}
    return devices.this_machine(engines, peaks("quick", "slow"), runs=8)


class TestThisMachine:
    def test_has_the_published_form(self, here: pd.DataFrame, table: pd.DataFrame) -> None:
        own = here[list(table.columns)]
        assert list(here.columns)[: len(table.columns)] == list(table.columns)
        assert own.dtypes.to_dict() == table.dtypes.to_dict()
        assert own["model"].tolist() == ["SAM2Encoder"] * 2 + ["SAM2Decoder"] * 2

    def test_tells_slow_from_quick_as_they_are(self, here: pd.DataFrame) -> None:
        encoders, decoders = here.iloc[:2], here.iloc[2:]
        for quick, slow in (encoders["inference_ms"], decoders["inference_ms"]):
            # The sleeps are as 1 to 3; a busy machine adds a few ms to each.
            assert 2 < slow / quick < 4
        assert (encoders["inference_ms"].to_numpy() > decoders["inference_ms"].to_numpy()).all()

    def test_gives_the_interval_beside_the_median(self, here: pd.DataFrame) -> None:
        assert (here["low_ms"] <= here["inference_ms"]).all()
        assert (here["inference_ms"] <= here["high_ms"]).all()
        # The first of eight rounds never counts, and warming up may take some more.
        assert here["runs"].between(4, 7).all()

    def test_gives_memory_above_the_libraries(self, here: pd.DataFrame) -> None:
        ranges = here[["peak_mb_min", "peak_mb_max"]].apply(tuple, axis=1)
        assert ranges.tolist() == [(200, 210)] * 2 + [(40, 50)] * 2

    def test_says_what_ran(self, here: pd.DataFrame) -> None:
        assert set(here["measured"]) == {"nano at 64x64, random weights: for time only"}
        assert here["chipset"].nunique() == 1
        assert here.attrs["machine"]["cpu"] == here["chipset"].iloc[0]

    def test_asks_two_points_as_the_published_decoder_has_them(self) -> None:
        engine = SleepyEngine()
        devices.this_machine({"one": engine}, peaks("one"), runs=2)
        assert {prompts.point_coords.shape for prompts in engine.asked} == {(1, 2, 2)}

    def test_reports_where_onnxruntime_ran_a_bundle(self, nano_bundle: Path) -> None:
        engine = OnnxEngine(nano_bundle)
        rows = devices.this_machine({"nano": engine}, peaks("nano"), runs=2)
        assert rows["runtime"].tolist() == ["ONNX", "ONNX"]
        assert set(rows["fallback_nodes"]) == {0}
        assert rows["nodes"].tolist() == [
            sum(engine.report.nodes[graph].values()) for graph in ("encoder", "decoder")
        ]

    def test_refuses_engines_of_several_sizes(self) -> None:
        other = SleepyEngine()
        other.info = dataclasses.replace(other.info, input_size=(64, 96))
        with pytest.raises(ValueError, match=r"input sizes \{'a': \(64, 64\), 'b': \(64, 96\)\}"):
            devices.this_machine({"a": SleepyEngine(), "b": other}, peaks("a", "b"))

    def test_refuses_no_engine_at_all(self) -> None:
        with pytest.raises(ValueError, match="at least one engine"):
            devices.this_machine({}, peaks("a"))

    def test_refuses_one_run(self) -> None:
        with pytest.raises(ValueError, match="runs is 1; wanted a whole number, 2 or more"):
            devices.this_machine({"a": SleepyEngine()}, peaks("a"), runs=1)

    def test_names_the_engine_whose_memory_was_not_measured(self) -> None:
        with pytest.raises(ValueError, match="no finished repeat of a series 'b'"):
            devices.this_machine({"a": SleepyEngine(), "b": SleepyEngine()}, peaks("a"))

    def test_leaves_a_repeat_out_that_was_interrupted(self) -> None:
        cut = peaks("a").iloc[:-1]
        rows = devices.this_machine({"a": SleepyEngine()}, cut, runs=2)
        assert (rows["peak_mb_min"] == rows["peak_mb_max"]).all()


class TestPlacement:
    @pytest.mark.parametrize(
        ("asked", "taken", "placed"),
        [
            ((CPU,), {CPU: 300}, (CPU, 300, 0)),
            ((CUDA,), {CUDA: 290, CPU: 10}, (CUDA, 300, 10)),
            ((CUDA, CPU), {CUDA: 290, CPU: 10}, (CUDA, 300, 10)),
            ((CUDA,), {CPU: 300}, (CPU, 300, 300)),
            ((CUDA,), {CUDA: 300}, (CUDA, 300, 0)),
        ],
    )
    def test_counts_what_fell_back_to_the_cpu(
        self, asked: tuple[str, ...], taken: dict[str, int], placed: tuple[str, int, int]
    ) -> None:
        engine = SleepyEngine()
        engine.report = ProviderReport(asked, (CUDA, CPU), {"encoder": taken, "decoder": {CPU: 1}})
        assert devices.placement(engine, "encoder") == placed

    def test_knows_the_device_of_an_engine_without_a_graph(self) -> None:
        engine = SleepyEngine()
        engine.device = "cuda:0"
        assert devices.placement(engine, "decoder") == ("cuda:0", None, None)

    @pytest.mark.parametrize(
        ("provider", "unit"),
        [
            (CPU, "CPU"),
            ("cpu", "CPU"),
            (CUDA, "GPU"),
            ("TensorrtExecutionProvider", "GPU"),
            ("DmlExecutionProvider", "GPU"),
            ("mps", "GPU"),
            ("QNNExecutionProvider", "NPU"),
            ("CoreMLExecutionProvider", "unknown"),
        ],
    )
    def test_names_the_unit_behind_a_provider(self, provider: str, unit: str) -> None:
        assert devices.compute_unit(provider) == unit
