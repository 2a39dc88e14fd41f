"""Work that is done later: long work in a thread, and the last of many quick calls."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable


class Background:
    """Does one thing at a time in a thread; what follows from it runs where it was started.

    In a notebook that is the kernel's event loop, which stays free meanwhile. Where no loop
    runs, as in a plain script, `wait` runs it.

    >>> background, told = Background(), []
    >>> background.start(lambda: told.append("work"), lambda error: told.append(error))
    >>> background.wait()
    >>> told
    ['work', None]
    """

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._finish: Callable[[], None] | None = None
        self._send: Callable[[Callable[[], None]], object] | None = None

    @property
    def is_here(self) -> bool:
        """Whether this is the thread that works."""
        return threading.current_thread() is self._thread

    def start(self, work: Callable[[], object], done: Callable[[Exception | None], None]) -> None:
        """Run `work` in a thread, then `done` with what it raised; earlier work is dropped."""
        outcome: list[Exception | None] = []

        def finish() -> None:
            # At most once, and not if this work was dropped.
            if self._finish is finish and outcome:
                self._finish = None
                done(outcome[0])

        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            loop = None
        context = contextvars.copy_context()
        if loop is None:
            self._send = None
        else:
            here = loop
            self._send = lambda do: here.call_soon_threadsafe(do, context=context)

        def run() -> None:
            try:
                work()
            except Exception as error:
                outcome.append(error)
            else:
                outcome.append(None)
            if loop is not None and not loop.is_closed():
                loop.call_soon_threadsafe(finish, context=context)

        self._finish = finish
        self._thread = threading.Thread(target=run, name="sam2lab-clicker", daemon=True)
        self._thread.start()

    def report(self, do: Callable[[], None]) -> None:
        """Call this where the work was started, from the thread that works.

        Where no loop runs there is nobody to see it, and it is not called.
        """
        if self._send is not None:
            self._send(do)

    def drop(self) -> None:
        """Ignore the end of what runs; a thread cannot be stopped."""
        self._finish = None

    def wait(self) -> None:
        """Return when nothing runs any more and every `done` has run."""
        while self._finish is not None and self._thread is not None:
            self._thread.join()
            self._finish()


class Latest:
    """Calls once nothing newer has come for `quiet_s` seconds; at once where no loop runs.

    Messages from the browser pile up while the kernel is busy, and then come one right after
    the other. Work on each of them would fall further behind every time.
    """

    def __init__(self, quiet_s: float) -> None:
        self._quiet_s = quiet_s
        self._handle: asyncio.TimerHandle | None = None

    def call(self, do: Callable[[], None]) -> None:
        """Do this, unless a newer call comes first."""
        self.cancel()
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            do()
        else:
            self._handle = loop.call_later(self._quiet_s, do)

    def cancel(self) -> None:
        """Do not do what still waits."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
