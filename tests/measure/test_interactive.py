"""Prompts are those that upstream would give the decoder, for all objects in one call."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from sam2lab.measure import interactive
from sam2lab.measure.interactive import KINDS, InteractiveProtocol, PromptedMasks, prompt_objects
from sam2lab.runtime.masks import iou
from sam2lab.scenes import clicks
from tests.measure.known import AFTER_CLICKS, BOX, CANDIDATES, KnownEngine, scene
from tests.runtime.fakes import FakeEngine

OBJECTS = dict(enumerate(scene(3).masks))


def asked(engine: Any, *kinds: str, **options: Any) -> list[PromptedMasks]:
    return list(
        prompt_objects(
            engine, scene(3).image, OBJECTS, InteractiveProtocol(kinds, **options), image=3
        )
    )


def by_object(found: Iterable[PromptedMasks], number: int) -> list[PromptedMasks]:
    return [answer for answer in found if answer.object == number]


@pytest.mark.parametrize("kind", ["clicks", "random click"])
def test_a_single_click_gets_three_candidates_of_which_the_engine_chooses(kind: str) -> None:
    found = asked(KnownEngine(), kind, clicks=1)
    for answer, truth in zip(found, OBJECTS.values(), strict=True):
        assert [iou(truth, mask) for mask in answer.masks] == list(CANDIDATES)
        assert iou(truth, answer.best) == CANDIDATES[1]
        ((x, y),) = answer.points.astype(int)
        assert truth[y, x]
        assert answer.labels.tolist() == [1]


@pytest.mark.parametrize("kind", ["box", "jittered box"])
def test_a_box_gets_the_single_mask(kind: str) -> None:
    for answer, truth in zip(asked(KnownEngine(), kind), OBJECTS.values(), strict=True):
        assert [iou(truth, mask) for mask in answer.masks] == [BOX]
        assert answer.clicks == len(answer.points) == len(answer.labels) == 0


def test_from_the_second_click_on_there_is_a_single_mask() -> None:
    found = asked(KnownEngine(), "clicks", clicks=5)
    for number, truth in OBJECTS.items():
        one = by_object(found, number)
        assert [answer.clicks for answer in one] == [1, 2, 3, 4, 5]
        assert [len(answer.masks) for answer in one] == [3, 1, 1, 1, 1]
        later = [iou(truth, answer.best) for answer in one[1:]]
        assert later == list(AFTER_CLICKS.values())


def test_each_click_corrects_the_answer_before_it() -> None:
    found = asked(KnownEngine(), "clicks", clicks=4)
    for number, truth in OBJECTS.items():
        one = by_object(found, number)
        for earlier, later in pairwise(one):
            assert later.points[:-1].tolist() == earlier.points.tolist()
            missed = truth & ~earlier.best
            (x, y), label = later.points[-1].astype(int), later.labels[-1]
            assert missed[y, x]
            assert label == 1


def test_a_correction_hands_over_the_logits_of_what_it_corrects() -> None:
    engine = KnownEngine()
    found = asked(engine, "clicks", clicks=3)
    first, *later = engine.asked
    assert first.mask_input is None
    for so_far, prompts in enumerate(later, start=1):
        earlier = [answer.best for answer in found if answer.clicks == so_far]
        # The photo has the size of the logits, so a mask is where its logits are above 0.
        assert ((prompts.mask_input[:, 0] > 0) == np.stack(earlier)).all()


def test_too_much_is_corrected_by_a_negative_click() -> None:
    truth = np.zeros((64, 96), bool)
    truth[30:34, 40:44] = True
    photo = np.zeros((64, 96, 3), np.uint8)
    first, second = prompt_objects(
        FakeEngine(), photo, {7: truth}, InteractiveProtocol(("clicks",), clicks=2)
    )
    x, y = second.points[1].astype(int)
    assert first.best[y, x]
    assert not truth[y, x]
    assert second.labels.tolist() == [1, 0]


def test_a_mistake_that_stays_is_clicked_at_another_pixel_each_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tests.measure.known.AFTER_CLICKS", dict.fromkeys(range(2, 9), 0.5))
    for number in OBJECTS:
        last = by_object(asked(KnownEngine(), "clicks", clicks=8), number)[-1]
        assert len(set(map(tuple, last.points))) == 8


class Perfect(KnownEngine):
    """Right from the second click on, and keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__(worse=-0.4)


def test_a_right_answer_stays_and_is_not_asked_for_again() -> None:
    engine = Perfect()
    found = asked(engine, "clicks", clicks=6)
    assert len(engine.asked) == 2
    for number, truth in OBJECTS.items():
        one = by_object(found, number)
        assert [answer.clicks for answer in one] == [1, 2, 3, 4, 5, 6]
        assert all((answer.best == truth).all() for answer in one[1:])


def test_a_photo_is_encoded_once_and_all_its_objects_are_decoded_together() -> None:
    engine = KnownEngine()
    asked(engine, *KINDS, clicks=3)
    assert engine.encoded == 1
    assert [prompts.objects for prompts in engine.asked] == [2] * 6


def test_objects_of_a_large_photo_go_in_several_calls_and_get_the_same_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def told(engine: KnownEngine) -> list[Any]:
        found = asked(engine, *KINDS, clicks=3)
        return sorted((a.object, a.kind, a.clicks, a.best.tobytes()) for a in found)

    together = told(KnownEngine())
    monkeypatch.setattr(interactive, "PIXELS_AT_ONCE", 1)
    engine = KnownEngine()
    assert told(engine) == together
    assert {prompts.objects for prompts in engine.asked} == {1}


def test_chance_is_the_same_for_every_engine_and_whatever_else_is_asked() -> None:
    def drawn(engine: Any, *kinds: str, **options: Any) -> list[Any]:
        found = asked(engine, *kinds, **options)
        return [a.points.tolist() for a in found if a.kind == "random click"] + [
            a.box.tolist() for a in found if a.kind == "jittered box"
        ]

    alone = drawn(KnownEngine(), "random click", "jittered box")
    assert alone == drawn(KnownEngine(worse=0.1), *KINDS, clicks=2)
    assert alone != drawn(KnownEngine(), "random click", "jittered box", seed=1)


def test_chance_is_another_for_another_photo_and_for_another_object() -> None:
    same = dict.fromkeys(range(3), OBJECTS[0])
    protocol = InteractiveProtocol(("random click",))
    points = [
        tuple(answer.points[0])
        for image in range(3)
        for answer in prompt_objects(KnownEngine(), scene(3).image, same, protocol, image)
    ]
    # Of 700 pixels, nine at random are different ones in 95 of 100 cases; this is one of them.
    assert len(set(points)) == 9


def test_the_first_click_is_in_the_centre() -> None:
    for answer, truth in zip(
        asked(KnownEngine(), "clicks", clicks=1), OBJECTS.values(), strict=True
    ):
        assert answer.points[0].tolist() == list(clicks.centre_click(truth)[:2])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kinds": ("boxes",)}, r"kinds is \('boxes',\); wanted some of: clicks, random click"),
        ({"kinds": ()}, "kinds is"),
        ({"clicks": 0}, "clicks is 0; wanted a whole number, 1 or more"),
        ({"clicks": 2.0}, "clicks is 2.0"),
        ({"seed": -1}, "seed is -1; wanted a whole number, 0 or more"),
    ],
)
def test_other_questions_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        InteractiveProtocol(**options)
