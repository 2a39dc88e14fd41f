"""Follows objects in a thread, and shows how far it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sam2lab.widgets.deferred import Background
from sam2lab.widgets.session.video_session import VideoSession


class Following:
    """Runs one propagation at a time; `refresh` is called as frames come, `fail` if it fails.

    `latest` is the index of the frame that has come last; while `is_watched`, it becomes the
    current one.
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
        self._done_of = 0, 1
        self.is_running = False
        self.is_watched = True

    @property
    def words(self) -> str:
        """What is being done."""
        session, latest = self._session, self.latest
        clip = session.video
        at = "" if latest is None or clip is None else f": frame {latest + 1} of {clip.count}"
        return f"{session.engine} follows{at} …"

    @property
    def share(self) -> float:
        """Which share of the frames is done."""
        done, frames = self._done_of
        return done / frames

    def start(self, frames: int, **arguments: Any) -> None:
        """Follow as `VideoSession.propagate` does with these arguments, through so many frames."""
        self.is_running, self.is_watched, self.latest = True, True, None
        self._done_of = 0, frames
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
            self.latest, self._done_of = frame, (self._done_of[0] + 1, self._done_of[1])
            # Frames may come faster than they can be shown: then some are not.
            if not self._is_told:
                self._is_told = True
                self._background.report(self._show)

    def _show(self) -> None:
        self._is_told = False
        if self.is_watched and self.latest is not None and self.latest != self._session.frame:
            # Listeners refresh.
            self._session.go_to(self.latest)
        else:
            self._refresh()

    def _done(self, error: Exception | None) -> None:
        self.is_running = False
        self._show()
        if error is not None:
            self._fail(str(error))
