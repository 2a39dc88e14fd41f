"""Does actions that ask an engine, one after the other, in a thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from sam2lab.widgets.canvas.marks import Mark
from sam2lab.widgets.deferred import Background


class _Job(NamedTuple):
    action: Callable[[], object]
    mark: Mark | None
    then: Callable[[], None] | None


class Work:
    """A queue of actions. After each it calls `refresh`, or `fail` with words for the user."""

    def __init__(self, refresh: Callable[[], None], fail: Callable[[str], None]) -> None:
        self._refresh = refresh
        self._fail = fail
        self._background = Background()
        self._queue: list[_Job] = []

    @property
    def pending(self) -> tuple[Mark, ...]:
        """The marks of actions that are not done yet."""
        return tuple(job.mark for job in self._queue if job.mark is not None)

    @property
    def count(self) -> int:
        """How many actions are not done yet."""
        return len(self._queue)

    def do(
        self,
        action: Callable[[], object],
        mark: Mark | None = None,
        then: Callable[[], None] | None = None,
    ) -> None:
        """Act after what was asked before; meanwhile `mark` shows where.

        Where that goes well, `then` is called where this was called, to show the outcome.
        """
        self._queue.append(_Job(action, mark, then))
        if len(self._queue) == 1:
            self._start()

    def drop(self) -> None:
        """Forget the actions that wait; the one that is being done goes on."""
        del self._queue[1:]

    @property
    def is_here(self) -> bool:
        """Whether this is the thread that works."""
        return self._background.is_here

    def wait(self) -> None:
        """Return when every action is done."""
        while self._queue:
            self._background.wait()

    def _start(self) -> None:
        self._background.start(self._queue[0].action, self._done)
        self._refresh()

    def _done(self, error: Exception | None) -> None:
        job = self._queue.pop(0)
        if self._queue:
            self._start()
        else:
            self._refresh()
        if error is not None:
            self._fail(str(error))
        elif job.then is not None:
            job.then()
