"""Of calls that come in quick succession, do the last one only."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


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
