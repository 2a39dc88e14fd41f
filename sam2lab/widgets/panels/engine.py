"""Which engine answers, how long it took, and where another engine's answer differs."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

from ipywidgets import HTML, Dropdown

from sam2lab.widgets.canvas.overlay import ONLY_A, ONLY_B, Difference
from sam2lab.widgets.panels.controls import UserChanges, named, section
from sam2lab.widgets.session.workspace import Timings

NO_ENGINE = "nothing"


class EnginePanel:
    """Calls `use` with the engine that is to answer, `compare` with the other one or None."""

    def __init__(
        self,
        engines: tuple[str, ...],
        use: Callable[[str], None],
        compare: Callable[[str | None], None],
    ) -> None:
        self._engines = engines
        self._changes = UserChanges()
        self.engine = named(
            Dropdown(options=engines, description="Engine", tooltip="Which engine answers"),
            *("engine", "wide"),
        )
        self.other = named(
            Dropdown(
                description="Compare",
                tooltip="Paint where another engine disagrees about the active object",
            ),
            *("compare", "wide"),
        )
        self.note = named(HTML(), "note", "disagreement")
        self._changes.report(self.engine, use)
        self._changes.report(self.other, lambda name: compare(None if name == NO_ENGINE else name))
        self.widget = section("Engine", self.engine, self.other, self.note)
        if len(engines) == 1:
            self.other.layout.display = "none"

    def show(self, engine: str, other: str | None) -> None:
        """Show which engines are chosen."""
        with self._changes.ignored():
            self.engine.value = engine
            options = (NO_ENGINE, *(name for name in self._engines if name != engine))
            if self.other.options != options:
                self.other.options = options
            self.other.value = other or NO_ENGINE

    def describe(self, a: str, b: str | None, difference: Difference | None) -> None:
        """Say how far two engines agree, or nothing."""
        if b is None or difference is None:
            self.note.value = ""
            return
        swatches = (
            f'<span style="color:{colour}">■</span> only {escape(name)}: {mask.area:,} px'
            for colour, name, mask in (
                (ONLY_A, a, difference.only_a),
                (ONLY_B, b, difference.only_b),
            )
        )
        iou = difference.iou
        self.note.value = f"IoU {iou:.3f}: {agreement(iou)}.<br>" + "<br>".join(swatches)


def agreement(iou: float) -> str:
    """Put an IoU into words.

    >>> agreement(0.97)
    'they differ along the edge only'
    """
    if iou == 1:
        return "pixel by pixel the same"
    if iou >= 0.99:
        return "hardly a pixel differs"
    if iou >= 0.95:
        return "they differ along the edge only"
    if iou >= 0.75:
        return "parts of the object differ"
    return "they mean different things"


def status(engine: str, timings: Timings, draw_ms: float | None, where: str = "") -> str:
    """Describe in one line how long the answer that is shown took, and `where` it came from.

    >>> status("nano", Timings(812.3, 14.2, False), 6.04)
    'nano · encode 812 ms · decode 14.2 ms · draw 6.0 ms'
    """
    parts = [escape(engine)]
    if timings.encode_ms is not None:
        parts.append(f"encode {timings.encode_ms:.0f} ms")
    if timings.decode_ms is not None:
        kept = " (kept from before)" if timings.from_cache else ""
        parts.append(f"decode {timings.decode_ms:.1f} ms{kept}")
    if draw_ms is not None:
        parts.append(f"draw {draw_ms:.1f} ms")
    if where:
        parts.append(escape(where))
    return " · ".join(parts)
