"""The video's timeline: play, step, scrub, the strip of all objects, and what follows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ipycanvas import Canvas
from ipywidgets import HTML, HBox, IntSlider, Play, VBox

from sam2lab.widgets.canvas import strip
from sam2lab.widgets.canvas.layers import held, put
from sam2lab.widgets.canvas.painting import Painted
from sam2lab.widgets.canvas.strip import Row
from sam2lab.widgets.deferred import Latest
from sam2lab.widgets.formats.png import as_png
from sam2lab.widgets.panels.controls import UserChanges, button, named

# Frames without a time are played at this many a second.
USUAL_FPS = 10.0
# Moves that come closer together than this have piled up: only the last counts.
PILED_UP_S = 0.01
LEGEND = (
    "● prompt · ◆ correction · ▬ present · ─ absent · striped: the model is unsure · empty: not "
    "followed"
)


class TimelineActions(Protocol):
    """The methods that the timeline calls."""

    def go_to(self, frame: int) -> None:
        """Show another frame."""

    def follow(self, name: str) -> None:
        """Follow all objects: "all" from the first prompt, "on" or "back" from here."""


@dataclass(frozen=True, eq=False)
class Moment:
    """What the timeline shows: `words` stand beside the number of the frame."""

    frame: int
    count: int
    fps: float | None
    rows: Sequence[Row]
    words: str


class TimelinePanel:
    """Shows one video; `width` is that of the strip in canvas pixels."""

    def __init__(self, actions: TimelineActions, width: int) -> None:
        self._actions = actions
        self._width = width
        self._changes = UserChanges()
        self._moves = Latest(PILED_UP_S)
        self._moment: Moment | None = None
        self._drawn: bytes | None = None
        self.back = button(
            "step-back", "", "One frame back (key ,)", lambda: self._step(-1), "step-backward"
        )
        self.on = button(
            "step-on", "", "One frame on (key .)", lambda: self._step(1), "step-forward"
        )
        self.play = named(Play(show_repeat=False, tooltip="Play"), "play")
        self.slider = named(
            IntSlider(readout=False, description="Frame", tooltip="Which frame is shown"), "slider"
        )
        self.label = named(HTML(), "frame-label")
        self.follow = [
            button(
                "follow-back",
                "◂ Back",
                "Follow all objects backwards from this frame",
                lambda: actions.follow("back"),
            ),
            button(
                "follow-all",
                "Follow",
                "Follow all objects from the first prompt to the end (key F)",
                lambda: actions.follow("all"),
            ),
            button(
                "follow-on",
                "From here ▸",
                "Follow all objects from this frame on",
                lambda: actions.follow("on"),
            ),
        ]
        self.follow[1].button_style = "success"
        self.canvas = Canvas(width=width, height=strip.height_of(1))
        self.canvas.add_class("sam2lab-strip")
        self.canvas.on_client_ready(self._redraw)
        self.canvas.on_mouse_down(self._pointed)
        self._changes.report(self.slider, self._go)
        self._changes.report(self.play, self._go)
        transport = named(
            HBox([self.back, self.play, self.on, self.slider, self.label]), "transport"
        )
        followers = named(HBox(self.follow), "group", "follow")
        legend = named(HTML(LEGEND), "note", "legend")
        self.widget = named(VBox([transport, self.canvas, legend, followers]), "timeline")

    def show(self, moment: Moment) -> None:
        """Show another moment of the video."""
        self._moment = moment
        last = moment.count - 1
        with self._changes.ignored():
            for control in (self.slider, self.play):
                control.max = last
                control.value = moment.frame
            self.play.interval = round(1000 / (moment.fps or USUAL_FPS))
        self.back.disabled = moment.frame == 0
        self.on.disabled = moment.frame == last
        self.label.value = f"{moment.frame + 1} of {moment.count}{moment.words}"
        height = strip.height_of(len(moment.rows))
        if height != self.canvas.height:
            self.canvas.height = height
            self._drawn = None
        self._draw()

    def _draw(self) -> None:
        if self._moment is None:
            return
        now = self._moment
        pixels = as_png(strip.paint(now.rows, now.frame, now.count, self._width))
        if pixels != self._drawn:
            self._drawn = pixels
            with held(self.canvas):
                self.canvas.clear()
                put(self.canvas, Painted(pixels, 0, 0))

    def _redraw(self) -> None:
        self._drawn = None
        self._draw()

    def _pointed(self, x: float, y: float) -> None:
        if self._moment is not None:
            self._go(strip.frame_at(x, self._moment.count, self._width))

    def _step(self, by: int) -> None:
        if self._moment is not None:
            self._actions.go_to(self._moment.frame + by)

    def _go(self, frame: int) -> None:
        self._moves.call(lambda: self._actions.go_to(frame))
