"""Takes a training run to its end: shows its progress, logs it, and saves it now and then."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Protocol

from tqdm.auto import tqdm

_LOG_EVERY = 25
_SAVE_EVERY_S = 180.0

Row = dict[str, float]


class Run(Protocol):
    """What can be taken to its end: it knows its step, and gives a row of figures for each."""

    step: int
    log: list[Row]

    @property
    def steps(self) -> int:
        """All steps of the run."""

    def rows(self) -> Iterator[Row]:
        """Do the steps that are left; yield the figures of each."""

    def summary(self, rows: Sequence[Row]) -> Row:
        """The row of the log for the steps since the last one."""

    def save(self) -> None:
        """Write what is needed to go on from here."""


def run_to_end(run: Run, title: str, shown: str) -> None:
    """Do the steps that are left; Ctrl-C, as any end, saves. `shown` is a column of the log."""
    saved = began = time.monotonic()
    recent: list[Row] = []
    bar = tqdm(total=run.steps, initial=run.step, desc=title, unit="step")
    try:
        for row in run.rows():
            now = time.monotonic()
            recent.append(row | {"seconds": now - began})
            began = now
            bar.update()
            if run.step % _LOG_EVERY == 0 or run.step == run.steps:
                run.log.append(run.summary(recent))
                bar.set_postfix({name: f"{run.log[-1][name]:.2f}" for name in ("loss", shown)})
                recent.clear()
            if now - saved > _SAVE_EVERY_S:
                run.save()
                saved = now
    finally:
        bar.close()
        run.save()


def mean_row(rows: Sequence[Row], step: int) -> Row:
    """The means of the figures of several rows, the last of which is of `step`."""
    return {key: sum(row[key] for row in rows) / len(rows) for key in rows[0]} | {"step": step}
