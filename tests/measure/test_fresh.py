"""Fresh processes: their steps add up, and their errors are told."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from sam2lab import settings
from sam2lab.measure import fresh

PHOTO = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def starts(nano_bundle: Path):
    return fresh.cold_start({"a": nano_bundle, "b": {"model": str(nano_bundle)}}, PHOTO, starts=2)


def test_the_engines_take_turns(starts) -> None:
    assert starts["series"].tolist() == ["a", "b", "a", "b"]
    assert starts["start"].tolist() == [0, 0, 1, 1]


def test_the_steps_add_up_to_the_first_mask(starts) -> None:
    steps = starts[[*fresh.COLD_STEPS, "other_ms"]]
    assert (steps > 0).all(axis=None)
    np.testing.assert_allclose(steps.sum(axis=1), starts["first_mask_ms"])


def test_the_table_carries_the_machine(starts) -> None:
    assert starts.attrs["machine"]["cpu"]


def test_each_phase_holds_at_least_what_came_before_it(nano_bundle: Path) -> None:
    table = fresh.peak_memory({"nano": nano_bundle}, PHOTO, repeats=1)
    peak = table.set_index("phase")["peak_mb"]
    assert peak["import"] < peak["open"] < peak["encode"]
    assert peak["open"] < peak["decode"] < peak["encode"], "the encoder's work is not in decode"


def test_the_original_is_measured_like_any_other() -> None:
    weights = settings.nano_folder() / "weights.safetensors"
    original = {"model": "nano", "engine": "torch", "weights": weights, "input_size": (64, 64)}
    table = fresh.cold_start({"original": original}, PHOTO, starts=1)
    assert table["import_ms"].item() > table["first_decode_ms"].item(), "torch is in the import"


@pytest.mark.skipif(find_spec("openvino") is None, reason="openvino is not installed")
def test_openvino_is_measured_like_any_other(nano_bundle: Path) -> None:
    by_openvino = {"model": nano_bundle, "engine": "openvino"}
    table = fresh.cold_start({"openvino": by_openvino}, PHOTO, starts=1)
    assert table["series"].tolist() == ["openvino"]


@pytest.mark.parametrize("opening", ["nano", {"engine": "torch"}, {"model": "nowhere"}, 3])
def test_what_cannot_be_opened_at_once_is_refused(opening) -> None:
    with pytest.raises(ValueError, match=r"engines\['x'\] is .*wanted a bundle's folder"):
        fresh.cold_start({"x": opening}, PHOTO)


@pytest.mark.parametrize("starts", [0, 1.5, True])
def test_a_wrong_number_of_starts_is_refused(nano_bundle: Path, starts) -> None:
    with pytest.raises(ValueError, match=r"starts is .*wanted a whole number, 1 or more"):
        fresh.cold_start({"x": nano_bundle}, PHOTO, starts=starts)


def test_no_engines_are_refused() -> None:
    with pytest.raises(ValueError, match=r"engines is \{\}; wanted names"):
        fresh.peak_memory({}, PHOTO)


def test_a_process_that_fails_says_why(nano_bundle: Path) -> None:
    bad = {"model": nano_bundle, "providers": ["NoSuchProvider"]}
    with pytest.raises(
        RuntimeError, match=r"x: the fresh process failed after import: .*NoSuchProv"
    ):
        fresh.cold_start({"x": bad}, PHOTO, starts=1)


def test_an_interrupt_keeps_the_starts_that_were_finished(
    nano_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished = fresh._first_mask
    calls = iter(range(9))

    def interrupted(name, job):
        if next(calls) == 1:
            raise KeyboardInterrupt
        return finished(name, job)

    monkeypatch.setattr(fresh, "_first_mask", interrupted)
    table = fresh.cold_start({"nano": nano_bundle}, PHOTO, starts=5)
    assert len(table) == 1
    assert table.columns.tolist() == fresh.COLD_COLUMNS
