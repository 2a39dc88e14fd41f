"""What of a session is seen over the photo."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sam2lab.widgets.canvas.marks import Mark
from sam2lab.widgets.canvas.painting import Paint
from sam2lab.widgets.session.answers import Answer
from sam2lab.widgets.session.objects import Box, Item, Prompt
from sam2lab.widgets.session.packed import PackedMask
from sam2lab.widgets.session.session import Session

# Only A says so, only B says so, both do: the first two told apart by every eye.
ONLY_A, ONLY_B, BOTH = "#0072b2", "#e69f00", "#ffffff"

Masks = tuple[tuple[PackedMask, Paint], ...]


def answers(session: Session) -> dict[int, Answer]:
    """What the engine in use says to each object, by id; nothing while it would have to encode."""
    if session.image is None or not session.is_encoded():
        return {}
    return {item.id: session.answer(item.id) for item in session.objects if item.prompts}


def other_objects(session: Session, known: Mapping[int, Answer], inside: float) -> Masks:
    """The masks of all objects but the active one, as far as they are not hidden."""
    return tuple(
        (known[item.id].chosen_packed, Paint(item.colour, inside))
        for item in session.objects
        if item.id != session.active.id and not item.hidden and _has_mask(known, item)
    )


def active_object(session: Session, known: Mapping[int, Answer], inside: float) -> Masks:
    """The active object's mask, unless it is hidden."""
    item = session.active
    if item.hidden or not _has_mask(known, item):
        return ()
    return ((known[item.id].chosen_packed, Paint(item.colour, inside)),)


def marks(session: Session) -> tuple[Mark, ...]:
    """The active object's prompts."""
    if session.image is None or session.active.hidden:
        return ()
    return tuple(mark_of(prompt) for prompt in session.prompts)


def mark_of(prompt: Prompt) -> Mark:
    """The sign for a prompt; a point's is in the middle of its pixel."""
    if isinstance(prompt, Box):
        return Mark("box", prompt.x0, prompt.y0, prompt.x1, prompt.y1)
    return Mark("positive" if prompt.positive else "negative", prompt.x + 0.5, prompt.y + 0.5)


@dataclass(frozen=True)
class Difference:
    """Where two engines differ about one object: how far they agree, and how to show it."""

    iou: float
    only_a: PackedMask
    only_b: PackedMask
    both: PackedMask

    def masks(self, inside: float) -> Masks:
        """What both say faintly, what only one says in its colour."""
        strong = max(inside, 0.5)
        return (
            (self.both, Paint(BOTH, 0.25)),
            (self.only_a, Paint(ONLY_A, strong)),
            (self.only_b, Paint(ONLY_B, strong)),
        )


def difference(session: Session, other: str) -> Difference:
    """The active object as the engine in use and another one see it."""
    found = session.disagreement(session.engine, other)
    ours = session.mask
    return Difference(
        found.iou,
        PackedMask.of(found.only_a),
        PackedMask.of(found.only_b),
        PackedMask.of(ours & ~found.only_a),
    )


def _has_mask(known: Mapping[int, Answer], item: Item) -> bool:
    return item.id in known and known[item.id].area > 0
