"""A whole comparison on nano: interrupted, taken up again, with one missing and one that fails."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sam2lab.peers import PEERS, Comparison, bench, compare, register
from sam2lab.peers.plan import Entry, Plan
from sam2lab.peers.table import chosen
from tests.peers.toy import Absent, Broken

# In one call, instead of 64: enough to have a time.
FEW = 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench")


@pytest.fixture(scope="module")
def run(folder: Path) -> Iterator[Callable[[], Comparison]]:
    """Compare ours, a peer that is missing and one that cannot export, always in one folder."""
    with pytest.MonkeyPatch.context() as patch:
        for kind in (Absent, Broken):
            # Taken out again, so that no other test finds it.
            patch.setitem(PEERS, kind.name, PEERS["PyTorch"])
            del PEERS[kind.name]
            register(kind)
        patch.setattr(Plan, "MANY", FEW)
        yield lambda: compare(
            "nano", ["absent", "broken"], threads=1, rounds=2, starts=1, folder=folder
        )


@pytest.fixture(scope="module")
def journal(run: Callable[[], Comparison], folder: Path) -> list[dict[str, Any]]:
    """The lines of a run that was interrupted after the rounds."""

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench, "start", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run()
    lines = (folder / bench.JOURNAL).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines[1:]]


@pytest.fixture(scope="module")
def finished(run: Callable[[], Comparison], journal: list[dict[str, Any]]) -> Comparison:
    """The same call again."""
    return run()


def test_an_interrupted_run_goes_on_where_it_was(
    finished: Comparison, journal: list[dict[str, Any]], folder: Path
) -> None:
    assert [line["phase"] for line in journal] == ["answers", *["encode"] * 2, *["decode"] * 2]
    assert list(finished.lines[: len(journal)]) == journal
    assert not (folder / bench.JOURNAL).exists(), "the next run begins anew"


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
    assert (row["state"], row["reason"]) == ("failed", "OSError: the exporter has no ink")


def test_the_result_is_in_a_file(finished: Comparison, folder: Path) -> None:
    assert list(Comparison.load(folder / bench.RESULT).lines) == list(finished.lines)


def test_a_run_with_other_settings_does_not_take_up_what_is_there(
    finished: Comparison, folder: Path
) -> None:
    (folder / bench.JOURNAL).write_text('{"size": "nano", "rounds": 9}\n{"phase": "encode"}\n')
    with bench._journal(folder / bench.JOURNAL, {"size": "nano", "rounds": 2}) as journal:
        assert journal.lines() == []


def test_ours_is_always_compared() -> None:
    assert [one.name for one in chosen(["PyTorch"])] == ["sam2lab", "PyTorch"]
    assert [one.name for one in chosen(None)] == list(PEERS)
    with pytest.raises(ValueError, match="contenders has 'SAM'; wanted some of: sam2lab, "):
        chosen(["SAM"])


@pytest.mark.parametrize("name", ["threads", "rounds", "starts"])
def test_a_number_of_zero_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"{name} is 0; wanted a whole number, 1 or more"):
        compare("nano", [], folder=tmp_path, **{name: 0})
    assert not list(tmp_path.iterdir()), "refused before any work"


@pytest.fixture
def order_of() -> Callable[[int], list[str]]:
    """The order of the peers in a round."""
    plan = Plan(None, 1, 9, 1, 0, [Entry(peer) for peer in chosen()])  # type: ignore[arg-type]

    def order(number: int) -> list[str]:
        return [entry.name for entry in dict(plan.turns("encode", 9))[number]]

    return order


def test_every_round_has_an_order_of_its_own(order_of: Callable[[int], list[str]]) -> None:
    orders = [tuple(order_of(number)) for number in range(1, 10)]
    assert len(set(orders)) == 9
    assert all(sorted(order) == sorted(PEERS) for order in orders)


@pytest.mark.slow
def test_every_peer_that_is_here_gives_the_originals_masks(tmp_path: Path) -> None:
    comparison = compare("nano", rounds=1, starts=1, folder=tmp_path)
    ran = comparison.summary().query("state == 'ran' and is_exact")
    # onnxruntime's optimiser breaks its own decoder: found out here, and shown.
    sound = ran[ran["contender"] != "onnxruntime's --optimize"]
    assert {"sam2lab", "PyTorch", "onnxruntime's exporter"} <= set(sound["contender"])
    assert (sound["iou"] >= 0.999).all()
