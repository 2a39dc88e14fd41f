"""Random sequences of actions can be undone, redone and saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sam2lab.runtime.engines.protocol import Decoded, Features, PromptBatch
from sam2lab.runtime.segmenter import Segmenter
from sam2lab.widgets.session import EngineFailed, Session
from sam2lab.widgets.session.objects import State
from tests.runtime.fakes import FakeEngine

PHOTO = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)


class Moody(FakeEngine):
    """Fails at every third prompt that it is asked about."""

    def decode(self, features: Features, prompts: PromptBatch) -> Decoded:
        decoded = super().decode(features, prompts)
        if len(self.asked) % 3 == 0:
            raise RuntimeError("not now")
        return decoded


xs, ys = st.floats(-3, 63), st.floats(-3, 43)
ids = st.integers(1, 6)
# Some of these are refused: that is part of the walk.
actions = st.one_of(
    st.tuples(st.just("add_point"), xs, ys, st.sampled_from([None, True, False])),
    st.tuples(st.just("add_box"), xs, ys, xs, ys),
    st.tuples(st.just("remove_prompt"), st.integers(-1, 3)),
    st.tuples(st.just("choose"), st.integers(-1, 3)),
    st.tuples(st.just("commit"), st.sampled_from([None, "cat", " "])),
    st.tuples(st.sampled_from(["select", "hide", "show", "delete"]), ids),
    st.tuples(st.just("rename"), ids, st.sampled_from(["dog", "cat", ""])),
    st.tuples(st.just("recolour"), ids, st.sampled_from(["#000000", "#ffffff", "white"])),
    st.tuples(st.just("use_engine"), st.sampled_from(["calm", "moody"])),
    st.tuples(st.sampled_from(["clear", "undo", "redo", "undo", "preview_all"])),
)


def opened(image: Any = PHOTO) -> Session:
    engines = {"calm": Segmenter(FakeEngine()), "moody": Segmenter(Moody(key="moody"))}
    return Session(engines, image)


def act(session: Session, action: tuple[Any, ...]) -> None:
    """Take one step, and check what must hold after every step."""
    name, *arguments = action
    before, engine = session.state, session.engine
    could = session.can_undo, session.can_redo
    try:
        if name == "preview_all":
            session.preview(30, 20)
        else:
            getattr(session, name)(*arguments)
    except (ValueError, EngineFailed):
        assert session.state is before
        assert session.engine == engine
        assert (session.can_undo, session.can_redo) == could
    if name in ("use_engine", "preview_all"):
        assert session.state is before
    check(session.state)


def check(state: State) -> None:
    numbers = [item.id for item in state.objects]
    assert len(set(numbers)) == len(numbers)
    assert max(numbers) < state.next_id
    assert state.active in numbers
    assert all(item.prompts for item in state.objects if item.id != state.active)


@settings(max_examples=150)
@given(steps=st.lists(actions, max_size=40))
def test_undoing_everything_gives_the_start_and_redoing_it_the_end(
    steps: list[Any],
) -> None:
    session = opened()
    start = session.state
    for step in steps:
        act(session, step)
    session.use_engine("calm")
    while session.can_redo:
        session.redo()
    end, masks = session.state, session.masks
    seen = []
    while session.can_undo:
        seen.append(session.state)
        session.undo()
    assert session.state == start
    while session.can_redo:
        session.redo()
        assert session.state == seen.pop()
    assert session.state == end
    assert session.masks.keys() == masks.keys()
    assert all(np.array_equal(session.masks[number], masks[number]) for number in masks)


@settings(max_examples=100)
@given(steps=st.lists(actions, max_size=25))
def test_one_undo_gives_the_state_before(steps: list[Any]) -> None:
    session = opened()
    past = [session.state]
    for step in steps:
        if step[0] in ("undo", "redo"):
            continue
        act(session, step)
        if session.state is not past[-1]:
            past.append(session.state)
    session.use_engine("calm")
    for state in past[-2::-1]:
        session.undo()
        assert session.state is state
    assert not session.can_undo


@settings(max_examples=60)
@given(steps=st.lists(actions, max_size=25))
def test_a_file_brings_everything_back(
    tmp_path_factory: pytest.TempPathFactory, steps: list[Any]
) -> None:
    file = Path(tmp_path_factory.getbasetemp()) / "walk.json"
    session = opened()
    for step in steps:
        act(session, step)
    session.use_engine("calm")
    session.save(file)
    loaded = opened(image=None)
    loaded.load(file)
    key = session.image.key
    assert loaded._pages[key].history == session._pages[key].history
    assert loaded.masks.keys() == session.masks.keys()
    assert all(np.array_equal(loaded.masks[n], mask) for n, mask in session.masks.items())


@settings(max_examples=60)
@given(steps=st.lists(actions, max_size=25))
def test_masks_depend_on_the_prompts_alone(steps: list[Any]) -> None:
    session = opened()
    for step in steps:
        act(session, step)
    session.use_engine("calm")
    replayed = opened()
    for item in session.objects:
        for prompt in item.prompts:
            state = replayed.state
            replayed._act(lambda _, s=state, p=prompt: s.with_prompts((*s.item().prompts, p)))
            if item.choice is not None and len(replayed.prompts) == 1:
                replayed.choose(item.choice)
        if item.prompts:
            assert np.array_equal(replayed.mask, session.masks[item.id])
            replayed.commit()
