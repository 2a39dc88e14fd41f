"""On a clock of our own: threads keep the processor busy until `busy_until_s`."""

from __future__ import annotations

import pytest

from sam2lab.measure import rest


@pytest.fixture
def settled_at(monkeypatch: pytest.MonkeyPatch):
    def settle(busy_until_s: float) -> float:
        now = 0.0

        def sleep(seconds: float) -> None:
            nonlocal now
            now += seconds

        monkeypatch.setattr(rest, "sleep", sleep)
        monkeypatch.setattr(rest, "perf_counter", lambda: now)
        monkeypatch.setattr(rest, "process_time", lambda: min(now, busy_until_s))
        rest.settle()
        return now

    return settle


def test_waits_for_threads_that_spin_on(settled_at) -> None:
    assert 0.1 <= settled_at(0.1) < 0.13


def test_of_a_process_at_rest_is_one_look(settled_at) -> None:
    assert settled_at(0.0) == 0.01


def test_gives_up_on_a_process_that_never_rests(settled_at) -> None:
    assert settled_at(1e9) == pytest.approx(0.25, abs=0.02)
