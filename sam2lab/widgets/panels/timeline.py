"""The video's timeline: play, step, the strip of all objects to drag along, and Follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ipywidgets import HTML, Box, Button, HBox, Play, VBox

from sam2lab.widgets.deferred import Latest
from sam2lab.widgets.panels import strip
from sam2lab.widgets.panels.controls import UserChanges, button, named
from sam2lab.widgets.panels.scrubber import Scrubber

# Frames without a time are played at this many a second.
USUAL_FPS = 10.0
# Moves that come closer together than this have piled up: only the last counts.
PILED_UP_S = 0.01
LEGEND = (
    "Drag along the strip to look at other frames. ○ prompt · ◇ correction · ▬ present · ─ absent "
    "· striped: the model is unsure · empty: not followed"
)


class TimelineActions(Protocol):
    """The methods that the timeline calls."""

    def go_to(self, frame: int) -> None:
        """Show another frame."""

    def step(self, by: int) -> None:
        """Show a frame further on, or back where `by` is negative."""

    def follow(self, name: str) -> None:
        """Follow all objects: "all" from the first prompt, "on" or "back" from here."""


@dataclass(frozen=True, eq=False)
class Moment:
    """What the timeline shows: `words` stand beside the number of the frame."""

    frame: int
    count: int
    fps: float | None
    rows: Sequence[strip.Row]
    words: str


class TimelinePanel:
    """Shows one video; `show` brings it up to date."""

    def __init__(self, actions: TimelineActions) -> None:
        self._actions = actions
        self._changes = UserChanges()
        self._moves = Latest(PILED_UP_S)
        self._moment: Moment | None = None
        self.back = button(
            "step-back", "", "One frame back (key ,)", lambda: actions.step(-1), "chevron-left"
        )
        self.on = button(
            "step-on", "", "One frame on (key .)", lambda: actions.step(1), "chevron-right"
        )
        self.play = named(Play(show_repeat=False, tooltip="Play"), "play")
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
        self.strip = named(HTML(), "strip")
        self._changes.report(self.play, self._go)
        steps = named(HBox([self.back, self.play, self.on, self.label]), "group")
        followers = named(HBox(self.follow), "group", "follow")
        bar = named(HBox([steps, followers]), "transport")
        scrub = named(Box([self.strip]), "scrub")
        legend = named(HTML(LEGEND), "note", "legend")
        self.widget = named(VBox([bar, scrub, legend]), "timeline")
        self.scrubber = Scrubber(scrub, self.widget, self._scrub)

    @property
    def first(self) -> Button:
        """The first button that can be pressed."""
        return self.on if self.back.disabled else self.back

    def show(self, moment: Moment) -> None:
        """Show another moment of the video."""
        self._moment = moment
        last = moment.count - 1
        with self._changes.ignored():
            self.play.max = last
            self.play.value = moment.frame
            self.play.interval = round(1000 / (moment.fps or USUAL_FPS))
        self.back.disabled = moment.frame == 0
        self.on.disabled = moment.frame == last
        self.label.value = f"{moment.frame + 1} of {moment.count}{moment.words}"
        self.strip.value = strip.markup(moment.rows, moment.frame, moment.count)

    def _scrub(self, place: float) -> None:
        if self._moment is not None:
            self._go(strip.frame_at(place, self._moment.count))

    def _go(self, frame: int) -> None:
        self._moves.call(lambda: self._actions.go_to(frame))
