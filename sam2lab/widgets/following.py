"""Follows objects in a thread, and shows how far it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sam2lab.widgets.deferred import Background
from sam2lab.widgets.session.video_session import VideoSession


class Following:
    """Runs one propagation at a time; `refresh` is called as frames come, `fail` if it fails.

    While `is_watched`, the frame that has come last becomes the current one.
    """

    def __init__(
        self, session: VideoSession, refresh: Callable[[], None], fail: Callable[[str], None]
    ) -> None:
        self._session = session
        self._refresh = refresh
        self._fail = fail
        self._background = Background()
        self._is_told = False
        self.latest: int | None = None
        self.is_running = False
        self.is_watched = True

    def start(self, **arguments: Any) -> None:
        """Follow as `VideoSession.propagate` does with these arguments."""
        self.is_running, self.is_watched, self.latest = True, True, None
        self._background.start(lambda: self._follow(arguments), self._done)
        self._refresh()

    def stop(self) -> None:
        """End it; what was done is kept."""
        self._session.cancel()

    @property
    def is_here(self) -> bool:
        """Whether this is the thread that works."""
        return self._background.is_here

    def wait(self) -> None:
        """Return when nothing is followed any more."""
        self._background.wait()

    def _follow(self, arguments: dict[str, Any]) -> None:
        for frame in self._session.propagate(**arguments):
            self.latest = frame
            # Frames may come faster than they can be shown: then some are not.
            if not self._is_told:
                self._is_told = True
                self._background.report(self._show)

    def _show(self) -> None:
        self._is_told = False
        if self.is_watched and self.latest is not None:
            self._session.go_to(self.latest)
        self._refresh()

    def _done(self, error: Exception | None) -> None:
        self.is_running = False
        self._show()
        if error is not None:
            self._fail(str(error))
