"""A whole comparison on nano: interrupted, taken up again, with one missing and one that fails."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sam2lab.peers import bench, contenders
from sam2lab.peers.bench import compare
from sam2lab.peers.comparison import Comparison
from sam2lab.peers.contenders import CONTENDERS, NAMES, Contender, chosen
from sam2lab.peers.process import Child, ChildError

OURS = CONTENDERS[0]
MISSING = Contender("not here", "none", "onnx", ("no_such_module",), "pip install it", ())
# An exporter that does not exist fails as one that cannot export does: in its own process.
FAILING = Contender("cannot export", "none", "onnx", (), "", ())
# In one call, instead of 64: enough to have a time.
FEW = 4


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that was interrupted when the rounds were done."""
    folder = tmp_path_factory.mktemp("bench")

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench, "chosen", lambda _: [OURS, MISSING, FAILING])
        patch.setattr(bench, "MANY", FEW)
        patch.setattr(bench, "_begin", interrupt)
        with pytest.raises(KeyboardInterrupt):
            compare("nano", threads=1, rounds=2, starts=1, folder=folder)
    return folder


@pytest.fixture(scope="module")
def journal(interrupted: Path) -> list[dict[str, Any]]:
    """What was finished when the run was interrupted."""
    lines = (interrupted / bench.JOURNAL).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines[1:]]


@pytest.fixture(scope="module")
def finished(interrupted: Path, journal: list[dict[str, Any]]) -> Comparison:
    """The same call again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench, "chosen", lambda _: [OURS, MISSING, FAILING])
        patch.setattr(bench, "MANY", FEW)
        return compare("nano", threads=1, rounds=2, starts=1, folder=interrupted)


def test_an_interrupted_run_goes_on_where_it_was(
    finished: Comparison, journal: list[dict[str, Any]], interrupted: Path
) -> None:
    assert [line["phase"] for line in journal] == ["answers", *["encode"] * 2, *["decode"] * 2]
    assert list(finished.lines[: len(journal)]) == journal
    assert not (interrupted / bench.JOURNAL).exists(), "the next run begins anew"


def test_our_masks_are_the_originals(finished: Comparison) -> None:
    table = finished.agreement()
    assert len(table) == 7
    assert table["iou"].min() >= 0.999


def test_everything_of_ours_was_measured(finished: Comparison) -> None:
    ours = finished.summary().iloc[0]
    columns = ["encode_ms", "decode_ms", "many_ms", "first_mask_ms", "peak_mb", "files_mb"]
    assert (ours[columns].astype(float) > 0).all()
    # Its own classes prepare the photo as the original does, down to rounding.
    assert ours["own_iou"] >= 0.999
    assert not finished.starts()["uses_torch"].any()


def test_a_missing_peer_is_shown_as_missing_with_the_way_to_get_it(finished: Comparison) -> None:
    row = finished.summary().iloc[1]
    assert (row["state"], row["reason"]) == (
        "missing",
        "no_such_module not installed; pip install it",
    )


def test_a_failing_peer_is_shown_as_failing_with_its_errors_first_line(
    finished: Comparison,
) -> None:
    row = finished.summary().iloc[2]
    assert (row["state"], row["reason"]) == ("failed", "KeyError: 'none'")


def test_the_result_is_in_a_file(finished: Comparison, interrupted: Path) -> None:
    assert list(Comparison.load(interrupted / bench.RESULT).lines) == list(finished.lines)


def test_a_peer_for_a_newer_python_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contenders.sys, "version_info", (3, 11, 7))
    wants = replace(MISSING, python=(3, 12))
    assert wants.missing() == "no_such_module not installed, needs Python 3.12; pip install it"


def test_ours_is_compared_whoever_is_chosen() -> None:
    assert [one.name for one in chosen(["PyTorch"])] == ["sam2lab", "PyTorch"]
    assert [one.name for one in chosen(None)] == list(NAMES)
    with pytest.raises(ValueError, match="contenders has 'SAM'; wanted some of: sam2lab, "):
        chosen(["SAM"])


@pytest.mark.parametrize("name", ["threads", "rounds", "starts"])
def test_numbers_that_are_none_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"{name} is 0; wanted a whole number, 1 or more"):
        compare("nano", [], folder=tmp_path, **{name: 0})
    assert not list(tmp_path.iterdir()), "refused before any work"


def test_a_child_that_is_killed_says_so() -> None:
    with Child("_child.py") as child:
        child._process.kill()
        with pytest.raises(ChildError, match="the process ended with -9"):
            child.ask(do="open")


@pytest.fixture
def order_of() -> Callable[[int], list[str]]:
    """Who comes when in a round."""
    plan = bench._Plan(None, 1, 9, 1, 0, [bench._Entry(one) for one in CONTENDERS])  # type: ignore[arg-type]

    def order(number: int) -> list[str]:
        return [entry.name for entry in dict(plan.turns("encode", 9))[number]]

    return order


def test_every_round_has_an_order_of_its_own(order_of: Callable[[int], list[str]]) -> None:
    orders = [tuple(order_of(number)) for number in range(1, 10)]
    assert len(set(orders)) == 9
    assert all(sorted(order) == sorted(NAMES) for order in orders)


@pytest.mark.slow
def test_every_peer_that_is_here_gives_the_originals_masks(tmp_path: Path) -> None:
    comparison = compare("nano", rounds=1, starts=1, folder=tmp_path)
    ran = comparison.summary().query("state == 'ran' and is_exact")
    # onnxruntime's optimiser breaks its own decoder: found out here, and shown.
    sound = ran[ran["contender"] != "onnxruntime's --optimize"]
    assert {"sam2lab", "PyTorch", "onnxruntime's exporter"} <= set(sound["contender"])
    assert (sound["iou"] >= 0.999).all()
