"""Turns to other frames, once clicks on the present one are answered."""

from __future__ import annotations

from collections.abc import Callable

from sam2lab.widgets.session.video_session import VideoSession
from sam2lab.widgets.work import Work


class Turning:
    """Makes other frames the current one; `fail` gets words for the user.

    Clicks that wait in the queue `work` were meant for the present frame, so it stays until they
    are done.
    """

    def __init__(self, session: VideoSession, work: Work, fail: Callable[[str], None]) -> None:
        self._session = session
        self._work = work
        self._fail = fail
        # Where the user will be when everything that waits is done.
        self._heading: int | None = None

    def go_to(self, frame: int) -> None:
        """Show another frame."""
        if self._work.count:
            self._heading = frame
            self._work.do(lambda: self._arrive(frame), is_replaced=True)
            return
        try:
            self._session.go_to(frame)
        except (ValueError, OSError) as error:
            self._fail(str(error))

    def stepped(self, by: int) -> int:
        """The frame that lies so many further on, or the last one that way."""
        clip, here = self._session.video, self._heading
        if clip is None:
            return 0
        frame = (self._session.frame if here is None else here) + by
        return min(max(frame, 0), clip.count - 1)

    def drop(self) -> None:
        """Stay here, because what waits is forgotten."""
        self._heading = None

    def _arrive(self, frame: int) -> None:
        if self._heading == frame:
            self._heading = None
        self._session.go_to(frame)
