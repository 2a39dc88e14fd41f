"""Does actions that ask an engine, one after the other, in a thread."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import NamedTuple

from sam2lab.widgets.canvas.marks import Mark
from sam2lab.widgets.deferred import Background


class _Job(NamedTuple):
    action: Callable[[], object]
    mark: Mark | None
    then: Callable[[], None] | None
    is_replaced: bool


class Work:
    """A queue of actions. After each it calls `refresh`, or `fail` with words for the user.

    Actions may come from any thread: cells and messages of the browser have one each.
    """

    def __init__(self, refresh: Callable[[], None], fail: Callable[[str], None]) -> None:
        self._refresh = refresh
        self._fail = fail
        self._background = Background()
        self._queue: list[_Job] = []
        self._lock = Lock()

    @property
    def pending(self) -> tuple[Mark, ...]:
        """The marks of actions that are not done yet."""
        return tuple(job.mark for job in tuple(self._queue) if job.mark is not None)

    @property
    def count(self) -> int:
        """How many actions are not done yet."""
        return len(self._queue)

    def do(
        self,
        action: Callable[[], object],
        mark: Mark | None = None,
        then: Callable[[], None] | None = None,
        *,
        is_replaced: bool = False,
    ) -> None:
        """Act after what was asked before; meanwhile `mark` shows where.

        Where that goes well, `then` is called where this was called, to show the outcome. If
        `is_replaced`, another such action that comes right after it is done in its place, unless
        it has begun.
        """
        with self._lock:
            if is_replaced and self._queue[1:] and self._queue[-1].is_replaced:
                self._queue.pop()
            self._queue.append(_Job(action, mark, then, is_replaced))
            is_first = len(self._queue) == 1
        if is_first:
            self._start()

    def drop(self) -> None:
        """Forget the actions that wait; the one that is being done goes on."""
        with self._lock:
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
        with self._lock:
            job = self._queue.pop(0)
            has_more = bool(self._queue)
        if has_more:
            self._start()
        else:
            self._refresh()
        if error is not None:
            self._fail(str(error))
        elif job.then is not None:
            job.then()
