from __future__ import annotations

import math

import pytest

from sam2lab.train.schedule import FULL, MORE, TOY, Phase, Schedule

SCHEDULE = Schedule(20, (Phase(64, 4, 2, 30), Phase(128, 4, 2, 10)), rate=1.0, warm_up=5)


@pytest.mark.parametrize("schedule", [SCHEDULE, TOY, FULL, MORE])
def test_the_rate_ends_near_nothing(schedule: Schedule) -> None:
    assert 0 < schedule.rate_at(schedule.steps - 1) < 0.02 * schedule.rate


def test_the_rate_falls_by_what_steps_cost() -> None:
    """30 steps at 64 cost 30/70 of all: there the cosine stands at (1 + cos(3π/7)) / 2."""
    assert SCHEDULE.rate_at(50) == pytest.approx(0.6113, abs=1e-4)


def test_the_rate_stays_until_it_falls() -> None:
    """A step costs 1 at 64 pixels and 4 at 128, all cost 70: before step 32, 38 are done."""
    late = Schedule(0, SCHEDULE.phases, rate=1.0, warm_up=1, fall_from=0.5)
    assert late.rate_at(31) == 1
    assert late.rate_at(32) == pytest.approx((1 + math.cos(math.pi * 3 / 35)) / 2)


def test_pictures_begin_with_a_climb_of_their_own() -> None:
    assert SCHEDULE.rate_at(19) == 1
    assert SCHEDULE.rate_at(20) == pytest.approx(0.2)


def test_a_step_after_the_end_is_named() -> None:
    with pytest.raises(ValueError, match="step is 60, but the schedule ends at 60"):
        SCHEDULE.phase_at(60)
