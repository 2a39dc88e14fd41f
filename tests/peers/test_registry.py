"""A peer is one file and one registration: a toy goes through `compare` and `report`."""

from __future__ import annotations

from pathlib import Path

import pytest

from sam2lab.peers import PEERS, Comparison, PeerRow, capabilities, compare, register, report
from sam2lab.peers.plan import Plan
from tests.peers.toy import Toy


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Plan, "MANY", 2)
        # Taken out again, so that no other test finds it.
        patch.setitem(PEERS, "toy", None)
        del PEERS["toy"]
        register(Toy)
        return compare(
            "nano", ["toy"], threads=1, rounds=1, starts=1, folder=tmp_path_factory.mktemp("toy")
        )


def test_it_is_measured_beside_ours(comparison: Comparison) -> None:
    summary = comparison.summary()
    assert summary["contender"].tolist() == ["sam2lab", "toy"]
    assert summary["state"].tolist() == ["ran", "ran"]
    assert summary.loc[1, "files_mb"] == 3
    assert summary.loc[1, "decode_ratio"] < 1, "a toy answers at once"
    assert comparison.about["versions"]["numpy"]


def test_its_masks_are_compared_with_the_originals(comparison: Comparison) -> None:
    toy = comparison.summary().loc[1]
    assert toy["iou"] < 0.9
    assert 0 < toy["own_iou"] < 0.9
    refused = comparison.troubles().set_index("where")["error"]
    assert refused.to_dict() == {"refine": "NotImplementedError: a toy takes no mask"}


def test_its_fresh_process_pays_for_nothing_of_ours(comparison: Comparison) -> None:
    starts = comparison.starts().set_index("series")
    # numpy alone, where ours imports onnxruntime too.
    assert starts.loc["toy", "import_ms"] < starts.loc["sam2lab", "import_ms"]
    assert not starts.loc["toy", "uses_torch"]
    peaks = comparison.peaks().set_index("series")["peak_mb"]
    assert peaks["toy"] < peaks["sam2lab"] / 2


def test_the_report_has_it(comparison: Comparison) -> None:
    text = report(comparison)
    assert "- toy gives wrong masks" in text
    assert "| toy |" in text


def test_its_attribute_can_is_in_the_table_of_capabilities(
    comparison: Comparison, monkeypatch
) -> None:
    monkeypatch.setitem(PEERS, "toy", PeerRow(Toy, "toy", can=Toy.can))
    table = capabilities(comparison).set_index("capability")
    assert table.loc["telepathy", ["sam2lab", "toy"]].tolist() == ["no", "yes"]
    assert table.loc["video", "source"] == "sam2lab: the image model only; toy: in its dreams"


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
