"""How masks are shown, and whether one is shown before the click."""

from __future__ import annotations

from collections.abc import Callable

from ipywidgets import Checkbox, FloatSlider, HBox, ToggleButtons

from sam2lab.widgets.panels.controls import named, section


class DisplayPanel:
    """Opacity, filled or outlined, and the preview under the pointer."""

    def __init__(self, changed: Callable[[], None], hover: Callable[[bool], None]) -> None:
        self.style = named(
            ToggleButtons(
                options=[("Fill", "fill"), ("Outline", "outline")],
                tooltips=["Fill the masks", "Show their outlines only"],
            ),
            *("fill", "tool"),
        )
        self.opacity = named(
            FloatSlider(
                value=0.5,
                min=0.1,
                max=1,
                step=0.05,
                description="Opacity",
                readout=False,
                tooltip="How much of the photo a filled mask covers",
            ),
            *("opacity", "wide"),
        )
        self.hover = named(
            Checkbox(
                description="Preview under the pointer",
                indent=False,
                tooltip="Show what a click would find, before it is made",
            ),
            *("hover", "wide"),
        )
        self.style.observe(lambda _: changed(), "value")
        self.opacity.observe(lambda _: changed(), "value")
        self.hover.observe(lambda change: hover(change["new"]), "value")
        self.widget = section("Masks", named(HBox([self.style]), "row"), self.opacity, self.hover)

    @property
    def inside(self) -> float:
        """The opacity of a mask's inside."""
        return float(self.opacity.value) if self.style.value == "fill" else 0.0
