"""A session's answers are those that `ImagePredictor` gives to the same prompts, step by step."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from sam2lab.opening import open_segmenter
from sam2lab.runtime.predictor import ImagePredictor
from sam2lab.runtime.segmenter import Segmenter
from sam2lab.widgets.session import Session
from sam2lab.widgets.session.answers import Answers
from sam2lab.widgets.session.prompts import Box, Point, Prompt
from tests.runtime.fakes import FakeEngine

PHOTO = np.random.default_rng(0).integers(0, 256, (150, 230, 3), dtype=np.uint8)

CHAINS: dict[str, tuple[list[Prompt], int | None]] = {
    "a click": ([Point(50, 60)], None),
    "a click and a choice": ([Point(50, 60)], 0),
    "a box": ([Box(20, 30, 120, 90)], None),
    "a click is refined": ([Point(50, 60), Point(90, 70, False), Point(55, 110)], None),
    "a choice is refined": ([Point(50, 60), Point(90, 70, False), Point(55, 110)], 1),
    "a box is refined": ([Box(20, 30, 120, 90), Point(60, 60), Point(30, 35, False)], None),
    "a box comes late": ([Point(50, 60), Box(20, 30, 120, 90)], 2),
    "beside it first": ([Point(5, 5, False), Point(50, 60), Point(70, 60)], None),
    "beside it, then a box": ([Point(5, 5, False), Box(20, 30, 120, 90)], None),
}


@pytest.fixture(scope="module")
def segmenter(nano_bundle: Path) -> Segmenter:
    return open_segmenter(nano_bundle)


def by_hand(
    predictor: ImagePredictor, prompts: list[Prompt], choice: int | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Masks, scores and logits, asking as SAM 2's own example notebook does."""
    logits = None
    masks = scores = low = None
    for count in range(1, len(prompts) + 1):
        points = [p for p in prompts[:count] if isinstance(p, Point)]
        boxes = [p for p in prompts[:count] if isinstance(p, Box)]
        if not boxes and not any(p.positive for p in points):
            continue
        masks, scores, low = predictor.predict(
            point_coords=np.array([(p.x, p.y) for p in points]) if points else None,
            point_labels=np.array([int(p.positive) for p in points]) if points else None,
            box=np.array([boxes[0].x0, boxes[0].y0, boxes[0].x1, boxes[0].y1]) if boxes else None,
            mask_input=logits,
            multimask_output=count == 1 and not boxes,
        )
        best = int(np.argmax(scores))
        chosen = choice if count == 1 and choice is not None and len(scores) > 1 else best
        logits = low[chosen][None]
    return masks, scores, low


@pytest.mark.parametrize("name", CHAINS)
def test_a_chain_of_prompts_is_answered_as_by_the_predictor(
    segmenter: Segmenter, name: str
) -> None:
    prompts, choice = CHAINS[name]
    session = Session(segmenter, PHOTO)
    for prompt in prompts:
        if isinstance(prompt, Point):
            session.add_point(prompt.x, prompt.y, prompt.positive)
        else:
            session.add_box(prompt.x0, prompt.y0, prompt.x1, prompt.y1)
        if choice is not None and len(session.prompts) == 1:
            session.choose(choice)
    predictor = ImagePredictor(segmenter)
    predictor.set_image(PHOTO)
    masks, scores, logits = by_hand(predictor, prompts, choice)
    answer = session.answer()
    # The same engine on the same numbers: not a bit may differ.
    assert np.array_equal(answer.scores, scores)
    assert np.array_equal(answer.logits, logits)
    assert np.array_equal(np.stack(session.candidates), masks.astype(bool))
    chosen = choice if len(prompts) == 1 and choice is not None else int(np.argmax(scores))
    assert np.array_equal(session.mask, masks[chosen].astype(bool))
    assert session.score == scores[chosen]


def test_the_same_prompts_reached_differently_get_the_same_answer(segmenter: Segmenter) -> None:
    prompts = [Point(50, 60), Point(90, 70, False), Point(55, 110)]
    session = Session({"a": segmenter, "b": segmenter}, PHOTO)
    session.add_point(50, 60)
    session.add_point(200, 10)
    session.add_point(90, 70, False)
    session.use_engine("b")
    session.remove_prompt(1)
    session.add_point(55, 110)
    session.commit()
    session.use_engine("a")
    predictor = ImagePredictor(segmenter)
    predictor.set_image(PHOTO)
    masks, _, _ = by_hand(predictor, prompts, None)
    assert np.array_equal(session.masks[1], masks[0].astype(bool))


def test_only_what_is_new_is_decoded() -> None:
    engine = FakeEngine()
    session = Session(Segmenter(engine), PHOTO)
    for x in range(10, 60, 10):
        session.add_point(x, 50)
    assert len(engine.asked) == 5
    session.undo()
    session.undo()
    session.redo()
    assert [session.mask.any() for _ in range(3)] == [True] * 3
    assert len(engine.asked) == 5
    session.remove_prompt(2)
    assert len(engine.asked) == 6


def test_answers_that_left_the_cache_are_computed_again() -> None:
    engine = FakeEngine()
    session = Session(Segmenter(engine), PHOTO)
    session._engines.answers = Answers(max_bytes=0)
    for x in range(10, 60, 10):
        session.add_point(x, 50)
    expected = Session(Segmenter(FakeEngine()), PHOTO)
    for x in range(10, 60, 10):
        expected.add_point(x, 50)
    assert np.array_equal(session.answer().logits, expected.answer().logits)
    assert session._engines.answers.kept.info().entries == 0


def test_memory_stays_within_the_cache_over_two_thousand_clicks() -> None:
    engine = FakeEngine(input_size=(32, 32))
    session = Session(Segmenter(engine), PHOTO[:30, :40])
    limit = 2**17
    session._engines.answers = Answers(max_bytes=limit)
    rng = np.random.default_rng(0)
    held, decoded = [], []
    tracemalloc.start()
    try:
        for number in range(2000):
            session.add_point(rng.uniform(0, 40), rng.uniform(0, 30), number % 4 < 3)
            decoded.append(len(engine.asked))
            engine.asked.clear()
            if number % 8 == 7:
                session.undo()
                session.redo()
                session.delete(session.active.id)
            if number in (999, 1999):
                held.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    info = session._engines.answers.kept.info()
    assert info.bytes <= limit
    assert info.entries < 200
    # A click leaves its state in the history: a few small tuples, no masks.
    assert (held[1] - held[0]) / 1000 < 3000
    assert max(decoded) == 1
