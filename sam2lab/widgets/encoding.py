"""Who waits for a photo to be encoded, and what is done when it is."""

from __future__ import annotations

from collections.abc import Callable

from sam2lab.widgets.canvas.marks import Mark
from sam2lab.widgets.deferred import Background
from sam2lab.widgets.session.session import EngineFailed, Session


class Encoding:
    """Encodes the session's photo in a thread, and keeps actions in order until it is done.

    `wanted` is the engine that is to answer, `other` one to compare it with, if any. `changed`
    is called when something that is shown here has changed, `failed` with words for a person.
    """

    def __init__(
        self, session: Session, changed: Callable[[], None], failed: Callable[[str], None]
    ) -> None:
        self._session = session
        self._changed = changed
        self._failed = failed
        self._background = Background()
        self._waiting: list[tuple[Callable[[], None], Mark | None]] = []
        self.wanted = session.engine
        self.other: str | None = None
        self.running: str | None = None
        # While actions are done one after the other, `changed` follows after the last.
        self.is_acting = False

    @property
    def pending(self) -> tuple[Mark, ...]:
        """What was pointed at and is not answered yet."""
        return tuple(mark for _, mark in self._waiting if mark is not None)

    def do(self, action: Callable[[], None], mark: Mark | None = None) -> None:
        """Act now, or when the photo is encoded; `mark` shows where meanwhile."""
        self._waiting.append((action, mark))
        self.pursue()

    def use(self, engine: str) -> None:
        """Let another engine answer as soon as it can; until then the present one does."""
        self.wanted = engine
        self.pursue()

    def compare(self, other: str | None) -> None:
        """Have a second engine ready too, or no longer."""
        self.other = other
        self.pursue()

    def restart(self) -> None:
        """Another photo is open: nothing that was meant for the last one is done any more."""
        self._background.drop()
        self.running = None
        self._waiting.clear()
        self.wanted = self._session.engine
        self.pursue()

    def stop(self) -> None:
        """Wait no longer; the present engine goes on if it can."""
        self._background.drop()
        self.running = None
        self._waiting.clear()
        self.wanted, self.other = self._session.engine, None
        self._changed()

    def wait(self) -> None:
        """Return when nothing is being encoded and nothing waits."""
        self._background.wait()

    def pursue(self) -> None:
        """Go as far as possible now; called again whenever something was reached."""
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
            self._encode(missing[0])
        self.is_acting = True
        try:
            if not missing and self.wanted != session.engine:
                wanted = self.wanted
                self.attempt(lambda: session.use_engine(wanted))
                self.wanted = session.engine
            # Not before the engine is there that they are meant for.
            while self._waiting and session.is_encoded() and self.wanted == session.engine:
                action, _ = self._waiting.pop(0)
                self.attempt(action)
        finally:
            self.is_acting = False
        self._changed()

    def _encode(self, engine: str) -> None:
        if self.running == engine:
            return
        self.running = engine
        self._background.start(
            lambda: self._session.encode(engine), lambda error: self._encoded(engine, error)
        )

    def _encoded(self, engine: str, error: Exception | None) -> None:
        self.running = None
        if error is None:
            self.pursue()
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
            self.pursue()
        else:
            self._changed()
        self._failed(f"{error}" + (f" ({lost} waiting actions were dropped)" if lost else ""))

    def attempt(self, action: Callable[[], None]) -> None:
        """Act now; what goes wrong is told, and nothing else is changed by it."""
        try:
            action()
        except (ValueError, OSError, EngineFailed) as error:
            self._failed(str(error))
