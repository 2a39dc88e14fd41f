"""One long piece of work beside the event loop, and its end told on the loop."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable


class Background:
    """Does one thing at a time in a thread; what follows from it happens where it was begun.

    In a notebook that is the kernel's event loop, which stays free meanwhile. Where no loop
    runs, as in a plain script, the end is told by `wait`.

    >>> background, told = Background(), []
    >>> background.start(lambda: told.append("work"), lambda error: told.append(error))
    >>> background.wait()
    >>> told, background.busy
    (['work', None], False)
    """

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._tell: Callable[[], None] | None = None

    @property
    def busy(self) -> bool:
        """Whether something was started, and its end not told yet."""
        return self._tell is not None

    def start(self, work: Callable[[], None], done: Callable[[Exception | None], None]) -> None:
        """Run `work` in a thread, then `done` with what it raised; what ran before is dropped."""
        outcome: list[Exception | None] = []

        def tell() -> None:
            # Told once, and not at all if something else was started or it was dropped.
            if self._tell is tell and outcome:
                self._tell = None
                done(outcome[0])

        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            loop = None
        context = contextvars.copy_context()

        def run() -> None:
            try:
                work()
            except Exception as error:
                outcome.append(error)
            else:
                outcome.append(None)
            if loop is not None and not loop.is_closed():
                loop.call_soon_threadsafe(tell, context=context)

        self._tell = tell
        self._thread = threading.Thread(target=run, name="sam2lab-clicker", daemon=True)
        self._thread.start()

    def drop(self) -> None:
        """Tell nobody about the end of what runs; it cannot be stopped, only ignored."""
        self._tell = None

    def wait(self) -> None:
        """Return when nothing runs any more, and all that followed has happened."""
        while self._tell is not None and self._thread is not None:
            self._thread.join()
            self._tell()


class Latest:
    """Calls when nothing newer has come for `quiet_s` seconds; at once where no loop runs.

    Messages from the browser pile up while the kernel is busy, and are then read one right
    after the other: whoever worked on each would fall further behind with every one.
    """

    def __init__(self, quiet_s: float) -> None:
        self._quiet_s = quiet_s
        self._handle: asyncio.TimerHandle | None = None

    def call(self, do: Callable[[], None]) -> None:
        """Do this, unless it is overtaken."""
        self.cancel()
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            do()
        else:
            self._handle = loop.call_later(self._quiet_s, do)

    def cancel(self) -> None:
        """Do not do what was to be done."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
