"""A whole comparison on nano: interrupted, taken up again, with one missing and one that fails."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sam2lab.peers import PEERS, Comparison, bench, compare
from sam2lab.peers.plan import Entry, Plan
from sam2lab.peers.table import chosen
from tests.peers.conftest import Run


def test_an_interrupted_run_goes_on_where_it_was(run: Run) -> None:
    assert [line["phase"] for line in run.interrupted] == [
        *(["answers"] * 2 + ["encode"] * 2 + ["decode"] * 2)
    ]
    assert list(run.finished.lines[: len(run.interrupted)]) == run.interrupted
    assert not (run.folder / bench.JOURNAL).exists(), "the next run begins anew"


def test_our_masks_are_the_originals(finished: Comparison) -> None:
    table = finished.agreement().query("series == 'sam2lab'")
    assert len(table) == 7
    assert table["iou"].min() >= 0.999


def test_everything_of_ours_was_measured(finished: Comparison) -> None:
    ours = finished.summary().iloc[0]
    columns = ["encode_ms", "decode_ms", "many_ms", "first_mask_ms", "peak_mb", "files_mb"]
    assert (ours[columns].astype(float) > 0).all()
    # Its own classes prepare the photo as the original does, down to rounding.
    assert ours["own_iou"] >= 0.999
    assert not finished.starts()["uses_torch"].any()
    assert finished.about["versions"]["onnxruntime"]


def test_a_missing_peer_is_shown_as_missing_with_the_way_to_get_it(finished: Comparison) -> None:
    row = finished.summary().set_index("contender").loc["absent"]
    assert (row["state"], row["reason"]) == (
        "missing",
        "no_such_module not installed; pip install it",
    )


def test_a_failing_peer_is_shown_as_failing_with_its_errors_first_line(
    finished: Comparison,
) -> None:
    row = finished.summary().set_index("contender").loc["broken"]
    assert (row["state"], row["reason"]) == ("failed", "OSError: the exporter has no ink")


def test_the_result_is_in_a_file(run: Run) -> None:
    assert list(Comparison.load(run.folder / bench.RESULT).lines) == list(run.finished.lines)


def test_a_run_with_other_settings_does_not_take_up_what_is_there(tmp_path: Path) -> None:
    file = tmp_path / bench.JOURNAL
    file.write_text('{"size": "nano", "rounds": 9}\n{"phase": "encode"}\n')
    with bench._journal(file, {"size": "nano", "rounds": 2}) as journal:
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
