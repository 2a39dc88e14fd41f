"""Turns what a user does into actions of the session, and shows the result."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from sam2lab.runtime.images import ImageLike
from sam2lab.widgets.base_controller import BaseController
from sam2lab.widgets.canvas import overlay
from sam2lab.widgets.canvas.marks import Mark
from sam2lab.widgets.canvas.stage import Stage
from sam2lab.widgets.encoding import Encoding
from sam2lab.widgets.formats.table import FORMATS
from sam2lab.widgets.near.question import bundle_of
from sam2lab.widgets.near.widget import Near
from sam2lab.widgets.panels.candidates import Candidates
from sam2lab.widgets.panels.display import DisplayPanel
from sam2lab.widgets.panels.engine import EnginePanel
from sam2lab.widgets.panels.near import NearPanel
from sam2lab.widgets.panels.object_list import ObjectList
from sam2lab.widgets.panels.photo import PhotoPanel, Source
from sam2lab.widgets.panels.progress import Progress
from sam2lab.widgets.panels.take_away import TakeAwayPanel
from sam2lab.widgets.panels.toolbar import ACTIONS, Toolbar
from sam2lab.widgets.screen import Screen
from sam2lab.widgets.session.answers import Answer
from sam2lab.widgets.session.engines import EngineFailed
from sam2lab.widgets.session.packed import PackedMask
from sam2lab.widgets.session.session import Session

WELCOME = (
    "Click on something. Right click, or Shift and click: not this. Drag: a box around it. "
    "Or: arrow keys."
)


class Controller(BaseController):
    """Stands between the session and the `screen`, whose parts call its methods.

    After it has shown everything, it calls `publish` with the known answers by object id.
    """

    def __init__(
        self,
        session: Session,
        size: tuple[int, int],
        offered: Sequence[ImageLike],
        publish: Callable[[Mapping[int, Answer]], None],
    ) -> None:
        super().__init__(session, ACTIONS)
        self._session: Session = session
        self._offered = offered
        self._publish = publish
        self._preview: PackedMask | None = None
        self.encoding = Encoding(session, self.refresh, lambda words: self.screen.fail(words))
        self.screen: Screen = Screen(
            stage=Stage(size, self),
            toolbar=Toolbar(self.act, self.use_tool),
            candidates=Candidates(self.choose),
            objects=ObjectList(self),
            display=DisplayPanel(self.refresh, self.use_hover),
            engine=EnginePanel(session.engines, self.encoding.use, self.encoding.compare),
            photo=PhotoPanel(offered, self.open),
            take_away=TakeAwayPanel(self.export, FORMATS.values()),
            progress=Progress(self.stop),
            near=NearPanel(any(map(bundle_of, session.segmenters.values())), self.use_near),
        )
        self.near = Near(
            *(session, self.encoding, self.screen.stage),
            opacity=lambda: self.screen.display.inside,
            refresh=self.refresh,
        )
        self.listen()
        session.subscribe(self._on_change)

    def start(self) -> None:
        """Show everything for the first time, and open the first photo."""
        self.screen.say("Choose a photo below.")
        self.refresh()
        if self._offered:
            self.open(self._offered[0])

    def refresh(self) -> None:
        """Show everything as it is now."""
        with self._showing:
            known = self._known()
            self.screen.show(
                self._session, self.encoding, known, self._preview, str(self.near.where)
            )
            self._publish(known)

    def _preview_at(self, x: int, y: int) -> None:
        if self._session.is_encoded():
            self.encoding.attempt(
                lambda: self._show_preview(PackedMask.of(self._session.preview(x, y)))
            )

    def end_preview(self) -> None:
        self._show_preview(None)

    # What the other panels and keys call.

    def choose(self, index: int) -> None:
        """Choose a candidate."""
        self._do(lambda: self._session.choose(index))

    def open(self, image: Source, name: str | None = None) -> None:
        """Open a photo; `name` is for one that has no file name."""
        self.screen.say(WELCOME)
        self.encoding.attempt(lambda: self._session.open_image(image, name))
        self.screen.photo.show(self._session.image)

    def export(self, format: str) -> None:
        """Make the files of a take-away format and offer them."""

        def act() -> None:
            files, picture = self._session.export(format), self._session.image
            self.screen.take_away.offer(files, Path(picture.name).stem if picture else "")

        self._do(act)

    def use_near(self, mode: str) -> None:
        """Let clicks be answered by the kernel alone, in the browser, or where it is quicker."""
        self.near.use(mode)

    def stop(self) -> None:
        """Do not wait for the encoder any longer."""
        self.encoding.stop()
        self.screen.say("Stopped. A click tries again.")
        # The button that was pressed is gone.
        self._take_keys()

    def _do(self, action: Callable[[], None], mark: Mark | None = None) -> None:
        """Act once the engine can answer; meanwhile `mark` shows where."""
        self.screen.say("")
        if self._session.image is None:
            self.screen.fail("there is no photo yet: choose one below")
            return
        self._preview = None
        self.encoding.do(action, mark)

    def _show_preview(self, preview: PackedMask | None) -> None:
        with self._showing:
            if preview is not self._preview:
                self._preview = preview
                self.screen.draw(self._session, self.encoding, self._known(), preview)

    def _known(self) -> dict[int, Answer]:
        try:
            return overlay.answers(self._session)
        except EngineFailed as error:
            self.screen.fail(str(error))
            return {}

    def _on_change(self, changes: frozenset[str]) -> None:
        if changes & {"image", "objects", "masks"}:
            self.screen.take_away.forget()
        if "image" in changes:
            self.encoding.restart()
        elif not self.encoding.is_acting:
            self.refresh()
