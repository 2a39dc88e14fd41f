"""Follow the jobs of a folder: start what can be started, and wait for what runs."""

from __future__ import annotations

import time
from collections.abc import Callable

from sam2lab.hub.errors import HubError
from sam2lab.hub.steps import Steps
from sam2lab.hub.work import FAILED

Report = Callable[[str], None]

POLL_S = 10.0
# AI Hub takes a number of jobs in some time; the next try comes after each of these.
BUSY_S = (20.0, 40.0, *[60.0] * 9)
# How often a job that does not move is spoken of.
REMIND_S = 60.0


def start_all(steps: Steps, report: Report) -> None:
    """Start every step whose needs are done, one after the other."""
    while names := steps.startable():
        for name in names:
            report(f"{name}: starts")
            _patiently(steps, name, report)


def follow(steps: Steps, report: Report) -> None:
    """Go on until every step is done or cannot be; an interrupt leaves the jobs running there.

    Raises a `HubError` at the end where a job failed.
    """
    since = {name: time.monotonic() for name in steps.work.steps}
    spoken = dict(since)
    while True:
        start_all(steps, report)
        running = [name for name, step in steps.work.steps.items() if step.is_running]
        for name in running:
            before = steps.work.steps[name].state
            steps.refresh(name)
            now, state = time.monotonic(), steps.work.steps[name].state
            started = since.setdefault(name, now)
            if state != before:
                report(f"{name}: {state}")
                spoken[name] = now
            elif now - spoken.setdefault(name, now) >= REMIND_S:
                report(f"{name}: {state} for {(now - started) / 60:.0f} min")
                spoken[name] = now
        if not running and not steps.startable():
            break
        if any(step.is_running for step in steps.work.steps.values()):
            time.sleep(POLL_S)
    check_failures(steps)


def check_failures(steps: Steps) -> None:
    """Raise a `HubError` that names each job that failed, and why."""
    failed = [
        f"{name} failed: {step.reason or 'without a reason'} ({step.url})"
        for name, step in steps.work.named(FAILED)
    ]
    if failed:
        raise HubError(
            "job",
            f"{'; '.join(failed)}. To try them anew, give the same command hub submit with --out "
            f"{steps.work.folder}",
        )


def _patiently(steps: Steps, name: str, report: Report) -> None:
    """Start a step; where AI Hub asks to slow down, wait and try again."""
    for pause_s in (*BUSY_S, None):
        try:
            steps.start(name)
        except HubError as error:
            if error.reason != "busy" or pause_s is None:
                raise
            report(f"{name}: AI Hub has too many requests, trying again in {pause_s:.0f} s")
            time.sleep(pause_s)
        else:
            return
