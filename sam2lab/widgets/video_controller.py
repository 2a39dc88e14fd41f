"""Turns what a user does with a video into actions of the session, and shows the result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from sam2lab.runtime.video.frames import VideoLike
from sam2lab.widgets.base_controller import BaseController
from sam2lab.widgets.canvas.marks import Mark
from sam2lab.widgets.canvas.stage import Stage
from sam2lab.widgets.comparing import Comparing
from sam2lab.widgets.following import Following
from sam2lab.widgets.formats.annotated import Files
from sam2lab.widgets.formats.table import video_formats
from sam2lab.widgets.panels.display import DisplayPanel
from sam2lab.widgets.panels.engine import EnginePanel
from sam2lab.widgets.panels.object_list import ObjectList
from sam2lab.widgets.panels.progress import Progress
from sam2lab.widgets.panels.take_away import TakeAwayPanel
from sam2lab.widgets.panels.timeline import TimelinePanel
from sam2lab.widgets.panels.toolbar import ACTIONS, Action, Toolbar
from sam2lab.widgets.panels.video import VideoPanel
from sam2lab.widgets.previewing import Previewing
from sam2lab.widgets.session.followed import VideoAnswer
from sam2lab.widgets.session.video_session import VideoSession
from sam2lab.widgets.turning import Turning
from sam2lab.widgets.video_screen import VideoScreen
from sam2lab.widgets.work import Work

WELCOME = (
    "Click on something, on any frame; then Follow. Right click, or Shift and click: not this. "
    "Drag: a box around it. Or: arrow keys."
)
# More frames than any video has.
FAR = 2**31
NO_VIDEO = "there is no video yet: choose one below"
# The buttons of these are in the timeline.
VIDEO_ACTIONS = (
    Action("step-back", "", "", "", (",",)),
    Action("step-on", "", "", "", (".",)),
    Action("first-frame", "", "", "", ("Home",)),
    Action("last-frame", "", "", "", ("End",)),
    Action("follow", "", "", "", ("f",)),
)


class VideoController(BaseController):
    """Stands between the session and the `screen`, whose parts call its methods.

    After it has shown everything, it calls `publish` with the answers on the current frame.
    """

    def __init__(
        self,
        session: VideoSession,
        size: tuple[int, int],
        publish: Callable[[Mapping[int, VideoAnswer]], None],
    ) -> None:
        super().__init__(session, (*ACTIONS, *VIDEO_ACTIONS))
        self._session: VideoSession = session
        self._publish = publish
        self._is_outdated = False
        self._known: dict[int, VideoAnswer] = {}
        self.screen: VideoScreen = VideoScreen(
            stage=Stage(size, self),
            toolbar=Toolbar(self.act, self.use_tool),
            timeline=TimelinePanel(self),
            objects=ObjectList(self),
            display=DisplayPanel(self.refresh, self.use_hover),
            engine=EnginePanel(session.engines, self.use_engine, self.compare),
            video=VideoPanel(self.open),
            take_away=TakeAwayPanel(self.export, video_formats()),
            progress=Progress(self.stop),
        )
        self.work = Work(self.refresh, self.screen.fail)
        self.following = Following(session, self.refresh, self.screen.fail)
        self._turning = Turning(session, self.work, self.screen.fail)
        self._comparing = Comparing(session, self.work)
        self._previewing = Previewing(session.preview, self._draw)
        self.listen()
        session.subscribe(self._on_change)

    def refresh(self) -> None:
        """Show everything as it is now."""
        session = self._session
        with self._showing:
            if self._is_outdated:
                self._is_outdated = False
                self.screen.take_away.forget()
            known = {}
            if session.video is not None:
                answers = {item.id: session.answer(item.id) for item in session.objects}
                known = {key: answer for key, answer in answers.items() if answer is not None}
            self._known = known
            self._draw()
            other, difference = self._comparing.other, self._comparing.difference()
            self.screen.show(session, known, other, difference, self._progress())
            self._publish(known)

    def wait(self) -> None:
        """Return when everything that was asked for is done."""
        self.work.wait()
        self.following.wait()
        self.work.wait()
        self._previewing.wait()

    def _preview_at(self, x: int, y: int) -> None:
        if not (self.work.count or self.following.is_running):
            self._previewing.at(x, y)

    def end_preview(self) -> None:
        self._previewing.end()

    # The methods of `panels.timeline.TimelineActions`.

    def go_to(self, frame: int) -> None:
        self.following.is_watched = False
        self._previewing.end()
        self._turning.go_to(frame)

    def step(self, by: int) -> None:
        frame = self._turning.stepped(by)
        if self._session.video is not None:
            self.go_to(frame)

    def follow(self, name: str) -> None:
        if self.work.count:
            # Clicks that wait are meant to be followed, too.
            self.work.do(lambda: None, then=lambda: self._follow(name))
        else:
            self._follow(name)

    # What the other panels and keys call.

    def open(self, video: VideoLike, name: str | None = None) -> None:
        """Open a video; `name` is for one that has no file name."""
        # What waits was meant for the last video.
        self._drop()
        self.screen.say(WELCOME)
        try:
            self._session.open_video(video, name)
        except (ValueError, OSError) as error:
            self.screen.fail(str(error))

    def use_engine(self, name: str) -> None:
        """Let another engine answer."""
        if self._comparing.other == name:
            self._comparing.other = None
        self._do(lambda: self._session.use_engine(name))

    def compare(self, other: str | None) -> None:
        """Show where another engine disagrees, None for none."""
        self._comparing.other = other
        self.refresh()

    def export(self, format: str) -> None:
        """Make the files of a take-away format and offer them."""
        made: list[Files] = []

        def offer() -> None:
            if made:
                stem = Path(self._session.video.name).stem if self._session.video else ""
                self.screen.take_away.offer(made[0], stem)

        self._do(lambda: made.append(self._session.export(format)), then=offer)

    def stop(self) -> None:
        """Stop what goes on; what was followed is kept."""
        self.following.stop()
        self._drop()
        self.screen.say("Stopped. What was followed is kept.")
        # The button that was pressed is gone.
        self._take_keys()

    def _further(self) -> dict[str, Callable[[], None]]:
        return {
            "step-back": lambda: self.step(-1),
            "step-on": lambda: self.step(1),
            "first-frame": lambda: self.step(-FAR),
            "last-frame": lambda: self.step(FAR),
            "follow": lambda: self.follow("all"),
        }

    def _drop(self) -> None:
        """Forget the actions that wait."""
        self.work.drop()
        self._turning.drop()

    def _follow(self, name: str) -> None:
        session, clip = self._session, self._session.video
        if clip is None:
            self.screen.fail(NO_VIDEO)
            return
        self.screen.say("")
        self._previewing.end()
        prompted = [frame for _, frame in session.state.prompts]
        start = min(prompted, default=0) if name == "all" else session.frame
        reverse = name == "back"
        frames = start + 1 if reverse else clip.count - start
        self.following.start(frames, start=start, reverse=reverse)

    def _do(
        self,
        action: Callable[[], None],
        mark: Mark | None = None,
        then: Callable[[], None] | None = None,
    ) -> None:
        self.screen.say("")
        if self._session.video is None:
            self.screen.fail(NO_VIDEO)
            return
        # The user works on this frame now.
        self.following.is_watched = False
        self._previewing.end()
        self.work.do(action, mark, then)

    def _progress(self) -> tuple[str | None, float | None]:
        """What is being done, and which share of it where that is known."""
        if self.following.is_running:
            return self.following.words, self.following.share
        return (f"{self._session.engine} answers …" if self.work.count else None), None

    def _draw(self) -> None:
        with self._showing:
            self.screen.draw(
                self._session,
                self._known,
                self._comparing.difference(),
                self._previewing.mask,
                self.work.pending,
            )

    def _on_change(self, changes: frozenset[str]) -> None:
        if changes & {"video", "objects", "masks"}:
            self._is_outdated = True
        # What our own threads change is shown when they tell. Browsers' messages and cells may have
        # threads of their own, too.
        if not (self.work.is_here or self.following.is_here):
            self.refresh()
