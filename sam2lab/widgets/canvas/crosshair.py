"""A crosshair that keys move over the photo and click with, in place of a mouse."""

from __future__ import annotations

from collections.abc import Callable

from sam2lab.widgets.canvas.stage import Stage
from sam2lab.widgets.canvas.viewport import middle
from sam2lab.widgets.deferred import Latest

ARROWS = {"ArrowLeft": (-1, 0), "ArrowRight": (1, 0), "ArrowUp": (0, -1), "ArrowDown": (0, 1)}
CLICKS = ("Enter", " ")
CORNER = "e"
# An arrow moves by this many canvas pixels, so by fewer photo pixels when the photo is enlarged,
# but at least by one. With Shift it moves LEAP times as far, as in drawing programs.
STEP_PX = 4.0
LEAP = 10
# Its place is announced once it rests this long: else screen readers would talk at each step.
RESTED_S = 0.4

HELP = (
    "Arrow keys move the crosshair, with Shift far. Enter: this. Shift and Enter: not this. "
    "E: a corner of a box."
)
BEGUN = "That is one corner. Move to the opposite one, then E or Enter. Escape: no box."


class Crosshair:
    """Points at the photo on `stage` by keys; `say` announces words to the user.

    The first key only shows the crosshair, so that a key never clicks on a place unseen.
    """

    def __init__(self, stage: Stage, say: Callable[[str], None]) -> None:
        self._stage = stage
        self._say = say
        self._rested = Latest(RESTED_S)

    def press_key(self, key: str, shift: bool) -> bool:
        """Do what a key means, and return whether it is one of the crosshair's keys."""
        is_corner = key.lower() == CORNER
        if not (key in ARROWS or key in CLICKS or is_corner):
            return False
        self._rested.cancel()
        stage = self._stage
        if stage.crosshair is None:
            if stage.aim():
                self._say(HELP)
        elif key in ARROWS:
            across, down = ARROWS[key]
            far = STEP_PX * (LEAP if shift else 1)
            step = max(1, round(far / stage.view.scale))
            stage.aim(across * step, down * step)
            self._rested.call(self._announce_place)
        else:
            place = stage.view.to_canvas(*middle(stage.crosshair))
            if is_corner:
                stage.cornered(*place)
            else:
                stage.clicked(*place, opposite=shift)
            if stage.has_corner:
                self._say(BEGUN)
        return True

    def _announce_place(self) -> None:
        if self._stage.crosshair is not None:
            x, y = self._stage.crosshair
            self._say(f"The crosshair is at {x}, {y}.")
