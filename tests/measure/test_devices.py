"""The published tables are the files' own numbers, and a broken row is refused."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from sam2lab import settings
from sam2lab.measure import devices

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
            ("3.276", "3,276", "line 2: 9 values, wanted 8"),
            ("3.276", "fast", "line 2: inference_ms is 'fast', wanted a number"),
            ("3.276", "-3.276", "line 2: inference_ms is '-3.276'"),
            ("3.276", "nan", "line 2: inference_ms is 'nan'"),
            ("3.276", "0", "line 2: inference_ms is '0', wanted milliseconds, above 0"),
            ("3.276", "3276000", "line 2: inference_ms is '3276000'"),
            ("3.276,15,15", "3.276,15,15.5", "line 2: peak_mb_max is '15.5', wanted whole"),
            ("3.276,15,15", "3.276,16,15", "line 2: peak_mb_min 16 is above peak_mb_max 15"),
            ("15,15,NPU", "15,15,TPU", "line 2: primary_compute_unit is 'TPU'"),
            ("SAM2Decoder,ONNX", "SAM3Decoder,ONNX", "line 2: model is 'SAM3Decoder'"),
            ("ONNX,float", "OXNN,float", "line 2: runtime is 'OXNN'"),
            ("float,Snap", "fp8,Snap", "line 2: precision is 'fp8', wanted one of float, w8a8"),
            ("Snapdragon X2 Elite", "", "line 2: chipset is ''"),
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
        with pytest.raises(ValueError, match=r"line 108: .* stands in line 41 already"):
            devices.published(twice)

    @pytest.mark.parametrize(
        ("lines", "reason"),
        [
            ([], "line 1: the columns are"),
            (LINES[:1], "holds no rows"),
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
        with pytest.raises(ValueError, match=r"none\.csv.* does not exist"):
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
