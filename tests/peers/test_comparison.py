"""The tables of made-up times give back what they were made of, and survive a file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from sam2lab.peers import Comparison, capabilities, report
from tests.peers.made_up import KINDS, comparison, contender


@pytest.fixture(scope="module")
def summary() -> pd.DataFrame:
    return comparison().summary().set_index("contender")


class TestRatios:
    @pytest.mark.parametrize(
        ("stem", "samexporter", "pytorch"),
        [("encode", 2, 4), ("decode", 1.5, 2), ("first_mask", 3, 2)],
    )
    def test_are_paired_so_that_slow_rounds_go_out_of_them(
        self, summary: pd.DataFrame, stem: str, samexporter: float, pytorch: float
    ) -> None:
        for name, wanted in (("samexporter", samexporter), ("PyTorch", pytorch)):
            ends = summary.loc[name, [f"{stem}_{end}" for end in ("ratio", "low", "high")]]
            assert ends.tolist() == pytest.approx([wanted] * 3)

    def test_medians_are_over_all_rounds(self, summary: pd.DataFrame) -> None:
        assert summary.loc["sam2lab", "encode_ms"] == pytest.approx(1200)
        assert summary.loc["PyTorch", "many_ms"] == pytest.approx(30)

    def test_a_peer_that_takes_one_prompt_at_a_time_has_no_time_for_many(
        self, summary: pd.DataFrame
    ) -> None:
        assert pd.isna(summary.loc["samexporter", "many_ms"])
        assert summary.loc["PyTorch", "many_ratio"] == pytest.approx(2.5)

    def test_one_of_many_is_a_share_of_one_alone(self) -> None:
        shares = comparison().many_share().set_index("series")["share"]
        assert shares.to_dict() == pytest.approx({"sam2lab": 0.25, "PyTorch": 0.25 * 2.5 / 2})


class TestSummary:
    def test_has_every_peer_with_state_and_reason(self, summary: pd.DataFrame) -> None:
        assert summary["state"].tolist() == ["ran", "ran", "ran", "missing", "failed"]
        assert summary.loc["OpenVINO f32", "reason"] == "RuntimeError: no such device"
        assert summary.loc["sam2-onnx", ["encode_ms", "peak_mb", "iou"]].isna().all()

    def test_shows_the_worst_kind_of_prompt(self, summary: pd.DataFrame) -> None:
        assert summary.loc["samexporter", "iou"] == 0.5
        assert summary.loc["samexporter", "own_iou"] == 0.9

    def test_peaks_are_medians(self, summary: pd.DataFrame) -> None:
        assert summary.loc["PyTorch", "peak_mb"] == 1001.5


class TestCapabilities:
    def test_come_from_what_was_measured(self) -> None:
        table = capabilities(comparison()).set_index("capability")
        assert table.loc["boxes", ["sam2lab", "samexporter"]].tolist() == ["yes", "no"]
        assert table.loc["several objects in one call", "samexporter"] == "no"
        assert table.loc["runs without torch", ["sam2lab", "PyTorch"]].tolist() == ["yes", "no"]
        prepared = table.loc["its own classes prepare photos as SAM 2 does"]
        assert prepared[["PyTorch", "samexporter"]].tolist() == ["yes", "no"]

    def test_are_unknown_of_peers_that_did_not_run(self) -> None:
        table = capabilities(comparison()).set_index("capability")
        measured = table[table["source"] == "measured"]
        assert len(measured) == 7
        assert (measured[["sam2-onnx", "OpenVINO f32"]] == "?").all(axis=None)

    def test_of_a_peer_that_this_version_does_not_know_are_unknown(self) -> None:
        made = comparison()
        gone = contender("renamed since", "missing", "not installed")
        table = capabilities(replace(made, contenders=[*made.contenders, gone]))
        assert (table["renamed since"] == "?").all()

    def test_that_were_read_say_where(self) -> None:
        table = capabilities(comparison())
        assert (table["source"].str.len() > 0).all()


class TestReport:
    def test_shows_the_missing_and_the_failing_with_their_reasons(self) -> None:
        text = report(comparison())
        assert "| sam2-onnx | missing: sam2_onnx not installed, needs Python 3.12 |" in text
        assert "| OpenVINO f32 | failed: RuntimeError: no such device |" in text

    def test_says_which_peers_give_wrong_masks_or_refuse(self) -> None:
        text = report(comparison())
        assert "- samexporter gives wrong masks: IoU 0.500 with the original." in text
        assert "- samexporter, several at once: Fail: Reshape" in text

    def test_says_which_own_classes_fail_and_keeps_what_the_files_did(self) -> None:
        assert "- samexporter, own classes: RuntimeError: wrong width" in report(comparison())
        assert comparison().summary().loc[1, "state"] == "ran"

    def test_gives_ours_as_a_share_of_the_others_too(self) -> None:
        lines = report(comparison()).splitlines()
        (row,) = [line for line in lines if line.startswith("| samexporter | 0.50 [0.50, 0.50] |")]
        assert "| 0.33 [0.33, 0.33] |" in row

    def test_every_row_of_a_table_has_as_many_cells(self) -> None:
        widths: list[set[int]] = [set()]
        for line in report(comparison()).splitlines():
            if line.startswith("|"):
                widths[-1].add(line.count("|"))
            elif widths[-1]:
                widths.append(set())
        assert [len(width) for width in widths[:4]] == [1, 1, 1, 1]

    def test_says_that_random_weights_prove_nothing_but_agreement(self) -> None:
        assert "random weights (seed 0): for time and numeric parity only" in report(comparison())


class TestFile:
    def test_holds_everything(self, tmp_path: Path) -> None:
        made = comparison()
        made.save(tmp_path / "deep" / "peers.json")
        loaded = Comparison.load(tmp_path / "deep" / "peers.json")
        pd.testing.assert_frame_equal(loaded.summary(), made.summary())
        assert loaded.about == made.about

    def test_has_the_form_that_it_says(self, tmp_path: Path) -> None:
        comparison().save(tmp_path / "peers.json")
        content = json.loads((tmp_path / "peers.json").read_text(encoding="utf-8"))
        assert (content["format"], content["version"]) == ("sam2lab-peers", 1)
        assert {"machine", "versions", "date", "threads"} <= set(content["about"])
        phases = {line["phase"] for line in content["lines"]}
        assert phases == {"answers", "encode", "decode", "start", "peak"}
        for line in content["contenders"]:
            assert set(line) == {"contender", "state", "reason", "is_exact", "files_mb"}

    @pytest.mark.parametrize("content", ["[]", '{"format": "another"}', "{", ""])
    def test_of_another_kind_is_refused(self, tmp_path: Path, content: str) -> None:
        (tmp_path / "x.json").write_text(content)
        with pytest.raises(ValueError, match=r"x\.json is no comparison"):
            Comparison.load(tmp_path / "x.json")


def test_kinds_are_those_that_are_asked() -> None:
    from sam2lab.measure import cases

    assert cases.KINDS == KINDS
