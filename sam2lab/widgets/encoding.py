"""Keeps actions until the photo is encoded, which happens in a thread."""

from __future__ import annotations

from collections.abc import Callable

from sam2lab.widgets.canvas.marks import Mark
from sam2lab.widgets.deferred import Background
from sam2lab.widgets.session.engines import EngineFailed
from sam2lab.widgets.session.session import Session


class Encoding:
    """Encodes the session's photo in a thread, and keeps actions in order until that is done.

    `wanted` is the engine that is to answer, `other` an engine to compare it with, if any, and
    `running` the one that encodes now. It calls `refresh` after changes, and `fail` with words
    for the user.
    """

    def __init__(
        self, session: Session, refresh: Callable[[], None], fail: Callable[[str], None]
    ) -> None:
        self._session = session
        self._refresh = refresh
        self._fail = fail
        self._background = Background()
        self._waiting: list[tuple[Callable[[], None], Mark | None]] = []
        self.wanted = session.engine
        self.other: str | None = None
        self.running: str | None = None
        # While it is true, actions are done one after the other; `refresh` follows the last.
        self.is_acting = False

    @property
    def pending(self) -> tuple[Mark, ...]:
        """The marks of actions that wait."""
        return tuple(mark for _, mark in self._waiting if mark is not None)

    def do(self, action: Callable[[], None], mark: Mark | None = None) -> None:
        """Act now, or once the photo is encoded; meanwhile `mark` shows where."""
        self._waiting.append((action, mark))
        self._pursue()

    def attempt(self, action: Callable[[], None]) -> None:
        """Act now; tell the user if that fails."""
        try:
            action()
        except (ValueError, OSError, EngineFailed) as error:
            self._fail(str(error))

    def use(self, engine: str) -> None:
        """Let another engine answer once it has encoded the photo; actions wait for it."""
        self.wanted = engine
        self._pursue()

    def compare(self, other: str | None) -> None:
        """Let a second engine encode the photo too; None for none."""
        self.other = other
        self._pursue()

    def restart(self) -> None:
        """Begin with another photo: drop the actions that were meant for the last one."""
        self._drop()
        self._pursue()

    def stop(self) -> None:
        """Stop waiting and drop the actions that wait; the present engine stays."""
        self._drop()
        self.other = None
        self._refresh()

    def wait(self) -> None:
        """Return when nothing is being encoded and no action waits."""
        self._background.wait()

    def _pursue(self) -> None:
        """Go as far as possible now: encode what is missing, or act."""
        session = self._session
        if session.image is None:
            self._waiting.clear()
            return
        missing = [
            name
            for name in (self.wanted, self.other)
            if name is not None and not session.is_encoded(name)
        ]
        if missing:
            self._start(missing[0])
        self.is_acting = True
        try:
            if not missing and self.wanted != session.engine:
                wanted = self.wanted
                self.attempt(lambda: session.use_engine(wanted))
                self.wanted = session.engine
            # Actions wait for the engine that the user chose for them.
            while self._waiting and session.is_encoded() and self.wanted == session.engine:
                action, _ = self._waiting.pop(0)
                self.attempt(action)
        finally:
            self.is_acting = False
        self._refresh()

    def _drop(self) -> None:
        self._background.drop()
        self.running = None
        self._waiting.clear()
        self.wanted = self._session.engine

    def _start(self, engine: str) -> None:
        if self.running == engine:
            return
        self.running = engine
        self._background.start(
            lambda: self._session.encode(engine), lambda error: self._encoded(engine, error)
        )

    def _encoded(self, engine: str, error: Exception | None) -> None:
        self.running = None
        if error is None:
            self._pursue()
            return
        if engine == self.other:
            self.other = None
        lost = 0
        if engine == self.wanted:
            self.wanted = self._session.engine
            if not self._session.is_encoded():
                lost = len(self._waiting)
                self._waiting.clear()
        if self._session.is_encoded():
            self._pursue()
        else:
            self._refresh()
        self._fail(f"{error}" + (f" ({lost} waiting actions were dropped)" if lost else ""))
