"""`Schedule`: how many steps a training run has, on what sizes, at what learning rates."""

from __future__ import annotations

import math
from dataclasses import dataclass


def climb_and_fall(step: int, warm_up: int, done: float) -> float:
    """The share of the full rate: it climbs for `warm_up` steps, and falls as `done` goes to 1.

    >>> [round(climb_and_fall(step, 2, done), 2) for step, done in [(0, 0), (1, 0), (8, 0.5)]]
    [0.5, 1.0, 0.5]
    """
    return min(1.0, (step + 1) / warm_up) * (1 + math.cos(math.pi * done)) / 2


@dataclass(frozen=True)
class Phase:
    """Steps that are alike: pictures of `side` pixels, `batch` at a time, `prompts` on each.

    `rounds` is the most often that a prompt is decoded: from the second time on with the last
    mask and one more click where that was wrong.
    """

    side: int
    batch: int
    prompts: int
    steps: int
    rounds: int = 2

    @property
    def cost(self) -> float:
        """The cost of a step: the pixels of its pictures."""
        return self.side**2 * self.batch


@dataclass(frozen=True)
class Schedule:
    """A whole run: the decoder's geometry warm-up, then the phases, small pictures first.

    The rate stays until the share `fall_from` of the phases' cost is done, and falls from there.

    Scores are easier to learn than masks. With the full `score_weight` a fresh model learns them
    first: on noise, the decoder then learns no masks within the steps of TOY. When the masks are
    done, scores learn once more on `score_pictures` pictures (see `scores`).
    """

    geometry_steps: int
    phases: tuple[Phase, ...]
    geometry_side: int = 128
    rate: float = 8e-4
    warm_up: int = 100
    weight_decay: float = 0.05
    fall_from: float = 0.0
    score_weight: float = 0.1
    score_pictures: int = 0

    @property
    def steps(self) -> int:
        """All steps, with those of the geometry warm-up."""
        return self.geometry_steps + sum(phase.steps for phase in self.phases)

    def phase_at(self, step: int) -> tuple[Phase | None, int]:
        """The phase that a step belongs to, None for the warm-up, and the phase's first step.

        >>> schedule = Schedule(10, (Phase(128, 8, 4, 5), Phase(256, 8, 4, 5)))
        >>> schedule.phase_at(9)[0], schedule.phase_at(14)[0].side, schedule.phase_at(15)[1]
        (None, 128, 15)
        """
        first = self.geometry_steps
        if step < first:
            return None, 0
        for phase in self.phases:
            if step < first + phase.steps:
                return phase, first
            first += phase.steps
        raise ValueError(f"step is {step}, but the schedule ends at {first}")

    def rate_at(self, step: int) -> float:
        """The learning rate: a short climb, then a fall of half a cosine over the phases' *cost*.

        The geometry warm-up has a climb of its own and then a constant rate.
        """
        phase, _ = self.phase_at(step)
        if phase is None:
            return self.rate * climb_and_fall(step, self.warm_up, 0)
        done, first = 0.0, self.geometry_steps
        for other in self.phases:
            done += other.cost * min(max(step - first, 0), other.steps)
            first += other.steps
        share = done / sum(other.cost * other.steps for other in self.phases)
        fallen = max(0.0, (share - self.fall_from) / (1 - self.fall_from))
        return self.rate * climb_and_fall(step - self.geometry_steps, self.warm_up, fallen)


TOY = Schedule(
    geometry_steps=650,
    geometry_side=64,
    phases=(Phase(64, 8, 6, 120),),
    rate=1e-3,
    warm_up=30,
    score_pictures=40,
)
"""A minute on two cores: enough to see the loss fall and unseen scenes improve."""

MORE = Schedule(
    geometry_steps=0,
    phases=(Phase(256, 8, 6, 2231), Phase(512, 4, 6, 850)),
    rate=2.5e-4,
    warm_up=200,
    fall_from=0.57,
    score_weight=1.0,
    score_pictures=2000,
)
"""What carried models/nano on after `FULL`: a steady rate at 256 px, then a long fall at 512 px.

A restart costs a trained model clicks at first. The fall brings them back, and more.
"""

FULL = Schedule(
    geometry_steps=1500,
    phases=(
        Phase(128, 16, 6, 1681),
        Phase(256, 8, 6, 2269),
        Phase(512, 4, 6, 250),
        Phase(256, 8, 6, 2000),
        Phase(512, 4, 6, 1050),
    ),
    score_pictures=2000,
)
"""The first schedule of models/nano: a run of three phases, and two more to carry it on.

The log has the rates as they were: the first run was planned without the second, so its rate
had fallen to nothing before the second began.
"""
