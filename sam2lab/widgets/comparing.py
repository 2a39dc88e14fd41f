"""Compares the engine in use with another one, on the frame that is shown."""

from __future__ import annotations

from sam2lab.widgets.canvas import overlay
from sam2lab.widgets.canvas.overlay import Difference
from sam2lab.widgets.session.engines import EngineFailed
from sam2lab.widgets.session.video_session import VideoSession
from sam2lab.widgets.work import Work


class Comparing:
    """Keeps what is known of the disagreement with `other`, None for no engine.

    What is not known yet is asked for in the queue `work`, and shown when that is done.
    """

    def __init__(self, session: VideoSession, work: Work) -> None:
        self._session = session
        self._work = work
        self._known: tuple[tuple[object, ...], Difference | None] | None = None
        self.other: str | None = None

    def difference(self) -> Difference | None:
        """Where the two engines differ about the active object, None where that is not known."""
        session, other = self._session, self.other
        if session.video is None or other is None or not session.active.has_prompts:
            return None
        answer = session.answer()
        if answer is None:
            return None
        key = (other, session.engine, session.frame, session.active, answer.packed)
        if self._known is not None and self._known[0] == key:
            return self._known[1]

        def compare() -> None:
            try:
                found = session.disagreement(other)
            except EngineFailed:
                # Otherwise it would be asked again and again.
                self.other = None
                raise
            seen = None if found is None else overlay.difference(found, answer.mask)
            self._known = key, seen

        if not self._work.count:
            self._work.do(compare)
        return None
