"""Where clicks are answered."""

from __future__ import annotations

from collections.abc import Callable

from ipywidgets import Dropdown

from sam2lab.widgets.panels.controls import named

PLACES = {"where it is quicker": "auto", "in the browser": "browser", "in the kernel": "kernel"}


class NearPanel:
    """Calls `use` with "auto", "browser" or "kernel"; hidden unless there is a choice."""

    def __init__(self, is_offered: bool, use: Callable[[str], None]) -> None:
        self.places = named(
            Dropdown(
                options=list(PLACES.items()),
                description="Answers",
                tooltip="Where clicks are answered first; the masks that stay are the kernel's",
            ),
            *("answers", "wide"),
        )
        self.places.observe(lambda change: use(change["new"]), "value")
        self.places.layout.display = "" if is_offered else "none"
