"""How masks are shown, and whether one is previewed under the pointer."""

from __future__ import annotations

from collections.abc import Callable

from ipywidgets import Checkbox, FloatSlider, HBox, ToggleButtons

from sam2lab.widgets.panels.controls import named, section


class DisplayPanel:
    """Calls `redraw` when masks are to look different, `use_hover` when previews go on or off."""

    def __init__(self, redraw: Callable[[], None], use_hover: Callable[[bool], None]) -> None:
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
                tooltip="Show the mask that a click would find, before you click",
            ),
            *("hover", "wide"),
        )
        self.style.observe(lambda _: redraw(), "value")
        self.opacity.observe(lambda _: redraw(), "value")
        self.hover.observe(lambda change: use_hover(change["new"]), "value")
        self.widget = section("Masks", named(HBox([self.style]), "row"), self.opacity, self.hover)

    @property
    def inside(self) -> float:
        """The opacity of a mask's inside."""
        return float(self.opacity.value) if self.style.value == "fill" else 0.0
