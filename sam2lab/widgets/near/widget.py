"""The invisible widget whose side in the browser answers clicks, and which serves its files."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files as files_in
from typing import Any, NamedTuple

from anywidget import AnyWidget
from traitlets import Dict, Unicode

from sam2lab.widgets.canvas.stage import Stage
from sam2lab.widgets.encoding import Encoding
from sam2lab.widgets.near import question
from sam2lab.widgets.near.files import File, of_model, of_photo
from sam2lab.widgets.panels.controls import named
from sam2lab.widgets.session.session import Session


class Where(NamedTuple):
    """Who answers: the "kernel", the "browser", or one that is "loading", or "refused" for `why`.

    `ms` is the round trip that the browser has measured.
    """

    state: str = "kernel"
    ms: float | None = None
    why: str = ""

    def __str__(self) -> str:
        if self.state == "browser":
            away = "" if self.ms is None else f", the kernel is {self.ms:.0f} ms away"
            return f"answers in the browser{away}"
        if self.state == "loading":
            return "the browser fetches the decoder"
        if self.state == "refused":
            return f"the kernel answers, because the browser cannot: {self.why}"
        return ""


class Hidden(AnyWidget):
    """What the browser's side, web/near/near.js, is told without asking."""

    _esm = files_in("sam2lab.web").joinpath("near/near.js").read_text(encoding="utf-8")
    mode = Unicode("auto").tag(sync=True)
    question = Dict().tag(sync=True)
    canvas = Unicode().tag(sync=True)
    manager = Unicode().tag(sync=True)


class Near:
    """Lets a browser answer clicks on `stage`, and knows `where` they are answered.

    It calls `refresh` when that changes. While the kernel answers alone, the browser is told only
    which photo is open, so that a click costs nothing more.
    """

    def __init__(
        self,
        session: Session,
        encoding: Encoding,
        stage: Stage,
        opacity: Callable[[], float],
        refresh: Callable[[], None],
    ) -> None:
        self._session = session
        self._encoding = encoding
        self._stage = stage
        self._opacity = opacity
        self._refresh = refresh
        self._files: dict[str, File] = {}
        self.where = Where()
        canvas = stage.layers.canvas
        self.widget = named(
            Hidden(canvas=canvas.model_id, manager=canvas._canvas_manager.model_id), "style"
        )
        self.widget.on_msg(self._on_message)
        stage.on_shown = self.tell

    def use(self, mode: str) -> None:
        """Let clicks be answered by the "kernel", in the "browser", or "auto": what is quicker."""
        self.widget.mode = mode

    def tell(self) -> None:
        """Tell the browser what has changed for the next click."""
        session, encoding = self._session, self._encoding
        asked: dict[str, Any] = {}
        # A comparison of engines is painted by the kernel alone.
        if encoding.other is None and encoding.wanted == session.engine:
            asked = question.subject(session)
        if asked and self.where.state in ("browser", "loading"):
            asked |= question.details(session, self._stage, self._opacity())
        self.widget.question = asked

    def _on_message(self, _: object, content: dict[str, Any], __: object) -> None:
        if "state" in content:
            self._place(Where(content["state"], content.get("ms"), content.get("why", "")))
        wanted = getattr(self, f"_give_{content['want']}")
        reply, buffers = wanted(content)
        self.widget.send({"reply": content["ask"], **reply}, buffers)

    def _place(self, where: Where) -> None:
        if where != self.where:
            if where.state == "loading":
                # A page that is loaded anew counts time from its own beginning.
                self._stage.pointer.heard = 0.0
            self.where = where
            self.tell()
            self._refresh()

    def _give_nothing(self, _: dict[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
        return {}, []

    def _give_part(self, content: dict[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
        return {}, [self._files[content["name"]].part(content["number"])]

    def _give_model(self, _: dict[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
        segmenter = self._session.segmenter
        bundle = question.bundle_of(segmenter)
        offered = [] if bundle is None else of_model(bundle)
        info = segmenter.engine.info
        about = {"input_size": info.input_size, "stride": info.stride}
        return {"files": self._offer(offered), "info": about}, []

    def _give_features(self, content: dict[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
        if question.subject(self._session).get("key") != content["key"]:
            return {"files": []}, []
        file, layout = of_photo(self._session.embedding.features)
        return {"files": self._offer([file]), "layout": layout}, []

    def _offer(self, files: list[File]) -> list[dict[str, Any]]:
        self._files |= {file.name: file for file in files}
        return [file.described() for file in files]
