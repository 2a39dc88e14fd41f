"""A peer is one file and one registration: a toy goes through `compare` and `report`."""

from __future__ import annotations

from pathlib import Path

import pytest

from sam2lab.peers import PEERS, Comparison, PeerRow, capabilities, register, report
from tests.peers.toy import Toy


def test_it_is_measured_beside_ours(finished: Comparison) -> None:
    summary = finished.summary().set_index("contender")
    assert (summary.loc[["sam2lab", "toy"], "state"] == "ran").all()
    assert summary.loc["toy", "files_mb"] == 3
    assert summary.loc["toy", "decode_ratio"] < 1, "a toy answers at once"
    assert finished.about["versions"]["numpy"]


def test_its_masks_are_compared_with_the_originals(finished: Comparison) -> None:
    toy = finished.summary().set_index("contender").loc["toy"]
    assert toy["iou"] < 0.9
    assert 0 < toy["own_iou"] < 0.9
    refused = finished.troubles().set_index("where")["error"]
    assert refused.to_dict() == {"refine": "NotImplementedError: a toy takes no mask"}


def test_its_fresh_process_pays_for_nothing_of_ours(finished: Comparison) -> None:
    starts = finished.starts().set_index("series")
    # numpy alone, where ours imports onnxruntime too.
    assert starts.loc["toy", "import_ms"] < starts.loc["sam2lab", "import_ms"]
    assert not starts.loc["toy", "uses_torch"]
    peaks = finished.peaks().set_index("series")["peak_mb"]
    assert peaks["toy"] < peaks["sam2lab"] / 2


def test_the_report_has_it(finished: Comparison) -> None:
    text = report(finished)
    assert "- toy gives wrong masks" in text
    assert "| toy |" in text


def test_its_attribute_can_is_in_the_table_of_capabilities(
    finished: Comparison, monkeypatch
) -> None:
    monkeypatch.setitem(PEERS, "toy", PeerRow(Toy, "toy", can=Toy.can))
    table = capabilities(finished).set_index("capability")
    assert table.loc["telepathy", ["sam2lab", "toy"]].tolist() == ["no", "yes"]
    assert table.loc["video", "source"] == "sam2lab: VideoPredictor; toy: in its dreams"


def test_a_second_one_of_a_name_is_refused() -> None:
    with pytest.raises(ValueError, match="there is a peer 'PyTorch' already"):
        register(PEERS["PyTorch"].kind)


def test_a_class_that_stands_in_no_file_is_refused() -> None:
    class Hidden(Toy):
        name = "hidden"

    with pytest.raises(ValueError, match="wanted a class at the top of a module"):
        register(Hidden)


def test_every_file_of_a_peer_imports_only_the_standard_library_at_its_top() -> None:
    import ast
    import sys

    import sam2lab.peers

    package = Path(sam2lab.peers.__file__).parent
    light = [*(package / "catalogue").glob("*.py"), package / "job.py", package / "worker.py"]
    measure = package.parent / "measure"
    light += [measure / "_child_loop.py", measure / "_fresh_steps.py"]
    assert len(light) >= 10
    for file in light:
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            named = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            named += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in named:
                assert name.split(".")[0] in sys.stdlib_module_names, f"{file.name}: {name}"
