"""Picks the masks and marks of a session that are drawn over the photo."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sam2lab.runtime.masks import Mask
from sam2lab.widgets.canvas.layers import Masks
from sam2lab.widgets.canvas.marks import Mark
from sam2lab.widgets.canvas.painting import Paint
from sam2lab.widgets.session.answers import Answer, Disagreement
from sam2lab.widgets.session.base import BaseSession
from sam2lab.widgets.session.objects import Labelled
from sam2lab.widgets.session.packed import PackedMask
from sam2lab.widgets.session.prompts import Box, Prompt
from sam2lab.widgets.session.session import Session

# The colours of pixels that only A, only B and both call object; every eye tells A and B apart.
ONLY_A, ONLY_B, BOTH = "#0072b2", "#e69f00", "#ffffff"


def answers(session: Session) -> dict[int, Answer]:
    """The current engine's answer to each object, by id; none before the photo is encoded."""
    if session.image is None or not session.is_encoded():
        return {}
    return {item.id: session.answer(item.id) for item in session.objects if item.prompts}


def other_objects(
    session: BaseSession[Any, Any], known: Mapping[int, PackedMask], inside: float
) -> Masks:
    """The masks of all visible objects except the active one."""
    active = session.active.id
    others = (item for item in session.objects if item.id != active)
    return tuple(mask for item in others for mask in mask_of(item, known, inside))


def mask_of(item: Labelled, known: Mapping[int, PackedMask], inside: float) -> Masks:
    """The object's mask, if it has one and is visible."""
    if item.hidden or item.id not in known or not known[item.id].area:
        return ()
    return ((known[item.id], Paint(item.colour, inside)),)


def marks(session: BaseSession[Any, Any]) -> tuple[Mark, ...]:
    """The active object's prompts, if it is visible."""
    if not session.is_open or session.active.hidden:
        return ()
    return tuple(mark_of(prompt) for prompt in session.prompts)


def mark_of(prompt: Prompt, is_pending: bool = False) -> Mark:
    """Make the sign for a prompt; a point's sign is in the middle of its pixel."""
    if isinstance(prompt, Box):
        return Mark("box", prompt.x0, prompt.y0, prompt.x1, prompt.y1, is_pending)
    x, y = prompt.x + 0.5, prompt.y + 0.5
    return Mark("positive" if prompt.positive else "negative", x, y, is_pending=is_pending)


@dataclass(frozen=True)
class Difference:
    """Where two engines differ about one object, and how far they agree."""

    iou: float
    only_a: PackedMask
    only_b: PackedMask
    both: PackedMask

    def masks(self, inside: float) -> Masks:
        """Paint what both say faintly, and what only one says in the colour of that engine."""
        strong = max(inside, 0.5)
        return (
            (self.both, Paint(BOTH, 0.25)),
            (self.only_a, Paint(ONLY_A, strong)),
            (self.only_b, Paint(ONLY_B, strong)),
        )


def difference(found: Disagreement, ours: Mask) -> Difference:
    """Pack what two engines disagree about, where the first one says `ours`."""
    return Difference(
        found.iou,
        PackedMask.of(found.only_a),
        PackedMask.of(found.only_b),
        PackedMask.of(ours & ~found.only_a),
    )
