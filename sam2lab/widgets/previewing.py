"""Previews a click in a thread: the place where the pointer is now, and no other."""

from __future__ import annotations

from collections.abc import Callable

from sam2lab.widgets.deferred import Background
from sam2lab.widgets.session.packed import PackedMask

Place = tuple[int, int]


class Previewing:
    """Asks `ask` for the mask at one place at a time, and calls `show` when it is there.

    Of the places that come meanwhile the last one is asked about next. A failure shows nothing: a
    click on the same place tells of it.
    """

    def __init__(
        self, ask: Callable[[int, int], PackedMask | None], show: Callable[[], None]
    ) -> None:
        self._ask = ask
        self._show = show
        self._background = Background()
        self._wanted: Place | None = None
        self._is_asking = False
        self.mask: PackedMask | None = None

    def at(self, x: int, y: int) -> None:
        """Preview a click on this pixel."""
        self._wanted = x, y
        if not self._is_asking:
            self._start(x, y)

    def end(self) -> None:
        """Preview nothing any more."""
        self._wanted = None
        if self.mask is not None:
            self.mask = None
            self._show()

    def wait(self) -> None:
        """Return when nothing is asked any more."""
        while self._is_asking:
            self._background.wait()

    def _start(self, x: int, y: int) -> None:
        self._is_asking = True
        found: list[PackedMask | None] = []
        self._background.start(
            lambda: found.append(self._ask(x, y)),
            lambda error: self._done((x, y), None if error else found[0]),
        )

    def _done(self, place: Place, found: PackedMask | None) -> None:
        self._is_asking = False
        wanted = self._wanted
        if wanted is None:
            return
        if wanted != place:
            self._start(*wanted)
        self.mask = found
        self._show()
