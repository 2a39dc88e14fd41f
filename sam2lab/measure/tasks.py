"""Do a long study piece by piece, here or on an executor, and keep each piece when it is finished.

A piece is a task with a key. Its result is a line: a dict that JSON takes.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, wait
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from tqdm.auto import tqdm

from sam2lab.measure.journal import Journal, Line

Key = int | str
T = TypeVar("T")


class Finished(NamedTuple):
    """The results in the order of the tasks, and whether an interrupt came before the last."""

    lines: list[Line]
    interrupted: bool


def do_tasks(
    tasks: Iterable[tuple[Key, T]],
    do: Callable[[T], Line],
    about: Line,
    *,
    kind: str,
    total: int | None = None,
    executor: Executor | None = None,
    in_flight: int = 64,
    keep_in: str | os.PathLike[str] | None = None,
) -> Finished:
    """Do every task that is not finished yet; each result has its key under the name `kind`.

    With an `executor` at most `in_flight` tasks wait or run at a time, and `do` and the tasks
    must be such that pickle takes them. With `keep_in` each result is in that file as soon as it
    is there; `about` tells there which study it is, and the same call does only the rest.
    """
    finished: dict[Key, Line] = {}
    seen: list[Key] = []
    interrupted = False
    with contextlib.ExitStack() as stack:
        journal = None
        if keep_in is not None:
            journal = stack.enter_context(Journal(keep_in, about))
            finished = {line[kind]: line for line in journal.lines()}
        bar = stack.enter_context(tqdm(total=total, desc=f"{kind}s", leave=False))

        def missing() -> Iterator[tuple[Key, T]]:
            for key, task in tasks:
                seen.append(key)
                if key in finished:
                    bar.update()
                else:
                    yield key, task

        done = stack.enter_context(contextlib.closing(_results(missing(), do, executor, in_flight)))
        try:
            for key, result in done:
                line = {kind: key, **result}
                if journal is not None:
                    journal.add(line)
                finished[key] = line
                bar.update()
        except KeyboardInterrupt:
            interrupted = True
    return Finished([finished[key] for key in seen if key in finished], interrupted)


def _results(
    tasks: Iterator[tuple[Key, T]],
    do: Callable[[T], Line],
    executor: Executor | None,
    in_flight: int,
) -> Generator[tuple[Key, Line]]:
    """The result of each task, as soon as it is finished."""
    if executor is None:
        for key, task in tasks:
            yield key, do(task)
        return

    def submit(count: int) -> None:
        for key, task in islice(tasks, count):
            running[executor.submit(do, task)] = key

    running: dict[Any, Key] = {}
    try:
        submit(in_flight)
        while running:
            ready, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in ready:
                yield running.pop(future), future.result()
            submit(len(ready))
    finally:
        for future in running:
            future.cancel()
